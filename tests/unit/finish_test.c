/*
 * Completing graphs: operators, order, uses, dead nodes, and the message of every refusal.
 */
#include "support/graph_maker.h"

static enum rdl_status finish(struct rdl__graph *graph, struct rdl_error *error)
{
    return rdl__graph_finish(graph, maker_find, error);
}

static void assert_refused(struct rdl__graph *graph, enum rdl_status status, const char *message)
{
    struct rdl_error error = {0};
    assert_int_equal(finish(graph, &error), status);
    assert_string_equal(error.message, message);
    assert_int_equal(error.status, status);
    assert_int_equal(finish(graph, NULL), status);
}

/* x -> a -> b -> c, added in the order given by the digits of `order`. */
static struct rdl__graph *make_chain(struct rdl__arena *arena, const char *order)
{
    struct rdl__graph *graph = maker_graph(arena);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    int32_t v[4] = {x, maker_value(graph, "a"), maker_value(graph, "b"), maker_value(graph, "c")};
    for (const char *digit = order; *digit != '\0'; digit++) {
        const int i = *digit - '0';
        struct rdl__node *node = rdl__graph_add_node(graph, "Relu", "", 1, 1, 0);
        assert_non_null(node);
        node->inputs[0] = v[i];
        node->outputs[0] = v[i + 1];
        node->name = graph->values[v[i + 1]].name;
    }
    maker_output(graph, v[3]);
    return graph;
}

static void finish_any_order_sorts_chain(void **state)
{
    (void)state;
    static const char *const orders[] = {"012", "021", "102", "120", "201", "210"};
    for (size_t i = 0; i < 6; i++) {
        struct rdl__arena arena;
        struct rdl__graph *graph = make_chain(&arena, orders[i]);
        assert_int_equal(finish(graph, NULL), RDL_OK);
        assert_string_equal(graph->nodes[0]->name, "a");
        assert_string_equal(graph->nodes[1]->name, "b");
        assert_string_equal(graph->nodes[2]->name, "c");
        for (int k = 0; k < 3; k++)
            assert_int_equal(graph->values[graph->nodes[k]->outputs[0]].producer, k);
        assert_int_equal(graph->values[0].producer, -1);
        assert_int_equal(graph->values[3].n_uses, 1);
        rdl__arena_fini(&arena);
    }
}

static void finish_sorted_file_keeps_order(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    /* Two branches that alternate: a sort by level or by branch would change this order. */
    const int32_t a = MAKER_NODE(graph, "Relu", "a", x);
    const int32_t b = MAKER_NODE(graph, "Relu", "b", x);
    const int32_t a2 = MAKER_NODE(graph, "Relu", "a2", a);
    const int32_t b2 = MAKER_NODE(graph, "Relu", "b2", b);
    const int32_t b3 = MAKER_NODE(graph, "Relu", "b3", b2);
    maker_output(graph, MAKER_NODE(graph, "Add", "sum", a2, b3));
    assert_int_equal(finish(graph, NULL), RDL_OK);
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        assert_int_equal(graph->nodes[i]->index, i);
    assert_int_equal(graph->values[x].n_uses, 2);
    rdl__arena_fini(&arena);
}

static void finish_long_chain_backwards_is_sorted(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    int32_t below = maker_value(graph, "last");
    maker_output(graph, below);
    for (int i = 0; i < N; i++) {
        struct rdl__node *node = rdl__graph_add_node(graph, "Relu", "", 1, 1, 0);
        assert_non_null(node);
        node->outputs[0] = below;
        below = i == N - 1 ? maker_input(graph, "x", RDL_F32) : maker_value(graph, "v");
        node->inputs[0] = below;
    }
    assert_int_equal(finish(graph, NULL), RDL_OK);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(graph->nodes[i]->index, N - 1 - i);
    rdl__arena_fini(&arena);
}

static void finish_unknown_operators_lists_all(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    static const struct rdl__opset opsets[] = {{"com.example", 3}};
    graph->opsets = opsets;
    graph->n_opsets = 1;
    const int32_t x = maker_input(graph, "x", RDL_F32);
    const int32_t a = MAKER_NODE(graph, "Warp", "first", x);
    const int32_t b = MAKER_NODE(graph, "Relu", "fine", a);
    const int32_t c = MAKER_NODE(graph, "Weft", "other", b);
    maker_last(graph)->domain = "com.example";
    maker_output(graph, MAKER_NODE(graph, "Warp", "again", c));
    assert_refused(graph, RDL_ERR_UNSUPPORTED,
                   "2 operators are not supported: "
                   "Warp (ai.onnx version 17, 2 nodes, first node \"first\" (Warp)); "
                   "Weft (com.example version 3, 1 node, first node \"other\" (Weft))");
    rdl__arena_fini(&arena);
}

static void finish_operator_newer_than_opset_is_unknown(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    graph->opset = 13;
    maker_output(graph, MAKER_NODE(graph, "HardSwish", "h", maker_input(graph, "x", RDL_F32)));
    assert_refused(graph, RDL_ERR_UNSUPPORTED,
                   "1 operator is not supported: "
                   "HardSwish (ai.onnx version 13, 1 node, first node \"h\" (HardSwish))");
    rdl__arena_fini(&arena);
}

static void finish_very_many_unknown_operators_is_bounded(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    int32_t v = maker_input(graph, "x", RDL_F32);
    char name[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "Op%d", i);
        v = MAKER_NODE(graph, name, "n", v);
    }
    maker_output(graph, v);
    struct rdl_error error;
    assert_int_equal(finish(graph, &error), RDL_ERR_UNSUPPORTED);
    assert_memory_equal(error.message,
                        "more than 16 operators are not supported (84 nodes beyond these): Op0 ("
                        "ai.onnx version 17",
                        80);
    rdl__arena_fini(&arena);
}

static void finish_wrong_counts_are_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    int32_t x = maker_input(graph, "x", RDL_F32);
    maker_output(graph, MAKER_NODE(graph, "Add", "sum", x));
    assert_refused(graph, RDL_ERR_MODEL, "node \"sum\" (Add) has 1 inputs, the operator takes 2");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    x = maker_input(graph, "x", RDL_F32);
    maker_output(graph, MAKER_NODE(graph, "Clip", "c", x, x, x, x));
    assert_refused(graph, RDL_ERR_MODEL,
                   "node \"c\" (Clip) has 4 inputs, the operator takes 1 to 3");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    x = maker_input(graph, "x", RDL_F32);
    maker_output(graph, MAKER_NODE(graph, "Add", "sum", x, RDL__NO_VALUE));
    assert_refused(graph, RDL_ERR_MODEL, "node \"sum\" (Add): input 1 is missing");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    maker_input(graph, "x", RDL_F32);
    assert_non_null(rdl__graph_add_node(graph, "Concat", "", 0, 1, 0));
    assert_refused(graph, RDL_ERR_MODEL,
                   "node #0 (Concat) has 0 inputs, the operator takes at least 1");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    MAKER_NODE(graph, "Relu", "r", maker_input(graph, "x", RDL_F32));
    maker_last(graph)->outputs[0] = RDL__NO_VALUE;
    assert_refused(graph, RDL_ERR_MODEL, "node \"r\" (Relu): output 0 is missing");
    rdl__arena_fini(&arena);
}

static void finish_value_made_twice_is_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    int32_t x = maker_input(graph, "x", RDL_F32);
    const int32_t a = MAKER_NODE(graph, "Relu", "a", x);
    MAKER_NODE(graph, "Relu", "b", x);
    maker_last(graph)->outputs[0] = a;
    maker_output(graph, a);
    assert_refused(graph, RDL_ERR_MODEL,
                   "value \"a\" is made twice: by node \"a\" (Relu) and by node \"b\" (Relu)");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    x = maker_input(graph, "x", RDL_F32);
    MAKER_NODE(graph, "Relu", "a", x);
    maker_last(graph)->outputs[0] = x;
    maker_output(graph, x);
    assert_refused(graph, RDL_ERR_MODEL,
                   "value \"x\" is made twice: by the caller (it is a graph input) and by "
                   "node \"a\" (Relu)");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    x = maker_scalar(graph, "k", 1);
    graph->inputs = maker_append(graph, NULL, 0, x);
    graph->n_inputs = 1;
    assert_refused(graph, RDL_ERR_MODEL,
                   "value \"k\" is made twice: by an initialiser or constant and by the caller "
                   "(it is a graph input)");
    rdl__arena_fini(&arena);
}

static void finish_value_never_made_is_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    maker_output(graph, MAKER_NODE(graph, "Relu", "a", maker_value(graph, "ghost")));
    assert_refused(graph, RDL_ERR_MODEL,
                   "node \"a\" (Relu) uses value \"ghost\", which nothing makes");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    maker_output(graph, maker_value(graph, "y"));
    assert_refused(graph, RDL_ERR_MODEL, "nothing makes graph output \"y\"");
    rdl__arena_fini(&arena);
}

static void finish_cycle_is_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    const int32_t back = maker_value(graph, "back");
    const int32_t a = MAKER_NODE(graph, "Add", "a", x, back);
    MAKER_NODE(graph, "Relu", "b", a);
    maker_last(graph)->outputs[0] = back;
    maker_output(graph, a);
    assert_refused(graph, RDL_ERR_MODEL,
                   "cycle: node \"b\" (Relu) uses value \"a\", which depends on the node's own "
                   "result");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    const int32_t self = MAKER_NODE(graph, "Relu", "self", RDL__NO_VALUE);
    maker_last(graph)->inputs[0] = self;
    maker_output(graph, self);
    assert_refused(graph, RDL_ERR_MODEL,
                   "cycle: node \"self\" (Relu) uses value \"self\", which depends on the node's "
                   "own result");
    rdl__arena_fini(&arena);
}

/* A graph input "cond" and an If whose branch adds outer value `outer` to itself. */
static int32_t make_if(struct rdl__graph *graph, int32_t cond, int32_t outer, const char *inner_op)
{
    struct rdl__graph *inner = rdl__graph_new(graph->arena);
    assert_non_null(inner);
    inner->opset = graph->opset;
    inner->outer = graph;
    const int32_t stand_in = maker_value(inner, graph->values[outer].name);
    inner->values[stand_in].outer = outer;
    maker_output(inner, MAKER_NODE(inner, inner_op, "inner", stand_in, stand_in));
    const int32_t out = MAKER_NODE(graph, "If", "choice", cond);
    maker_attr(graph, "then_branch", RDL__ATTR_GRAPH)->graph = inner;
    return out;
}

static void finish_subgraph_use_counts_and_orders(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t cond = maker_input(graph, "cond", RDL_BOOL);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    const int32_t late = maker_value(graph, "late");
    maker_output(graph, make_if(graph, cond, late, "Add")); /* before the node it needs */
    MAKER_NODE(graph, "Relu", "maker", x);
    maker_last(graph)->outputs[0] = late;
    assert_int_equal(finish(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "Relu If");
    assert_int_equal(graph->values[late].n_uses, 1);
    assert_int_equal(graph->values[late].producer, 0);
    const struct rdl__graph *inner = graph->nodes[1]->attrs[0].graph;
    assert_non_null(inner->nodes[0]->op);
    assert_int_equal(inner->values[0].n_uses, 2);
    rdl__arena_fini(&arena);
}

static void finish_subgraph_fault_names_the_way(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t cond = maker_input(graph, "cond", RDL_BOOL);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    maker_output(graph, make_if(graph, cond, x, "Relu")); /* two inputs: one too many */
    assert_refused(graph, RDL_ERR_MODEL,
                   "node \"choice\" (If): subgraph \"then_branch\": node \"inner\" (Relu) has 2 "
                   "inputs, the operator takes 1");
    rdl__arena_fini(&arena);

    graph = maker_graph(&arena);
    const int32_t condition = maker_input(graph, "cond", RDL_BOOL);
    maker_output(graph, make_if(graph, condition, condition, "Knot"));
    assert_refused(graph, RDL_ERR_UNSUPPORTED,
                   "1 operator is not supported: "
                   "Knot (ai.onnx version 17, 1 node, first node \"inner\" (Knot))");
    rdl__arena_fini(&arena);
}

static void finish_subgraph_cycle_is_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t cond = maker_input(graph, "cond", RDL_BOOL);
    const int32_t back = maker_value(graph, "back");
    const int32_t out = make_if(graph, cond, back, "Add");
    MAKER_NODE(graph, "Relu", "loop", out);
    maker_last(graph)->outputs[0] = back;
    maker_output(graph, out);
    struct rdl_error error;
    assert_int_equal(finish(graph, &error), RDL_ERR_MODEL);
    assert_string_equal(error.message, "cycle: node \"loop\" (Relu) uses value \"choice\", which "
                                       "depends on the node's own result");
    rdl__arena_fini(&arena);
}

static void finish_subgraphs_too_deep_are_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *top = maker_graph(&arena), *graph = top;
    for (int depth = 1; depth <= RDL__MAX_GRAPH_DEPTH; depth++) {
        struct rdl__graph *inner = rdl__graph_new(&arena);
        assert_non_null(inner);
        inner->opset = 17;
        inner->outer = graph;
        assert_non_null(rdl__graph_add_node(graph, "If", "", 1, 0, 0));
        maker_last(graph)->inputs[0] = maker_scalar(graph, "cond", 1);
        maker_attr(graph, "then_branch", RDL__ATTR_GRAPH)->graph = inner;
        assert_int_equal(finish(top, NULL), depth < RDL__MAX_GRAPH_DEPTH ? RDL_OK : RDL_ERR_MODEL);
        graph = inner;
    }
    assert_refused(top, RDL_ERR_MODEL, "subgraphs lie more than 16 deep");
    rdl__arena_fini(&arena);
}

static void tidy_drops_what_nobody_needs(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    const int32_t a = MAKER_NODE(graph, "Relu", "a", x);
    const int32_t dead = MAKER_NODE(graph, "Relu", "dead", a);
    MAKER_NODE(graph, "Add", "deader", dead, dead);
    maker_output(graph, MAKER_NODE(graph, "Identity", "y", a));
    assert_int_equal(finish(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "Relu Relu Add Identity");
    assert_int_equal(rdl__graph_tidy(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "Relu Identity");
    assert_int_equal(graph->values[a].n_uses, 1);
    assert_int_equal(graph->values[dead].producer, -1);
    rdl__arena_fini(&arena);
}

static void tidy_keeps_node_with_one_used_output(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    struct rdl__node *split = rdl__graph_add_node(graph, "Split", "", 1, 3, 0);
    assert_non_null(split);
    split->inputs[0] = x;
    for (int i = 0; i < 3; i++)
        split->outputs[i] = maker_value(graph, "part");
    maker_output(graph, split->outputs[1]);
    assert_int_equal(finish(graph, NULL), RDL_OK);
    assert_int_equal(rdl__graph_tidy(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "Split");
    rdl__arena_fini(&arena);
}

static void tidy_sorts_appended_nodes(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = make_chain(&arena, "012");
    assert_int_equal(finish(graph, NULL), RDL_OK);
    /* As a pass would: a new node at the end makes what the old first node made. */
    const int32_t a = graph->nodes[0]->outputs[0];
    graph->nodes[0]->outputs[0] = RDL__NO_VALUE;
    MAKER_NODE(graph, "Identity", "new", graph->inputs[0]);
    maker_last(graph)->outputs[0] = a;
    assert_int_equal(rdl__graph_tidy(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "Identity Relu Relu");
    rdl__arena_fini(&arena);
}

static void tidy_subgraph_keeps_outer_value_until_unused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const int32_t cond = maker_input(graph, "cond", RDL_BOOL);
    const int32_t x = maker_input(graph, "x", RDL_F32);
    const int32_t a = MAKER_NODE(graph, "Relu", "a", x);
    maker_output(graph, make_if(graph, cond, a, "Add"));
    assert_int_equal(finish(graph, NULL), RDL_OK);
    assert_int_equal(rdl__graph_tidy(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "Relu If");
    /* The branch forgets it: the stand-in goes, and then its maker. */
    struct rdl__graph *inner = graph->nodes[1]->attrs[0].graph;
    const int32_t k = maker_scalar(inner, "k", 1);
    inner->nodes[0]->inputs[0] = inner->nodes[0]->inputs[1] = k;
    assert_int_equal(rdl__graph_tidy(graph, NULL), RDL_OK);
    MAKER_ASSERT_OPS(graph, "If");
    assert_int_equal(graph->values[a].n_uses, 0);
    rdl__arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finish_any_order_sorts_chain),
        cmocka_unit_test(finish_sorted_file_keeps_order),
        cmocka_unit_test(finish_long_chain_backwards_is_sorted),
        cmocka_unit_test(finish_unknown_operators_lists_all),
        cmocka_unit_test(finish_operator_newer_than_opset_is_unknown),
        cmocka_unit_test(finish_very_many_unknown_operators_is_bounded),
        cmocka_unit_test(finish_wrong_counts_are_refused),
        cmocka_unit_test(finish_value_made_twice_is_refused),
        cmocka_unit_test(finish_value_never_made_is_refused),
        cmocka_unit_test(finish_cycle_is_refused),
        cmocka_unit_test(finish_subgraph_use_counts_and_orders),
        cmocka_unit_test(finish_subgraph_fault_names_the_way),
        cmocka_unit_test(finish_subgraph_cycle_is_refused),
        cmocka_unit_test(finish_subgraphs_too_deep_are_refused),
        cmocka_unit_test(tidy_drops_what_nobody_needs),
        cmocka_unit_test(tidy_keeps_node_with_one_used_output),
        cmocka_unit_test(tidy_sorts_appended_nodes),
        cmocka_unit_test(tidy_subgraph_keeps_outer_value_until_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
