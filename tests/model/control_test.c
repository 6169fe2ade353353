/*
 * What hangs on data: deciding inputs, branches that are not taken, loops; and how such runs end when they
 * fail, are stopped, or find an output too small. On cpu and on sim.
 */
#include "support/devices.h"
#include "support/models.h"
#include "support/onnx_writer.h"
#include "support/threads.h"

static const char *const device_names[] = {"cpu", "sim"};

static struct rdl_device open_named(const char *name)
{
    static const struct rdl_sim_options sim = {.seed = 3, .workers = 2, .max_delay_us = 10};
    return open_device(name,
                       (struct rdl_device_options){.sim = strcmp(name, "sim") == 0 ? &sim : NULL});
}

/* ------------------------------------------------------------------------------ small models */

static void open_body(struct writer *w, const char *attr)
{
    writer_attr(w, attr, 5 /* GRAPH */);
    writer_open(w, ATTR_G);
    writer_text(w, GRAPH_NAME, attr);
}

static void close_body(struct writer *w)
{
    writer_close(w);
    writer_close(w);
}

static struct rdl_model load(struct writer *w, struct rdl_device device)
{
    const struct rdl_load_options options = {.size = sizeof options, .device = device};
    struct rdl_model model;
    struct rdl_error error;
    writer_end(w);
    if (rdl_model_load_memory(w->data, w->n, &options, &model, &error) != RDL_OK)
        fail_msg("%s", error.message);
    writer_free(w);
    return model;
}

/* x [4] -> y: the positive elements of x, each a row [1]: shape [k, 1]. */
static struct rdl_model load_positive(struct rdl_device device)
{
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){4});
    writer_raw(&w, "zero", RDL_F32, 0, NULL, &(float){0}, sizeof(float));
    writer_raw(&w, "column", RDL_I64, 1, (int64_t[]){2}, (int64_t[]){-1, 1}, 2 * sizeof(int64_t));
    writer_plain(&w, "Greater", "is_positive", "x zero", "p");
    writer_plain(&w, "Compress", "positive", "x p", "k");
    writer_plain(&w, "Reshape", "as_column", "k column", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, 1});
    return load(&w, device);
}

/* x [4], c bool -> y: by c, x as [2, 2] or x as [3, 3], which does not fit. */
static struct rdl_model load_choice(struct rdl_device device)
{
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){4});
    writer_value(&w, GRAPH_INPUT, "c", RDL_BOOL, 0, NULL);
    writer_raw(&w, "two", RDL_I64, 1, (int64_t[]){2}, (int64_t[]){2, 2}, 2 * sizeof(int64_t));
    writer_raw(&w, "three", RDL_I64, 1, (int64_t[]){2}, (int64_t[]){3, 3}, 2 * sizeof(int64_t));
    writer_node(&w, "If", "choose", "c", "y");
    open_body(&w, "then_branch");
    writer_plain(&w, "Reshape", "fits", "x two", "t");
    writer_value(&w, GRAPH_OUTPUT, "t", RDL_F32, 2, (int64_t[]){2, 2});
    close_body(&w);
    open_body(&w, "else_branch");
    writer_plain(&w, "Reshape", "misfits", "x three", "e");
    writer_value(&w, GRAPH_OUTPUT, "e", RDL_F32, 2, (int64_t[]){3, 3});
    close_body(&w);
    writer_close(&w);
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, -1});
    return load(&w, device);
}

/* x [4] -> y [4]: a Loop without end, whose body adds the value to itself, or by "Gather" the i-th of
 * three zeros. */
static struct rdl_model load_endless(struct rdl_device device, const char *body_op)
{
    struct writer w = {0};
    static const float table[3] = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){4});
    writer_raw(&w, "table", RDL_F32, 1, (int64_t[]){3}, table, sizeof table);
    writer_node(&w, "Loop", "loop", "- - x", "y");
    open_body(&w, "body");
    writer_value(&w, GRAPH_INPUT, "i", RDL_I64, 0, NULL);
    writer_value(&w, GRAPH_INPUT, "go", RDL_BOOL, 0, NULL);
    writer_value(&w, GRAPH_INPUT, "v", RDL_F32, 1, (int64_t[]){4});
    if (strcmp(body_op, "Gather") == 0) {
        writer_plain(&w, "Gather", "lookup", "table i", "item");
        writer_plain(&w, "Add", "sum", "v item", "s");
    } else {
        writer_plain(&w, body_op, "sum", "v v", "s");
    }
    writer_plain(&w, "Identity", "go_on", "go", "more");
    writer_value(&w, GRAPH_OUTPUT, "more", RDL_BOOL, 0, NULL);
    writer_value(&w, GRAPH_OUTPUT, "s", RDL_F32, 1, (int64_t[]){4});
    close_body(&w);
    writer_close(&w);
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 1, (int64_t[]){4});
    return load(&w, device);
}

static struct rdl_value *wrap(enum rdl_dtype dtype, int32_t rank, const int64_t *dims, void *data,
                              size_t size)
{
    struct rdl_tensor *tensor;
    struct rdl_value *value;
    assert_int_equal(
        rdl_tensor_wrap(dtype, rank, dims, NULL, data, size, NULL, NULL, &tensor, NULL), RDL_OK);
    assert_int_equal(rdl_value_from_tensor(tensor, &value, NULL), RDL_OK);
    rdl_tensor_release(tensor);
    return value;
}

static int64_t in_use(struct rdl_device device)
{
    int64_t stats[RDL_MEMORY_STAT_COUNT];
    assert_int_equal(rdl_memory_stats(device, stats), RDL_OK);
    return stats[RDL_MEMORY_STAT_ALLOCATED_BYTES_CURRENT];
}

/* ------------------------------------------------------------------------------------- the tests */

static void lengths_follow_the_data(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model model = load_positive(device);
    float x[4] = {1, -2, 3, -4};
    struct rdl_value *input = wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x);
    for (int k = 0; k <= 4; k++) {
        struct rdl_value *output = NULL;
        for (int i = 0; i < 4; i++)
            x[i] = i < k ? (float)(i + 1) : -1.0f;
        assert_int_equal(rdl_model_run(model, &input, 1, &output, 1, NULL, NULL), RDL_OK);
        const struct rdl_tensor *y = rdl_value_tensor(output);
        assert_int_equal(rdl_tensor_rank(y), 2);
        assert_int_equal(rdl_tensor_dims(y)[0], k);
        for (int i = 0; i < k; i++)
            assert_true(models_data(output)[i] == (float)(i + 1));
        rdl_value_release(output);
    }
    rdl_value_release(input);
    rdl_model_close(model);
    close_device(device);
}

static void given_outputs_are_checked_when_the_shape_is_known(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model model = load_positive(device);
    float x[4] = {1, 2, 3, -4}, y[4] = {9, 9, 9, 9};
    struct rdl_error error;
    struct rdl_value *input = wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x);
    struct rdl_value *small = wrap(RDL_F32, 2, (int64_t[]){2, 1}, y, 2 * sizeof *y);
    assert_int_equal(rdl_model_run(model, &input, 1, &small, 1, NULL, &error), RDL_ERR_BUFFER_SIZE);
    assert_non_null(strstr(error.message, "output \"y\": 8 bytes given, shape [3, 1] needs 12"));
    struct rdl_value *enough = wrap(RDL_F32, 1, (int64_t[]){4}, y, sizeof y);
    assert_int_equal(rdl_model_run(model, &input, 1, &enough, 1, NULL, &error), RDL_OK);
    assert_int_equal(rdl_tensor_dims(rdl_value_tensor(enough))[0], 3);
    assert_true(y[0] == 1 && y[2] == 3 && y[3] == 9);
    rdl_value_release(enough);
    rdl_value_release(small);
    rdl_value_release(input);
    rdl_model_close(model);
    close_device(device);
}

static void a_side_that_is_not_taken_need_not_fit(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model model = load_choice(device);
    float x[4] = {1, 2, 3, 4};
    uint8_t condition = 1;
    struct rdl_error error;
    struct rdl_value *output = NULL, *inputs[2] = {wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x),
                                                   wrap(RDL_BOOL, 0, NULL, &condition, 1)};
    for (int i = 0; i < 3; i++) {
        condition = 1;
        assert_int_equal(rdl_model_run(model, inputs, 2, &output, 1, NULL, &error), RDL_OK);
        assert_int_equal(rdl_tensor_rank(rdl_value_tensor(output)), 2);
        condition = 0;
        struct rdl_value *none = NULL;
        assert_int_equal(rdl_model_run(model, inputs, 2, &none, 1, NULL, &error), RDL_ERR_SHAPE);
        assert_non_null(strstr(error.message, "misfits"));
    }
    struct rdl_model_stats stats = {.size = sizeof stats};
    assert_int_equal(rdl_model_get_stats(model, &stats), RDL_OK);
    assert_int_equal(stats.plans,
                     1); /* of the side that fits, found again by the condition's element */
    const struct rdl_shape shapes[2] = {{1, {4}}, {0, {0}}};
    assert_int_equal(rdl_model_warm_up(model, shapes, 2, 0, &error), RDL_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "input \"c\" decides"));
    rdl_value_release(output);
    rdl_value_release(inputs[0]);
    rdl_value_release(inputs[1]);
    rdl_model_close(model);
    close_device(device);
}

static void a_loop_ends_by_deadline(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model model = load_endless(device, "Add");
    float x[4] = {0};
    struct rdl_error error;
    struct rdl_value *output = NULL, *input = wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x);
    const struct rdl_run_options options = {.size = sizeof options,
                                            .deadline_ns = rdl_deadline_in_ns(20000000)};
    assert_int_equal(rdl_model_run(model, &input, 1, &output, 1, &options, &error),
                     RDL_ERR_DEADLINE);
    assert_null(output);
    rdl_value_release(input);
    rdl_model_close(model);
    close_device(device);
}

static void *cancel_soon(void *token)
{
    test_pause_ms(20);
    rdl_cancel_request(token);
    return NULL;
}

static void a_loop_ends_by_cancel(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model model = load_endless(device, "Add");
    float x[4] = {0};
    struct rdl_cancel *token;
    pthread_t thread;
    struct rdl_value *output = NULL, *input = wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x);
    assert_int_equal(rdl_cancel_new(&token, NULL), RDL_OK);
    const struct rdl_run_options options = {.size = sizeof options, .cancel = token};
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, token), 0);
    assert_int_equal(rdl_model_run(model, &input, 1, &output, 1, &options, NULL),
                     RDL_ERR_CANCELLED);
    (void)pthread_join(thread, NULL);
    rdl_cancel_release(token);
    rdl_value_release(input);
    rdl_model_close(model);
    close_device(device);
}

/* The table has three rows: the fourth iteration's index is out of range. */
static void a_fault_in_a_body_names_its_node(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model model = load_endless(device, "Gather");
    float x[4] = {0};
    struct rdl_error error;
    struct rdl_value *output = NULL, *input = wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x);
    assert_int_equal(rdl_model_run(model, &input, 1, &output, 1, NULL, &error), RDL_ERR_RUNTIME);
    assert_non_null(strstr(error.message, "node \"lookup\" (Gather)"));
    rdl_value_release(input);
    rdl_model_close(model);
    close_device(device);
}

/* What runs took comes back, also from those that ended early. */
static void nothing_stays_in_use(const char *name)
{
    struct rdl_device device = open_named(name);
    struct rdl_model positive = load_positive(device), endless = load_endless(device, "Gather");
    float x[4] = {1, 2, -3, 4};
    struct rdl_value *input = wrap(RDL_F32, 1, (int64_t[]){4}, x, sizeof x);
    int64_t before = 0;
    for (int i = 0; i < 20; i++) {
        struct rdl_value *output = NULL;
        assert_int_equal(rdl_model_run(positive, &input, 1, &output, 1, NULL, NULL), RDL_OK);
        rdl_value_release(output);
        output = NULL;
        assert_int_equal(rdl_model_run(endless, &input, 1, &output, 1, NULL, NULL),
                         RDL_ERR_RUNTIME);
        if (i == 1)
            before = in_use(device);
    }
    assert_int_equal(in_use(device), before);
    rdl_value_release(input);
    rdl_model_close(positive);
    rdl_model_close(endless);
    close_device(device);
}

#define ON_BOTH(test)                                                                              \
    static void test##_on_both(void **state)                                                       \
    {                                                                                              \
        (void)state;                                                                               \
        for (size_t i = 0; i < sizeof device_names / sizeof device_names[0]; i++)                  \
            test(device_names[i]);                                                                 \
    }
ON_BOTH(lengths_follow_the_data)
ON_BOTH(given_outputs_are_checked_when_the_shape_is_known)
ON_BOTH(a_side_that_is_not_taken_need_not_fit)
ON_BOTH(a_loop_ends_by_deadline)
ON_BOTH(a_loop_ends_by_cancel)
ON_BOTH(a_fault_in_a_body_names_its_node)
ON_BOTH(nothing_stays_in_use)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_follow_the_data_on_both),
        cmocka_unit_test(given_outputs_are_checked_when_the_shape_is_known_on_both),
        cmocka_unit_test(a_side_that_is_not_taken_need_not_fit_on_both),
        cmocka_unit_test(a_loop_ends_by_deadline_on_both),
        cmocka_unit_test(a_loop_ends_by_cancel_on_both),
        cmocka_unit_test(a_fault_in_a_body_names_its_node_on_both),
        cmocka_unit_test(nothing_stays_in_use_on_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
