/*
 * Building graphs, and how messages call their parts.
 */
#include "support/graph_maker.h"

#include <string.h>

static void graph_new_is_empty(void **state)
{
    (void)state;
    struct rdl__arena arena;
    const struct rdl__graph *graph = maker_graph(&arena);
    assert_int_equal(graph->n_nodes, 0);
    assert_int_equal(graph->n_values, 0);
    assert_string_equal(graph->name, "");
    rdl__arena_fini(&arena);
}

static void graph_values_keep_names_and_indices(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "v%d", i);
        assert_int_equal(rdl__graph_add_value(graph, name), i);
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "v%d", i);
        const struct rdl__value_info *value = &graph->values[i];
        assert_string_equal(value->name, name);
        assert_int_equal(value->rank, -1);
        assert_int_equal(value->producer, -1);
        assert_int_equal(value->outer, RDL__NO_VALUE);
        assert_int_equal(value->dims[RDL_MAX_RANK - 1], -1);
    }
    rdl__arena_fini(&arena);
}

static void graph_constant_declares_its_shape(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    static const float data[6] = {0};
    const int32_t v = maker_constant(graph, "w", RDL_F32, 2, (int64_t[]){2, 3}, data);
    const struct rdl__value_info *value = &graph->values[v];
    assert_int_equal(value->dtype, RDL_F32);
    assert_int_equal(value->rank, 2);
    assert_int_equal(value->dims[1], 3);
    assert_int_equal(value->dims[2], -1);
    assert_ptr_equal(value->constant->data, data);
    rdl__arena_fini(&arena);
}

static void graph_node_starts_without_values(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    const struct rdl__node *node = rdl__graph_add_node(graph, "Conv", "", 3, 1, 2);
    assert_non_null(node);
    assert_int_equal(node->inputs[2], RDL__NO_VALUE);
    assert_int_equal(node->outputs[0], RDL__NO_VALUE);
    assert_int_equal(node->n_attrs, 2);
    assert_string_equal(node->name, "");
    assert_int_equal(rdl__graph_add_node(graph, "Relu", "", 1, 1, 0)->index, 1);
    rdl__arena_fini(&arena);
}

static void graph_without_memory_says_so(void **state)
{
    (void)state;
    /* Every limit below what the graph needs fails in one of its requests, and in no other way. */
    for (size_t limit = 0; limit < 8192; limit += 64) {
        struct rdl__arena arena;
        rdl__arena_init(&arena, limit);
        struct rdl__graph *graph = rdl__graph_new(&arena);
        bool done = graph != NULL;
        for (int i = 0; done && i < 20; i++)
            done = rdl__graph_add_value(graph, "a name of some length") != RDL__NO_VALUE &&
                   rdl__graph_add_node(graph, "Add", "", 2, 1, 1) != NULL;
        assert_true(!done || limit > 4096);
        rdl__arena_fini(&arena);
    }
}

static void name_text_escapes_what_does_not_print(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"conv1", "conv1"},
        {"", ""},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xe6\x96\x87\xf0\x9f\x99\x82", "\xe6\x96\x87\xf0\x9f\x99\x82"},
        {"a\nb\x1b[31m", "a\\x0ab\\x1b[31m"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc3", "\\xc3"},                   /* cut in the middle */
        {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"}, /* the same in three bytes */
        {"\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
        {"\xc2\x9b", "\\xc2\\x9b"},                   /* a control character of C1 */
    };
    char out[RDL__NAME_TEXT_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(rdl__name_text(cases[i].name, out, sizeof out), cases[i].text);
}

static void name_text_cuts_long_names(void **state)
{
    (void)state;
    char name[200], out[16];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_string_equal(rdl__name_text(name, out, sizeof out), "aaaaaaaaaaaa...");
    /* Not in the middle of a character or of an escape. */
    assert_string_equal(rdl__name_text("aaaaaaaaaaa\xc3\xa9z", out, sizeof out), "aaaaaaaaaaa...");
    assert_string_equal(rdl__name_text("aaaaaaaaaa\xffz", out, sizeof out), "aaaaaaaaaa...");
}

static void node_text_has_name_or_number_and_operator(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph = maker_graph(&arena);
    struct rdl__node *node = rdl__graph_add_node(graph, "Conv", "", 0, 0, 0);
    assert_non_null(node);
    node->index = 7;
    assert_string_equal(RDL__NODE_TEXT(node), "node #7 (Conv)");
    node->name = "stem\n";
    assert_string_equal(RDL__NODE_TEXT(node), "node \"stem\\x0a\" (Conv)");
    rdl__arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_new_is_empty),
        cmocka_unit_test(graph_values_keep_names_and_indices),
        cmocka_unit_test(graph_constant_declares_its_shape),
        cmocka_unit_test(graph_node_starts_without_values),
        cmocka_unit_test(graph_without_memory_says_so),
        cmocka_unit_test(name_text_escapes_what_does_not_print),
        cmocka_unit_test(name_text_cuts_long_names),
        cmocka_unit_test(node_text_has_name_or_number_and_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
