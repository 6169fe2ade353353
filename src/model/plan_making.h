/*
 * A plan in the making: what plan_infer.c (what is known, what is needed) and plan.c (memory, steps)
 * share.
 *
 * Threading: one user.
 */
#ifndef RDL_MODEL_PLAN_MAKING_H
#define RDL_MODEL_PLAN_MAKING_H

#include "graph/lowering.h"
#include "model/plan.h"

/** What a plan knows of a node. */
enum rdl__node_state {
    RDL__NODE_NEW = 0, /* not looked at: nothing that is certain to be computed hangs on it */
    RDL__NODE_OPEN,    /* on the stack of the walk */
    RDL__NODE_KNOWN,   /* its outputs' dtypes and shapes are known */
    RDL__NODE_DEFERRED /* they hang on data: the node is left to the run */
};

/** No storage; no step. */
#define RDL__NO_STORAGE UINT32_MAX
#define RDL__NO_STEP UINT32_MAX

/** What memory a storage is in. */
enum rdl__storage_kind {
    RDL__IN_ARENA,
    RDL__IN_INPUT,
    RDL__IN_OUTPUT,
    RDL__IN_WEIGHTS,
    RDL__IN_CONSTANTS
};

/** Memory that one or more values share. */
struct rdl__storage {
    enum rdl__storage_kind kind;
    uint32_t port;       /* IN_INPUT, IN_OUTPUT */
    size_t offset_bytes; /* IN_WEIGHTS, IN_CONSTANTS, and at the end IN_ARENA */
    size_t bytes;
    uint32_t first_step, last_step; /* in use; first_step RDL__NO_STEP: never */
    uint32_t shares;                /* storage whose memory it shares; itself: none */
};

/** A step that copies a storage into an output's memory. */
struct rdl__output_copy {
    uint32_t from, to; /* storages */
    size_t bytes;
};

struct rdl__making {
    const struct rdl__program *program;
    struct rdl__plan *plan;
    const struct rdl__plan_key *key;
    struct rdl_error *error;
    struct rdl__arena arena;     /* of the call */
    struct rdl__desc *descs;     /* [n_values]; dtype RDL_DTYPE_NONE: not known */
    enum rdl__node_state *nodes; /* [n_nodes] */
    bool *needed;                /* [n_values] a step, an output or the deferred part reads it */
    bool *executed;              /* [n_nodes] lowered to steps of the plan */
    bool *exported;              /* [n_values] known, and read by the deferred part */
    uint32_t n_exported;

    /* plan.c's. */
    uint32_t *storage_of; /* [n_values] index into storages; RDL__NO_STORAGE: none yet */
    struct rdl__lowering list;
    struct rdl__storage *storages;
    uint32_t n_storages;
    uint32_t *temp_storage;          /* [list.n_temps] */
    uint32_t n_copies;               /* steps that copy into outputs, after the lowered ones */
    struct rdl__output_copy *copies; /* [n_outputs] */
    size_t constants_bytes;
};

/** RDL_ERR_NO_MEMORY with its message. */
enum rdl_status rdl__making_no_memory(const struct rdl__making *making);

/** Whether output k is asked for; models have at most 64. */
bool rdl__making_wants(const struct rdl__making *making, uint32_t output);

/** Reads the descs of a node's inputs into in [n_inputs]. */
void rdl__making_inputs(const struct rdl__making *making, const struct rdl__node *node,
                        struct rdl__desc *in);

/**
 * Fills descs, nodes, needed, executed and exported from the key: infers and folds, by need, all that
 * the wanted outputs hang on; nodes whose inputs' data would have to be known, and all behind them, are
 * left to the run.
 *
 * @return as rdl__plan_make
 */
enum rdl_status rdl__making_infer(struct rdl__making *making,
                                  const struct rdl__compile_limits *limits);

#endif
