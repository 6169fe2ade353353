/*
 * Measuring one kernel from a test program's --bench: many short rounds of calls, each with a look at
 * the processor's multiply-add peak beside it, since the clock of a shared machine moves. Times are the
 * thread's own processor time. A line shows a low percentile of the rounds, and their median.
 */
#ifndef RDL_TESTS_KERNEL_BENCH_H
#define RDL_TESTS_KERNEL_BENCH_H

/** Prints the machine's instruction set and the head of the table. */
void bench_head(void);

/** Measures call(user), which does `flops` operations, and prints a line. */
void bench_line(const char *name, double flops, void (*call)(void *user), void *user);

#endif
