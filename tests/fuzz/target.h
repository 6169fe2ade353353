/*
 * What is fuzzed: everything that a stranger's file reaches.
 */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include "raddle/status.h"

/**
 * Imports data [size] with the library's operators under a memory limit and a deadline, checks what
 * every graph must keep, runs the passes, and checks again. Then loads it through the public door and,
 * if its inputs are small, runs it once. A fault of ours aborts.
 *
 * @param error  receives the message of a refusal
 * @return what the importer or the passes said
 */
enum rdl_status fuzz_one(const void *data, size_t size, struct rdl_error *error);

/** Of all bytes of all constants: outside, so that reading them is not optimised away. */
extern unsigned char fuzz_sum;

#endif
