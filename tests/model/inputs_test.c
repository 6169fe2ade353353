/*
 * Bad input: everything that a caller or a file can get wrong with run, submit, warm-up and load, with
 * the message that it gets; and the unusual input that is right: no rows, strides, subsets.
 *
 * The model of most cases, [N, 4] each: sum = a + b, product = a * b, relu = Relu(a), and odd =
 * Reshape(a, [7, -1]), which fits few shapes and fails when it is asked for.
 */
#include "support/models.h"
#include "support/onnx_writer.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

enum { SUM, PRODUCT, RELU, ODD, N_OUTPUTS };

struct fixture {
    struct rdl_device device;
    struct rdl_model model;
    struct rdl_value *a, *b; /* [3, 4] */
};

static void write_model(struct writer *w)
{
    const int64_t target[2] = {7, -1};
    writer_begin(w, 8, 17);
    writer_value(w, GRAPH_INPUT, "a", RDL_F32, 2, DIMS(-1, 4));
    writer_value(w, GRAPH_INPUT, "b", RDL_F32, 2, DIMS(-1, 4));
    writer_raw(w, "target", RDL_I64, 1, DIMS(2), target, sizeof target);
    writer_plain(w, "Add", "add", "a b", "sum");
    writer_plain(w, "Mul", "mul", "a b", "product");
    writer_plain(w, "Relu", "cut", "a", "relu");
    writer_plain(w, "Reshape", "turn", "a target", "odd");
    writer_value(w, GRAPH_OUTPUT, "sum", RDL_F32, 2, DIMS(-1, 4));
    writer_value(w, GRAPH_OUTPUT, "product", RDL_F32, 2, DIMS(-1, 4));
    writer_value(w, GRAPH_OUTPUT, "relu", RDL_F32, 2, DIMS(-1, 4));
    writer_value(w, GRAPH_OUTPUT, "odd", RDL_F32, -1, NULL);
    writer_end(w);
}

static int setup(void **state)
{
    static struct fixture f;
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 4};
    struct rdl_error error;
    struct writer w = {0};
    if (rdl_device_open("cpu", &options, &f.device, NULL) != RDL_OK)
        return -1;
    write_model(&w);
    const struct rdl_load_options load = {.size = sizeof load, .device = f.device};
    if (rdl_model_load_memory(w.data, w.n, &load, &f.model, &error) != RDL_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    writer_free(&w);
    f.a = models_input(1, 2, DIMS(3, 4));
    f.b = models_input(2, 2, DIMS(3, 4));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *f = *state;
    rdl_value_release(f->a);
    rdl_value_release(f->b);
    rdl_model_close(f->model);
    return rdl_device_close(f->device, RDL_FOREVER, NULL) == RDL_OK ? 0 : -1;
}

static struct rdl_value *value_of(struct rdl_tensor *tensor)
{
    struct rdl_value *value;
    assert_int_equal(rdl_value_from_tensor(tensor, &value, NULL), RDL_OK);
    rdl_tensor_release(tensor);
    return value;
}

static struct rdl_value *new_value(enum rdl_dtype dtype, int32_t rank, const int64_t *dims)
{
    struct rdl_tensor *tensor;
    assert_int_equal(rdl_tensor_new(dtype, rank, dims, &tensor, NULL), RDL_OK);
    return value_of(tensor);
}

static void expect_message(enum rdl_status got, enum rdl_status expected,
                           const struct rdl_error *error, const char *message)
{
    if (got != expected)
        fail_msg("%s, expected %s: %s", rdl_status_name(got), rdl_status_name(expected),
                 got != RDL_OK ? error->message : "");
    assert_int_equal(error->status, expected);
    assert_string_equal(error->message, message);
}

/* Runs with two inputs and one new output; it must be refused, and the next run must be right. */
static void refused(const struct fixture *f, struct rdl_value *a, struct rdl_value *b,
                    const struct rdl_run_options *options, enum rdl_status expected,
                    const char *message)
{
    struct rdl_value *inputs[2] = {a, b}, *output = NULL;
    struct rdl_error error = {.message = ""};
    expect_message(rdl_model_run(f->model, inputs, 2, &output, 1, options, &error), expected,
                   &error, message);
    assert_null(output);
    assert_int_equal(rdl_model_run(f->model, inputs, 2, &output, 1, options, NULL), expected);
    struct rdl_value *good[2] = {f->a, f->b};
    assert_int_equal(rdl_model_run(f->model, good, 2, &output, 1, NULL, NULL), RDL_OK);
    for (size_t i = 0; i < 12; i++)
        assert_true(models_data(output)[i] == models_data(f->a)[i] + models_data(f->b)[i]);
    rdl_value_release(output);
}

/* ------------------------------------------------------------------------------------------- inputs */

static void counts_that_do_not_fit(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *inputs[3] = {f->a, f->b, f->a}, *outputs[5] = {NULL};
    struct rdl_error error;
    expect_message(rdl_model_run(f->model, inputs, 1, outputs, 1, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "run: 1 inputs given, the model has 2");
    expect_message(rdl_model_run(f->model, inputs, 3, outputs, 1, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "run: 3 inputs given, the model has 2");
    expect_message(rdl_model_run(f->model, inputs, 0, outputs, 1, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "run: 0 inputs given, the model has 2");
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 5, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "run: 5 outputs asked for, the model has 4");
    expect_message(rdl_model_run(f->model, NULL, 2, outputs, 1, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "run: inputs is NULL");
    expect_message(rdl_model_run(f->model, inputs, 2, NULL, 1, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "run: outputs is NULL");
    /* Nothing asked for is nothing done, and no fault. */
    assert_int_equal(rdl_model_run(f->model, inputs, 2, NULL, 0, NULL, NULL), RDL_OK);
}

static void values_that_do_not_fit(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *sequence, *optional;
    assert_int_equal(rdl_value_sequence(&f->b, 1, &sequence, NULL), RDL_OK);
    assert_int_equal(rdl_value_optional(f->b, &optional, NULL), RDL_OK);
    refused(f, f->a, NULL, NULL, RDL_ERR_ARGUMENT, "input \"b\": no value given");
    refused(f, NULL, f->b, NULL, RDL_ERR_ARGUMENT, "input \"a\": no value given");
    refused(f, f->a, sequence, NULL, RDL_ERR_ARGUMENT, "input \"b\": the value is not a tensor");
    refused(f, f->a, optional, NULL, RDL_ERR_ARGUMENT, "input \"b\": the value is not a tensor");
    rdl_value_release(sequence);
    rdl_value_release(optional);
}

static void dtypes_ranks_and_dims_that_do_not_fit(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        enum rdl_dtype dtype;
        int32_t rank;
        int64_t dims[4];
        const char *message;
    } cases[] = {
        {RDL_I32, 2, {3, 4}, "input \"b\": dtype i32 given, f32 expected"},
        {RDL_F64, 2, {3, 4}, "input \"b\": dtype f64 given, f32 expected"},
        {RDL_STRING, 2, {3, 4}, "input \"b\": dtype string given, f32 expected"},
        {RDL_F32, 1, {12}, "input \"b\": rank 1 [12] given, rank 2 expected"},
        {RDL_F32, 0, {0}, "input \"b\": rank 0 [] given, rank 2 expected"},
        {RDL_F32, 3, {1, 3, 4}, "input \"b\": rank 3 [1, 3, 4] given, rank 2 expected"},
        {RDL_F32, 2, {3, 5}, "input \"b\": shape [3, 5] given, dimension 1 is 4 in the model"},
        {RDL_F32, 2, {3, 0}, "input \"b\": shape [3, 0] given, dimension 1 is 4 in the model"},
        {RDL_F32, 2, {2, 4}, "node \"add\" (Add): shapes [3, 4] and [2, 4] do not broadcast"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rdl_value *b = new_value(cases[i].dtype, cases[i].rank, cases[i].dims);
        refused(f, f->a, b, NULL, RDL_ERR_SHAPE, cases[i].message);
        rdl_value_release(b);
    }
}

static void device_memory_is_no_input(void **state)
{
    const struct fixture *f = *state;
    struct rdl_device sim;
    struct rdl_buffer *buffer;
    struct rdl_tensor *tensor;
    assert_int_equal(rdl_device_open("sim", NULL, &sim, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(sim, 48, NULL, &buffer, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_from_buffer(RDL_F32, 2, DIMS(3, 4), buffer, 0, &tensor, NULL),
                     RDL_OK);
    rdl_buffer_release(buffer);
    struct rdl_value *remote = value_of(tensor), *inputs[2] = {f->a, f->b};
    struct rdl_error error;
    refused(f, f->a, remote, NULL, RDL_ERR_ARGUMENT,
            "input \"b\": the tensor is not in host memory");
    expect_message(rdl_model_run(f->model, inputs, 2, &remote, 1, NULL, &error), RDL_ERR_ARGUMENT,
                   &error, "output \"sum\": the given tensor is not in host memory");
    rdl_value_release(remote);
}

/* No rows: a right call with an empty answer, on every device. */
static void batches_of_no_rows_give_no_rows(void **state)
{
    const struct fixture *f = *state;
    static const char *const names[] = {"cpu", "sim"};
    struct rdl_value *none = new_value(RDL_F32, 2, DIMS(0, 4)), *inputs[2] = {none, none};
    struct rdl_value *outputs[3] = {NULL};
    assert_int_equal(rdl_model_run(f->model, inputs, 2, outputs, 3, NULL, NULL), RDL_OK);
    for (int i = 0; i < 3; i++) {
        const struct rdl_tensor *tensor = rdl_value_tensor(outputs[i]);
        assert_int_equal(rdl_tensor_rank(tensor), 2);
        assert_memory_equal(rdl_tensor_dims(tensor), DIMS(0, 4), 2 * sizeof(int64_t));
        rdl_value_release(outputs[i]);
    }
    rdl_value_release(none);
    for (int i = 0; i < 2; i++) {
        struct rdl_device device;
        assert_int_equal(rdl_device_open(names[i], NULL, &device, NULL), RDL_OK);
        struct rdl_model linear = models_load("linear_8x8", device);
        struct rdl_value *empty = new_value(RDL_F32, 2, DIMS(0, 8));
        struct rdl_value *answer = models_run(linear, empty);
        assert_non_null(answer);
        assert_memory_equal(rdl_tensor_dims(rdl_value_tensor(answer)), DIMS(0, 8),
                            2 * sizeof(int64_t));
        rdl_value_release(answer);
        rdl_value_release(empty);
        rdl_model_close(linear);
    }
}

/* A tensor may be as large as it claims by stride 0; what the run would need does not exist. */
static void dims_too_large_are_refused(void **state)
{
    (void)state;
    struct rdl_tensor *tensor, *wide;
    float one = 1;
    const int64_t most = INT64_MAX / 16 / 4;
    assert_int_equal(rdl_tensor_wrap(RDL_F32, 2, DIMS(most, 4), DIMS(0, 0), &one, sizeof one, NULL,
                                     NULL, &tensor, NULL),
                     RDL_OK);
    assert_int_equal(rdl_tensor_wrap(RDL_F32, 2, DIMS(most + 1, 4), DIMS(0, 0), &one, sizeof one,
                                     NULL, NULL, &wide, NULL),
                     RDL_ERR_OVERFLOW);
    struct rdl_value *huge = value_of(tensor), *inputs[2] = {huge, huge}, *output = NULL;
    struct rdl_error error;
    const struct rdl_device_options options = {
        .size = sizeof options, .lanes = 3, .memory_limit_bytes = 64 << 20};
    struct rdl_device device;
    struct rdl_model model;
    struct writer w = {0};
    /* A limit, so that no machine's memory is asked for it. */
    assert_int_equal(rdl_device_open("cpu", &options, &device, NULL), RDL_OK);
    const struct rdl_load_options load = {.size = sizeof load, .device = device};
    write_model(&w);
    assert_int_equal(rdl_model_load_memory(w.data, w.n, &load, &model, NULL), RDL_OK);
    writer_free(&w);
    expect_message(
        rdl_model_run(model, inputs, 2, &output, 1, NULL, &error), RDL_ERR_NO_MEMORY, &error,
        "memory of device \"cpu\": 2305843009213759488 bytes wanted; reserved 2097152 (limit 67108864): in use 256 by buffers, outputs and arenas (1 lanes leased), 0 waiting for work to end, 2096896 free in pieces");
    assert_null(output);
    rdl_value_release(huge);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

static void strided_inputs_give_the_same_bits(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        int64_t strides[2];
        int64_t elems;
    } layouts[] = {{{1, 3}, 12}, {{8, 2}, 24}, {{5, 1}, 15}, {{0, 1}, 4}, {{4, 1}, 12}};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct rdl_value *memory = models_input(50 + i, 1, DIMS(layouts[i].elems));
        struct rdl_tensor *view;
        assert_int_equal(rdl_tensor_view(rdl_value_tensor(memory), 2, DIMS(3, 4),
                                         layouts[i].strides, 0, &view, NULL),
                         RDL_OK);
        struct rdl_value *strided = value_of(view), *plain = new_value(RDL_F32, 2, DIMS(3, 4));
        assert_int_equal(rdl_tensor_copy(rdl_value_tensor(strided), rdl_value_tensor(plain), NULL),
                         RDL_OK);
        struct rdl_value *in[2] = {strided, f->b}, *same[2] = {plain, f->b};
        struct rdl_value *got[3] = {NULL}, *expected[3] = {NULL};
        assert_int_equal(rdl_model_run(f->model, in, 2, got, 3, NULL, NULL), RDL_OK);
        assert_int_equal(rdl_model_run(f->model, same, 2, expected, 3, NULL, NULL), RDL_OK);
        for (int k = 0; k < 3; k++) {
            assert_true(models_same(got[k], expected[k]));
            rdl_value_release(got[k]);
            rdl_value_release(expected[k]);
        }
        rdl_value_release(strided);
        rdl_value_release(plain);
        rdl_value_release(memory);
    }
}

/* ------------------------------------------------------------------------------------------ outputs */

/* A given output, refused; it stays the caller's. */
static void output_refused(const struct fixture *f, struct rdl_value *output,
                           enum rdl_status expected, const char *message)
{
    struct rdl_value *inputs[2] = {f->a, f->b}, *outputs[2] = {NULL, output};
    struct rdl_error error;
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 2, NULL, &error), expected, &error,
                   message);
    assert_null(outputs[0]);
    assert_ptr_equal(outputs[1], output);
    rdl_value_release(output);
}

static void free_dlpack(struct rdl_dlpack *dlpack)
{
    (void)dlpack;
}

static void outputs_that_do_not_fit(void **state)
{
    const struct fixture *f = *state;
    struct rdl_tensor *view, *read_only;
    struct rdl_value *memory = new_value(RDL_F32, 1, DIMS(24)), *sequence;
    float data[12];
    int64_t shape[2] = {3, 4};
    struct rdl_dlpack dlpack = {
        .version = {1, 0},
        .deleter = free_dlpack,
        .flags = RDL_DLPACK_READ_ONLY,
        .tensor = {data, 1, 0, 2, 2, 32, 1, shape, NULL, 0},
    };
    output_refused(f, new_value(RDL_F32, 2, DIMS(1, 4)), RDL_ERR_BUFFER_SIZE,
                   "output \"product\": 16 bytes given, shape [3, 4] needs 48");
    output_refused(f, new_value(RDL_F32, 2, DIMS(0, 4)), RDL_ERR_BUFFER_SIZE,
                   "output \"product\": 0 bytes given, shape [3, 4] needs 48");
    output_refused(f, new_value(RDL_I32, 2, DIMS(3, 4)), RDL_ERR_SHAPE,
                   "output \"product\": dtype i32 given, f32 needed");
    assert_int_equal(
        rdl_tensor_view(rdl_value_tensor(memory), 2, DIMS(3, 4), DIMS(8, 2), 0, &view, NULL),
        RDL_OK);
    output_refused(f, value_of(view), RDL_ERR_ARGUMENT,
                   "output \"product\": the given tensor is not in C order");
    assert_int_equal(
        rdl_tensor_view(rdl_value_tensor(memory), 2, DIMS(4, 3), DIMS(6, 2), 0, &view, NULL),
        RDL_OK);
    output_refused(f, value_of(view), RDL_ERR_ARGUMENT,
                   "output \"product\": the given tensor is strided and has another shape");
    assert_int_equal(rdl_tensor_from_dlpack(&dlpack, &read_only, NULL), RDL_OK);
    output_refused(f, value_of(read_only), RDL_ERR_ARGUMENT,
                   "output \"product\": the given tensor is read-only");
    assert_int_equal(rdl_value_sequence(&memory, 1, &sequence, NULL), RDL_OK);
    output_refused(f, sequence, RDL_ERR_ARGUMENT,
                   "output \"product\": the given value is not a tensor");
    rdl_value_release(memory);
}

static void outputs_with_room_take_their_shape(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *inputs[2] = {f->a, f->b}, *output = new_value(RDL_F32, 1, DIMS(100));
    float *data = rdl_tensor_data(rdl_value_tensor(output));
    data[12] = 77;
    assert_int_equal(rdl_model_run(f->model, inputs, 2, &output, 1, NULL, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_rank(rdl_value_tensor(output)), 2);
    assert_memory_equal(rdl_tensor_dims(rdl_value_tensor(output)), DIMS(3, 4), 2 * sizeof(int64_t));
    assert_ptr_equal(rdl_tensor_data(rdl_value_tensor(output)), data);
    assert_true(data[5] == models_data(f->a)[5] + models_data(f->b)[5]);
    assert_true(data[12] == 77); /* and nothing behind it */
    rdl_value_release(output);
}

static void output_indices_choose_what_is_computed(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *inputs[2] = {f->a, f->b}, *outputs[4] = {NULL};
    struct rdl_error error;
    struct rdl_run_options options = {.size = sizeof options};
    const float *a = models_data(f->a), *b = models_data(f->b);
    options.output_indices = (const uint32_t[]){RELU, SUM};
    assert_int_equal(rdl_model_run(f->model, inputs, 2, outputs, 2, &options, NULL), RDL_OK);
    for (int i = 0; i < 12; i++) {
        assert_true(models_data(outputs[0])[i] == (a[i] > 0 ? a[i] : 0));
        assert_true(models_data(outputs[1])[i] == a[i] + b[i]);
    }
    rdl_value_release(outputs[0]);
    rdl_value_release(outputs[1]);
    outputs[0] = outputs[1] = NULL;
    options.output_indices = (const uint32_t[]){SUM, PRODUCT, SUM};
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 3, &options, &error),
                   RDL_ERR_ARGUMENT, &error, "run: output 0 is asked for twice");
    options.output_indices = (const uint32_t[]){SUM, N_OUTPUTS};
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 2, &options, &error),
                   RDL_ERR_ARGUMENT, &error, "run: output 4 asked for, the model has 4");
    options.output_indices = (const uint32_t[]){UINT32_MAX};
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 1, &options, &error),
                   RDL_ERR_ARGUMENT, &error, "run: output 4294967295 asked for, the model has 4");
    /* 12 elements cannot become [7, -1]: only who asks for it finds out. */
    options.output_indices = (const uint32_t[]){ODD};
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 1, &options, &error), RDL_ERR_SHAPE,
                   &error, "node \"turn\" (Reshape): [3, 4] cannot become [7, -1]");
    assert_null(outputs[0]);
    struct rdl_value *seven = models_input(9, 2, DIMS(7, 4)), *pair[2] = {seven, seven};
    assert_int_equal(rdl_model_run(f->model, pair, 2, outputs, 1, &options, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_dims(rdl_value_tensor(outputs[0]))[1], 4);
    rdl_value_release(outputs[0]);
    rdl_value_release(seven);
}

/* -------------------------------------------------------------------------------- output allocators */

struct hands {
    unsigned taken, given;
    unsigned fail_at; /* n-th; 0: none */
    void *last;
};

static void *hand_out(size_t size, size_t align, void *user)
{
    struct hands *hands = user;
    if (++hands->taken == hands->fail_at)
        return NULL;
    hands->last = aligned_alloc(align, (size + align - 1) / align * align);
    return hands->last;
}

static void hand_back(void *memory, void *user)
{
    ((struct hands *)user)->given++;
    free(memory);
}

static void output_allocators_give_and_take(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *inputs[2] = {f->a, f->b}, *outputs[3] = {NULL};
    struct hands hands = {0};
    const struct rdl_allocator allocator = {hand_out, hand_back, &hands};
    struct rdl_run_options options = {.size = sizeof options, .output_allocator = &allocator};
    struct rdl_error error;
    assert_int_equal(rdl_model_run(f->model, inputs, 2, outputs, 3, &options, NULL), RDL_OK);
    assert_int_equal(hands.taken, 3);
    assert_int_equal(hands.given, 0);
    assert_ptr_equal(rdl_tensor_data(rdl_value_tensor(outputs[2])), hands.last);
    assert_int_equal((uintptr_t)hands.last % 64, 0);
    for (int i = 0; i < 3; i++) {
        rdl_value_release(outputs[i]);
        outputs[i] = NULL;
    }
    assert_int_equal(hands.given, 3);
    /* NULL in the middle: what was given before goes back by the same hands. */
    hands = (struct hands){.fail_at = 2};
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 3, &options, &error),
                   RDL_ERR_NO_MEMORY, &error, "run: output allocator: no memory for 48 bytes");
    assert_int_equal(hands.given, 1);
    assert_null(outputs[0]);
    const struct rdl_allocator half = {hand_out, NULL, &hands};
    options.output_allocator = &half;
    expect_message(rdl_model_run(f->model, inputs, 2, outputs, 1, &options, &error),
                   RDL_ERR_ARGUMENT, &error, "run: an output allocator's function is NULL");
    /* Given outputs need none of it. */
    hands = (struct hands){0};
    options.output_allocator = &allocator;
    outputs[0] = new_value(RDL_F32, 2, DIMS(3, 4));
    assert_int_equal(rdl_model_run(f->model, inputs, 2, outputs, 1, &options, NULL), RDL_OK);
    assert_int_equal(hands.taken, 0);
    rdl_value_release(outputs[0]);
}

/* ------------------------------------------------------------------------------------------ options */

static void deadlines_and_tokens_that_have_passed(void **state)
{
    const struct fixture *f = *state;
    struct rdl_run_options options = {.size = sizeof options, .deadline_ns = 1};
    refused(f, f->a, f->b, &options, RDL_ERR_DEADLINE, "run: deadline passed");
    options.deadline_ns = -5;
    refused(f, f->a, f->b, &options, RDL_ERR_DEADLINE, "run: deadline passed");
    options.deadline_ns = 0;
    assert_int_equal(rdl_cancel_new(&options.cancel, NULL), RDL_OK);
    rdl_cancel_request(options.cancel);
    refused(f, f->a, f->b, &options, RDL_ERR_CANCELLED, "run: cancelled");
    rdl_cancel_release(options.cancel);
}

static void lanes_that_are_all_held(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *inputs[2] = {f->a, f->b}, *output = NULL;
    struct rdl_stream held[3];
    struct rdl_error error;
    struct rdl_run_options options = {.size = sizeof options, .no_wait = true};
    for (int i = 0; i < 3; i++)
        assert_int_equal(rdl_stream_open(f->device, RDL_NO_WAIT, NULL, &held[i], NULL), RDL_OK);
    expect_message(rdl_model_run(f->model, inputs, 2, &output, 1, &options, &error), RDL_ERR_BUSY,
                   &error, "run: no lane: nothing free at once");
    options.no_wait = false;
    options.deadline_ns = rdl_deadline_in_ns(5000000);
    expect_message(rdl_model_run(f->model, inputs, 2, &output, 1, &options, &error),
                   RDL_ERR_DEADLINE, &error, "run: no lane: deadline passed");
    assert_int_equal(rdl_cancel_new(&options.cancel, NULL), RDL_OK);
    rdl_cancel_request(options.cancel);
    options.deadline_ns = 0;
    expect_message(rdl_model_run(f->model, inputs, 2, &output, 1, &options, &error),
                   RDL_ERR_CANCELLED, &error, "run: no lane: cancelled");
    rdl_cancel_release(options.cancel);
    /* A held stream is a lane. */
    options = (struct rdl_run_options){.size = sizeof options, .no_wait = true, .stream = held[1]};
    assert_int_equal(rdl_model_run(f->model, inputs, 2, &output, 1, &options, NULL), RDL_OK);
    rdl_value_release(output);
    output = NULL;
    for (int i = 0; i < 3; i++)
        rdl_stream_close(held[i]);
    expect_message(rdl_model_run(f->model, inputs, 2, &output, 1, &options, &error), RDL_ERR_CLOSED,
                   &error, "stream: handle is closed or stale");
    struct rdl_device other;
    const struct rdl_device_options lanes = {.size = sizeof lanes, .lanes = 2};
    assert_int_equal(rdl_device_open("cpu", &lanes, &other, NULL), RDL_OK);
    assert_int_equal(rdl_stream_open(other, RDL_NO_WAIT, NULL, &options.stream, NULL), RDL_OK);
    expect_message(rdl_model_run(f->model, inputs, 2, &output, 1, &options, &error),
                   RDL_ERR_ARGUMENT, &error, "stream: it belongs to another device");
    assert_int_equal(rdl_device_close(other, RDL_FOREVER, NULL), RDL_OK);
}

static void options_of_unknown_size(void **state)
{
    const struct fixture *f = *state;
    struct rdl_run_options run = {.size = sizeof run + 8};
    struct rdl_load_options load = {.size = 1};
    struct rdl_model model = {5};
    struct rdl_error error;
    struct rdl_model_stats stats = {.size = 0};
    refused(f, f->a, f->b, &run, RDL_ERR_ARGUMENT, "run: options have an unknown size");
    run.size = 0;
    refused(f, f->a, f->b, &run, RDL_ERR_ARGUMENT, "run: options have an unknown size");
    expect_message(rdl_model_load("x.onnx", &load, &model, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_load: options have an unknown size");
    assert_int_equal(rdl_model_get_stats(f->model, &stats), RDL_ERR_ARGUMENT);
    assert_int_equal(rdl_model_get_stats(f->model, NULL), RDL_ERR_ARGUMENT);
    expect_message(rdl_model_get_info(f->model, NULL, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_get_info: out is NULL");
}

static void handles_of_no_model(void **state)
{
    const struct fixture *f = *state;
    static const uint64_t ids[] = {0, 1, 12345678901234567, UINT64_MAX};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct rdl_value *inputs[2] = {f->a, f->b}, *output = NULL;
        const struct rdl_model none = {ids[i]};
        struct rdl_error error;
        struct rdl_request request;
        expect_message(rdl_model_run(none, inputs, 2, &output, 1, NULL, &error), RDL_ERR_CLOSED,
                       &error, "run: the model is closed");
        expect_message(
            rdl_model_submit(none, inputs, 2, NULL, 1, NULL, NULL, NULL, &request, &error),
            RDL_ERR_CLOSED, &error, "model: handle is closed or stale");
        expect_message(rdl_model_warm_up(none, NULL, 0, 0, &error), RDL_ERR_CLOSED, &error,
                       "model: handle is closed or stale");
        rdl_model_close(none);
        rdl_request_close((struct rdl_request){ids[i]});
        rdl_request_cancel((struct rdl_request){ids[i]});
    }
}

/* ------------------------------------------------------------------------------- submit and warm-up */

static void submit_refused(const struct fixture *f, struct rdl_value *const *inputs, size_t n,
                           size_t n_outputs, const struct rdl_run_options *options,
                           const char *message)
{
    struct rdl_request request = {9};
    struct rdl_error error;
    expect_message(rdl_model_submit(f->model, inputs, n, NULL, n_outputs, options, NULL, NULL,
                                    &request, &error),
                   RDL_ERR_ARGUMENT, &error, message);
    assert_int_equal(request.id, 0);
}

static void submit_fails(const struct fixture *f, struct rdl_value *const *inputs, size_t n,
                         size_t n_outputs, const struct rdl_run_options *options,
                         enum rdl_status expected, const char *message)
{
    struct rdl_request request;
    struct rdl_error error;
    struct rdl_value *output = f->a;
    assert_int_equal(
        rdl_model_submit(f->model, inputs, n, NULL, n_outputs, options, NULL, NULL, &request, NULL),
        RDL_OK);
    expect_message(rdl_request_wait(request, RDL_FOREVER, &output, 1, &error), expected, &error,
                   message);
    assert_null(output);
    rdl_request_close(request);
    expect_message(rdl_request_wait(request, RDL_FOREVER, NULL, 0, &error), RDL_ERR_CLOSED, &error,
                   "request: handle is closed or stale");
}

static void submits_are_refused_or_fail_with_the_runs_message(void **state)
{
    const struct fixture *f = *state;
    struct rdl_value *inputs[3] = {f->a, f->b, f->a}, *holes[2] = {f->a, NULL};
    struct rdl_value *narrow = new_value(RDL_F32, 2, DIMS(3, 3)), *wrong[2] = {f->a, narrow};
    struct rdl_run_options options = {.size = 3};
    submit_refused(f, NULL, 2, 1, NULL, "run: inputs is NULL");
    submit_refused(f, holes, 2, 1, NULL, "rdl_model_submit: input 1 is NULL");
    submit_refused(f, inputs, 2, 1, &options, "run: options have an unknown size");
    submit_fails(f, inputs, 1, 1, NULL, RDL_ERR_ARGUMENT, "run: 1 inputs given, the model has 2");
    submit_fails(f, inputs, 2, 5, NULL, RDL_ERR_ARGUMENT,
                 "run: 5 outputs asked for, the model has 4");
    submit_fails(f, wrong, 2, 1, NULL, RDL_ERR_SHAPE,
                 "input \"b\": shape [3, 3] given, dimension 1 is 4 in the model");
    options = (struct rdl_run_options){.size = sizeof options, .deadline_ns = 1};
    submit_fails(f, inputs, 2, 1, &options, RDL_ERR_DEADLINE, "run: deadline passed");
    rdl_value_release(narrow);
    /* Asked for more than there is: the wait says so, and the request stays. */
    struct rdl_request request;
    struct rdl_value *outputs[2];
    struct rdl_error error;
    assert_int_equal(
        rdl_model_submit(f->model, inputs, 2, NULL, 1, NULL, NULL, NULL, &request, NULL), RDL_OK);
    expect_message(rdl_request_wait(request, RDL_FOREVER, outputs, 2, &error), RDL_ERR_ARGUMENT,
                   &error, "rdl_request_wait: 2 outputs asked for, the request has 1");
    assert_int_equal(rdl_request_wait(request, RDL_NO_WAIT, outputs, 1, NULL), RDL_OK);
    rdl_value_release(outputs[0]);
    assert_int_equal(rdl_request_done(request, NULL), RDL_ERR_ARGUMENT);
    rdl_request_close(request);
}

static void warm_up_refuses(void **state)
{
    const struct fixture *f = *state;
    const struct rdl_shape good = {2, {3, 4}}, bad_rank = {1, {3}}, negative = {2, {-3, 4}},
                           too_large = {2, {INT64_MAX, 4}}, fixed = {2, {3, 9}};
    const struct {
        struct rdl_shape shape;
        enum rdl_status status;
        const char *message;
    } cases[] = {
        {bad_rank, RDL_ERR_SHAPE,
         "rdl_model_warm_up: input \"b\": rank 1 [3] given, rank 2 expected"},
        {negative, RDL_ERR_SHAPE, "rdl_model_warm_up: input \"b\": dimension 0 is negative (-3)"},
        {too_large, RDL_ERR_OVERFLOW,
         "rdl_model_warm_up: input \"b\": size of dimension 0 (9223372036854775807) overflows the size"},
        {fixed, RDL_ERR_SHAPE,
         "rdl_model_warm_up: input \"b\": shape [3, 9] given, dimension 1 is 4 in the model"},
    };
    struct rdl_error error;
    expect_message(rdl_model_warm_up(f->model, &good, 1, 0, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_warm_up: 1 shapes given, the model has 2 inputs");
    expect_message(rdl_model_warm_up(f->model, NULL, 2, 0, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_warm_up: 2 shapes given, the model has 2 inputs");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct rdl_shape shapes[2] = {good, cases[i].shape};
        expect_message(rdl_model_warm_up(f->model, shapes, 2, 0, &error), cases[i].status, &error,
                       cases[i].message);
    }
    struct rdl_model linear = models_load("linear_8x8", f->device);
    const struct rdl_shape rows = {2, {5, 8}};
    struct rdl_model_stats stats = {.size = sizeof stats};
    assert_int_equal(rdl_model_warm_up(linear, &rows, 1, 100, NULL), RDL_OK);
    assert_int_equal(rdl_model_warm_up(linear, &rows, 1, 0, NULL), RDL_OK);
    assert_int_equal(rdl_model_get_stats(linear, &stats), RDL_OK);
    assert_int_equal(stats.plans_compiled, 1);
    struct rdl_value *input = models_input(1, 2, DIMS(5, 8)), *output = models_run(linear, input);
    assert_non_null(output);
    assert_int_equal(rdl_model_get_stats(linear, &stats), RDL_OK);
    assert_int_equal(stats.plans_compiled, 1); /* it was warm */
    rdl_value_release(output);
    rdl_value_release(input);
    rdl_model_close(linear);
}

/* --------------------------------------------------------------------------------------------- files */

static void load_refused(const struct writer *w, enum rdl_status expected, const char *message)
{
    struct rdl_model model = {4};
    struct rdl_error error;
    expect_message(rdl_model_load_memory(w->data, w->n, NULL, &model, &error), expected, &error,
                   message);
    assert_int_equal(model.id, 0);
}

static void load_arguments_are_checked(void **state)
{
    const struct fixture *f = *state;
    struct rdl_model model;
    struct rdl_error error;
    struct writer w = {0};
    write_model(&w);
    expect_message(rdl_model_load(NULL, NULL, &model, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_load: path is NULL");
    expect_message(rdl_model_load("x.onnx", NULL, NULL, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_load: out is NULL");
    expect_message(rdl_model_load_memory(NULL, 5, NULL, &model, &error), RDL_ERR_ARGUMENT, &error,
                   "rdl_model_load_memory: data is NULL");
    expect_message(rdl_model_load("/no/such/file.onnx", NULL, &model, &error), RDL_ERR_IO, &error,
                   "\"/no/such/file.onnx\": cannot be opened: No such file or directory");
    expect_message(rdl_model_load("/", NULL, &model, &error), RDL_ERR_IO, &error,
                   "\"/\" is not a regular file");
    struct rdl_load_options options = {.size = sizeof options, .device = {77}};
    expect_message(rdl_model_load_memory(w.data, w.n, &options, &model, &error), RDL_ERR_CLOSED,
                   &error, "device: handle is closed or stale");
    options.device = f->device;
    options.deadline_ns = 1;
    expect_message(rdl_model_load_memory(w.data, w.n, &options, &model, &error), RDL_ERR_DEADLINE,
                   &error, "deadline passed while compiling");
    options.deadline_ns = 0;
    assert_int_equal(rdl_cancel_new(&options.cancel, NULL), RDL_OK);
    rdl_cancel_request(options.cancel);
    expect_message(rdl_model_load_memory(w.data, w.n, &options, &model, &error), RDL_ERR_CANCELLED,
                   &error, "cancelled while compiling");
    rdl_cancel_release(options.cancel);
    options.cancel = NULL;
    options.memory_limit_bytes = 100;
    expect_message(rdl_model_load_memory(w.data, w.n, &options, &model, &error), RDL_ERR_NO_MEMORY,
                   &error, "ONNX file: no memory for 128 bytes");
    writer_free(&w);
}

static void load_truncated(void **state)
{
    (void)state;
    struct writer w = {0}, cut;
    struct rdl_model model;
    struct rdl_error error;
    write_model(&w);
    cut = w;
    cut.n = 0;
    load_refused(&cut, RDL_ERR_MODEL, "not an ONNX model: it is empty");
    cut.n = w.n / 2;
    load_refused(
        &cut, RDL_ERR_MODEL,
        "byte 6: field 7 of ModelProto: runs past the end of its message (file cut off, or a wrong length)");
    /* Cut anywhere it is refused with a message, or, if only an end is lost that may be, loads. */
    for (size_t n = 0; n < w.n; n++) {
        error.message[0] = '\0';
        const enum rdl_status status = rdl_model_load_memory(w.data, n, NULL, &model, &error);
        if (status == RDL_OK)
            rdl_model_close(model);
        else
            assert_true(status == RDL_ERR_MODEL && error.message[0] != '\0');
    }
    writer_free(&w);
}

static void load_cyclic(void **state)
{
    (void)state;
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, DIMS(2));
    writer_plain(&w, "Add", "one", "x second", "first");
    writer_plain(&w, "Relu", "two", "first", "second");
    writer_value(&w, GRAPH_OUTPUT, "second", RDL_F32, 1, DIMS(2));
    writer_end(&w);
    load_refused(
        &w, RDL_ERR_MODEL,
        "cycle: node \"two\" (Relu) uses value \"first\", which depends on the node's own result");
    writer_free(&w);
}

static void load_oversized(void **state)
{
    (void)state;
    struct writer w = {0};
    const float few[2] = {1, 2};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, DIMS(2));
    writer_raw(&w, "w", RDL_F32, 2, DIMS(INT64_C(1) << 40, INT64_C(1) << 30), few, sizeof few);
    writer_plain(&w, "Add", "add", "x w", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, -1, NULL);
    writer_end(&w);
    load_refused(&w, RDL_ERR_MODEL,
                 "initialiser \"w\": size of dimension 1 (1073741824) overflows the size");
    writer_free(&w);
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, DIMS(2));
    writer_raw(&w, "w", RDL_F32, 1, DIMS(1000000000), few, sizeof few);
    writer_plain(&w, "Add", "add", "x w", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, -1, NULL);
    writer_end(&w);
    load_refused(
        &w, RDL_ERR_MODEL,
        "initialiser \"w\": raw_data has 8 bytes, shape [1000000000] of f32 needs 4000000000");
    writer_free(&w);
}

static void load_lists_all_unknown_operators_at_once(void **state)
{
    (void)state;
    struct writer w = {0};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, DIMS(2));
    writer_plain(&w, "Frobnicate", "f", "x", "a");
    writer_plain(&w, "Relu", "r", "a", "b");
    writer_plain(&w, "Quux", "q", "b", "c");
    writer_plain(&w, "Frobnicate", "g", "c", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 1, DIMS(2));
    writer_end(&w);
    load_refused(
        &w, RDL_ERR_UNSUPPORTED,
        "2 operators are not supported: Frobnicate (ai.onnx version 17, 2 nodes, first node \"f\" (Frobnicate)); Quux (ai.onnx version 17, 1 node, first node \"q\" (Quux))");
    writer_free(&w);
}

static void load_of_wrong_dtypes(void **state)
{
    (void)state;
    struct writer w = {0};
    const int64_t numbers[2] = {1, 2};
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", 99, 1, DIMS(2)); /* no such dtype */
    writer_plain(&w, "Relu", "r", "x", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 1, DIMS(2));
    writer_end(&w);
    load_refused(&w, RDL_ERR_MODEL, "graph input \"x\": data type 99 is not known");
    writer_free(&w);
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_STRING, 1, DIMS(2));
    writer_plain(&w, "Identity", "i", "x", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_STRING, 1, DIMS(2));
    writer_end(&w);
    load_refused(&w, RDL_ERR_UNSUPPORTED, "input \"x\": string tensors are not supported");
    writer_free(&w);
    /* Operands of two dtypes: known when the plan is made. */
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, DIMS(2));
    writer_raw(&w, "w", RDL_I64, 1, DIMS(2), numbers, sizeof numbers);
    writer_plain(&w, "Add", "add", "x w", "y");
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 1, DIMS(2));
    writer_end(&w);
    struct rdl_model model;
    struct rdl_error error;
    enum rdl_status status = rdl_model_load_memory(w.data, w.n, NULL, &model, &error);
    if (status == RDL_OK) {
        struct rdl_value *input = models_input(1, 1, DIMS(2)), *output = NULL;
        status = rdl_model_run(model, &input, 1, &output, 1, NULL, &error);
        rdl_value_release(input);
        rdl_model_close(model);
    }
    expect_message(status, RDL_ERR_SHAPE, &error,
                   "node \"add\" (Add): input 1 is i64, input 0 is f32");
    writer_free(&w);
}

int main(void)
{
    (void)models_path("linear_8x8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_that_do_not_fit),
        cmocka_unit_test(values_that_do_not_fit),
        cmocka_unit_test(dtypes_ranks_and_dims_that_do_not_fit),
        cmocka_unit_test(device_memory_is_no_input),
        cmocka_unit_test(batches_of_no_rows_give_no_rows),
        cmocka_unit_test(dims_too_large_are_refused),
        cmocka_unit_test(strided_inputs_give_the_same_bits),
        cmocka_unit_test(outputs_that_do_not_fit),
        cmocka_unit_test(outputs_with_room_take_their_shape),
        cmocka_unit_test(output_indices_choose_what_is_computed),
        cmocka_unit_test(output_allocators_give_and_take),
        cmocka_unit_test(deadlines_and_tokens_that_have_passed),
        cmocka_unit_test(lanes_that_are_all_held),
        cmocka_unit_test(options_of_unknown_size),
        cmocka_unit_test(handles_of_no_model),
        cmocka_unit_test(submits_are_refused_or_fail_with_the_runs_message),
        cmocka_unit_test(warm_up_refuses),
        cmocka_unit_test(load_arguments_are_checked),
        cmocka_unit_test(load_truncated),
        cmocka_unit_test(load_cyclic),
        cmocka_unit_test(load_oversized),
        cmocka_unit_test(load_lists_all_unknown_operators_at_once),
        cmocka_unit_test(load_of_wrong_dtypes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
