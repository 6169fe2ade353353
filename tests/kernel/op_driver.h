/*
 * Runs one operator as a plan would: builds a node, checks it, infers, lowers and runs the steps.
 */
#ifndef RDL_TESTS_OP_DRIVER_H
#define RDL_TESTS_OP_DRIVER_H

#include "kernel_test.h"

#include "base/arena.h"
#include "base/status.h"
#include "graph/lowering.h"
#include "ops/ops.h"

/** Most inputs, outputs and attributes of a case. */
#define OP_MOST 10

/** A node, its inputs, and after op_run its outputs. */
struct op_case {
    const char *domain, *type;
    int64_t opset;
    uint32_t n_attrs, n_inputs, n_outputs;
    struct rdl__attr attrs[OP_MOST];
    struct rdl__desc in[OP_MOST]; /* dtype NONE: absent */
    struct rdl__activation activation;
    uint32_t constants; /* bit i: input i is a constant that prepare sees; any bit: prepare runs */
    enum rdl__isa isa;
    int stop_at; /* infer is told to stop when it looks for the stop_at-th time; 0: never */
    int looks;   /* out: how often it looked */

    struct rdl__desc out[OP_MOST]; /* out: dtype and shape */
    void *data[OP_MOST];           /* out: elements, of arena */
    uint32_t aliases, steps;       /* out: what lower emitted */
    struct rdl_error error;        /* out: if a function failed */
    struct rdl__arena arena;
};

/** Begins a case of an operator of the domain "" at an opset, one output, best instruction set. */
void op_begin(struct op_case *c, const char *type, int64_t opset);

/** Adds the next input: rank dims follow. data NULL: absent. */
void op_input(struct op_case *c, enum rdl_dtype dtype, const void *data, int32_t rank, ...);

/** Adds attributes. */
void op_int(struct op_case *c, const char *name, int64_t value);
void op_float(struct op_case *c, const char *name, float value);
void op_text(struct op_case *c, const char *name, const char *value);
/** n int64_t follow. */
void op_ints(struct op_case *c, const char *name, int n, ...);

/** Finds the operator and runs it; steps tile by tile, the last first. @return the first failure */
enum rdl_status op_run(struct op_case *c);

/** Runs it, and once more with every input but the first as a constant; fails the test unless both
 * succeed with the same bytes. */
void op_run_both(struct op_case *c);

/** Fails the test unless it ends with status and its message has `part`. Then ends the case. */
void op_fails(struct op_case *c, enum rdl_status status, const char *part);

/** Fails the test unless output i has these dims. */
void op_expect_dims(const struct op_case *c, uint32_t i, int32_t rank, ...);

/** Frees the case's memory. */
void op_end(struct op_case *c);

#endif
