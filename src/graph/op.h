/*
 * What an operator is: how it checks its node, infers shapes, prepares its weights once a program,
 * and lowers itself to kernel calls once a plan. The registry of all operators is src/ops.
 *
 * An operator is a constant table of functions. Adding one touches one file of its family and one
 * line of src/ops/registry.c.
 */
#ifndef RDL_GRAPH_OP_H
#define RDL_GRAPH_OP_H

#include "device/kernel.h"
#include "graph/graph.h"
#include "os/cpu.h"

struct rdl__lowering; /* list of steps being built; graph/lower.h */

/**
 * What an infer may use whose result's shape is found only by computing the result (Unique,
 * NonMaxSuppression): it asks now and then whether to stop, and leaves what it has computed to lower.
 */
struct rdl__effort {
    struct rdl__arena *arena; /* for kept; lives until lower has run */
    enum rdl_status (*stop)(const void *user, struct rdl_error *error); /* NULL: never stops */
    const void *user;
    const void *kept; /* out: the operator's own data, read by lower; in arena; NULL: none */
};

/** Everything that shape inference of one node may look at. */
struct rdl__infer {
    const struct rdl__node *node;
    const struct rdl__desc *in; /* [n_inputs]; dtype and shape known; data known for all inputs in
                                   op->value_inputs, and for others where it happens to be */
    struct rdl__desc *out;      /* [n_outputs]; to be given dtype and shape, data stays NULL */
    struct rdl__effort *effort; /* never NULL in an operator's infer */
    struct rdl_error *error;
};

/** Packed weights that prepare asks for: filled on the host, then kept once a device. */
struct rdl__weight {
    void *data; /* size_bytes, 64-byte aligned; copied to the device after prepare */
    size_t size_bytes;
};

/** What prepare works with: once a program, from attributes, constants and ISA, never from run-time
 * dims, so that every plan of the program sums in the same order. */
struct rdl__prepare {
    const struct rdl__node *node;
    const struct rdl__desc *in; /* [n_inputs]; only constants are known (data not NULL); others have
                                   dtype RDL_DTYPE_NONE */
    enum rdl__isa isa;          /* best instruction set to use */
    struct rdl__arena *arena;   /* for state; lives as long as the program */
    struct rdl__arena *packed; /* where rdl__prepare_weight takes memory, until the device has it */
    struct rdl__weight *weights; /* [RDL__MAX_WEIGHTS], zeroed; prepare fills weights[k].data by
                                    rdl__prepare_weight */
    uint32_t absorbed;           /* out: bit i: lower never binds input i, because its packed form
                                    serves; the source may be dropped */
    void *state; /* out: the operator's own data, read by lower; arena; may be NULL */
    struct rdl_error *error;
};
#define RDL__MAX_WEIGHTS 4

/** Makes weight k: size_bytes zeroed bytes at 64-byte alignment; NULL if there is no memory. */
void *rdl__prepare_weight(struct rdl__prepare *prepare, uint32_t k, size_t size_bytes);

/** What lower works with: once a plan, all shapes known. */
struct rdl__lower {
    const struct rdl__node *node;
    const struct rdl__desc *in;  /* [n_inputs] dtype and shape; data where known */
    const struct rdl__desc *out; /* [n_outputs] */
    const void *state;           /* what prepare left; NULL if it left none, or did not run: a node
                                    that is folded on the host is lowered without prepare */
    const void *kept;            /* what infer left in its effort */
    enum rdl__isa isa;
    struct rdl__lowering *list; /* receives the steps: graph/lower.h */
    struct rdl_error *error;
};

/** Properties of an operator. */
enum rdl__op_flags {
    RDL__OP_IN_PLACE = 1, /* output 0 may lie in the memory of an input of the same size and dtype:
                             the kernel reads each element before it writes the same one */
    RDL__OP_FUSES = 2,    /* applies node->activation to output 0 */
    RDL__OP_RANDOM = 4,   /* gives other results each time: never folded */
    RDL__OP_OF_SHAPE =
        8, /* looks only at its inputs' shapes and dtypes (Shape, Size): a plan always
                             knows the result; lower binds no input */
    RDL__OP_SELECT =
        16,            /* raddle Select: input 0 decides which of the others are looked at; the rest
                             may never be computed (rdl__node_wants) */
    RDL__OP_LOOP = 32, /* runs its subgraph as often as data say (Loop, Scan): has neither infer nor
                             lower; model/loop.h runs it */
    RDL__OP_COUNTS = 64 /* its result's shape depends on elements that are data, not shape operands
                             (NonZero): a model's input does not become part of a plan's key for it */
};

/** Any number of inputs or outputs. */
#define RDL__VARIADIC 255

struct rdl__op {
    const char *domain; /* "" is ONNX's own; "raddle" for those that passes make */
    const char *name;
    int32_t since; /* holds from this opset version to the next entry of the same name */
    uint8_t min_inputs, max_inputs, min_outputs, max_outputs;
    uint32_t value_inputs; /* bit i: infer needs the elements of input i */
    uint32_t flags;        /* enum rdl__op_flags */

    /** Checks attributes at load. NULL: the operator has none.
     * @return RDL_ERR_MODEL or RDL_ERR_UNSUPPORTED naming the node (rdl__node_text) */
    enum rdl_status (*check)(const struct rdl__node *node, struct rdl_error *error);

    /** Gives out[] dtype and shape, checking in[]. Overflow and nonsense dims are errors. NULL only
     * with RDL__OP_LOOP.
     * @return RDL_ERR_SHAPE, RDL_ERR_OVERFLOW, RDL_ERR_UNSUPPORTED (dtype) saying what does not fit;
     *         the caller puts the node's name before it */
    enum rdl_status (*infer)(const struct rdl__infer *infer);

    /** Chooses kernels and packs weights once a program. NULL: nothing to do.
     * @return RDL_ERR_NO_MEMORY, RDL_ERR_MODEL */
    enum rdl_status (*prepare)(struct rdl__prepare *prepare);

    /** Emits the steps, or aliases, that compute out from in. Not called when every output is empty.
     * @return RDL_ERR_UNSUPPORTED (dtype without a kernel, named), RDL_ERR_NO_MEMORY */
    enum rdl_status (*lower)(const struct rdl__lower *lower);

    /** Floating-point operations of the node's products, 2 for each multiply-add, from inputs and
     * outputs with known shapes; for profiles. NULL: the operator has no standard count. */
    double (*flop)(const struct rdl__node *node, const struct rdl__desc *in,
                   const struct rdl__desc *out);
};

/** Which side a Select takes: whether the condition's element is true. A condition that is none (infer
 * refuses it) counts as false. */
static inline bool rdl__select_side(const struct rdl__desc *condition)
{
    return condition->dtype == RDL_BOOL && condition->data != NULL &&
           rdl__shape_count(&condition->shape) == 1 && *(const uint8_t *)condition->data != 0;
}

/** Whether a node looks at its input i, given what is known of input 0: all do but Select, which has
 * its condition, then the values of the one side, then those of the other. */
static inline bool rdl__node_wants(const struct rdl__node *node, const struct rdl__desc *first,
                                   uint32_t i)
{
    if ((node->op->flags & RDL__OP_SELECT) == 0 || i == 0)
        return true;
    return (i <= node->n_outputs) == rdl__select_side(first);
}

#endif
