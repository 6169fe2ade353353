/*
 * Branches, with the real operators: Ifs dissolved into the graph around them, Selects resolved.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_if_becomes_a_select_of_both_sides),
        cmocka_unit_test(ifs_within_ifs_are_dissolved),
        cmocka_unit_test(a_known_condition_leaves_one_side),
        cmocka_unit_test(an_open_condition_leaves_both),
        cmocka_unit_test(branches_of_another_size_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
