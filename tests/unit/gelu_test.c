/*
 * Both spellings of Gelu are found, and only these; with the real operators.
 */
#include "graph/passes/passes.h"
#include "ops/ops.h"
#include "support/graph_maker.h"

struct work {
    struct rdl__arena arena;
    struct rdl__graph *graph;
    int32_t x; /* its input, f32 of rank 2 */
    bool changed;
};

static void begin(struct work *w)
{
    w->graph = maker_graph(&w->arena);
    w->x = maker_input(w->graph, "x", RDL_F32);
    w->graph->values[w->x].rank = 2;
}

/* Finishes the graph, whose output is y, and runs the pass. */
static void run_pass(struct work *w, int32_t y)
{
    const struct rdl__pass_context context = {.find = rdl__op_find};
    struct rdl_error error;
    maker_output(w->graph, y);
    if (rdl__graph_finish(w->graph, rdl__op_find, &error) != RDL_OK)
        fail_msg("%s", error.message);
    w->changed = false;
    assert_int_equal(rdl__pass_fuse_gelu(w->graph, &context, &w->changed), RDL_OK);
    assert_int_equal(rdl__graph_tidy(w->graph, NULL), RDL_OK);
}

static int32_t scalar(struct work *w, float value)
{
    return maker_scalar(w->graph, "c", value);
}

/* 0.5 x (1 + g), its products in one of four orders. */
static int32_t outer_product(struct work *w, int32_t g, int order)
{
    struct rdl__graph *graph = w->graph;
    const int32_t sum = MAKER_NODE(graph, "Add", "sum", scalar(w, 1), g), half = scalar(w, 0.5f);
    switch (order) {
    case 0:
        return MAKER_NODE(graph, "Mul", "y", MAKER_NODE(graph, "Mul", "m", w->x, sum), half);
    case 1:
        return MAKER_NODE(graph, "Mul", "y", MAKER_NODE(graph, "Mul", "m", w->x, half), sum);
    case 2:
        return MAKER_NODE(graph, "Mul", "y", w->x, MAKER_NODE(graph, "Mul", "m", half, sum));
    default:
        return MAKER_NODE(graph, "Div", "y", MAKER_NODE(graph, "Mul", "m", w->x, sum),
                          scalar(w, 2));
    }
}

static int32_t error_function(struct work *w, float root, bool divide)
{
    const int32_t scaled = divide
                               ? MAKER_NODE(w->graph, "Div", "scaled", w->x, scalar(w, root))
                               : MAKER_NODE(w->graph, "Mul", "scaled", w->x, scalar(w, 1 / root));
    return MAKER_NODE(w->graph, "Erf", "erf", scaled);
}

static int32_t tangent(struct work *w, float factor, bool power)
{
    struct rdl__graph *g = w->graph;
    const int32_t cube =
        power ? MAKER_NODE(g, "Mul", "cube", MAKER_NODE(g, "Pow", "pow", w->x, scalar(w, 3)),
                           scalar(w, factor))
              : MAKER_NODE(g, "Mul", "cube", w->x,
                           MAKER_NODE(g, "Mul", "square", w->x,
                                      MAKER_NODE(g, "Mul", "a", scalar(w, factor), w->x)));
    const int32_t sum = MAKER_NODE(g, "Add", "inner", w->x, cube);
    return MAKER_NODE(g, "Tanh", "tanh",
                      MAKER_NODE(g, "Mul", "scaled", scalar(w, 0.7978845608f), sum));
}

static void expect_gelu(struct work *w, int32_t y, const char *form)
{
    run_pass(w, y);
    MAKER_ASSERT_OPS(w->graph, "Gelu");
    assert_int_equal(w->graph->nodes[0]->inputs[0], w->x);
    assert_string_equal(rdl__attr_text(w->graph->nodes[0], "approximate", ""), form);
    rdl__arena_fini(&w->arena);
}

static void gelu_is_found_in_every_order(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++)
        for (int form = 0; form < 2; form++) {
            struct work w;
            begin(&w);
            expect_gelu(&w, outer_product(&w, error_function(&w, 1.4142135f, form != 0), order),
                        "none");
            begin(&w);
            expect_gelu(&w, outer_product(&w, tangent(&w, 0.044715f, form != 0), order), "tanh");
        }
}

static void expect_left_alone(struct work *w, int32_t y)
{
    run_pass(w, y);
    assert_false(w->changed);
    rdl__arena_fini(&w->arena);
}

static void gelu_pass_leaves_what_it_must(void **state)
{
    (void)state;
    struct work w;
    begin(&w); /* another root */
    expect_left_alone(&w, outer_product(&w, error_function(&w, 1.5f, true), 0));
    begin(&w); /* another factor of the cube */
    expect_left_alone(&w, outer_product(&w, tangent(&w, 0.05f, false), 0));
    begin(&w); /* the function is used elsewhere too */
    const int32_t erf = error_function(&w, 1.4142135f, true);
    maker_output(w.graph, erf);
    expect_left_alone(&w, outer_product(&w, erf, 0));
    begin(&w); /* doubles */
    w.graph->values[w.x].dtype = RDL_F64;
    expect_left_alone(&w, outer_product(&w, error_function(&w, 1.4142135f, true), 0));
    begin(&w); /* x may be a scalar, to which the constant one [1] gives a dimension */
    w.graph->values[w.x].rank = 0;
    const int64_t one_dim = 1;
    static const float one = 1;
    const int32_t ones = maker_constant(w.graph, "ones", RDL_F32, 1, &one_dim, &one);
    const int32_t sum =
        MAKER_NODE(w.graph, "Add", "sum", ones, error_function(&w, 1.4142135f, true));
    expect_left_alone(&w, MAKER_NODE(w.graph, "Mul", "y", MAKER_NODE(w.graph, "Mul", "m", w.x, sum),
                                     scalar(&w, 0.5f)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gelu_is_found_in_every_order),
        cmocka_unit_test(gelu_pass_leaves_what_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
