/*
 * The places in which a node names values of its graph: its inputs, and the values of its subgraphs
 * that stand for values of its graph. Sorting, counting and rewriting all walk these.
 *
 * @code
 * struct rdl__uses uses = rdl__uses_of(node);
 * for (int32_t *use; (use = rdl__uses_next(&uses)) != NULL;)
 *     ...graph->values[*use]...
 * @endcode
 *
 * Threading: one walker a struct; a use may be written by the one user of the graph.
 */
#ifndef RDL_GRAPH_USES_H
#define RDL_GRAPH_USES_H

#include "graph/graph.h"

/** Where a walk stands. */
struct rdl__uses {
    const struct rdl__node *node;
    uint32_t input; /* next input */
    uint32_t attr;  /* next attribute */
    uint32_t value; /* next value of that attribute's subgraph */
};

/** A walk over the uses of node. */
static inline struct rdl__uses rdl__uses_of(const struct rdl__node *node)
{
    return (struct rdl__uses){.node = node};
}

/** The next place that names a value (never RDL__NO_VALUE); NULL at the end. */
static inline int32_t *rdl__uses_next(struct rdl__uses *uses)
{
    const struct rdl__node *node = uses->node;
    while (uses->input < node->n_inputs) {
        int32_t *use = &node->inputs[uses->input++];
        if (*use != RDL__NO_VALUE)
            return use;
    }
    for (; uses->attr < node->n_attrs; uses->attr++, uses->value = 0) {
        if (node->attrs[uses->attr].type != RDL__ATTR_GRAPH)
            continue;
        struct rdl__graph *inner = node->attrs[uses->attr].graph;
        while (uses->value < inner->n_values) {
            int32_t *use = &inner->values[uses->value++].outer;
            if (*use != RDL__NO_VALUE)
                return use;
        }
    }
    return NULL;
}

#endif
