/*
 * No shared lines: in the steady state a call writes no cache line that another call touches.
 *
 * The accesses of the instrumented library are recorded while eight threads run one model side by side
 * (with the portable kernels, whose accesses the instrumentation sees whole).
 */
#include "support/models.h"
#include "support/threads.h"

#include "recorder/recorder.h"

#define THREADS 16

struct lines {
    struct rdl_model model;
    const struct models_case *model_case;
    bool bound;
    pthread_barrier_t warm, done;
};

static void run_recorded(unsigned index, void *shared)
{
    struct lines *lines = shared;
    struct rdl_value *input =
        models_input(index + 1, lines->model_case->rank, lines->model_case->dims);
    struct rdl_value *output = models_run(lines->model, input);
    for (unsigned round = 0; round < 2; round++) {
        /* Warm until every thread has settled on a lane of its own; then record. */
        const unsigned calls = round == 0 ? 200 : 20;
        (void)pthread_barrier_wait(&lines->warm);
        for (unsigned i = 0; i < calls; i++) {
            if (round == 1)
                recorder_start(index);
            if (!lines->bound) {
                rdl_value_release(output);
                output = NULL;
            }
            const enum rdl_status status =
                rdl_model_run(lines->model, &input, 1, &output, 1, NULL, NULL);
            recorder_stop();
            CHECK(status == RDL_OK);
        }
        (void)pthread_barrier_wait(&lines->done);
    }
    rdl_value_release(output);
    rdl_value_release(input);
}

static void expect_no_shared_line(const struct models_case *model_case, bool bound)
{
    struct rdl_device device;
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 32};
    assert_int_equal(rdl_device_open("cpu", &options, &device, NULL), RDL_OK);
    struct lines lines = {
        .model = models_load(model_case->name, device), .model_case = model_case, .bound = bound};
    (void)pthread_barrier_init(&lines.warm, NULL, THREADS);
    (void)pthread_barrier_init(&lines.done, NULL, THREADS);
    recorder_reset();
    assert_int_equal(test_run_threads(THREADS, run_recorded, &lines), 0);
    assert_true(recorder_lines() > 50); /* the library's accesses did come by */
    assert_int_equal(recorder_shared_lines(10), 0);
    (void)pthread_barrier_destroy(&lines.warm);
    (void)pthread_barrier_destroy(&lines.done);
    rdl_model_close(lines.model);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

static void given_outputs_share_no_line(void **state)
{
    (void)state;
    expect_no_shared_line(&models_cases[0], true);
    expect_no_shared_line(&models_cases[1], true);
}

static void recycled_outputs_share_no_line(void **state)
{
    (void)state;
    expect_no_shared_line(&models_cases[0], false);
    expect_no_shared_line(&models_cases[1], false);
}

/* What the recorder is to find, it finds: threads that share a buffer's lines through the library. */
static struct rdl_tensor *common;

static void write_common(unsigned index, void *shared)
{
    (void)shared;
    recorder_start(index);
    (void)rdl_tensor_retain(common); /* a count that all threads write */
    recorder_stop();
}

static void a_shared_count_is_found(void **state)
{
    (void)state;
    const int64_t dims[1] = {1};
    assert_int_equal(rdl_tensor_new(RDL_F32, 1, dims, &common, NULL), RDL_OK);
    recorder_reset();
    assert_int_equal(test_run_threads(2, write_common, NULL), 0);
    assert_int_equal(recorder_shared_lines(0), 1);
    rdl_tensor_release(common);
    rdl_tensor_release(common);
    rdl_tensor_release(common);
}

int main(void)
{
    (void)setenv("RADDLE_ISA", "portable", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_count_is_found),
        cmocka_unit_test(given_outputs_share_no_line),
        cmocka_unit_test(recycled_outputs_share_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
