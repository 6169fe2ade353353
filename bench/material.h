/*
 * What all engines work on: the inputs of each thread, and the answers that are expected.
 *
 * It is made by a process of its own, which runs Raddle, and lies in shared memory: the process
 * that measures an engine holds no other engine's model in its memory.
 */
#ifndef RADDLE_BENCH_MATERIAL_H
#define RADDLE_BENCH_MATERIAL_H

#include "cli/common.h"

#define MATERIAL_MAX_PORTS 16
#define MATERIAL_MAX_THREADS 64
#define MATERIAL_ALIGNMENT 128

/** An input or output, with the shape that it has in this comparison. */
struct material_port {
    char name[256];
    enum rdl_dtype dtype;
    int32_t rank;
    int64_t dims[RDL_MAX_RANK];
    size_t size_bytes;
};

/** Elements of one thread, in C order, aligned to MATERIAL_ALIGNMENT. */
struct material_data {
    void *inputs[MATERIAL_MAX_PORTS];   /* [n_inputs] */
    void *expected[MATERIAL_MAX_PORTS]; /* [n_outputs] answers of Raddle's sequential run */
};

/** Constant once it is made. */
struct material {
    size_t n_inputs, n_outputs;
    struct material_port inputs[MATERIAL_MAX_PORTS], outputs[MATERIAL_MAX_PORTS];
    unsigned threads;
    struct material_data data[MATERIAL_MAX_THREADS]; /* [threads] */
    int64_t call_ns;                                 /* length of one call of Raddle, roughly */
};

/** "NAME=LOW..HIGH" of the command line: the elements of an integer input. */
struct value_range {
    char *name; /* owned */
    int64_t low, high;
};

/** All --range options. */
struct value_ranges {
    struct value_range *items; /* [count] */
    size_t count;
};

/** What material is made from. Initialise with MATERIAL_PLAN_DEFAULTS. */
struct material_plan {
    struct common common; /* model, shapes, elements and seed */
    struct value_ranges ranges;
    unsigned threads;
};
#define MATERIAL_PLAN_DEFAULTS {.common = COMMON_DEFAULTS, .threads = 1}

/** Their parser, for a command's own as common_children: its input is the struct material_plan. */
extern const struct argp_child material_children[];
void material_plan_fini(struct material_plan *plan);

/**
 * Makes inputs from seed, seed + 1, ... for each thread, none like another, and their answers.
 *
 * Called while the process has one thread: it forks.
 *
 * @return RDL_ERR_UNSUPPORTED (an output is no tensor of numbers or changes its shape, two threads
 *         have the same inputs, too many ports), RDL_ERR_NOT_FOUND, as the runtime's functions
 */
enum rdl_status material_make(const struct material_plan *plan, struct material **out,
                              struct rdl_error *error);
/** NULL allowed. */
void material_free(struct material *material);

/** Memory for an output, aligned like material; given back by free(). NULL: no memory. */
void *material_block(size_t size_bytes);

#endif
