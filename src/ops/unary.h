/*
 * Operators that apply one function to each element of one input.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_OPS_UNARY_H
#define RDL_OPS_UNARY_H

#include "ops/common.h"

/** Infers an operator whose function is op: output 0 is as input 0. */
enum rdl_status rdl__unary_infer(const struct rdl__infer *infer, enum rdl__k_unary_op op);

/** Adds its step, with the function's parameters. */
enum rdl_status rdl__unary_lower(const struct rdl__lower *lower, enum rdl__k_unary_op op, float a,
                                 float b);

/** Defines the table of such an operator; a and b are expressions in which `lower` is known. */
#define UNARY_OP(name_, since_, kind, check_, a, b)                                                \
    static enum rdl_status infer_##name_(const struct rdl__infer *infer)                           \
    {                                                                                              \
        return rdl__unary_infer(infer, RDL__K_UNARY_##kind);                                       \
    }                                                                                              \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return rdl__unary_lower(lower, RDL__K_UNARY_##kind, a, b);                                 \
    }                                                                                              \
    RDL__OPERATOR(name_, since_, 1, 1, 1, 1, .flags = RDL__OP_IN_PLACE, .check = (check_),         \
                  .infer = infer_##name_, .lower = lower_##name_);

#endif
