/*
 * Each pass alone, on what it must change and on what it must leave alone; then all together.
 */
#include "base/mem.h"
#include "graph/passes/passes.h"
#include "support/graph_maker.h"

#include <math.h>

/* A graph that is made, finished and rewritten in one test. */
struct work {
    struct rdl__arena arena;
    struct rdl__graph *graph;
    int32_t x; /* its input, f32 of rank 4 */
    bool changed;
};

static void begin(struct work *w)
{
    w->graph = maker_graph(&w->arena);
    w->x = maker_input(w->graph, "x", RDL_F32);
    w->graph->values[w->x].rank = 4;
}

static void run_pass(struct work *w, rdl__pass_fn pass, const struct rdl__pass_context *context)
{
    struct rdl_error error;
    assert_int_equal(rdl__graph_finish(w->graph, maker_find, &error), RDL_OK);
    const struct rdl__pass_context usual = {.find = maker_find};
    w->changed = false;
    assert_int_equal(pass(w->graph, context == NULL ? &usual : context, &w->changed), RDL_OK);
    assert_int_equal(rdl__graph_tidy(w->graph, &error), RDL_OK);
}

/* Runs a pass that must leave the graph as it is. */
static void assert_left_alone(struct work *w, rdl__pass_fn pass, const char *ops)
{
    run_pass(w, pass, NULL);
    assert_false(w->changed);
    MAKER_ASSERT_OPS(w->graph, ops);
    rdl__arena_fini(&w->arena);
}

static int32_t vector(struct work *w, const char *name, int64_t n, const float *data)
{
    return maker_constant(w->graph, name, RDL_F32, 1, &n, data);
}

static void set_int(struct work *w, const char *name, int64_t value)
{
    maker_attr(w->graph, name, RDL__ATTR_INT)->i = value;
}

/* ---- constant_fold ----------------------------------------------------------------------------- */

/* Adds two f32 scalars; what is no Add is refused with *status. */
static enum rdl_status fold_add(void *user, const struct rdl__graph *graph,
                                const struct rdl__node *node, struct rdl__desc *out,
                                struct rdl_error *error)
{
    const enum rdl_status *status = user;
    assert_int_equal(node->op->flags & RDL__OP_RANDOM, 0);
    if (strcmp(node->op_type, "Add") != 0)
        return rdl__fail(error, *status, "cannot fold %s", node->op_type);
    const float *a = graph->values[node->inputs[0]].constant->data;
    const float *b = graph->values[node->inputs[1]].constant->data;
    float *sum = RDL__ARENA_NEW(graph->arena, float);
    assert_non_null(sum);
    *sum = *a + *b;
    out[0] = (struct rdl__desc){.dtype = RDL_F32, .data = sum};
    return RDL_OK;
}

static void constant_fold_chain_becomes_a_constant(void **state)
{
    (void)state;
    struct work w;
    enum rdl_status status = RDL_ERR_UNSUPPORTED;
    const struct rdl__pass_context context = {maker_find, fold_add, &status, NULL};
    begin(&w);
    const int32_t one = maker_scalar(w.graph, "one", 1), two = maker_scalar(w.graph, "two", 2);
    const int32_t three = MAKER_NODE(w.graph, "Add", "three", one, two);
    const int32_t five = MAKER_NODE(w.graph, "Add", "five", three, two);
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "y", w.x, five));
    maker_output(w.graph, three); /* keeps its name and value */
    run_pass(&w, rdl__pass_constant_fold, &context);
    assert_true(w.changed);
    MAKER_ASSERT_OPS(w.graph, "Mul");
    assert_true(*(const float *)w.graph->values[five].constant->data == 5);
    assert_int_equal(w.graph->outputs[1], three);
    assert_string_equal(w.graph->values[three].name, "three");
    assert_true(*(const float *)w.graph->values[three].constant->data == 3);
    rdl__arena_fini(&w.arena);
}

static void constant_fold_leaves_what_it_must(void **state)
{
    (void)state;
    struct work w;
    enum rdl_status status = RDL_ERR_UNSUPPORTED;
    const struct rdl__pass_context context = {maker_find, fold_add, &status, NULL};
    begin(&w);
    const int32_t one = maker_scalar(w.graph, "one", 1);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "input", w.x, one));
    maker_output(w.graph, MAKER_NODE(w.graph, "RandomNormalLike", "random", one));
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "refused", one));
    run_pass(&w, rdl__pass_constant_fold, &context);
    assert_false(w.changed);
    MAKER_ASSERT_OPS(w.graph, "Add RandomNormalLike Relu");
    rdl__arena_fini(&w.arena);
}

/* An If on cond whose branch applies `op` to outer value `value` and to itself. */
static struct rdl__graph *make_branch(struct work *w, int32_t cond, int32_t value, const char *op)
{
    struct rdl__graph *inner = rdl__graph_new(&w->arena);
    assert_non_null(inner);
    inner->opset = 17;
    inner->outer = w->graph;
    const int32_t own = maker_value(inner, "own");
    inner->values[own].outer = value;
    const int32_t result = strcmp(op, "Add") == 0 ? MAKER_NODE(inner, op, "z", own, own)
                                                  : MAKER_NODE(inner, op, "z", own);
    maker_output(inner, result);
    maker_output(w->graph, MAKER_NODE(w->graph, "If", "if", cond));
    maker_attr(w->graph, "then_branch", RDL__ATTR_GRAPH)->graph = inner;
    return inner;
}

static void constant_fold_goes_into_subgraphs(void **state)
{
    (void)state;
    struct work w;
    enum rdl_status status = RDL_ERR_UNSUPPORTED;
    struct rdl_error error;
    begin(&w);
    const int32_t one = maker_scalar(w.graph, "one", 1);
    const int32_t two = MAKER_NODE(w.graph, "Add", "two", one, one);
    const struct rdl__graph *inner = make_branch(&w, w.x, two, "Add");
    assert_int_equal(rdl__graph_finish(w.graph, maker_find, NULL), RDL_OK);
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, fold_add, &status, &error), RDL_OK);
    MAKER_ASSERT_OPS(w.graph, "If");
    assert_int_equal(inner->n_nodes, 0);
    assert_true(*(const float *)inner->values[inner->outputs[0]].constant->data == 4);
    rdl__arena_fini(&w.arena);
}

static void constant_fold_failure_counts_outside_subgraphs(void **state)
{
    (void)state;
    struct work w;
    enum rdl_status status = RDL_ERR_RUNTIME;
    struct rdl_error error;
    begin(&w);
    make_branch(&w, w.x, maker_scalar(w.graph, "one", 1), "Relu");
    assert_int_equal(rdl__graph_finish(w.graph, maker_find, NULL), RDL_OK);
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, fold_add, &status, &error), RDL_OK);
    status = RDL_ERR_NO_MEMORY;
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, fold_add, &status, &error),
                     RDL_ERR_NO_MEMORY);
    assert_string_equal(error.message, "cannot fold Relu");
    rdl__arena_fini(&w.arena);

    begin(&w);
    status = RDL_ERR_RUNTIME;
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "r", maker_scalar(w.graph, "one", 1)));
    assert_int_equal(rdl__graph_finish(w.graph, maker_find, NULL), RDL_OK);
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, fold_add, &status, &error),
                     RDL_ERR_RUNTIME);
    rdl__arena_fini(&w.arena);
}

/* ---- eliminate_identity ------------------------------------------------------------------------ */

static void identity_in_the_middle_goes(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    const int32_t a = MAKER_NODE(w.graph, "Identity", "a", w.x);
    const int32_t b = MAKER_NODE(w.graph, "Dropout", "b", a);
    const int32_t c = MAKER_NODE(w.graph, "Cast", "c", b);
    set_int(&w, "to", RDL_F32);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "y", c, a));
    run_pass(&w, rdl__pass_eliminate_identity, NULL);
    assert_true(w.changed);
    MAKER_ASSERT_OPS(w.graph, "Add");
    assert_int_equal(w.graph->nodes[0]->inputs[0], w.x);
    assert_int_equal(w.graph->nodes[0]->inputs[1], w.x);
    rdl__arena_fini(&w.arena);
}

static void identity_at_the_end_keeps_the_output(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    const int32_t a = MAKER_NODE(w.graph, "Relu", "a", w.x);
    const int32_t b = MAKER_NODE(w.graph, "Relu", "b", a);
    const int32_t y = MAKER_NODE(w.graph, "Identity", "y", a);
    maker_output(w.graph, y);
    maker_output(w.graph, b);
    maker_output(w.graph, MAKER_NODE(w.graph, "Identity", "second", y)); /* another copy: stays */
    run_pass(&w, rdl__pass_eliminate_identity, NULL);
    MAKER_ASSERT_OPS(w.graph, "Relu Relu Identity");
    assert_int_equal(w.graph->outputs[0], y);
    assert_int_equal(w.graph->nodes[0]->outputs[0], y);
    assert_int_equal(w.graph->nodes[1]->inputs[0], y);
    rdl__arena_fini(&w.arena);
}

static void identity_of_captured_value_goes(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    const int32_t a = MAKER_NODE(w.graph, "Identity", "a", w.x);
    const struct rdl__graph *inner = make_branch(&w, w.x, a, "Add");
    run_pass(&w, rdl__pass_eliminate_identity, NULL);
    MAKER_ASSERT_OPS(w.graph, "If");
    assert_int_equal(inner->values[0].outer, w.x);
    rdl__arena_fini(&w.arena);
}

static void identity_pass_leaves_what_it_must(void **state)
{
    (void)state;
    static const uint8_t yes = 1;
    struct work w;
    begin(&w); /* input to output: names stay two */
    maker_output(w.graph, MAKER_NODE(w.graph, "Identity", "y", w.x));
    assert_left_alone(&w, rdl__pass_eliminate_identity, "Identity");

    begin(&w); /* a Cast that changes the dtype */
    const int32_t c = MAKER_NODE(w.graph, "Cast", "c", w.x);
    set_int(&w, "to", RDL_F64);
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", c));
    assert_left_alone(&w, rdl__pass_eliminate_identity, "Cast Relu");

    begin(&w); /* a Cast of what is not known: declared, but nothing checks it */
    const int32_t r = MAKER_NODE(w.graph, "Split", "r", w.x);
    w.graph->values[r].dtype = RDL_F32;
    const int32_t d = MAKER_NODE(w.graph, "Cast", "d", r);
    set_int(&w, "to", RDL_F32);
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", d));
    assert_left_alone(&w, rdl__pass_eliminate_identity, "Split Cast Relu");

    begin(&w); /* Dropout in training */
    const int32_t training = maker_constant(w.graph, "t", RDL_BOOL, 0, NULL, &yes);
    const int32_t e = MAKER_NODE(w.graph, "Dropout", "e", w.x, RDL__NO_VALUE, training);
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", e));
    assert_left_alone(&w, rdl__pass_eliminate_identity, "Dropout Relu");
}

/* ---- fuse_affine ------------------------------------------------------------------------------- */

static const float weights[4] = {1, 2, 3, 4}; /* [2, 2, 1, 1] */
static const float bias[2] = {0.5F, -1}, scale[2] = {2, -3}, shift[2] = {10, 20};
static const float mean[2] = {0.25F, 4}, var[2] = {4, 0.25F};

static int32_t make_conv(struct work *w, int32_t b)
{
    const int32_t k = maker_constant(w->graph, "W", RDL_F32, 4, (int64_t[]){2, 2, 1, 1}, weights);
    return b == RDL__NO_VALUE ? MAKER_NODE(w->graph, "Conv", "conv", w->x, k)
                              : MAKER_NODE(w->graph, "Conv", "conv", w->x, k, b);
}

static int32_t make_norm(struct work *w, int32_t in, int32_t v)
{
    const int32_t out =
        MAKER_NODE(w->graph, "BatchNormalization", "norm", in, vector(w, "scale", 2, scale),
                   vector(w, "shift", 2, shift), vector(w, "mean", 2, mean), v);
    maker_attr(w->graph, "epsilon", RDL__ATTR_FLOAT)->f = 0;
    return out;
}

static const float *constant_of(const struct rdl__graph *graph, const struct rdl__node *node,
                                uint32_t i)
{
    assert_true(i < node->n_inputs);
    assert_non_null(graph->values[node->inputs[i]].constant);
    return graph->values[node->inputs[i]].constant->data;
}

static void batch_norm_is_folded_into_conv(void **state)
{
    (void)state;
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        struct work w;
        begin(&w);
        const int32_t b = with_bias ? vector(&w, "b", 2, bias) : RDL__NO_VALUE;
        const int32_t y = make_norm(&w, make_conv(&w, b), vector(&w, "var", 2, var));
        maker_output(w.graph, y);
        run_pass(&w, rdl__pass_fuse_affine, NULL);
        MAKER_ASSERT_OPS(w.graph, "Conv");
        const struct rdl__node *conv = w.graph->nodes[0];
        assert_int_equal(conv->outputs[0], y);
        for (int c = 0; c < 2; c++) {
            const float s = scale[c] / sqrtf(var[c]);
            for (int k = 0; k < 2; k++)
                assert_true(constant_of(w.graph, conv, 1)[2 * c + k] == weights[2 * c + k] * s);
            assert_true(constant_of(w.graph, conv, 2)[c] ==
                        ((with_bias ? bias[c] : 0) - mean[c]) * s + shift[c]);
        }
        assert_true(weights[0] == 1); /* others may use the old ones */
        rdl__arena_fini(&w.arena);
    }
}

static void batch_norm_pass_leaves_what_it_must(void **state)
{
    (void)state;
    static const float negative[2] = {1, -1};
    struct work w;
    begin(&w); /* the Conv's result is used twice */
    int32_t conv = make_conv(&w, RDL__NO_VALUE);
    maker_output(w.graph, make_norm(&w, conv, vector(&w, "var", 2, var)));
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "r", conv));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv BatchNormalization Relu");

    begin(&w); /* it is a graph output */
    conv = make_conv(&w, RDL__NO_VALUE);
    maker_output(w.graph, conv);
    maker_output(w.graph, make_norm(&w, conv, vector(&w, "var", 2, var)));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv BatchNormalization");

    begin(&w); /* the variance is fed */
    const int32_t fed = maker_input(w.graph, "fed", RDL_F32);
    maker_output(w.graph, make_norm(&w, make_conv(&w, RDL__NO_VALUE), fed));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv BatchNormalization");

    begin(&w); /* it has no root */
    maker_output(w.graph,
                 make_norm(&w, make_conv(&w, RDL__NO_VALUE), vector(&w, "var", 2, negative)));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv BatchNormalization");

    begin(&w); /* another count of channels */
    maker_output(w.graph, make_norm(&w, make_conv(&w, RDL__NO_VALUE), vector(&w, "var", 1, var)));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv BatchNormalization");

    begin(&w); /* training */
    maker_output(w.graph, make_norm(&w, make_conv(&w, RDL__NO_VALUE), vector(&w, "v", 2, var)));
    set_int(&w, "training_mode", 1);
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv BatchNormalization");
}

/* What the constants of node 0, a convolution, must be after y = weights(c) * s(c), bias(c) * s(c) + t(c);
 * channel k of the two is that of weights 2k and 2k + 1. */
static void assert_affine(struct work *w, const char *op, bool with_bias, const float s[2],
                          const float t[2])
{
    run_pass(w, rdl__pass_fuse_affine, NULL);
    assert_true(w->changed);
    MAKER_ASSERT_OPS(w->graph, op);
    const struct rdl__node *conv = w->graph->nodes[0];
    assert_int_equal(conv->outputs[0], w->graph->outputs[0]);
    for (int c = 0; c < 2; c++) {
        for (int k = 0; k < 2; k++)
            assert_true(constant_of(w->graph, conv, 1)[2 * c + k] == weights[2 * c + k] * s[c]);
        assert_true(constant_of(w->graph, conv, 2)[c] == (with_bias ? bias[c] : 0) * s[c] + t[c]);
    }
    assert_true(weights[0] == 1); /* others may use the old ones */
    rdl__arena_fini(&w->arena);
}

static void affine_arithmetic_is_folded_into_conv(void **state)
{
    (void)state;
    static const float one[2] = {1, 1}, none[2] = {0, 0}, four[2] = {4, 4}, half[2] = {0.5F, 2};
    static const float minus[2] = {-10, -20}, inverse[2] = {2, 0.5F};
    static const struct {
        const char *op;
        bool swap;
        int32_t rank;
        int64_t dims[4];
        const float *constant, *s, *t;
    } cases[] = {
        {"Add", false, 3, {2, 1, 1}, shift, one, shift},
        {"Add", true, 4, {1, 2, 1, 1}, shift, one, shift},
        {"Add", false, 0, {0}, four, one, four},
        {"Sub", false, 4, {1, 2, 1, 1}, shift, one, minus},
        {"Mul", false, 1, {1}, four, four, none},
        {"Mul", true, 3, {2, 1, 1}, half, half, none},
        {"Div", false, 4, {1, 2, 1, 1}, inverse, half, none},
        {"Mul", false, 4, {1, 1, 1, 1}, four, four, none},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int with_bias = 0; with_bias < 2; with_bias++) {
            struct work w;
            begin(&w);
            const int32_t b = with_bias ? vector(&w, "b", 2, bias) : RDL__NO_VALUE;
            const int32_t conv = make_conv(&w, b);
            const int32_t k = maker_constant(w.graph, "k", RDL_F32, cases[i].rank, cases[i].dims,
                                             cases[i].constant);
            maker_output(w.graph, cases[i].swap ? MAKER_NODE(w.graph, cases[i].op, "y", k, conv)
                                                : MAKER_NODE(w.graph, cases[i].op, "y", conv, k));
            assert_affine(&w, "Conv", with_bias, cases[i].s, cases[i].t);
        }
}

static void affine_of_grouped_conv_transpose_is_folded(void **state)
{
    (void)state;
    /* [4 in, 2 out a group, 1, 1] in 2 groups: of channels 0 and 1, then of 2 and 3 */
    static const float turned[8] = {1, 2, 3, 4, 5, 6, 7, 8}, factors[4] = {2, 3, 5, 7};
    static const float want[8] = {2, 6, 6, 12, 25, 42, 35, 56};
    struct work w;
    begin(&w);
    const int32_t k = maker_constant(w.graph, "W", RDL_F32, 4, (int64_t[]){4, 2, 1, 1}, turned);
    const int32_t conv = MAKER_NODE(w.graph, "ConvTranspose", "conv", w.x, k);
    set_int(&w, "group", 2);
    const int32_t factor =
        maker_constant(w.graph, "f", RDL_F32, 4, (int64_t[]){1, 4, 1, 1}, factors);
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "y", conv, factor));
    run_pass(&w, rdl__pass_fuse_affine, NULL);
    MAKER_ASSERT_OPS(w.graph, "ConvTranspose");
    assert_memory_equal(constant_of(w.graph, w.graph->nodes[0], 1), want, sizeof want);
    assert_int_equal(w.graph->values[w.graph->nodes[0]->inputs[2]].constant->shape.dims[0], 4);
    rdl__arena_fini(&w.arena);
}

/* A Conv and op of it and of a constant f32, in the other order if swap. */
static void arithmetic(struct work *w, const char *op, bool swap, int32_t rank, const int64_t *dims,
                       const float *data)
{
    begin(w);
    const int32_t conv = make_conv(w, RDL__NO_VALUE);
    const int32_t k = maker_constant(w->graph, "k", RDL_F32, rank, dims, data);
    maker_output(w->graph, swap ? MAKER_NODE(w->graph, op, "y", k, conv)
                                : MAKER_NODE(w->graph, op, "y", conv, k));
}

static void affine_pass_leaves_what_it_must(void **state)
{
    (void)state;
    struct work w;
    arithmetic(&w, "Add", false, 4, (int64_t[]){1, 1, 1, 2}, shift); /* a column of the picture */
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Add");
    arithmetic(&w, "Mul", false, 1, (int64_t[]){2}, shift); /* likewise */
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Mul");
    arithmetic(&w, "Mul", false, 5, (int64_t[]){1, 1, 1, 1, 1}, shift); /* gives a dimension */
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Mul");
    arithmetic(&w, "Add", false, 4, (int64_t[]){2, 1, 1, 1}, shift); /* makes two images of one */
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Add");
    arithmetic(&w, "Sub", true, 0, NULL, shift);
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Sub");
    arithmetic(&w, "Div", true, 0, NULL, shift);
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Div");
    arithmetic(&w, "Div", false, 3, (int64_t[]){2, 1, 1}, (const float[]){1, 0});
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Div");
    arithmetic(&w, "Mul", false, 0, NULL, (const float[]){INFINITY});
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Mul");

    begin(&w); /* fed */
    const int32_t fed = maker_input(w.graph, "fed", RDL_F32);
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "y", make_conv(&w, RDL__NO_VALUE), fed));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Mul");

    begin(&w); /* used twice */
    const int32_t conv = make_conv(&w, RDL__NO_VALUE);
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "y", conv, maker_scalar(w.graph, "two", 2)));
    maker_output(w.graph, conv);
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Mul");

    begin(&w); /* a bias that is fed */
    const int32_t b = maker_input(w.graph, "b", RDL_F32);
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "y", make_conv(&w, b),
                                     maker_scalar(w.graph, "two", 2)));
    assert_left_alone(&w, rdl__pass_fuse_affine, "Conv Mul");
}

/* ---- fuse_hard_swish --------------------------------------------------------------------------- */

/* The clipped sum of x; `swap` puts the constant first, `three` is what is added. */
static int32_t make_clip(struct work *w, int32_t x, bool swap, float three)
{
    const int32_t k = maker_scalar(w->graph, "three", three);
    const int32_t sum =
        swap ? MAKER_NODE(w->graph, "Add", "sum", k, x) : MAKER_NODE(w->graph, "Add", "sum", x, k);
    return MAKER_NODE(w->graph, "Clip", "clip", sum, maker_scalar(w->graph, "0", 0),
                      maker_scalar(w->graph, "6", 6));
}

static int32_t make_hard_swish(struct work *w, int32_t x, int form)
{
    struct rdl__graph *g = w->graph;
    const int32_t t = make_clip(w, x, form & 1, 3);
    const int32_t six = maker_scalar(g, "six", 6), sixth = maker_scalar(g, "sixth", 1.0F / 6);
    switch (form) {
    case 0:
        return MAKER_NODE(g, "Div", "y", MAKER_NODE(g, "Mul", "m", x, t), six);
    case 1:
        return MAKER_NODE(g, "Div", "y", MAKER_NODE(g, "Mul", "m", t, x), six);
    case 2:
        return MAKER_NODE(g, "Mul", "y", MAKER_NODE(g, "Mul", "m", x, t), sixth);
    case 3:
        return MAKER_NODE(g, "Mul", "y", sixth, MAKER_NODE(g, "Mul", "m", t, x));
    case 4:
        return MAKER_NODE(g, "Mul", "y", x, MAKER_NODE(g, "Div", "m", t, six));
    case 5:
        return MAKER_NODE(g, "Mul", "y", MAKER_NODE(g, "Mul", "m", sixth, t), x);
    case 6:
        return MAKER_NODE(g, "Mul", "y", MAKER_NODE(g, "Div", "m", x, six), t);
    default:
        return RDL__NO_VALUE;
    }
}

static void hard_swish_is_found_in_every_order(void **state)
{
    (void)state;
    for (int form = 0; form < 7; form++) {
        struct work w;
        begin(&w);
        w.graph->opset = 11; /* older than the operator */
        const int32_t x = MAKER_NODE(w.graph, "Relu", "r", w.x);
        const int32_t y = make_hard_swish(&w, x, form);
        maker_output(w.graph, y);
        run_pass(&w, rdl__pass_fuse_hard_swish, NULL);
        MAKER_ASSERT_OPS(w.graph, "Relu HardSwish");
        assert_int_equal(w.graph->nodes[1]->inputs[0], x);
        assert_int_equal(w.graph->nodes[1]->outputs[0], y);
        rdl__arena_fini(&w.arena);
    }
}

static int32_t make_sigmoid_swish(struct work *w, float alpha)
{
    const int32_t s = MAKER_NODE(w->graph, "HardSigmoid", "s", w->x);
    maker_attr(w->graph, "alpha", RDL__ATTR_FLOAT)->f = alpha;
    return MAKER_NODE(w->graph, "Mul", "y", s, w->x);
}

static void hard_swish_of_hard_sigmoid_is_found(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    maker_output(w.graph, make_sigmoid_swish(&w, 1.0F / 6));
    run_pass(&w, rdl__pass_fuse_hard_swish, NULL);
    MAKER_ASSERT_OPS(w.graph, "HardSwish");
    rdl__arena_fini(&w.arena);
}

static void hard_swish_pass_leaves_what_it_must(void **state)
{
    (void)state;
    struct work w;
    begin(&w); /* the default alpha, 1/5 */
    maker_output(w.graph, make_sigmoid_swish(&w, 0.2F));
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "HardSigmoid Mul");

    begin(&w); /* doubles */
    w.graph->values[w.x].dtype = RDL_F64;
    maker_output(w.graph, make_sigmoid_swish(&w, 1.0F / 6));
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "HardSigmoid Mul");

    begin(&w); /* the clipped sum is used elsewhere too */
    const int32_t t = make_clip(&w, w.x, false, 3);
    const int32_t m = MAKER_NODE(w.graph, "Mul", "m", w.x, t);
    maker_output(w.graph, MAKER_NODE(w.graph, "Div", "y", m, maker_scalar(w.graph, "six", 6)));
    maker_output(w.graph, t);
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "Add Clip Mul Div");

    begin(&w); /* x + 2 */
    const int32_t u = MAKER_NODE(w.graph, "Mul", "m", w.x, make_clip(&w, w.x, false, 2));
    maker_output(w.graph, MAKER_NODE(w.graph, "Div", "y", u, maker_scalar(w.graph, "six", 6)));
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "Add Clip Mul Div");

    begin(&w); /* over 5 */
    const int32_t v = MAKER_NODE(w.graph, "Mul", "m", w.x, make_clip(&w, w.x, false, 3));
    maker_output(w.graph, MAKER_NODE(w.graph, "Div", "y", v, maker_scalar(w.graph, "five", 5)));
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "Add Clip Mul Div");

    begin(&w); /* six over the product */
    const int32_t p = MAKER_NODE(w.graph, "Mul", "m", w.x, make_clip(&w, w.x, false, 3));
    maker_output(w.graph, MAKER_NODE(w.graph, "Div", "y", maker_scalar(w.graph, "six", 6), p));
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "Add Clip Mul Div");

    begin(&w); /* the clipped sum of another value */
    const int32_t other = MAKER_NODE(w.graph, "Relu", "o", w.x);
    const int32_t q = MAKER_NODE(w.graph, "Mul", "m", w.x, make_clip(&w, other, false, 3));
    maker_output(w.graph, MAKER_NODE(w.graph, "Div", "y", q, maker_scalar(w.graph, "six", 6)));
    assert_left_alone(&w, rdl__pass_fuse_hard_swish, "Relu Add Clip Mul Div");
}

/* ---- fuse_bias --------------------------------------------------------------------------------- */

static int32_t make_matmul(struct work *w)
{
    const int32_t b = maker_constant(w->graph, "B", RDL_F32, 2, (int64_t[]){2, 2}, weights);
    return MAKER_NODE(w->graph, "MatMul", "mm", w->x, b);
}

static void bias_of_matmul_is_fused(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct work w;
        begin(&w);
        const int32_t mm = make_matmul(&w), b = vector(&w, "b", 2, bias);
        const int32_t y =
            swap ? MAKER_NODE(w.graph, "Add", "y", b, mm) : MAKER_NODE(w.graph, "Add", "y", mm, b);
        maker_output(w.graph, y);
        run_pass(&w, rdl__pass_fuse_bias, NULL);
        MAKER_ASSERT_OPS(w.graph, "MatMulBias");
        const struct rdl__node *node = w.graph->nodes[0];
        assert_string_equal(node->domain, "raddle");
        assert_int_equal(node->inputs[0], w.x);
        assert_int_equal(node->inputs[2], b);
        assert_int_equal(node->outputs[0], y);
        rdl__arena_fini(&w.arena);
    }
}

static void bias_pass_leaves_what_it_must(void **state)
{
    (void)state;
    struct work w;
    begin(&w); /* used twice */
    int32_t mm = make_matmul(&w);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "y", mm, vector(&w, "b", 2, bias)));
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "r", mm));
    assert_left_alone(&w, rdl__pass_fuse_bias, "MatMul Add Relu");

    begin(&w); /* the bias is fed */
    mm = make_matmul(&w);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "y", mm, maker_input(w.graph, "b", RDL_F32)));
    assert_left_alone(&w, rdl__pass_fuse_bias, "MatMul Add");

    begin(&w); /* one number for all columns */
    mm = make_matmul(&w);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "y", mm, vector(&w, "b", 1, bias)));
    assert_left_alone(&w, rdl__pass_fuse_bias, "MatMul Add");

    begin(&w); /* a column, not a row */
    mm = make_matmul(&w);
    const int32_t column = maker_constant(w.graph, "b", RDL_F32, 2, (int64_t[]){2, 1}, bias);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "y", mm, column));
    assert_left_alone(&w, rdl__pass_fuse_bias, "MatMul Add");

    begin(&w); /* the second factor is fed */
    const int32_t fed = maker_input(w.graph, "B", RDL_F32);
    mm = MAKER_NODE(w.graph, "MatMul", "mm", w.x, fed);
    maker_output(w.graph, MAKER_NODE(w.graph, "Add", "y", mm, vector(&w, "b", 2, bias)));
    assert_left_alone(&w, rdl__pass_fuse_bias, "MatMul Add");

    begin(&w); /* integers */
    static const int32_t ints[4] = {1, 2, 3, 4};
    w.graph->values[w.x].dtype = RDL_I32;
    mm = MAKER_NODE(w.graph, "MatMul", "mm", w.x,
                    maker_constant(w.graph, "B", RDL_I32, 2, (int64_t[]){2, 2}, ints));
    maker_output(w.graph,
                 MAKER_NODE(w.graph, "Add", "y", mm,
                            maker_constant(w.graph, "b", RDL_I32, 1, (int64_t[]){2}, ints)));
    assert_left_alone(&w, rdl__pass_fuse_bias, "MatMul Add");
}

/* ---- fuse_activation --------------------------------------------------------------------------- */

static struct rdl__activation fuse_one(const char *op, const float *bounds)
{
    struct work w;
    begin(&w);
    const int32_t conv = make_conv(&w, RDL__NO_VALUE);
    int32_t y;
    if (bounds != NULL)
        y = MAKER_NODE(w.graph, op, "y", conv, maker_scalar(w.graph, "low", bounds[0]),
                       maker_scalar(w.graph, "high", bounds[1]));
    else
        y = MAKER_NODE(w.graph, op, "y", conv);
    maker_output(w.graph, y);
    run_pass(&w, rdl__pass_fuse_activation, NULL);
    MAKER_ASSERT_OPS(w.graph, "Conv");
    assert_int_equal(w.graph->nodes[0]->outputs[0], y);
    const struct rdl__activation act = w.graph->nodes[0]->activation;
    rdl__arena_fini(&w.arena);
    return act;
}

static void activation_is_fused(void **state)
{
    (void)state;
    assert_int_equal(fuse_one("Relu", NULL).kind, RDL__ACT_RELU);
    const struct rdl__activation swish = fuse_one("HardSwish", NULL);
    assert_int_equal(swish.kind, RDL__ACT_HARD_SWISH);
    assert_true(swish.a == 1 && swish.b == 0);
    const struct rdl__activation sigmoid = fuse_one("HardSigmoid", NULL);
    assert_int_equal(sigmoid.kind, RDL__ACT_HARD_SIGMOID);
    assert_true(sigmoid.a == 0.2F && sigmoid.b == 0.5F);
    const struct rdl__activation clip = fuse_one("Clip", (const float[]){-1, 2});
    assert_int_equal(clip.kind, RDL__ACT_CLIP);
    assert_true(clip.a == -1 && clip.b == 2);
    assert_int_equal(fuse_one("Clip", NULL).kind, RDL__ACT_CLIP);
}

static void activation_pass_leaves_what_it_must(void **state)
{
    (void)state;
    struct work w;
    begin(&w); /* used twice */
    int32_t conv = make_conv(&w, RDL__NO_VALUE);
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", conv));
    maker_output(w.graph, conv);
    assert_left_alone(&w, rdl__pass_fuse_activation, "Conv Relu");

    begin(&w); /* an operator that does not fuse */
    const int32_t div = MAKER_NODE(w.graph, "Div", "d", w.x, w.x);
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", div));
    assert_left_alone(&w, rdl__pass_fuse_activation, "Div Relu");

    begin(&w); /* integers */
    w.graph->values[w.x].dtype = RDL_I64;
    const int32_t sum = MAKER_NODE(w.graph, "Add", "s", w.x, w.x);
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", sum));
    assert_left_alone(&w, rdl__pass_fuse_activation, "Add Relu");

    begin(&w); /* a bound that is fed */
    conv = make_conv(&w, RDL__NO_VALUE);
    maker_output(w.graph,
                 MAKER_NODE(w.graph, "Clip", "y", conv, maker_input(w.graph, "low", RDL_F32)));
    assert_left_alone(&w, rdl__pass_fuse_activation, "Conv Clip");
}

static void activation_is_fused_once(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    const int32_t a = MAKER_NODE(w.graph, "Relu", "a", make_conv(&w, RDL__NO_VALUE));
    maker_output(w.graph, MAKER_NODE(w.graph, "HardSigmoid", "y", a));
    run_pass(&w, rdl__pass_fuse_activation, NULL);
    MAKER_ASSERT_OPS(w.graph, "Conv HardSigmoid");
    assert_int_equal(w.graph->nodes[0]->activation.kind, RDL__ACT_RELU);
    rdl__arena_fini(&w.arena);
}

/* A Mul of a constant of this shape behind an activation of a Conv stays where it is. */
static void assert_scale_stays(const char *act, int32_t rank, const int64_t *dims)
{
    struct work w;
    begin(&w);
    const int32_t y = MAKER_NODE(w.graph, act, "h", make_conv(&w, RDL__NO_VALUE));
    const int32_t k = maker_constant(w.graph, "k", RDL_F32, rank, dims, shift);
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "m", y, k));
    run_pass(&w, rdl__pass_fuse_activation, NULL);
    MAKER_ASSERT_OPS(w.graph, "Conv Mul");
    rdl__arena_fini(&w.arena);
}

static void activation_takes_what_scales_a_hard_swish(void **state)
{
    (void)state;
    struct work w;
    begin(&w); /* 3 * (2 * swish + 5) + 1 */
    int32_t y = MAKER_NODE(w.graph, "HardSwish", "h", make_conv(&w, RDL__NO_VALUE));
    y = MAKER_NODE(w.graph, "Mul", "m", maker_scalar(w.graph, "two", 2), y);
    y = MAKER_NODE(w.graph, "Add", "a", y, vector(&w, "five", 1, (const float[]){5}));
    y = MAKER_NODE(w.graph, "Mul", "n", y, maker_scalar(w.graph, "three", 3));
    y = MAKER_NODE(w.graph, "Add", "b", y, maker_scalar(w.graph, "one", 1));
    maker_output(w.graph, y);
    run_pass(&w, rdl__pass_fuse_activation, NULL);
    MAKER_ASSERT_OPS(w.graph, "Conv");
    const struct rdl__activation act = w.graph->nodes[0]->activation;
    assert_int_equal(act.kind, RDL__ACT_HARD_SWISH);
    assert_true(act.a == 6 && act.b == 16);
    rdl__arena_fini(&w.arena);

    begin(&w); /* used twice */
    y = MAKER_NODE(w.graph, "HardSwish", "h", make_conv(&w, RDL__NO_VALUE));
    maker_output(w.graph, MAKER_NODE(w.graph, "Mul", "m", y, maker_scalar(w.graph, "two", 2)));
    maker_output(w.graph, y);
    run_pass(&w, rdl__pass_fuse_activation, NULL);
    MAKER_ASSERT_OPS(w.graph, "Conv Mul");
    rdl__arena_fini(&w.arena);

    assert_scale_stays("HardSwish", 3, (int64_t[]){2, 1, 1}); /* one a channel */
    assert_scale_stays("HardSwish", 2, (int64_t[]){1, 1});    /* may give a dimension */
    assert_scale_stays("Relu", 0, NULL);
}

/* ---- all together ------------------------------------------------------------------------------ */

static void optimize_joins_conv_norm_and_activation(void **state)
{
    (void)state;
    struct work w;
    struct rdl_error error;
    begin(&w);
    const int32_t norm = make_norm(&w, make_conv(&w, RDL__NO_VALUE), vector(&w, "var", 2, var));
    const int32_t swish = make_hard_swish(&w, MAKER_NODE(w.graph, "Identity", "i", norm), 0);
    const int32_t y = MAKER_NODE(w.graph, "Identity", "end", swish);
    maker_output(w.graph, y);
    assert_int_equal(rdl__graph_finish(w.graph, maker_find, &error), RDL_OK);
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, NULL, NULL, &error), RDL_OK);
    MAKER_ASSERT_OPS(w.graph, "Conv");
    assert_int_equal(w.graph->nodes[0]->activation.kind, RDL__ACT_HARD_SWISH);
    assert_int_equal(w.graph->nodes[0]->outputs[0], y);
    assert_int_equal(w.graph->values[y].producer, 0);
    rdl__arena_fini(&w.arena);
}

static void optimize_joins_what_an_activation_hid(void **state)
{
    (void)state;
    /* conv + bias, then norm, then Relu: the bias is seen after the norm in the first round, when the
     * norm's Relu may have been fused already; the second must carry it along. */
    struct work w;
    struct rdl_error error;
    begin(&w);
    const int32_t more = maker_constant(w.graph, "m", RDL_F32, 3, (int64_t[]){2, 1, 1}, shift);
    const int32_t sum = MAKER_NODE(w.graph, "Add", "s", make_conv(&w, RDL__NO_VALUE), more);
    const int32_t norm = make_norm(&w, sum, vector(&w, "var", 2, var));
    maker_output(w.graph, MAKER_NODE(w.graph, "Relu", "y", norm));
    assert_int_equal(rdl__graph_finish(w.graph, maker_find, &error), RDL_OK);
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, NULL, NULL, &error), RDL_OK);
    MAKER_ASSERT_OPS(w.graph, "Conv");
    assert_int_equal(w.graph->nodes[0]->activation.kind, RDL__ACT_RELU);
    rdl__arena_fini(&w.arena);
}

static void optimize_without_memory_says_so(void **state)
{
    (void)state;
    struct work w;
    struct rdl_error error;
    begin(&w);
    maker_output(w.graph, make_norm(&w, make_conv(&w, RDL__NO_VALUE), vector(&w, "v", 2, var)));
    assert_int_equal(rdl__graph_finish(w.graph, maker_find, &error), RDL_OK);
    w.arena.limit_bytes = w.arena.reserved_bytes;
    while (rdl__arena_alloc(&w.arena, 16) != NULL)
        continue;
    assert_int_equal(rdl__graph_optimize(w.graph, maker_find, NULL, NULL, &error),
                     RDL_ERR_NO_MEMORY);
    assert_string_equal(error.message, "no memory for the optimised graph");
    rdl__arena_fini(&w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_fold_chain_becomes_a_constant),
        cmocka_unit_test(constant_fold_leaves_what_it_must),
        cmocka_unit_test(constant_fold_goes_into_subgraphs),
        cmocka_unit_test(constant_fold_failure_counts_outside_subgraphs),
        cmocka_unit_test(identity_in_the_middle_goes),
        cmocka_unit_test(identity_at_the_end_keeps_the_output),
        cmocka_unit_test(identity_of_captured_value_goes),
        cmocka_unit_test(identity_pass_leaves_what_it_must),
        cmocka_unit_test(batch_norm_is_folded_into_conv),
        cmocka_unit_test(batch_norm_pass_leaves_what_it_must),
        cmocka_unit_test(affine_arithmetic_is_folded_into_conv),
        cmocka_unit_test(affine_of_grouped_conv_transpose_is_folded),
        cmocka_unit_test(affine_pass_leaves_what_it_must),
        cmocka_unit_test(hard_swish_is_found_in_every_order),
        cmocka_unit_test(hard_swish_of_hard_sigmoid_is_found),
        cmocka_unit_test(hard_swish_pass_leaves_what_it_must),
        cmocka_unit_test(bias_of_matmul_is_fused),
        cmocka_unit_test(bias_pass_leaves_what_it_must),
        cmocka_unit_test(activation_is_fused),
        cmocka_unit_test(activation_pass_leaves_what_it_must),
        cmocka_unit_test(activation_is_fused_once),
        cmocka_unit_test(activation_takes_what_scales_a_hard_swish),
        cmocka_unit_test(optimize_joins_conv_norm_and_activation),
        cmocka_unit_test(optimize_joins_what_an_activation_hid),
        cmocka_unit_test(optimize_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
