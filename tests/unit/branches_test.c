/*
 * Passes on branches and on Gelu, with the real operators: Ifs dissolved, Selects resolved, and both
 * spellings of Gelu found, and only these.
 */
#include "graph/passes/passes.h"
#include "ops/ops.h"
#include "support/graph_maker.h"

struct work {
    struct rdl__arena arena;
    struct rdl__graph *graph;
    int32_t x; /* its input, f32 of rank 2 */
    int32_t condition;
    bool changed;
};

static void begin(struct work *w)
{
    w->graph = maker_graph(&w->arena);
    w->x = maker_input(w->graph, "x", RDL_F32);
    w->graph->values[w->x].rank = 2;
    w->condition = maker_input(w->graph, "condition", RDL_BOOL);
}

static void finish(struct work *w)
{
    struct rdl_error error;
    if (rdl__graph_finish(w->graph, rdl__op_find, &error) != RDL_OK)
        fail_msg("%s", error.message);
}

static void run_pass(struct work *w, rdl__pass_fn pass)
{
    const struct rdl__pass_context context = {.find = rdl__op_find};
    w->changed = false;
    assert_int_equal(pass(w->graph, &context, &w->changed), RDL_OK);
    assert_int_equal(rdl__graph_tidy(w->graph, NULL), RDL_OK);
}

/* ---------------------------------------------------------------------------------------- branches */

/* A branch of `outer` that applies op to outer's value. */
static struct rdl__graph *branch(struct work *w, struct rdl__graph *outer, int32_t value,
                                 const char *op)
{
    struct rdl__graph *inner = rdl__graph_new(&w->arena);
    assert_non_null(inner);
    inner->opset = outer->opset;
    inner->outer = outer;
    const int32_t own = maker_value(inner, "own");
    inner->values[own].outer = value;
    maker_output(inner, MAKER_NODE(inner, op, "result", own));
    return inner;
}

/* An If of graph on a condition; its branches apply Relu and Neg to value. */
static int32_t choose(struct work *w, struct rdl__graph *graph, int32_t condition, int32_t value)
{
    struct rdl__graph *sides[2] = {branch(w, graph, value, "Relu"), branch(w, graph, value, "Neg")};
    const int32_t y = MAKER_NODE(graph, "If", "if", condition);
    maker_attr(graph, "then_branch", RDL__ATTR_GRAPH)->graph = sides[0];
    maker_attr(graph, "else_branch", RDL__ATTR_GRAPH)->graph = sides[1];
    return y;
}

static void an_if_becomes_a_select_of_both_sides(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    const int32_t y = choose(&w, w.graph, w.condition, w.x);
    maker_output(w.graph, y);
    finish(&w);
    assert_int_equal(rdl__graph_dissolve_ifs(w.graph, rdl__op_find, NULL), RDL_OK);
    MAKER_ASSERT_OPS(w.graph, "Relu Neg Select");
    assert_true(w.graph->nodes[0]->guarded && w.graph->nodes[1]->guarded);
    assert_false(w.graph->nodes[2]->guarded);
    assert_int_equal(w.graph->nodes[0]->inputs[0], w.x);
    const struct rdl__node *select = w.graph->nodes[2];
    assert_int_equal(select->n_inputs, 3);
    assert_int_equal(select->inputs[0], w.condition);
    assert_int_equal(select->inputs[1], w.graph->nodes[0]->outputs[0]);
    assert_int_equal(select->inputs[2], w.graph->nodes[1]->outputs[0]);
    assert_int_equal(select->outputs[0], y);
    rdl__arena_fini(&w.arena);
}

/* The then branch of an If holds another If: both end in the outermost graph. */
static void ifs_within_ifs_are_dissolved(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    struct rdl__graph *outer = rdl__graph_new(&w.arena);
    outer->opset = w.graph->opset;
    outer->outer = w.graph;
    const int32_t x = maker_value(outer, "x"), condition = maker_value(outer, "condition");
    outer->values[x].outer = w.x;
    outer->values[condition].outer = w.condition;
    maker_output(outer, choose(&w, outer, condition, x));
    struct rdl__graph *other = branch(&w, w.graph, w.x, "Exp");
    maker_output(w.graph, MAKER_NODE(w.graph, "If", "outer", w.condition));
    maker_attr(w.graph, "then_branch", RDL__ATTR_GRAPH)->graph = outer;
    maker_attr(w.graph, "else_branch", RDL__ATTR_GRAPH)->graph = other;
    finish(&w);
    assert_int_equal(rdl__graph_dissolve_ifs(w.graph, rdl__op_find, NULL), RDL_OK);
    MAKER_ASSERT_OPS(w.graph, "Relu Neg Select Exp Select");
    assert_int_equal(w.graph->nodes[0]->inputs[0], w.x);
    assert_int_equal(w.graph->nodes[2]->inputs[0], w.condition);
    rdl__arena_fini(&w.arena);
}

static void a_known_condition_leaves_one_side(void **state)
{
    (void)state;
    for (uint8_t side = 0; side < 2; side++) {
        struct work w;
        begin(&w);
        const int32_t known = maker_constant(w.graph, "known", RDL_BOOL, 0, NULL, &side);
        maker_output(w.graph, choose(&w, w.graph, known, w.x));
        finish(&w);
        assert_int_equal(rdl__graph_dissolve_ifs(w.graph, rdl__op_find, NULL), RDL_OK);
        run_pass(&w, rdl__pass_resolve_select);
        assert_true(w.changed);
        MAKER_ASSERT_OPS(w.graph, side ? "Relu Identity" : "Neg Identity");
        rdl__arena_fini(&w.arena);
    }
}

static void an_open_condition_leaves_both(void **state)
{
    (void)state;
    struct work w;
    begin(&w);
    maker_output(w.graph, choose(&w, w.graph, w.condition, w.x));
    finish(&w);
    assert_int_equal(rdl__graph_dissolve_ifs(w.graph, rdl__op_find, NULL), RDL_OK);
    run_pass(&w, rdl__pass_resolve_select);
    assert_false(w.changed);
    MAKER_ASSERT_OPS(w.graph, "Relu Neg Select");
    rdl__arena_fini(&w.arena);
}

static void branches_of_another_size_are_refused(void **state)
{
    (void)state;
    struct work w;
    struct rdl_error error;
    begin(&w);
    maker_output(w.graph, choose(&w, w.graph, w.condition, w.x));
    struct rdl__graph *inner = rdl__attr_find(maker_last(w.graph), "else_branch")->graph;
    maker_output(inner, inner->outputs[0]);
    assert_int_equal(rdl__graph_finish(w.graph, rdl__op_find, &error), RDL_ERR_MODEL);
    assert_non_null(strstr(error.message, "subgraph \"else_branch\" has 0 inputs and 2 outputs"));
    rdl__arena_fini(&w.arena);
}

/* ------------------------------------------------------------------------------------------- Gelu */

static int32_t scalar(struct work *w, float value)
{
    return maker_scalar(w->graph, "c", value);
}

/* 0.5 x (1 + g), its products in one of three orders. */
static int32_t outer_product(struct work *w, int32_t g, int order)
{
    struct rdl__graph *graph = w->graph;
    const int32_t sum = MAKER_NODE(graph, "Add", "sum", scalar(w, 1), g), half = scalar(w, 0.5f);
    switch (order) {
    case 0:
        return MAKER_NODE(graph, "Mul", "y", MAKER_NODE(graph, "Mul", "m", w->x, sum), half);
    case 1:
        return MAKER_NODE(graph, "Mul", "y", MAKER_NODE(graph, "Mul", "m", w->x, half), sum);
    default:
        return MAKER_NODE(graph, "Mul", "y", w->x, MAKER_NODE(graph, "Mul", "m", half, sum));
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
    maker_output(w->graph, y);
    finish(w);
    run_pass(w, rdl__pass_fuse_gelu);
    MAKER_ASSERT_OPS(w->graph, "Gelu");
    assert_int_equal(w->graph->nodes[0]->inputs[0], w->x);
    assert_string_equal(rdl__attr_text(w->graph->nodes[0], "approximate", ""), form);
    rdl__arena_fini(&w->arena);
}

static void gelu_is_found_in_every_order(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++)
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
    maker_output(w->graph, y);
    finish(w);
    run_pass(w, rdl__pass_fuse_gelu);
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
        cmocka_unit_test(an_if_becomes_a_select_of_both_sides),
        cmocka_unit_test(ifs_within_ifs_are_dissolved),
        cmocka_unit_test(a_known_condition_leaves_one_side),
        cmocka_unit_test(an_open_condition_leaves_both),
        cmocka_unit_test(branches_of_another_size_are_refused),
        cmocka_unit_test(gelu_is_found_in_every_order),
        cmocka_unit_test(gelu_pass_leaves_what_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
