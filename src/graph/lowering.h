/*
 * The list that lowering fills, as whoever compiles a plan reads it. Operators see graph/lower.h only.
 *
 * Threading: one user at a time.
 */
#ifndef RDL_GRAPH_LOWERING_H
#define RDL_GRAPH_LOWERING_H

#include "graph/lower.h"

/** A step as it was added: its spec, with params copied into the arena, and the node it is of. */
struct rdl__lowered {
    struct rdl__step_spec spec;
    uint32_t node;       /* the lowering's current node when it was added */
    uint32_t first_temp; /* number of that node's temporary 0 */
};

/** An output that has the bytes of an input. */
struct rdl__lowered_alias {
    uint32_t node, out, in;
};

struct rdl__lowering {
    struct rdl__arena *arena; /* where params and the lists lie */
    uint32_t node;            /* set before each node's lower */
    uint32_t first_temp;      /* number of temporaries before this node; set likewise */
    struct rdl__lowered *steps;
    uint32_t n_steps, cap_steps;
    struct rdl__lowered_alias *aliases;
    uint32_t n_aliases, cap_aliases;
    size_t *temps; /* [n_temps] bytes */
    uint32_t n_temps, cap_temps;
};

/** Makes an empty list. */
void rdl__lowering_init(struct rdl__lowering *list, struct rdl__arena *arena);

/** Says that what is added from now on belongs to a node. */
void rdl__lowering_begin(struct rdl__lowering *list, uint32_t node);

#endif
