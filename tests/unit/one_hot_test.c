/*
 * The pass that sees an embedding in a product with a one-hot matrix: what it makes, and near kin that
 * it must leave alone.
 */
#include "graph/passes/passes.h"
#include "support/graph_maker.h"

#include <math.h>

/* What stands in the graph; the usual spelling, and one thing changed. */
struct spelling {
    const char *why;
    int32_t classes[3];
    int32_t class_rank, shape_last;
    enum rdl_dtype to;
    bool row_of_classes_is_matrix, shape_is_fed, used_twice, infinite;
};

static const struct spelling usual = {
    .why = "usual", .classes = {5, 6, 7}, .class_rank = 3, .shape_last = 1, .to = RDL_F32};

static const float table[6] = {1, -0.0f, 3, 4, 5, 6};
static const float infinite[6] = {1, 2, 3, INFINITY, 5, 6};

/* [-1, 2, 1] of Reshape, then Expand to (its input, 2, last) by Cast(Concat(..)). */
static int32_t make_ids(struct rdl__graph *g, const struct spelling *s)
{
    static const int64_t shape[3] = {-1, 2, 1}, flat[3] = {-1, 1, 2};
    static const int32_t two = 2, one = 1;
    const int32_t ids = maker_input(g, "ids", RDL_I32), n = maker_input(g, "n", RDL_I32);
    const int64_t three = 3, single = 1;
    const int32_t last =
        maker_constant(g, "last", RDL_I32, 1, &single, s->shape_last == 1 ? &one : &two);
    const int32_t target =
        maker_constant(g, "shape", RDL_I64, 1, &three, s->shape_last == 1 ? shape : flat);
    const int32_t reshaped =
        MAKER_NODE(g, "Reshape", "r", ids, s->shape_is_fed ? maker_input(g, "s", RDL_I64) : target);
    const int32_t joined = MAKER_NODE(g, "Concat", "j", n, last);
    const int32_t cast = MAKER_NODE(g, "Cast", "jc", joined);
    maker_attr(g, "to", RDL__ATTR_INT)->i = RDL_I64;
    return MAKER_NODE(g, "Expand", "e", reshaped, cast);
}

/* The product, of which others make use. */
static int32_t make_product(struct rdl__graph *g, const struct spelling *s)
{
    const int64_t dims[4] = {1, 1, 1, 3}, matrix[2] = {3, 1};
    const int32_t ids = make_ids(g, s);
    const int32_t classes = s->row_of_classes_is_matrix
                                ? maker_constant(g, "classes", RDL_I32, 2, matrix, s->classes)
                                : maker_constant(g, "classes", RDL_I32, s->class_rank,
                                                 dims + 4 - s->class_rank, s->classes);
    const int32_t equal = MAKER_NODE(g, "Equal", "q", ids, classes);
    const int32_t one_hot = MAKER_NODE(g, "Cast", "o", equal);
    maker_attr(g, "to", RDL__ATTR_INT)->i = s->to;
    if (s->used_twice)
        maker_output(g, one_hot);
    const int32_t w =
        maker_constant(g, "W", RDL_F32, 2, (int64_t[]){3, 2}, s->infinite ? infinite : table);
    return MAKER_NODE(g, "MatMul", "mm", one_hot, w);
}

static enum rdl_status fold_nothing(void *user, const struct rdl__graph *graph,
                                    const struct rdl__node *node, struct rdl__desc *out,
                                    struct rdl_error *error)
{
    (void)user;
    (void)graph;
    (void)node;
    (void)out;
    (void)error;
    return RDL_ERR_UNSUPPORTED;
}

static bool run_pass(struct rdl__graph *graph)
{
    const struct rdl__pass_context context = {.find = maker_find, .fold = fold_nothing};
    bool changed = false;
    assert_int_equal(rdl__graph_finish(graph, maker_find, NULL), RDL_OK);
    assert_int_equal(rdl__pass_fuse_one_hot(graph, &context, &changed), RDL_OK);
    assert_int_equal(rdl__graph_tidy(graph, NULL), RDL_OK);
    return changed;
}

static void one_hot_product_is_an_embedding(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *g = maker_graph(&arena);
    const int32_t y = make_product(g, &usual);
    maker_output(g, y);
    assert_true(run_pass(g));
    MAKER_ASSERT_OPS(g, "Reshape Concat Cast Expand Embedding");
    const struct rdl__node *node = g->nodes[4];
    assert_string_equal(node->domain, "raddle");
    assert_int_equal(node->outputs[0], y);
    assert_int_equal(rdl__attr_int(node, "first", 0), 5);
    const struct rdl__desc *made = g->values[node->inputs[1]].constant;
    assert_int_equal(made->shape.dims[0], 4);
    assert_memory_equal(made->data, ((float[]){1, 0, 3, 4, 5, 6, 0, 0}), 8 * sizeof(float));
    rdl__arena_fini(&arena);
}

/* Add of [1, 1, 2], then Gelu: both go before it, one a round; a column does not. */
static void functions_of_elements_work_on_the_table(void **state)
{
    (void)state;
    static const float row[2] = {10, 20};
    struct rdl__arena arena;
    struct rdl__graph *g = maker_graph(&arena);
    const int32_t product = make_product(g, &usual);
    const int32_t bias = maker_constant(g, "b", RDL_F32, 3, (int64_t[]){1, 1, 2}, row);
    const int32_t y = MAKER_NODE(g, "Add", "y", product, bias);
    maker_output(g, y);
    assert_true(run_pass(g));
    MAKER_ASSERT_OPS(g, "Reshape Concat Cast Expand Add Embedding");
    const struct rdl__node *add = g->nodes[4], *embedding = g->nodes[5];
    assert_int_equal(g->values[add->inputs[0]].constant->shape.dims[0], 4);
    assert_int_equal(g->values[add->inputs[1]].constant->shape.rank, 1);
    assert_int_equal(embedding->inputs[1], add->outputs[0]);
    assert_int_equal(embedding->outputs[0], y);
    assert_false(run_pass(g)); /* until the table is a constant again */
    rdl__arena_fini(&arena);

    g = maker_graph(&arena);
    const int32_t again = make_product(g, &usual);
    const int32_t column = maker_constant(g, "b", RDL_F32, 3, (int64_t[]){1, 2, 1}, row);
    maker_output(g, MAKER_NODE(g, "Add", "y", again, column));
    assert_true(run_pass(g));
    MAKER_ASSERT_OPS(g, "Reshape Concat Cast Expand Embedding Add");
    rdl__arena_fini(&arena);

    g = maker_graph(&arena);
    const int32_t third = make_product(g, &usual);
    const int32_t deep = maker_constant(g, "b", RDL_F32, 4, (int64_t[]){1, 1, 1, 2}, row);
    maker_output(g, MAKER_NODE(g, "Add", "y", third, deep)); /* gives the result a dimension more */
    assert_true(run_pass(g));
    MAKER_ASSERT_OPS(g, "Reshape Concat Cast Expand Embedding Add");
    rdl__arena_fini(&arena);
}

static void near_kin_is_left_alone(void **state)
{
    (void)state;
    struct spelling kin[10];
    for (size_t i = 0; i < sizeof kin / sizeof *kin; i++)
        kin[i] = usual;
    kin[0].why = "classes with a gap";
    kin[0].classes[2] = 8;
    kin[1].why = "classes twice";
    kin[1].classes[1] = 5;
    kin[2].why = "ids [.., 2]";
    kin[2].shape_last = 2;
    kin[3].why = "ids of unknown shape";
    kin[3].shape_is_fed = true;
    kin[4].why = "another dtype";
    kin[4].to = RDL_F64;
    kin[5].why = "the matrix has another use";
    kin[5].used_twice = true;
    kin[6].why = "an infinite weight";
    kin[6].infinite = true;
    kin[7].why = "a column of classes";
    kin[7].row_of_classes_is_matrix = true;
    kin[8].why = "classes downwards";
    kin[8].classes[0] = 7;
    kin[8].classes[2] = 5;
    kin[9].why = "classes of more dimensions than ids";
    kin[9].class_rank = 4;
    for (size_t i = 0; i < sizeof kin / sizeof *kin; i++) {
        struct rdl__arena arena;
        struct rdl__graph *g = maker_graph(&arena);
        maker_output(g, make_product(g, &kin[i]));
        if (run_pass(g))
            fail_msg("%s", kin[i].why);
        MAKER_ASSERT_OPS(g, "Reshape Concat Cast Expand Equal Cast MatMul");
        rdl__arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_hot_product_is_an_embedding),
        cmocka_unit_test(functions_of_elements_work_on_the_table),
        cmocka_unit_test(near_kin_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
