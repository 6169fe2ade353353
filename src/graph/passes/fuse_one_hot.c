/*
 * Embeddings spelled as a product with a one-hot matrix:  MatMul(Cast(Equal(ids, [f, f + 1 .. ])), W)
 * with ids [.., 1] picks rows of W. It becomes raddle Embedding, whose table is W and a row of zeros for
 * ids of no class. A sum of products with one 1 and zeros is that row, bit for bit but for the sign of
 * a zero, which the product makes +: so does the table. (Infinities are left alone: 0 times them is NaN.)
 *
 * Then functions of single elements change places with it: f(Embedding(ids, table)) is Embedding(ids,
 * f(table)), and f of a constant is folded.
 */
#include "graph/passes/rewrite.h"

#include <math.h>
#include <string.h>

/* ---- the last dimension ------------------------------------------------------------------------ */

/* The last element of a shape operand, if it is known; false if not. */
static bool last_of_shape(const struct rdl__graph *graph, int32_t value, int64_t *last)
{
    const struct rdl__node *node;
    while ((node = rdl__producer_of(graph, value)) != NULL) {
        const bool joins = rdl__node_is(node, "Concat") && node->n_inputs > 0;
        if (!joins && !rdl__node_is(node, "Cast"))
            return false;
        value = node->inputs[joins ? node->n_inputs - 1 : 0];
    }
    const struct rdl__desc *desc = value != RDL__NO_VALUE ? graph->values[value].constant : NULL;
    if (desc == NULL || desc->shape.rank != 1 || desc->shape.dims[0] < 1)
        return false;
    const size_t at = (size_t)desc->shape.dims[0] - 1;
    if (desc->dtype == RDL_I64)
        *last = ((const int64_t *)desc->data)[at];
    else if (desc->dtype == RDL_I32)
        *last = ((const int32_t *)desc->data)[at];
    else
        return false;
    return true;
}

/* Whether value is sure to be [.., 1]; then *rank is what its rank is at least. */
static bool ends_in_one(const struct rdl__graph *graph, int32_t value, int32_t *rank)
{
    const struct rdl__node *node = rdl__producer_of(graph, value);
    int64_t last;
    if (node == NULL || node->n_inputs < 2 || !last_of_shape(graph, node->inputs[1], &last))
        return false;
    const struct rdl__desc *operand = graph->values[node->inputs[1]].constant;
    if (rdl__node_is(node, "Reshape") && operand != NULL) {
        *rank = (int32_t)operand->shape.dims[0];
        return last == 1;
    }
    return rdl__node_is(node, "Expand") && last == 1 && ends_in_one(graph, node->inputs[0], rank);
}

/* ---- the match --------------------------------------------------------------------------------- */

/* Reads classes: [1, .. 1, K], K consecutive integers from *first on; returns K, 0 if they are not. */
static int64_t read_classes(const struct rdl__desc *desc, int64_t *first)
{
    if (desc == NULL || desc->shape.rank < 1 || (desc->dtype != RDL_I64 && desc->dtype != RDL_I32))
        return 0;
    const int64_t count = desc->shape.dims[desc->shape.rank - 1];
    if (count < 2 || (size_t)count != rdl__shape_count(&desc->shape))
        return 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t id = desc->dtype == RDL_I64 ? ((const int64_t *)desc->data)[i]
                                                  : ((const int32_t *)desc->data)[i];
        if (i == 0)
            *first = id;
        else if (id - i != *first)
            return 0;
    }
    return count;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* The ids of which `one_hot` is the matrix, their first class in *first; RDL__NO_VALUE if it is none of
 * `classes` classes. */
static int32_t ids_of(const struct rdl__graph *graph, int32_t one_hot, int64_t classes,
                      int64_t *first)
{
    const struct rdl__node *cast = rdl__sole_producer(graph, one_hot, "Cast");
    if (cast == NULL || rdl__attr_int(cast, "to", RDL_DTYPE_NONE) != RDL_F32)
        return RDL__NO_VALUE;
    const struct rdl__node *equal = rdl__sole_producer(graph, cast->inputs[0], "Equal");
    for (uint32_t i = 0; equal != NULL && i < 2; i++) {
        const int32_t ids = equal->inputs[i];
        const struct rdl__desc *desc = graph->values[equal->inputs[1 - i]].constant;
        int32_t rank;
        if (read_classes(desc, first) == classes && ends_in_one(graph, ids, &rank) &&
            desc->shape.rank <= rank)
            return ids;
    }
    return RDL__NO_VALUE;
}

/* ---- the rewriting ----------------------------------------------------------------------------- */

/* W [K, N] and a row of zeros; no zero is negative. */
static bool add_table(struct rdl__graph *graph, const struct rdl__desc *w, int32_t *table)
{
    struct rdl__shape shape;
    rdl__shape_set(&shape, 2, (int64_t[]){w->shape.dims[0] + 1, w->shape.dims[1]});
    float *to = rdl__new_constant_f32(graph, &shape, table);
    if (to == NULL)
        return false;
    const size_t n = rdl__shape_count(&w->shape);
    for (size_t i = 0; i < n; i++)
        to[i] = ((const float *)w->data)[i] + 0.0f;
    memset(to + n, 0, (size_t)shape.dims[1] * sizeof *to);
    return true;
}

static enum rdl_status fuse(struct rdl__graph *graph, struct rdl__node *matmul,
                            const struct rdl__op *op, const struct rdl__pass_context *context,
                            bool *changed)
{
    int64_t first = 0;
    const struct rdl__desc *w = rdl__constant_f32(graph, matmul->inputs[1]);
    if (w == NULL || w->shape.rank != 2 || matmul->activation.kind != RDL__ACT_NONE)
        return RDL_OK;
    const int32_t ids = ids_of(graph, matmul->inputs[0], w->shape.dims[0], &first);
    if (ids == RDL__NO_VALUE || !all_finite(w->data, rdl__shape_count(&w->shape)))
        return RDL_OK;
    int32_t inputs[2] = {ids};
    struct rdl__attr *attr = RDL__ARENA_NEW(graph->arena, struct rdl__attr);
    if (attr == NULL || !add_table(graph, w, &inputs[1]) ||
        !rdl__set_inputs(graph, matmul, 2, inputs))
        return rdl__pass_no_memory(context);
    *attr = (struct rdl__attr){.name = "first", .type = RDL__ATTR_INT, .i = first};
    matmul->op = op;
    matmul->op_type = op->name;
    matmul->domain = op->domain;
    matmul->attrs = attr;
    matmul->n_attrs = 1;
    *changed = true;
    return RDL_OK;
}

/* ---- functions of single elements -------------------------------------------------------------- */

/* Copies a constant [1, .. 1, N] or of one element as [N] or [1]; RDL__NO_VALUE in *row if it is another
 * one. Its rank must not go beyond `rank`. */
static bool copy_row(struct rdl__graph *graph, int32_t value, int32_t rank, int64_t width,
                     int32_t *row)
{
    const struct rdl__desc *desc = rdl__constant_f32(graph, value);
    *row = RDL__NO_VALUE;
    if (desc == NULL || desc->shape.rank > rank)
        return true;
    const int64_t count = (int64_t)rdl__shape_count(&desc->shape);
    const bool is_row =
        desc->shape.rank > 0 && count == width && desc->shape.dims[desc->shape.rank - 1] == width;
    if (!is_row && count != 1)
        return true;
    struct rdl__shape shape;
    rdl__shape_set(&shape, 1, &count);
    float *to = rdl__new_constant_f32(graph, &shape, row);
    if (to != NULL)
        memcpy(to, desc->data, (size_t)count * sizeof *to);
    return to != NULL;
}

static bool is_function(const struct rdl__node *node)
{
    static const char *const names[] = {"Gelu", "HardSwish", "Relu", "Sigmoid", "Tanh"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (rdl__node_is(node, names[i]))
            return true;
    return false;
}

/* f(Embedding(ids, table)): f takes the table, and the Embedding what f made of it. */
static void change_places(struct rdl__graph *graph, struct rdl__node *f, uint32_t i,
                          struct rdl__node *embedding)
{
    const int32_t between = embedding->outputs[0], result = f->outputs[0];
    const int32_t f_at = graph->values[result].producer;
    f->inputs[i] = embedding->inputs[1];
    f->outputs[0] = between;
    embedding->inputs[1] = between;
    embedding->outputs[0] = result;
    graph->values[result].producer = graph->values[between].producer;
    graph->values[between].producer = f_at;
}

static enum rdl_status hoist(struct rdl__graph *graph, struct rdl__node *f,
                             const struct rdl__pass_context *context, bool *changed)
{
    const bool is_sum = rdl__node_is(f, "Add") || rdl__node_is(f, "Mul");
    if ((!is_sum && !is_function(f)) || f->activation.kind != RDL__ACT_NONE)
        return RDL_OK;
    for (uint32_t i = 0; i < (is_sum ? 2u : 1u); i++) {
        struct rdl__node *embedding = rdl__sole_producer(graph, f->inputs[i], "Embedding");
        int32_t rank, row;
        if (embedding == NULL || !ends_in_one(graph, embedding->inputs[0], &rank))
            continue;
        const struct rdl__desc *table = rdl__constant_f32(graph, embedding->inputs[1]);
        if (table == NULL)
            continue;
        if (is_sum) {
            if (!copy_row(graph, f->inputs[1 - i], rank, table->shape.dims[1], &row))
                return rdl__pass_no_memory(context);
            if (row == RDL__NO_VALUE)
                continue;
            f->inputs[1 - i] = row;
        }
        change_places(graph, f, i, embedding);
        *changed = true;
        return RDL_OK;
    }
    return RDL_OK;
}

enum rdl_status rdl__pass_fuse_one_hot(struct rdl__graph *graph,
                                       const struct rdl__pass_context *context, bool *changed)
{
    const struct rdl__op *op = context->find("raddle", "Embedding", 1);
    for (uint32_t i = 0; op != NULL && i < graph->n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        if (node->n_outputs == 0 || node->outputs[0] == RDL__NO_VALUE)
            continue;
        if (rdl__node_is(node, "MatMul"))
            RDL_TRY(fuse(graph, node, op, context, changed));
        else if (context->fold != NULL)
            RDL_TRY(hoist(graph, node, context, changed));
    }
    return RDL_OK;
}
