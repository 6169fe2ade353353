/*
 * What passes share: looking at the surroundings of a value, and replacing inputs.
 */
#ifndef RDL_GRAPH_PASSES_REWRITE_H
#define RDL_GRAPH_PASSES_REWRITE_H

#include "graph/op.h"
#include "graph/passes/passes.h"

/** Whether node is the operator `op` of the default domain (or of "raddle", which has no namesakes of
 * another meaning). */
bool rdl__node_is(const struct rdl__node *node, const char *op);

/** The node that makes value; NULL if none does or value is RDL__NO_VALUE. */
struct rdl__node *rdl__producer_of(const struct rdl__graph *graph, int32_t value);

/** The node `op` without an activation whose output 0 is value and is used nowhere else; NULL if it is
 * made otherwise. */
struct rdl__node *rdl__sole_producer(const struct rdl__graph *graph, int32_t value, const char *op);

/** The constant f32 elements of value; NULL if it is anything else. */
const struct rdl__desc *rdl__constant_f32(const struct rdl__graph *graph, int32_t value);

/** Reads a constant f32 of one element and at most `rank` dimensions (at least 1 is allowed); false if
 * value is anything else. */
bool rdl__element_f32(const struct rdl__graph *graph, int32_t value, int32_t rank, float *out);
/** The same of rank 0 or 1. */
bool rdl__scalar_f32(const struct rdl__graph *graph, int32_t value, float *out);

/** Reads the bounds of a Clip, from attributes or inputs; false if one is not constant. */
bool rdl__clip_bounds(const struct rdl__graph *graph, const struct rdl__node *clip, float *low,
                      float *high);

/** Gives node these inputs; false if there is no memory. */
bool rdl__set_inputs(struct rdl__graph *graph, struct rdl__node *node, uint32_t n,
                     const int32_t *inputs);

/** Makes node a call of op on one input, with one attribute or none (NULL); its outputs stay. False if
 * there is no memory. */
bool rdl__become_unary(struct rdl__graph *graph, struct rdl__node *node, const struct rdl__op *op,
                       int32_t input, const struct rdl__attr *attr);

/** Lets node make what `last` made: `last` loses its outputs, and dies by rdl__graph_tidy. */
void rdl__take_result(struct rdl__graph *graph, struct rdl__node *node, struct rdl__node *last);

/**
 * Room for a new constant of the shape of `like`: 64-byte aligned, the graph's arena. NULL if there is
 * no memory. Its value is *value; it has a name of its own, which is in no file's interest.
 */
float *rdl__new_constant_f32(struct rdl__graph *graph, const struct rdl__shape *like,
                             int32_t *value);

/** What is known of a value without running shape inference. */
struct rdl__fact {
    enum rdl_dtype dtype; /* RDL_DTYPE_NONE: not known */
    int32_t min_rank;     /* rank is known to be at least this */
};

/** The facts of all values [n_values + 1], from inputs and constants forward; declared types between
 * nodes are not believed, for nothing checks them. To be freed by rdl__free; NULL: no memory. */
struct rdl__fact *rdl__find_facts(const struct rdl__graph *graph);

/** RDL_ERR_NO_MEMORY with its message. */
enum rdl_status rdl__pass_no_memory(const struct rdl__pass_context *context);

#endif
