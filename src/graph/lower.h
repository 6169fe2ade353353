/*
 * Lowering: the list of kernel calls (steps) that a plan's nodes become, before memory is planned.
 *
 * An operator's lower function adds steps through rdl__lower_step. A step names its bindings by
 * operand: an input or output of the node, a weight that prepare made, or a temporary.
 *
 * Threading: one user at a time.
 */
#ifndef RDL_GRAPH_LOWER_H
#define RDL_GRAPH_LOWER_H

#include "graph/op.h"

/** What an operand refers to. */
enum rdl__operand_kind {
    RDL__OPERAND_NONE = 0, /* absent: the kernel sees NULL */
    RDL__OPERAND_INPUT,    /* input `index` of the node */
    RDL__OPERAND_OUTPUT,   /* output `index` of the node */
    RDL__OPERAND_WEIGHT,   /* weight `index` that prepare made */
    RDL__OPERAND_TEMP      /* temporary `index` of rdl__lower_temp */
};

struct rdl__operand {
    enum rdl__operand_kind kind;
    uint32_t index;
    bool written;        /* whether the step writes it (outputs and temporaries) */
    size_t offset_bytes; /* added to the operand's address */
};

#define RDL__IN(i) ((struct rdl__operand){RDL__OPERAND_INPUT, (i), false, 0})
#define RDL__OUT(i) ((struct rdl__operand){RDL__OPERAND_OUTPUT, (i), true, 0})
#define RDL__WEIGHT(i) ((struct rdl__operand){RDL__OPERAND_WEIGHT, (i), false, 0})
#define RDL__TEMP_READ(i) ((struct rdl__operand){RDL__OPERAND_TEMP, (i), false, 0})
#define RDL__TEMP_WRITE(i) ((struct rdl__operand){RDL__OPERAND_TEMP, (i), true, 0})

/** A step as an operator describes it. */
struct rdl__step_spec {
    rdl__kernel_fn fn;
    const void *params; /* params_bytes, copied */
    size_t params_bytes;
    size_t tiles;         /* number of tiles, >= 1 */
    size_t scratch_bytes; /* of one tile range */
    uint32_t n_bind;      /* <= RDL__MAX_BINDINGS */
    struct rdl__operand bind[RDL__MAX_BINDINGS];
};

/** Adds a step. @return RDL_ERR_NO_MEMORY */
enum rdl_status rdl__lower_step(const struct rdl__lower *lower, const struct rdl__step_spec *spec);

/** Says that output `out` has the same bytes in the same order as input `in` (Reshape, Identity): no
 * step is needed where the planner can let them share memory. @return RDL_ERR_NO_MEMORY */
enum rdl_status rdl__lower_alias(const struct rdl__lower *lower, uint32_t out, uint32_t in);

/** Asks for a temporary that lives from its first to its last step; *index for RDL__TEMP_*.
 * @return RDL_ERR_NO_MEMORY, RDL_ERR_OVERFLOW */
enum rdl_status rdl__lower_temp(const struct rdl__lower *lower, size_t size_bytes, uint32_t *index);

#endif
