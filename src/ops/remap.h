/*
 * Building the tables of the remap kernel.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_OPS_REMAP_H
#define RDL_OPS_REMAP_H

#include "ops/common.h"

/** The source of each index of one output dimension. */
struct rdl__remap_dim {
    int64_t *table; /* [output dim] source index or RDL__K_REMAP_FILL; NULL: the same index */
};

/** A remap from input 0 to output 0, dimension by dimension (both of the same rank). */
struct rdl__remap {
    struct rdl__remap_dim dims[RDL_MAX_RANK];
};

/** Gives dimension d of the map a table of n entries, not filled in; NULL if there is no memory. */
int64_t *rdl__remap_table(struct rdl__remap *map, int32_t d, int64_t n);

/**
 * Adds the step that copies input 0 to output 0 along the map, or an alias if the map changes nothing;
 * then frees the map's tables, also on failure.
 *
 * @param fill        operand of the fill, or NONE
 * @param fill_bytes  [8] the fill if the operand is NONE; NULL: zeros
 * @return RDL_ERR_UNSUPPORTED (dtype), RDL_ERR_NO_MEMORY
 */
enum rdl_status rdl__remap_lower(const struct rdl__lower *lower, struct rdl__remap *map,
                                 struct rdl__operand fill, const void *fill_bytes);

/** Frees the tables. */
void rdl__remap_fini(struct rdl__remap *map);

#endif
