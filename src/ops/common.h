/*
 * What operator families share: checking inputs, giving shapes to outputs, adding common steps.
 * Messages speak of inputs by number; the caller puts the node's name before them.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_OPS_COMMON_H
#define RDL_OPS_COMMON_H

#include "base/size.h"
#include "base/status.h"
#include "graph/lower.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

/**
 * Defines the table of an operator of the default domain that holds from opset version since_: how many
 * inputs and outputs it takes and gives, then what else it has as designated members of struct rdl__op.
 */
#define RDL__OPERATOR(...) RDL__OPERATOR_OF("", __VA_ARGS__)
/** The same of one that passes make. */
#define RDL__INTERNAL_OPERATOR(name_, ...) RDL__OPERATOR_OF("raddle", name_, 1, __VA_ARGS__)
#define RDL__OPERATOR_OF(domain_, name_, since_, least_in, most_in, least_out, most_out, ...)      \
    const struct rdl__op rdl__op_##name_##_##since_ = {.domain = domain_,                          \
                                                       .name = #name_,                             \
                                                       .since = (since_),                          \
                                                       .min_inputs = (least_in),                   \
                                                       .max_inputs = (most_in),                    \
                                                       .min_outputs = (least_out),                 \
                                                       .max_outputs = (most_out),                  \
                                                       __VA_ARGS__}

/** Checks a node's attributes against an array of rules. */
#define RDL__CHECK_ATTRS(node, rules, error)                                                       \
    rdl__attr_check((node), (rules), sizeof(rules) / sizeof *(rules), (error))

/** What ends the work of an infer: RDL_OK, or RDL_ERR_CANCELLED, RDL_ERR_DEADLINE. To be asked about
 * every millisecond. */
enum rdl_status rdl__op_stop(const struct rdl__infer *infer);

/** Whether input i of the node is given. */
bool rdl__op_has(const struct rdl__node *node, uint32_t i);

/** Fails with the dtype of input i, which the operator does not take. */
enum rdl_status rdl__op_bad_dtype(const struct rdl__infer *infer, uint32_t i);

/** Fails unless input i has the dtype of input 0. */
enum rdl_status rdl__op_same_dtype(const struct rdl__infer *infer, uint32_t i);

/** Fails unless the rank of input i is in [low, high]. */
enum rdl_status rdl__op_rank(const struct rdl__infer *infer, uint32_t i, int32_t low, int32_t high);

/** Gives output i a dtype and a shape; fails if the shape is none (rdl__shape_check). */
enum rdl_status rdl__op_out(const struct rdl__infer *infer, uint32_t i, enum rdl_dtype dtype,
                            int32_t rank, const int64_t *dims);

/** Gives output 0 the dtype and shape of input 0. */
enum rdl_status rdl__op_out_as_input(const struct rdl__infer *infer);

/** *at = axis counted from the front; fails unless axis is in [-rank, rank). */
enum rdl_status rdl__op_axis(struct rdl_error *error, int64_t axis, int32_t rank, int32_t *at);

/** The dtype that an attribute names by its number in TensorProto.DataType; `otherwise` if the node
 * lacks it; RDL_DTYPE_NONE if the number names none of ours. */
enum rdl_dtype rdl__op_dtype(const struct rdl__node *node, const char *attr,
                             enum rdl_dtype otherwise);

/** The elements of a 1-D (or scalar) i64 or i32 input whose data are known, widened; at most max.
 * Fails if it has another dtype or rank, or more elements. */
enum rdl_status rdl__op_ints(const struct rdl__infer *infer, uint32_t i, int64_t *values,
                             size_t max, size_t *count);

/** The node's activation in the kernels' words. */
struct rdl__k_act rdl__op_act(const struct rdl__node *node);

/** Adds the step that applies the node's activation to output 0 in place, if it has one: for kernels
 * that apply none themselves. */
enum rdl_status rdl__op_lower_act(const struct rdl__lower *lower);

/** Adds a step without scratch. */
enum rdl_status rdl__op_step(const struct rdl__lower *lower, rdl__kernel_fn fn, const void *params,
                             size_t params_bytes, size_t tiles, uint32_t n_bind,
                             const struct rdl__operand *bind);
#define RDL__OP_STEP(lower, fn, params, tiles, bind)                                               \
    rdl__op_step((lower), (fn), &(params), sizeof(params), (tiles), sizeof(bind) / sizeof *(bind), \
                 (bind))

/** Adds a unary step from one operand to another. */
enum rdl_status rdl__op_unary(const struct rdl__lower *lower, struct rdl__k_unary *params,
                              int64_t count, struct rdl__operand from, struct rdl__operand to);

/** Adds a binary step: params->op, dtype and act are set; shapes a and b broadcast to out. */
enum rdl_status rdl__op_binary(const struct rdl__lower *lower, struct rdl__k_binary *params,
                               const struct rdl__shape *a, struct rdl__operand a_operand,
                               const struct rdl__shape *b, struct rdl__operand b_operand,
                               const struct rdl__shape *out, struct rdl__operand to);

/** A temporary with one number of a floating dtype; *index for RDL__TEMP_READ. */
enum rdl_status rdl__op_temp_scalar(const struct rdl__lower *lower, enum rdl_dtype dtype,
                                    double value, uint32_t *index);

/** Adds the step that moves elements along params->walk (dims and strides set, not merged). */
enum rdl_status rdl__op_move(const struct rdl__lower *lower, struct rdl__k_move *params,
                             enum rdl_dtype dtype, struct rdl__operand from,
                             struct rdl__operand to);

/** Adds the step that stores bytes, known now, in an operand. */
enum rdl_status rdl__op_store(const struct rdl__lower *lower, const void *bytes, size_t size_bytes,
                              struct rdl__operand to);

/** Adds the steps that store integers, known now, in an operand, a part each that is stored in time. */
enum rdl_status rdl__op_store_ints(const struct rdl__lower *lower, const int64_t *values,
                                   int64_t count, struct rdl__operand to);

/** Fails with the dtype that the operator's kernels do not have. */
enum rdl_status rdl__op_no_kernel(const struct rdl__lower *lower, enum rdl_dtype dtype);

/** The f32 kernels of this lowering. */
static inline const struct rdl__k_f32 *rdl__op_f32(const struct rdl__lower *lower)
{
    return rdl__k_f32_of(lower->isa);
}

#endif
