/*
 * Load on a model: threads that run it at the same time, each with data of its own, every answer
 * held against the sequential run.
 */
#ifndef RADDLE_CLI_LOAD_H
#define RADDLE_CLI_LOAD_H

#include "cli/crew.h"
#include "cli/inputs.h"
#include "cli/session.h"

/** The data of one thread. */
struct load_data {
    struct rdl_value **inputs;   /* [n_inputs] */
    struct rdl_value **outputs;  /* [n_outputs] bound, so that a run makes no new ones */
    struct rdl_value **expected; /* [n_outputs] answers of the sequential run */
};

/** Data of all threads; made before any clock runs. Zeroed: none. */
struct load {
    const struct session *session;
    struct load_data *data; /* [threads] */
    unsigned threads;
    unsigned distinct; /* different answers among the threads' */
    bool unbound;      /* some outputs are made by the run itself */
    int64_t call_ns;   /* length of one call of a lone thread, roughly */
};

/** What a number of threads did. */
struct load_result {
    struct crew_result timed; /* under the clock */
    uint64_t checked; /* calls whose every byte was compared, outside the clock or at its end */
    uint64_t mismatches, errors;
    struct rdl_error first_error; /* if errors > 0 */
};

/** Makes inputs from seed, seed + 1, ... for each thread, and the answers of the sequential run. */
enum rdl_status load_make(const struct session *session, const struct inputs_wish *wish,
                          uint64_t seed, unsigned threads, struct load *out,
                          struct rdl_error *error);
void load_fini(struct load *load);

/**
 * Runs the model from `threads` threads: first for a quarter of the time (and at least 50 calls a
 * thread) with every answer compared, then for `seconds` under the clock.
 * @param threads  at most load->threads
 * @return RDL_ERR_THREAD, RDL_ERR_NO_MEMORY; faults of runs are counted in *out
 */
enum rdl_status load_measure(const struct load *load, unsigned threads, double seconds,
                             struct load_result *out, struct rdl_error *error);

#endif
