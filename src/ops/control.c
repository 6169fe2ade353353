/*
 * Operators that decide what is computed: If, Loop and Scan with their subgraphs, and raddle Select, which
 * an If becomes (graph/passes/dissolve_if.c). Loop and Scan are run by model/loop.c.
 */
#include "ops/common.h"

#include <inttypes.h>

/* The subgraph of an attribute that the check found there. */
static const struct rdl__graph *graph_of(const struct rdl__node *node, const char *name)
{
    return rdl__attr_find(node, name)->graph;
}

static enum rdl_status check_ports(const struct rdl__node *node, const char *name, int64_t n_inputs,
                                   int64_t n_outputs, struct rdl_error *error)
{
    const struct rdl__graph *graph = graph_of(node, name);
    if ((int64_t)graph->n_inputs == n_inputs && (int64_t)graph->n_outputs == n_outputs)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_MODEL,
                     "%s: subgraph \"%s\" has %" PRIu32 " inputs and %" PRIu32
                     " outputs, expected %" PRId64 " and %" PRId64,
                     RDL__NODE_TEXT(node), name, graph->n_inputs, graph->n_outputs, n_inputs,
                     n_outputs);
}

/* -------------------------------------------------------------------------------------------- If */

static enum rdl_status check_if(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"then_branch", RDL__ATTR_GRAPH, true},
                                                  {"else_branch", RDL__ATTR_GRAPH, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    RDL_TRY(check_ports(node, "then_branch", 0, node->n_outputs, error));
    return check_ports(node, "else_branch", 0, node->n_outputs, error);
}

/* If@1 (11, 13, 16, ...: more types). Never inferred: it is dissolved when the model is loaded. */
RDL__OPERATOR(If, 1, 1, 1, 1, RDL__VARIADIC, .check = check_if);

/* ---------------------------------------------------------------------------------------- Select */

static enum rdl_status infer_select(const struct rdl__infer *infer)
{
    const struct rdl__desc *condition = &infer->in[0];
    if (condition->dtype != RDL_BOOL || rdl__shape_count(&condition->shape) != 1)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "the condition is no single bool");
    const uint32_t n = infer->node->n_outputs, first = rdl__select_side(condition) ? 1 : 1 + n;
    for (uint32_t k = 0; k < n; k++) {
        infer->out[k].dtype = infer->in[first + k].dtype;
        infer->out[k].shape = infer->in[first + k].shape;
    }
    return RDL_OK;
}

static enum rdl_status lower_select(const struct rdl__lower *lower)
{
    const uint32_t n = lower->node->n_outputs, first = rdl__select_side(&lower->in[0]) ? 1 : 1 + n;
    for (uint32_t k = 0; k < n; k++)
        if (lower->node->outputs[k] != RDL__NO_VALUE)
            RDL_TRY(rdl__lower_alias(lower, k, first + k));
    return RDL_OK;
}

/* Inputs: the condition, the n results of the one side, the n results of the other. */
RDL__INTERNAL_OPERATOR(Select, 1, RDL__VARIADIC, 1, RDL__VARIADIC, .value_inputs = 1u << 0,
                       .flags = RDL__OP_SELECT, .infer = infer_select, .lower = lower_select);

/* ------------------------------------------------------------------------------------------ Loop */

static enum rdl_status check_loop(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"body", RDL__ATTR_GRAPH, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const int64_t carried = node->n_inputs < 2 ? 0 : (int64_t)node->n_inputs - 2;
    if ((int64_t)node->n_outputs < carried)
        return rdl__fail(error, RDL_ERR_MODEL,
                         "%s has %" PRId64 " loop-carried values and %" PRIu32 " outputs",
                         RDL__NODE_TEXT(node), carried, node->n_outputs);
    return check_ports(node, "body", 2 + carried, 1 + (int64_t)node->n_outputs, error);
}

/* Loop@1 (11, 13, 16, ...: more types). Inputs: trip count and condition, each optional, then what is
 * carried from one iteration to the next. */
RDL__OPERATOR(Loop, 1, 0, RDL__VARIADIC, 1, RDL__VARIADIC, .flags = RDL__OP_LOOP,
              .check = check_loop);

/* ------------------------------------------------------------------------------------------ Scan */

static enum rdl_status check_scan(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {
        {"body", RDL__ATTR_GRAPH, true},
        {"num_scan_inputs", RDL__ATTR_INT, true},
        {"scan_input_axes", RDL__ATTR_INTS, false},
        {"scan_input_directions", RDL__ATTR_INTS, false},
        {"scan_output_axes", RDL__ATTR_INTS, false},
        {"scan_output_directions", RDL__ATTR_INTS, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const int64_t scanned = rdl__attr_int(node, "num_scan_inputs", 0);
    const int64_t carried = (int64_t)node->n_inputs - scanned;
    if (scanned < 1 || carried < 0 || carried > (int64_t)node->n_outputs)
        return rdl__fail(error, RDL_ERR_MODEL,
                         "%s: num_scan_inputs is %" PRId64 ", with %" PRIu32 " inputs and %" PRIu32
                         " outputs",
                         RDL__NODE_TEXT(node), scanned, node->n_inputs, node->n_outputs);
    const struct {
        const char *name;
        int64_t n;
    } lists[] = {{"scan_input_axes", scanned},
                 {"scan_input_directions", scanned},
                 {"scan_output_axes", (int64_t)node->n_outputs - carried},
                 {"scan_output_directions", (int64_t)node->n_outputs - carried}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        size_t n;
        if (rdl__attr_ints(node, lists[i].name, &n) != NULL && (int64_t)n != lists[i].n)
            return rdl__fail(error, RDL_ERR_MODEL, "%s: %s has %zu values, expected %" PRId64,
                             RDL__NODE_TEXT(node), lists[i].name, n, lists[i].n);
    }
    return check_ports(node, "body", node->n_inputs, node->n_outputs, error);
}

/* Scan@9 (11, 16, ...: negative axes, more types). Scan@8, with a batch dimension, is refused. */
RDL__OPERATOR(Scan, 9, 1, RDL__VARIADIC, 1, RDL__VARIADIC, .flags = RDL__OP_LOOP,
              .check = check_scan);
