/*
 * A plan: a program bound to the shapes of its inputs and to the outputs that are asked for.
 *
 * It holds the steps, the parameter blobs and the offsets of everything in a lane's arena, and no
 * addresses of memory that a run brings, so any number of runs use it at the same time. Nodes whose
 * results follow from shapes and constants are folded away, and what no wanted output needs is left
 * out. Elements of inputs that decide shapes or control (Reshape's shape, the condition of an If) are
 * part of the key where they are few. Where a shape hangs on data that only a run knows, the rest of
 * the program is deferred: model/deferred.h runs it node by node, from the values that the plan exports.
 *
 * Threading: read-only once made, but for `used`, a hint that is written only when it changes. A plan is
 * found and kept through hazards (runtime/lane.h); it holds a reference to its program.
 */
#ifndef RDL_MODEL_PLAN_H
#define RDL_MODEL_PLAN_H

#include "device/segment.h"
#include "model/program.h"

/** How an output of the plan comes about. */
enum rdl__plan_output_kind {
    RDL__PLAN_COMPUTED, /* a step writes it */
    RDL__PLAN_CONSTANT, /* host_data holds it */
    RDL__PLAN_DEFERRED  /* the deferred part makes it; only then are dtype and shape known */
};

/** A value that the deferred part may read. */
struct rdl__plan_export {
    int32_t value;
    struct rdl__desc desc; /* data: elements known when the plan was made, in the plan or program */
    uint32_t base;         /* where it lies, as in a binding */
    size_t offset_bytes;
};

struct rdl__plan_port {
    enum rdl_dtype dtype;
    struct rdl__shape shape;
    size_t bytes;
    size_t
        staging_bytes; /* offset in the arena where the port lies on devices whose memory the host
                             cannot reach */
    enum rdl__plan_output_kind kind;
    const void *host_data; /* CONSTANT; of an input: its elements if they are part of the key */
};

struct rdl__plan {
    struct rdl__retired retired; /* when evicted */
    struct rdl__program *program;
    struct rdl__arena arena;        /* everything that the plan points to */
    uint64_t hash;                  /* of the key; never 0 */
    uint64_t number;                /* plans of a model are numbered as they are made */
    _Atomic bool used;              /* since the last look for a victim; relaxed, a hint */
    uint64_t wanted;                /* bit: output k is computed */
    struct rdl__plan_port *inputs;  /* [program->n_inputs]; dtype and shape are the key */
    struct rdl__plan_port *outputs; /* [program->n_outputs]; meaningful where wanted */
    struct rdl__segment segment;
    void *constants;          /* folded constants that kernels read, at the device's address */
    struct rdl__block *block; /* where they lie if the host cannot reach the device's memory */
    size_t arena_bytes;       /* of the lane's arena: values, scratch, staging */
    uint32_t n_bases;         /* size of a run's table of bases */
    bool has_deciding;        /* an input's elements are part of the key */
    bool has_deferred;        /* a wanted output is made by the deferred part */
    const struct rdl__plan_export *exports; /* [n_exports] */
    uint32_t n_exports;
};

/** What a plan is found by. */
struct rdl__plan_key {
    const struct rdl__desc *inputs; /* [n_inputs] dtype and shape; data of those that decide */
    uint32_t n_inputs;
    uint64_t wanted;
};

/** Hash of a key; never 0. */
uint64_t rdl__plan_hash(const struct rdl__plan_key *key);
/** Whether two inputs are the same as parts of a key. */
bool rdl__plan_input_equal(const struct rdl__desc *a, const struct rdl__desc *b);
/** Whether the plan was made for the key. */
bool rdl__plan_matches(const struct rdl__plan *plan, const struct rdl__plan_key *key);

/**
 * Makes the plan for a key.
 *
 * @return RDL_ERR_SHAPE (the shapes do not fit the model; names the node), RDL_ERR_UNSUPPORTED,
 *         RDL_ERR_OVERFLOW, RDL_ERR_NO_MEMORY, RDL_ERR_CANCELLED, RDL_ERR_DEADLINE, RDL_ERR_RUNTIME,
 *         RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST
 */
enum rdl_status rdl__plan_make(struct rdl__program *program, const struct rdl__plan_key *key,
                               const struct rdl__compile_limits *limits, struct rdl__plan **out,
                               struct rdl_error *error);

struct rdl__making;

/** Looks at a plan that was just made, together with what it was made from. */
struct rdl__plan_watcher {
    /** @return RDL_OK, or what the making ends with */
    enum rdl_status (*see)(const struct rdl__making *making, void *user);
    void *user;
};

/** As rdl__plan_make; a watcher may look before the description of the making goes. */
enum rdl_status rdl__plan_make_watched(struct rdl__program *program,
                                       const struct rdl__plan_key *key,
                                       const struct rdl__compile_limits *limits,
                                       const struct rdl__plan_watcher *watcher,
                                       struct rdl__plan **out, struct rdl_error *error);

/** Frees a plan that nobody uses. */
void rdl__plan_free(struct rdl__plan *plan);

#endif
