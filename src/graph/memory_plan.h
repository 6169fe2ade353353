/*
 * The static memory planner: gives buffers with known lifetimes their places in one arena.
 *
 * Threading: pure function of its arguments.
 */
#ifndef RDL_GRAPH_MEMORY_PLAN_H
#define RDL_GRAPH_MEMORY_PLAN_H

#include "base/status.h"

/** One buffer. What shares memory by intent (aliases, results in place) is one buffer. */
struct rdl__memory_buffer {
    size_t size_bytes;   /* 0 is allowed and takes no room */
    uint32_t first_use;  /* step that writes it first */
    uint32_t last_use;   /* step that reads it last, >= first_use; the buffer is in use in both */
    size_t offset_bytes; /* out: its place, a multiple of RDL_ALIGN */
};

/**
 * Places buffers [n] so that no two that are in use in one step overlap, and the arena is small.
 *
 * Source: "greedy by size" (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net
 * Inference, 2020, section 5.2): from the largest to the smallest, each into the smallest gap between
 * those placed already that live at the same time. The result depends on the arguments alone.
 *
 * @param buffers      [n], in and out; NULL allowed when n is 0
 * @param total_bytes  receives the size of the arena, a multiple of RDL_ALIGN
 * @return RDL_ERR_OVERFLOW (the sum of sizes that live together does not fit), RDL_ERR_NO_MEMORY
 * Cost: O(n log n) to sort, then for each buffer one pass over those placed before it.
 */
enum rdl_status rdl__memory_plan(struct rdl__memory_buffer *buffers, uint32_t n,
                                 size_t *total_bytes, struct rdl_error *error);

#endif
