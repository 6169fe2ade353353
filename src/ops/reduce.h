/*
 * Folding along axes, for operators that are made of it.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_OPS_REDUCE_H
#define RDL_OPS_REDUCE_H

#include "ops/common.h"

/** Adds the step that folds input 0's shape along the dimensions in `fold`, from one operand of input
 * 0's shape and dtype to another. */
enum rdl_status rdl__reduce_step(const struct rdl__lower *lower, enum rdl__k_reduce_op op,
                                 const bool fold[RDL_MAX_RANK], struct rdl__operand from,
                                 struct rdl__operand to);

#endif
