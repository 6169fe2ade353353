/*
 * The machine's own ceiling: fused multiply-adds a second, on one core or several at once.
 *
 * On a shared machine two processors may for a while be one physical core; a measurement with
 * several threads means something only beside a probe that says that the cores were there.
 */
#ifndef RADDLE_CLI_PEAK_H
#define RADDLE_CLI_PEAK_H

/** GFLOP/s in single precision of `threads` threads together, measured for `seconds` after as long a
 * warm-up; 0 if a thread could not be started. */
double peak_measure(unsigned threads, double seconds);

#endif
