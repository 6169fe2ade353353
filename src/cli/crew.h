/*
 * A crew: threads that call a function over and over at the same time, under one clock.
 */
#ifndef RADDLE_CLI_CREW_H
#define RADDLE_CLI_CREW_H

#include "raddle/status.h"

/** Slices of the time whose rates tell the spread. */
#define CREW_SLICES 30

/** One call, on the context of the calling thread; false ends that thread's work. */
typedef bool (*crew_fn)(void *context);

/** What the crew shall do. */
struct crew_task {
    crew_fn call;
    void *const *contexts; /* [threads] */
    unsigned threads;
    double seconds;
    uint64_t least_calls; /* a thread goes on beyond `seconds` until it made so many */
    int64_t call_ns;      /* length of a call, roughly: short ones are timed in chunks */
};

/** What it did. */
struct crew_result {
    double ops_per_s;      /* calls by wall_s */
    double spread;         /* (p90 - p10) / median of the slices' rates; negative: too few calls */
    double p50_us, p99_us; /* of single calls; one in each chunk is looked at */
    double wall_s;         /* from the start to the end of the last thread */
    double cpu_s;          /* processor time of the whole process meanwhile */
    uint64_t calls;
};

/**
 * Starts the threads, lets them go at once, and joins them.
 * @return RDL_ERR_THREAD, RDL_ERR_NO_MEMORY; then no call was made
 */
enum rdl_status crew_work(const struct crew_task *task, struct crew_result *out,
                          struct rdl_error *error);

/** Processor time of the process so far, in seconds. */
double crew_processor_seconds(void);

#endif
