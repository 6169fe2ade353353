/*
 * Folding: running one node on the host, on elements that are known.
 */
#ifndef RDL_MODEL_FOLD_H
#define RDL_MODEL_FOLD_H

#include "graph/op.h"

/** Most bytes that the outputs of a folded node may have. */
#define RDL__FOLD_BYTES ((size_t)16 << 20)

/**
 * Whether the node can be folded: all its inputs are known (or it looks only at shapes), and it gives
 * the same each time.
 */
bool rdl__can_fold(const struct rdl__node *node, const struct rdl__desc *in);

/**
 * Computes a node's outputs on the host.
 *
 * @param in     [n_inputs], known
 * @param out    [n_outputs] dtype and shape known; receives data, in arena
 * @param kept   what the node's infer left in its effort
 * @param arena  also takes what is needed meanwhile
 * @return RDL_ERR_UNSUPPORTED (no kernel), RDL_ERR_RUNTIME (the operator fails on its data),
 *         RDL_ERR_NO_MEMORY; the message does not name the node
 */
enum rdl_status rdl__fold(const struct rdl__node *node, const struct rdl__desc *in,
                          struct rdl__desc *out, const void *kept, struct rdl__arena *arena,
                          enum rdl__isa isa, struct rdl_error *error);

/** Calls an operator's infer after checking that what it needs is known; names the node in messages. */
enum rdl_status rdl__infer_node(const struct rdl__node *node, const struct rdl__desc *in,
                                struct rdl__desc *out, struct rdl__effort *effort,
                                struct rdl_error *error);

#endif
