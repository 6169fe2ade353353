/*
 * The registry of operators: who implements (domain, name) at an opset version.
 *
 * Threading: everything here is constant; any thread.
 */
#ifndef RDL_OPS_OPS_H
#define RDL_OPS_OPS_H

#include "graph/op.h"

/**
 * The operator of (domain, name) that holds at opset; NULL if there is none. "ai.onnx" is another
 * name of the domain "". Of type rdl__op_find_fn.
 */
const struct rdl__op *rdl__op_find(const char *domain, const char *name, int64_t opset);

/** Entry `index` of the registry, in the order of names and then versions; NULL past the last. */
const struct rdl__op *rdl__op_at(size_t index);

#define RDL__OP(name, since) extern const struct rdl__op rdl__op_##name##_##since;
#include "ops/list.h"
#undef RDL__OP

#endif
