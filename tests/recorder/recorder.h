/*
 * A recorder of memory accesses: which cache lines does one thread write and another touch?
 *
 * The library is compiled with clang's instrumentation for ThreadSanitizer (-fsanitize=thread) but
 * linked to this recorder instead of the sanitizer, so that each of its accesses comes by here. While a
 * thread records, the lines that it reads and writes are marked with its bit; afterwards the lines that
 * one thread wrote and another touched are counted.
 *
 * Threading: any number of threads record at the same time, up to RECORDER_THREADS.
 */
#ifndef TESTS_RECORDER_RECORDER_H
#define TESTS_RECORDER_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

#define RECORDER_THREADS 32
#define RECORDER_LINE 64

/** Forgets everything; no thread records. */
void recorder_reset(void);
/** Starts and stops recording the calling thread as thread `index`. */
void recorder_start(unsigned index);
void recorder_stop(void);
/** Lines that one thread wrote and another touched; prints up to `show` of them with the place of the
 * write. No thread records. */
size_t recorder_shared_lines(unsigned show);
/** Lines seen at all: a test that records nothing proves nothing. */
size_t recorder_lines(void);

#endif
