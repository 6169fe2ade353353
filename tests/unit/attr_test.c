/*
 * Reading and checking attributes.
 */
#include "support/graph_maker.h"

/* A node with an attribute of each type that readers exist for. */
static const struct rdl__node *make_node(struct rdl__arena *arena)
{
    static const int64_t pads[] = {1, 2};
    struct rdl__graph *graph = maker_graph(arena);
    assert_non_null(rdl__graph_add_node(graph, "Conv", "", 0, 0, 0));
    maker_attr(graph, "group", RDL__ATTR_INT)->i = 4;
    maker_attr(graph, "alpha", RDL__ATTR_FLOAT)->f = 0.5F;
    maker_attr(graph, "auto_pad", RDL__ATTR_STRING)->s = (struct rdl__string){"VALID", 5};
    struct rdl__attr *attr = maker_attr(graph, "pads", RDL__ATTR_INTS);
    attr->ints = pads;
    attr->count = 2;
    return maker_last(graph);
}

static void attr_present_is_read(void **state)
{
    (void)state;
    struct rdl__arena arena;
    const struct rdl__node *node = make_node(&arena);
    size_t count = 0;
    assert_int_equal(rdl__attr_int(node, "group", 1), 4);
    assert_true(rdl__attr_float(node, "alpha", 1) == 0.5F);
    assert_string_equal(rdl__attr_text(node, "auto_pad", "NOTSET"), "VALID");
    assert_int_equal(rdl__attr_ints(node, "pads", &count)[1], 2);
    assert_int_equal(count, 2);
    assert_ptr_equal(rdl__attr_find(node, "alpha"), &node->attrs[1]);
    rdl__arena_fini(&arena);
}

static void attr_absent_or_of_another_type_gives_fallback(void **state)
{
    (void)state;
    struct rdl__arena arena;
    const struct rdl__node *node = make_node(&arena);
    size_t count = 9;
    assert_null(rdl__attr_find(node, "beta"));
    assert_int_equal(rdl__attr_int(node, "beta", 7), 7);
    assert_int_equal(rdl__attr_int(node, "alpha", 7), 7);
    assert_true(rdl__attr_float(node, "group", 2) == 2);
    assert_string_equal(rdl__attr_text(node, "group", "x"), "x");
    assert_null(rdl__attr_ints(node, "group", &count));
    assert_int_equal(count, 0);
    rdl__arena_fini(&arena);
}

static void attr_check_accepts_rules_that_fit(void **state)
{
    (void)state;
    static const struct rdl__attr_rule rules[] = {{"group", RDL__ATTR_INT, true},
                                                  {"alpha", RDL__ATTR_FLOAT, false},
                                                  {"auto_pad", RDL__ATTR_STRING, false},
                                                  {"pads", RDL__ATTR_INTS, false},
                                                  {"strides", RDL__ATTR_INTS, false}};
    struct rdl__arena arena;
    assert_int_equal(rdl__attr_check(make_node(&arena), rules, 5, NULL), RDL_OK);
    rdl__arena_fini(&arena);
}

static void attr_check_names_node_and_attribute(void **state)
{
    (void)state;
    static const struct rdl__attr_rule unknown[] = {{"group", RDL__ATTR_INT, true}};
    static const struct rdl__attr_rule other_type[] = {{"group", RDL__ATTR_FLOATS, true}};
    static const struct rdl__attr_rule missing[] = {
        {"group", RDL__ATTR_INT, true},       {"alpha", RDL__ATTR_FLOAT, false},
        {"auto_pad", RDL__ATTR_STRING, true}, {"pads", RDL__ATTR_INTS, true},
        {"axis", RDL__ATTR_INT, true},
    };
    struct rdl__arena arena;
    struct rdl_error error;
    const struct rdl__node *node = make_node(&arena);
    assert_int_equal(rdl__attr_check(node, unknown, 1, &error), RDL_ERR_MODEL);
    assert_string_equal(error.message, "node #0 (Conv): attribute \"alpha\" is not known");
    assert_int_equal(rdl__attr_check(node, other_type, 1, &error), RDL_ERR_MODEL);
    assert_string_equal(error.message,
                        "node #0 (Conv): attribute \"group\" is an int, expected floats");
    assert_int_equal(rdl__attr_check(node, missing, 5, &error), RDL_ERR_MODEL);
    assert_string_equal(error.message, "node #0 (Conv): attribute \"axis\" is missing");
    rdl__arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attr_present_is_read),
        cmocka_unit_test(attr_absent_or_of_another_type_gives_fallback),
        cmocka_unit_test(attr_check_accepts_rules_that_fit),
        cmocka_unit_test(attr_check_names_node_and_attribute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
