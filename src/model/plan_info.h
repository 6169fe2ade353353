/*
 * Descriptions of plans, for rdl_model_get_plan and rdl_model_profile.
 *
 * A description is written while its plan is made, and by a profiled run; it holds no reference to either.
 *
 * Threading: one user until it is given out; read-only afterwards.
 */
#ifndef RDL_MODEL_PLAN_INFO_H
#define RDL_MODEL_PLAN_INFO_H

#include "model/plan.h"
#include "raddle/inspect.h"

struct rdl_plan_info {
    struct rdl__arena arena;     /* all that it points to */
    struct rdl_step_info *steps; /* [n_steps] the plan's, then the deferred part's */
    size_t n_steps;
    struct rdl_plan_buffer *buffers; /* [n_buffers] */
    size_t n_buffers;
    size_t arena_bytes, scratch_bytes, n_folded;
    bool has_deferred;
};

/** An empty description; NULL if there is no memory. */
struct rdl_plan_info *rdl__plan_info_new(void);

/**
 * Compiles a plan for values given for the inputs, outside the cache, and describes it.
 * @param plan  receives the plan, to be freed; NULL: not wanted
 * @return as rdl_model_run
 */
enum rdl_status rdl__plan_info_make(struct rdl__program *program, struct rdl_value *const *inputs,
                                    struct rdl__plan **plan, struct rdl_plan_info **out,
                                    struct rdl_error *error);

/** Room for n more steps behind those that are there; zeroed. NULL if there is no memory. */
struct rdl_step_info *rdl__plan_info_extend(struct rdl_plan_info *info, size_t n);

/** Fills what a step says of its node: all but tiles, bytes and times. false if there is no memory. */
bool rdl__plan_info_node(struct rdl_plan_info *info, const struct rdl__node *node, uint32_t depth,
                         const struct rdl__desc *in, const struct rdl__desc *out,
                         struct rdl_step_info *step);

#endif
