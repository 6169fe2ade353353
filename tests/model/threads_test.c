/*
 * Many threads on one model: every answer is the sequential run's, bit for bit, and the threads'
 * answers differ from each other.
 */
#include "support/devices.h"
#include "support/models.h"
#include "support/threads.h"

#define MANY 31
#define CALLS 50

static const char *device_name = "cpu";

static struct rdl_device open_named(void)
{
    const struct rdl_sim_options sim = {.seed = 11, .workers = 3, .max_delay_us = 20};
    return open_device(device_name, (struct rdl_device_options){
                                        .sim = strcmp(device_name, "sim") == 0 ? &sim : NULL});
}

struct many {
    struct rdl_model model;
    const struct models_case *model_case;
    unsigned calls;
    struct rdl_value *expected[MANY][CALLS];
};

static uint64_t seed_of(unsigned thread, unsigned call)
{
    return 1000 * (thread + 1) + call;
}

static void call_many(unsigned index, void *shared)
{
    struct many *many = shared;
    struct rdl_value *bound = NULL;
    for (unsigned i = 0; i < many->calls; i++) {
        struct rdl_value *input =
            models_input(seed_of(index, i), many->model_case->rank, many->model_case->dims);
        struct rdl_error error;
        if (i % 2 == 0 || many->model_case->has_deferred) { /* a new output each time */
            struct rdl_value *output = models_run(many->model, input);
            CHECK(output != NULL && models_same(output, many->expected[index][i]));
            rdl_value_release(bound);
            bound = output;
        } else { /* the one before, given again */
            CHECK(rdl_model_run(many->model, &input, 1, &bound, 1, NULL, &error) == RDL_OK);
            CHECK(models_same(bound, many->expected[index][i]));
        }
        rdl_value_release(input);
    }
    rdl_value_release(bound);
}

static void run_case(const struct models_case *model_case, unsigned calls)
{
    static struct many many;
    struct rdl_device device = open_named();
    many = (struct many){
        .model = models_load(model_case->name, device), .model_case = model_case, .calls = calls};
    for (unsigned t = 0; t < MANY; t++)
        for (unsigned i = 0; i < calls; i++) {
            struct rdl_value *input =
                models_input(seed_of(t, i), model_case->rank, model_case->dims);
            many.expected[t][i] = models_run(many.model, input);
            assert_non_null(many.expected[t][i]);
            rdl_value_release(input);
        }
    for (unsigned t = 1; t < MANY; t++)
        assert_false(models_same(many.expected[0][0], many.expected[t][0]));
    assert_int_equal(test_run_threads(MANY, call_many, &many), 0);
    for (unsigned t = 0; t < MANY; t++)
        for (unsigned i = 0; i < calls; i++)
            rdl_value_release(many.expected[t][i]);
    rdl_model_close(many.model);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

static unsigned calls_of(const struct models_case *model_case)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return strcmp(model_case->name, "linear_8x8") == 0 ? CALLS : 4;
#else
    (void)model_case;
    return CALLS;
#endif
}

static void threads_31_get_the_sequential_answers_on_cpu(void **state)
{
    (void)state;
    device_name = "cpu";
    for (size_t i = 0; i < MODELS_CASES; i++)
        run_case(&models_cases[i], calls_of(&models_cases[i]));
}

static void threads_31_get_the_sequential_answers_on_sim(void **state)
{
    (void)state;
    device_name = "sim";
    for (size_t i = 0; i < MODELS_CASES; i++) {
        const unsigned calls = calls_of(&models_cases[i]);
        run_case(&models_cases[i], calls < 20 ? calls : 20);
    }
}

/* A row's answer does not depend on the rows beside it: batches of 1, 8, 64 and odd ones. */
static void rows_are_the_same_in_every_batch(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t rank;
        int64_t row[3];
        int64_t largest;
    } cases[] = {
        {"linear_8x8", 2, {8}, 64},
        {"linear_512x256", 2, {512}, 64},
        {"mlp_784_512_512_10", 2, {784}, 64},
        {"ppocr_cls", 4, {3, 48, 192}, 8},
    };
    static const int64_t batches[] = {1, 2, 3, 5, 8, 13, 31, 64};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct rdl_device device = open_named();
        struct rdl_model model = models_load(cases[c].name, device);
        int64_t dims[4] = {cases[c].largest, cases[c].row[0], cases[c].row[1], cases[c].row[2]};
        struct rdl_value *all = models_input(77, cases[c].rank, dims);
        struct rdl_value *expected = models_run(model, all);
        assert_non_null(expected);
        const size_t in_row = models_bytes(all) / (size_t)cases[c].largest;
        const size_t out_row = models_bytes(expected) / (size_t)cases[c].largest;
        for (size_t b = 0; b < sizeof batches / sizeof *batches && batches[b] <= dims[0]; b++) {
            for (int64_t first = 0; first + batches[b] <= cases[c].largest; first += batches[b]) {
                struct rdl_tensor *part;
                struct rdl_value *value;
                const int64_t part_dims[4] = {batches[b], dims[1], dims[2], dims[3]};
                assert_int_equal(rdl_tensor_view(rdl_value_tensor(all), cases[c].rank, part_dims,
                                                 NULL, (size_t)first * in_row / sizeof(float),
                                                 &part, NULL),
                                 RDL_OK);
                assert_int_equal(rdl_value_from_tensor(part, &value, NULL), RDL_OK);
                struct rdl_value *answer = models_run(model, value);
                assert_non_null(answer);
                assert_memory_equal(models_data(answer),
                                    (const char *)models_data(expected) + (size_t)first * out_row,
                                    (size_t)batches[b] * out_row);
                rdl_value_release(answer);
                rdl_value_release(value);
                rdl_tensor_release(part);
            }
        }
        rdl_value_release(expected);
        rdl_value_release(all);
        rdl_model_close(model);
        assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
    }
}

static void rows_are_the_same_in_every_batch_on_cpu(void **state)
{
    device_name = "cpu";
    rows_are_the_same_in_every_batch(state);
}

/* The same bits whatever the caller's floating-point modes are, which he gets back. */
static void modes_of_the_caller_change_nothing(void **state)
{
    (void)state;
#if defined(__x86_64__)
    device_name = "cpu";
    struct rdl_device device = open_named();
    struct rdl_model model = models_load("linear_512x256", device);
    struct rdl_value *input = models_input(3, 2, (const int64_t[]){64, 512});
    struct rdl_value *expected = models_run(model, input);
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x6000 | 0x8040); /* towards zero, FTZ, DAZ */
    struct rdl_value *answer = models_run(model, input);
    const unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before);
    assert_int_equal(after & 0xFFC0, (before | 0x6000 | 0x8040) & 0xFFC0);
    assert_true(models_same(answer, expected));
    rdl_value_release(answer);
    rdl_value_release(expected);
    rdl_value_release(input);
    rdl_model_close(model);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_same_in_every_batch_on_cpu),
        cmocka_unit_test(modes_of_the_caller_change_nothing),
        cmocka_unit_test(threads_31_get_the_sequential_answers_on_cpu),
        cmocka_unit_test(threads_31_get_the_sequential_answers_on_sim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
