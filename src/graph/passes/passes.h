/*
 * Passes: rewrites of a finished graph that keep its answers and make it cheaper. One file each.
 *
 * A pass works on one graph (the driver visits subgraphs) and takes what it needs out of it: a node
 * that it replaces loses its outputs, and rdl__graph_tidy drops it. What passes never touch: the names
 * and values of graph inputs and outputs; a value that something else uses too; parameters that are
 * not constant; arithmetic that is not f32 (folding aside).
 *
 * Threading: one user a graph.
 */
#ifndef RDL_GRAPH_PASSES_PASSES_H
#define RDL_GRAPH_PASSES_PASSES_H

#include "graph/graph.h"

/**
 * Evaluates a node whose inputs are all constant.
 *
 * @param out  [n_outputs], zeroed; receives dtype, shape and data, data in graph->arena
 * @return RDL_ERR_UNSUPPORTED leaves the node as it is (no kernel, outputs too large to keep); other
 *         failures end the optimisation, except in a subgraph or a branch, which may never be run:
 *         there only RDL_ERR_NO_MEMORY and RDL_ERR_CANCELLED do
 */
typedef enum rdl_status (*rdl__fold_fn)(void *user, const struct rdl__graph *graph,
                                        const struct rdl__node *node, struct rdl__desc *out,
                                        struct rdl_error *error);

/** What passes work with. */
struct rdl__pass_context {
    rdl__op_find_fn find;
    rdl__fold_fn fold; /* NULL: nothing is folded */
    void *user;        /* of fold */
    struct rdl_error *error;
};

/** A pass: sets *changed if it changed the graph, which then wants rdl__graph_tidy. */
typedef enum rdl_status (*rdl__pass_fn)(struct rdl__graph *graph,
                                        const struct rdl__pass_context *context, bool *changed);

/**
 * Dissolves every If of a finished graph and its subgraphs: its branches' nodes join the graph around
 * it, and the If becomes a raddle Select of their results. Evaluation is by need: a plan, and a run,
 * compute only what the side that the condition takes hangs on. Not a pass of rdl__graph_optimize: the
 * compiler knows no If.
 *
 * @return RDL_ERR_NO_MEMORY, RDL_ERR_MODEL (as rdl__graph_tidy)
 */
enum rdl_status rdl__graph_dissolve_ifs(struct rdl__graph *graph, rdl__op_find_fn find,
                                        struct rdl_error *error);

/** A Select whose condition is constant becomes Identities of the side that it takes. */
enum rdl_status rdl__pass_resolve_select(struct rdl__graph *graph,
                                         const struct rdl__pass_context *context, bool *changed);

/** Nodes of constant inputs become constants, RANDOM ones and those with subgraphs aside; values of
 * subgraphs that stand for constants become constants. */
enum rdl_status rdl__pass_constant_fold(struct rdl__graph *graph,
                                        const struct rdl__pass_context *context, bool *changed);

/** Identity, Dropout (inference) and Cast to the same dtype go. */
enum rdl_status rdl__pass_eliminate_identity(struct rdl__graph *graph,
                                             const struct rdl__pass_context *context,
                                             bool *changed);

/** Conv or ConvTranspose, then BatchNormalization of constants, or Add, Sub, Mul or Div of one constant
 * element or one a channel: one convolution, its weights computed in double. */
enum rdl_status rdl__pass_fuse_affine(struct rdl__graph *graph,
                                      const struct rdl__pass_context *context, bool *changed);

/** x * clip(x + 3, 0, 6) / 6 in any order of its products, and x * HardSigmoid(x, 1/6, 1/2): one
 * HardSwish. */
enum rdl_status rdl__pass_fuse_hard_swish(struct rdl__graph *graph,
                                          const struct rdl__pass_context *context, bool *changed);

/** 0.5 x (1 + erf(x / sqrt 2)) and its approximation by tanh: one Gelu. */
enum rdl_status rdl__pass_fuse_gelu(struct rdl__graph *graph,
                                    const struct rdl__pass_context *context, bool *changed);

/** MatMul with a one-hot matrix, Cast(Equal(ids, consecutive classes)) of ids [.., 1]: raddle Embedding;
 * then Add and Mul of a constant row, and functions of one element, work on its table instead. */
enum rdl_status rdl__pass_fuse_one_hot(struct rdl__graph *graph,
                                       const struct rdl__pass_context *context, bool *changed);

/** MatMul + Add of a constant row: raddle MatMulBias. */
enum rdl_status rdl__pass_fuse_bias(struct rdl__graph *graph,
                                    const struct rdl__pass_context *context, bool *changed);

/** Relu, Clip (constant bounds), HardSwish and HardSigmoid become the activation of the node before
 * them, if its operator has RDL__OP_FUSES; so does a Mul or Add of a constant element behind HardSwish. */
enum rdl_status rdl__pass_fuse_activation(struct rdl__graph *graph,
                                          const struct rdl__pass_context *context, bool *changed);

/**
 * Runs all passes on a finished graph and its subgraphs, in the order above, until none changes
 * anything (at most 8 rounds), with rdl__graph_tidy after each change. The graph stays finished.
 *
 * @param fold  NULL: nothing is folded
 * @return what fold returned (see there), RDL_ERR_NO_MEMORY
 */
enum rdl_status rdl__graph_optimize(struct rdl__graph *graph, rdl__op_find_fn find,
                                    rdl__fold_fn fold, void *user, struct rdl_error *error);

#endif
