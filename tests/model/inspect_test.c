/*
 * Looking into models: nodes of the compiled graph, plans with their memory, and profiles.
 *
 * The model of most cases, [N, 4]: product = Relu(x W), which fuses to one node; same = Identity(x), which
 * becomes a copy.
 */
#include "support/models.h"
#include "support/onnx_writer.h"
#include "support/threads.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static struct rdl_device open_device(const char *name)
{
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 4};
    struct rdl_device device;
    assert_int_equal(rdl_device_open(name, &options, &device, NULL), RDL_OK);
    return device;
}

static void close_device(struct rdl_device device)
{
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

static struct rdl_model load_small(struct rdl_device device)
{
    const float weights[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 2, DIMS(-1, 4));
    writer_raw(&w, "weights", RDL_F32, 2, DIMS(4, 3), weights, sizeof weights);
    writer_plain(&w, "MatMul", "multiply", "x weights", "raw");
    writer_plain(&w, "Relu", "cut", "raw", "product");
    writer_plain(&w, "Identity", "pass", "x", "same");
    writer_value(&w, GRAPH_OUTPUT, "product", RDL_F32, 2, DIMS(-1, 3));
    writer_value(&w, GRAPH_OUTPUT, "same", RDL_F32, 2, DIMS(-1, 4));
    writer_end(&w);
    const struct rdl_load_options options = {.size = sizeof options, .device = device};
    struct rdl_model model;
    assert_int_equal(rdl_model_load_memory(w.data, w.n, &options, &model, NULL), RDL_OK);
    writer_free(&w);
    return model;
}

/* Four products by three matrices, equal or not: their bytes on the device. */
static size_t chain_bytes(struct rdl_device device, bool equal)
{
    float weights[3][64 * 64];
    for (int m = 0; m < 3; m++)
        for (int i = 0; i < 64 * 64; i++)
            weights[m][i] = (float)(i % 7 + (equal ? 0 : m));
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 2, DIMS(-1, 64));
    writer_raw(&w, "w0", RDL_F32, 2, DIMS(64, 64), weights[0], sizeof weights[0]);
    writer_raw(&w, "w1", RDL_F32, 2, DIMS(64, 64), weights[1], sizeof weights[1]);
    writer_raw(&w, "w2", RDL_F32, 2, DIMS(64, 64), weights[2], sizeof weights[2]);
    writer_plain(&w, "MatMul", "m0", "x w0", "h0");
    writer_plain(&w, "MatMul", "m1", "h0 w1", "h1");
    writer_plain(&w, "MatMul", "m2", "h1 w2", "h2");
    writer_plain(&w, "MatMul", "m3", "h2 w0", "y"); /* the first once more */
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 2, DIMS(-1, 64));
    writer_end(&w);
    const struct rdl_load_options options = {.size = sizeof options, .device = device};
    struct rdl_model model;
    struct rdl_model_info *info;
    assert_int_equal(rdl_model_load_memory(w.data, w.n, &options, &model, NULL), RDL_OK);
    assert_int_equal(rdl_model_get_info(model, &info, NULL), RDL_OK);
    const size_t bytes = rdl_model_info_weight_bytes(info);
    rdl_model_info_release(info);
    rdl_model_close(model);
    writer_free(&w);
    return bytes;
}

static void equal_weights_take_their_room_once(void **state)
{
    (void)state;
    static const char *const names[] = {"cpu", "sim"};
    for (int i = 0; i < 2; i++) {
        const struct rdl_device device = open_device(names[i]);
        const size_t one = chain_bytes(device, true);
        assert_true(one >= 64 * 64 * sizeof(float));
        assert_int_equal(chain_bytes(device, false), 3 * one);
        close_device(device);
    }
}

static struct rdl_plan_info *get_plan(struct rdl_model model, struct rdl_value *input)
{
    struct rdl_plan_info *plan;
    struct rdl_error error;
    if (rdl_model_get_plan(model, &input, 1, &plan, &error) != RDL_OK)
        fail_msg("%s", error.message);
    return plan;
}

static struct rdl_plan_info *profile(struct rdl_model model, struct rdl_value *input, uint32_t runs)
{
    struct rdl_plan_info *plan;
    struct rdl_error error;
    if (rdl_model_profile(model, &input, 1, runs, &plan, &error) != RDL_OK)
        fail_msg("%s", error.message);
    return plan;
}

/* ------------------------------------------------------------------------------------------ graph */

static void graph_is_told_as_it_is_after_fusion(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    const struct rdl_model model = load_small(device);
    struct rdl_model_info *info;
    struct rdl_node_info node;
    assert_int_equal(rdl_model_get_info(model, &info, NULL), RDL_OK);
    assert_int_equal(rdl_model_info_node_count(info), 3);
    assert_int_equal(rdl_model_info_all_node_count(info), rdl_model_info_compiled_node_count(info));
    assert_true(rdl_model_info_node(info, 0, &node));
    assert_string_equal(node.op, "MatMul");
    assert_string_equal(node.domain, "");
    assert_string_equal(node.name, "multiply");
    assert_int_equal(node.index, 0);
    assert_int_equal(node.depth, 0);
    for (size_t i = 1; rdl_model_info_node(info, i, &node); i++)
        assert_string_not_equal(node.op, "Relu");
    assert_false(rdl_model_info_node(info, rdl_model_info_all_node_count(info), &node));
    const char *key, *value;
    const char *const expected[][2] = {{"producer", ""},
                                       {"producer_version", ""},
                                       {"graph", "g"},
                                       {"opset", "17"},
                                       {"ir_version", "8"}};
    for (size_t i = 0; i < 5; i++) {
        assert_true(rdl_model_info_metadata(info, i, &key, &value));
        assert_string_equal(key, expected[i][0]);
        assert_string_equal(value, expected[i][1]);
    }
    assert_false(rdl_model_info_metadata(info, 5, &key, &value));
    assert_int_equal(rdl_model_info_parameter_count(info), 12);
    assert_int_equal(rdl_model_info_parameter_bytes(info), 48);
    rdl_model_info_release(info);
    close_device(device);
}

static void nodes_of_bodies_lie_deeper(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    const struct rdl_model model = models_load("control", device);
    struct rdl_model_info *info;
    struct rdl_node_info node;
    uint32_t before = 0, deepest = 0;
    assert_int_equal(rdl_model_get_info(model, &info, NULL), RDL_OK);
    assert_true(rdl_model_info_all_node_count(info) > rdl_model_info_compiled_node_count(info));
    for (size_t i = 0; rdl_model_info_node(info, i, &node); i++) {
        assert_true(node.depth <= before + 1); /* behind the node that has the body */
        before = node.depth;
        deepest = node.depth > deepest ? node.depth : deepest;
    }
    assert_true(deepest >= 1);
    rdl_model_info_release(info);
    close_device(device);
}

/* ------------------------------------------------------------------------------------------ plans */

static void plan_tells_its_steps(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    const struct rdl_model model = load_small(device);
    struct rdl_value *x = models_input(1, 2, DIMS(5, 4));
    struct rdl_plan_info *plan = get_plan(model, x);
    rdl_model_close(model); /* the description stays */
    struct rdl_step_info step;
    assert_int_equal(rdl_plan_info_step_count(plan), 2);
    assert_true(rdl_plan_info_step(plan, 0, &step));
    assert_string_equal(step.node, "multiply");
    assert_string_equal(step.op, "MatMul");
    assert_string_equal(step.shapes, "5x4,4x3 -> 5x3");
    assert_int_equal(step.index, 0);
    assert_true(step.flop == 2.0 * 5 * 4 * 3);
    assert_true(step.tiles >= 1 && step.bytes >= (5 * 4 + 5 * 3) * sizeof(float));
    assert_true(step.time_ns == 0 && step.calls == 1 && !step.is_deferred);
    assert_true(rdl_plan_info_step(plan, 1, &step));
    assert_string_equal(step.op, "Copy");
    assert_int_equal(step.index, RDL_NO_NODE);
    assert_int_equal(step.bytes, 2 * 5 * 4 * sizeof(float));
    assert_true(step.flop == 0);
    assert_false(rdl_plan_info_step(plan, 2, &step));
    assert_false(rdl_plan_info_has_deferred(plan));
    assert_int_equal(rdl_plan_info_folded_nodes(plan), 0);
    rdl_plan_info_release(plan);
    rdl_value_release(x);
    close_device(device);
}

static const struct rdl_plan_buffer *find_buffer(const struct rdl_plan_info *plan,
                                                 enum rdl_buffer_place place, const char *value)
{
    static struct rdl_plan_buffer buffer;
    for (size_t i = 0; rdl_plan_info_buffer(plan, i, &buffer); i++)
        if (buffer.place == place && strcmp(buffer.value, value) == 0)
            return &buffer;
    return NULL;
}

static void plan_tells_its_buffers(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    const struct rdl_model model = load_small(device);
    struct rdl_value *x = models_input(1, 2, DIMS(5, 4));
    struct rdl_plan_info *plan = get_plan(model, x);
    const struct rdl_plan_buffer *buffer = find_buffer(plan, RDL_BUFFER_INPUT, "x");
    assert_non_null(buffer);
    assert_int_equal(buffer->size_bytes, 80);
    assert_true(buffer->first_step == 0 && buffer->last_step == 1);
    buffer = find_buffer(plan, RDL_BUFFER_OUTPUT, "product");
    assert_non_null(buffer);
    assert_int_equal(buffer->size_bytes, 60);
    assert_true(buffer->first_step == 0 && buffer->last_step == 0);
    buffer = find_buffer(plan, RDL_BUFFER_OUTPUT, "same");
    assert_non_null(buffer);
    assert_true(buffer->first_step == 1 && buffer->last_step == 1);
    buffer = find_buffer(plan, RDL_BUFFER_WEIGHTS, ""); /* packed by MatMul */
    assert_non_null(buffer);
    assert_true(buffer->size_bytes >= 48);
    rdl_plan_info_release(plan);
    rdl_value_release(x);
    close_device(device);
}

/* What lives at the same time lies apart, and all of it in the arena. */
static void arena_buffers_do_not_collide(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    const struct rdl_model model = models_load("ppocr_cls", device);
    struct rdl_value *x = models_input(1, 4, DIMS(1, 3, 48, 192));
    struct rdl_plan_info *plan = get_plan(model, x);
    const size_t n = rdl_plan_info_buffer_count(plan), bytes = rdl_plan_info_arena_bytes(plan);
    size_t n_arena = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        struct rdl_plan_buffer a, b;
        assert_true(rdl_plan_info_buffer(plan, i, &a));
        if (a.place != RDL_BUFFER_ARENA)
            continue;
        n_arena++;
        sum += a.size_bytes;
        assert_true(a.first_step <= a.last_step);
        assert_true(a.offset_bytes + a.size_bytes <= bytes - rdl_plan_info_scratch_bytes(plan));
        for (size_t k = 0; k < i; k++) {
            assert_true(rdl_plan_info_buffer(plan, k, &b));
            if (b.place == RDL_BUFFER_ARENA && a.first_step <= b.last_step &&
                b.first_step <= a.last_step)
                assert_true(a.offset_bytes + a.size_bytes <= b.offset_bytes ||
                            b.offset_bytes + b.size_bytes <= a.offset_bytes);
        }
    }
    assert_true(n_arena > 10 && sum > bytes); /* memory is shared */
    rdl_plan_info_release(plan);
    rdl_value_release(x);
    close_device(device);
}

/* --------------------------------------------------------------------------------------- profiles */

static void profile_on(const char *name)
{
    const struct rdl_device device = open_device(name);
    const struct rdl_model model = models_load("ppocr_cls", device);
    struct rdl_value *x = models_input(1, 4, DIMS(1, 3, 48, 192));
    struct rdl_plan_info *plan = get_plan(model, x), *timed = profile(model, x, 3);
    struct rdl_model_stats stats = {.size = sizeof stats};
    assert_int_equal(rdl_model_get_stats(model, &stats), RDL_OK);
    assert_int_equal(stats.plans_compiled, 0); /* beside the cache */
    struct rdl_step_info a = {.op = "", .shapes = ""}, b = a;
    double flop = 0;
    const size_t n = rdl_plan_info_step_count(plan);
    assert_int_equal(rdl_plan_info_step_count(timed), n);
    for (size_t i = 0; i < n; i++) {
        assert_true(rdl_plan_info_step(plan, i, &a) && rdl_plan_info_step(timed, i, &b));
        assert_string_equal(a.op, b.op);
        assert_string_equal(a.shapes, b.shapes);
        assert_true(a.time_ns == 0 && b.time_ns > 0 && b.calls == 1);
        flop += b.flop;
    }
    assert_true(flop > 1e6);
    rdl_plan_info_release(plan);
    rdl_plan_info_release(timed);
    rdl_value_release(x);
    close_device(device);
}

static void profile_times_each_step(void **state)
{
    (void)state;
    profile_on("cpu");
    profile_on("sim");
}

static void profile_deferred_on(const char *name)
{
    const struct rdl_device device = open_device(name);
    const struct rdl_model model = models_load("control", device);
    struct rdl_value *x = models_input(1, 2, DIMS(5, 8));
    struct rdl_plan_info *plan = get_plan(model, x), *timed = profile(model, x, 3);
    assert_true(rdl_plan_info_has_deferred(plan) && rdl_plan_info_has_deferred(timed));
    const size_t n = rdl_plan_info_step_count(plan);
    assert_true(rdl_plan_info_step_count(timed) > n);
    struct rdl_step_info step;
    bool has_inner = false, is_repeated = false, has_loop = false, has_scan = false;
    for (size_t i = 0; rdl_plan_info_step(timed, i, &step); i++) {
        assert_int_equal(step.is_deferred, i >= n);
        assert_true(step.calls >= 1 && step.time_ns > 0 && step.shapes[0] != '\0');
        assert_true(step.is_deferred || step.depth == 0);
        has_inner = has_inner || step.depth == 1;
        is_repeated = is_repeated || step.calls > 1;
        if (strcmp(step.op, "Loop") == 0 || strcmp(step.op, "Scan") == 0) {
            assert_true(step.calls == 1 && step.depth == 0 && strstr(step.shapes, "->") != NULL);
            has_loop = has_loop || step.op[0] == 'L';
            has_scan = has_scan || step.op[0] == 'S';
        }
    }
    assert_true(has_inner && is_repeated && has_loop && has_scan);
    rdl_plan_info_release(plan);
    rdl_plan_info_release(timed);
    rdl_value_release(x);
    close_device(device);
}

static void profile_lists_what_hangs_on_data(void **state)
{
    (void)state;
    profile_deferred_on("cpu");
    profile_deferred_on("sim");
}

struct beside {
    struct rdl_model model;
    struct rdl_value *input, *expected;
};

/* Thread 0 profiles, the others run. */
static void run_beside(unsigned index, void *shared)
{
    const struct beside *beside = shared;
    for (int i = 0; i < 20; i++) {
        if (index == 0) {
            struct rdl_plan_info *plan = NULL;
            CHECK(rdl_model_profile(beside->model, &beside->input, 1, 5, &plan, NULL) == RDL_OK);
            rdl_plan_info_release(plan);
            continue;
        }
        struct rdl_value *output = models_run(beside->model, beside->input);
        CHECK(output != NULL && models_same(output, beside->expected));
        rdl_value_release(output);
    }
}

static void profile_leaves_other_runs_right(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    struct beside beside = {.model = models_load("mlp_784_512_512_10", device),
                            .input = models_input(2, 2, DIMS(3, 784))};
    beside.expected = models_run(beside.model, beside.input);
    assert_int_equal(test_run_threads(3, run_beside, &beside), 0);
    rdl_value_release(beside.input);
    rdl_value_release(beside.expected);
    close_device(device);
}

/* ----------------------------------------------------------------------------------------- faults */

static void expect_refused(enum rdl_status status, enum rdl_status expected,
                           const struct rdl_error *error, const char *part)
{
    assert_int_equal(status, expected);
    if (strstr(error->message, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, error->message);
}

/* Gather finds out of range what NonZero gives: a fault of the deferred part. */
static struct rdl_model load_failing(struct rdl_device device)
{
    const float table[2] = {1, 2};
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, DIMS(-1));
    writer_raw(&w, "table", RDL_F32, 1, DIMS(2), table, sizeof table);
    writer_plain(&w, "NonZero", "find", "x", "places");
    writer_plain(&w, "Gather", "look_up", "table places", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 2, DIMS(1, -1));
    writer_end(&w);
    const struct rdl_load_options options = {.size = sizeof options, .device = device};
    struct rdl_model model;
    assert_int_equal(rdl_model_load_memory(w.data, w.n, &options, &model, NULL), RDL_OK);
    writer_free(&w);
    return model;
}

static void fault_of_the_data_names_its_node(void **state)
{
    (void)state;
    const char *const names[] = {"cpu", "sim"};
    for (int i = 0; i < 2; i++) {
        const struct rdl_device device = open_device(names[i]);
        const struct rdl_model model = load_failing(device);
        struct rdl_value *x = models_input(1, 1, DIMS(5));
        struct rdl_plan_info *plan;
        struct rdl_error error;
        expect_refused(rdl_model_profile(model, &x, 1, 2, &plan, &error), RDL_ERR_RUNTIME, &error,
                       "look_up");
        assert_null(plan);
        rdl_value_release(x);
        x = models_input(1, 1, DIMS(2)); /* the lane bears no mark */
        rdl_plan_info_release(profile(model, x, 2));
        rdl_value_release(x);
        close_device(device);
    }
}

static void faults_are_named(void **state)
{
    (void)state;
    const struct rdl_device device = open_device("cpu");
    const struct rdl_model model = load_small(device);
    struct rdl_value *x = models_input(1, 2, DIMS(5, 4)), *wide = models_input(1, 2, DIMS(5, 9));
    struct rdl_value *none = NULL;
    struct rdl_plan_info *plan;
    struct rdl_error error;
    expect_refused(rdl_model_get_plan(model, &wide, 1, &plan, &error), RDL_ERR_SHAPE, &error,
                   "rdl_model_get_plan: input \"x\"");
    assert_null(plan);
    expect_refused(rdl_model_profile(model, &none, 1, 1, &plan, &error), RDL_ERR_ARGUMENT, &error,
                   "input \"x\": no value given");
    assert_null(plan);
    expect_refused(rdl_model_profile(model, NULL, 0, 1, &plan, &error), RDL_ERR_ARGUMENT, &error,
                   "0 inputs given, the model has 1");
    expect_refused(rdl_model_profile(model, &x, 1, 0, &plan, &error), RDL_ERR_ARGUMENT, &error,
                   "0 runs");
    expect_refused(rdl_model_profile(model, &x, 1, 1, NULL, &error), RDL_ERR_ARGUMENT, &error,
                   "out is NULL");
    expect_refused(rdl_model_get_plan(model, NULL, 1, &plan, &error), RDL_ERR_ARGUMENT, &error,
                   "inputs is NULL");
    rdl_model_close(model);
    expect_refused(rdl_model_profile(model, &x, 1, 1, &plan, &error), RDL_ERR_CLOSED, &error,
                   "rdl_model_profile");
    rdl_plan_info_release(NULL);
    rdl_value_release(x);
    rdl_value_release(wide);
    close_device(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_is_told_as_it_is_after_fusion),
        cmocka_unit_test(equal_weights_take_their_room_once),
        cmocka_unit_test(nodes_of_bodies_lie_deeper),
        cmocka_unit_test(plan_tells_its_steps),
        cmocka_unit_test(plan_tells_its_buffers),
        cmocka_unit_test(arena_buffers_do_not_collide),
        cmocka_unit_test(profile_times_each_step),
        cmocka_unit_test(profile_lists_what_hangs_on_data),
        cmocka_unit_test(profile_leaves_other_runs_right),
        cmocka_unit_test(fault_of_the_data_names_its_node),
        cmocka_unit_test(faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
