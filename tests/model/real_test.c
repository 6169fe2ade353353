/*
 * The real networks from 31 threads at once, on cpu and on sim: each call has data of its own, every answer
 * is the sequential run's bit for bit, and the threads' answers differ.
 */
#include "support/devices.h"
#include "support/models.h"
#include "support/threads.h"

#define MANY 31
#define MOST_PORTS 3

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CALLS 1
#else
#define CALLS 3
#endif

struct real_case {
    const char *name;
    struct {
        int32_t rank; /* of input i, in the model's order; dtype and number are the model's */
        int64_t dims[4];
    } inputs[MOST_PORTS];
    int64_t scalar; /* element of inputs of rank 0 */
};

static const struct real_case cases[] = {
    {"ppocr_cls", {{4, {1, 3, 48, 192}}}, 0},
    {"ppocr_det", {{4, {1, 3, 64, 96}}}, 0},
    {"ppocr_rec", {{4, {1, 3, 48, 64}}}, 0},
    {"magika", {{2, {1, 2048}}}, 0},
    {"silero_vad", {{2, {1, 576}}, {3, {2, 1, 128}}, {0, {0}}}, 16000},
    {"silero_vad", {{2, {2, 288}}, {3, {2, 2, 128}}, {0, {0}}}, 8000},
    {"silero_vad_16k_op15", {{2, {1, 576}}, {3, {2, 1, 128}}, {0, {0}}}, 16000},
    {"silero_vad_16k_sequence", {{2, {3, 576}}, {3, {1, 1, 128}}, {3, {1, 1, 128}}}, 0},
    {"silero_vad_half", {{2, {1, 576}}, {3, {2, 1, 128}}}, 0},
    {"silero_vad_op18_ifless", {{2, {1, 576}}, {0, {0}}, {3, {2, 1, 128}}}, 16000},
    {"silero_vad_openvino_16k", {{2, {1, 576}}, {3, {2, 1, 128}}}, 0},
};

/* Values for one call. */
struct call {
    struct rdl_value *inputs[MOST_PORTS], *outputs[MOST_PORTS];
    size_t n_inputs, n_outputs;
};

static struct rdl_value *integers(enum rdl_dtype dtype, uint64_t seed, const struct real_case *real,
                                  size_t port)
{
    struct rdl_tensor *tensor;
    struct rdl_value *value;
    if (rdl_tensor_new(dtype, real->inputs[port].rank, real->inputs[port].dims, &tensor, NULL) !=
        RDL_OK)
        abort();
    for (size_t i = 0; i < rdl_tensor_count(tensor); i++) {
        const int64_t element = real->inputs[port].rank == 0
                                    ? real->scalar
                                    : (int64_t)((seed + i * i) * 2654435761u % 257);
        if (dtype == RDL_I64)
            ((int64_t *)rdl_tensor_data(tensor))[i] = element;
        else
            ((int32_t *)rdl_tensor_data(tensor))[i] = (int32_t)element;
    }
    if (rdl_value_from_tensor(tensor, &value, NULL) != RDL_OK)
        abort();
    rdl_tensor_release(tensor);
    return value;
}

static void fill(struct call *call, const struct rdl_model_info *info, const struct real_case *real,
                 uint64_t seed)
{
    *call = (struct call){.n_inputs = rdl_model_info_input_count(info),
                          .n_outputs = rdl_model_info_output_count(info)};
    for (size_t i = 0; i < call->n_inputs; i++) {
        const enum rdl_dtype dtype = rdl_model_info_input(info, i)->dtype;
        call->inputs[i] = dtype == RDL_F32 ? models_input(seed + 17 * i, real->inputs[i].rank,
                                                          real->inputs[i].dims)
                                           : integers(dtype, seed, real, i);
    }
}

static void release(struct call *call)
{
    for (size_t i = 0; i < call->n_inputs; i++)
        rdl_value_release(call->inputs[i]);
    for (size_t i = 0; i < call->n_outputs; i++)
        rdl_value_release(call->outputs[i]);
}

static enum rdl_status run(struct rdl_model model, struct call *call)
{
    struct rdl_error error;
    const enum rdl_status status = rdl_model_run(model, call->inputs, call->n_inputs, call->outputs,
                                                 call->n_outputs, NULL, &error);
    if (status != RDL_OK)
        (void)fprintf(stderr, "run: %s\n", error.message);
    return status;
}

struct shared {
    struct rdl_model model;
    struct call calls[MANY][CALLS]; /* with the sequential run's answers */
};

static void call_many(unsigned index, void *object)
{
    struct shared *shared = object;
    for (unsigned i = 0; i < CALLS; i++) {
        struct call *right = &shared->calls[index][i], mine = *right;
        for (size_t k = 0; k < mine.n_outputs; k++)
            mine.outputs[k] = NULL;
        CHECK(run(shared->model, &mine) == RDL_OK);
        for (size_t k = 0; k < mine.n_outputs; k++) {
            CHECK(mine.outputs[k] != NULL && models_same(mine.outputs[k], right->outputs[k]));
            rdl_value_release(mine.outputs[k]);
        }
    }
}

static void run_case(struct rdl_device device, const struct real_case *real)
{
    static struct shared shared;
    struct rdl_model_info *info;
    shared = (struct shared){.model = models_load(real->name, device)};
    assert_int_equal(rdl_model_get_info(shared.model, &info, NULL), RDL_OK);
    assert_true(rdl_model_info_input_count(info) <= MOST_PORTS);
    for (unsigned t = 0; t < MANY; t++)
        for (unsigned i = 0; i < CALLS; i++) {
            fill(&shared.calls[t][i], info, real, 1000 * (t + 1) + i);
            assert_int_equal(run(shared.model, &shared.calls[t][i]), RDL_OK);
        }
    for (unsigned t = 1; t < MANY; t++)
        assert_false(models_same(shared.calls[0][0].outputs[0], shared.calls[t][0].outputs[0]));
    assert_int_equal(test_run_threads(MANY, call_many, &shared), 0);
    for (unsigned t = 0; t < MANY; t++)
        for (unsigned i = 0; i < CALLS; i++)
            release(&shared.calls[t][i]);
    rdl_model_info_release(info);
    rdl_model_close(shared.model);
}

static void threads_31_get_the_sequential_answers_on_cpu(void **state)
{
    (void)state;
    struct rdl_device device = open_device("cpu", (struct rdl_device_options){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case(device, &cases[i]);
    close_device(device);
}

static void threads_31_get_the_sequential_answers_on_sim(void **state)
{
    (void)state;
    const struct rdl_sim_options sim = {.seed = 12, .workers = 3};
    struct rdl_device device = open_device("sim", (struct rdl_device_options){.sim = &sim});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case(device, &cases[i]);
    close_device(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_31_get_the_sequential_answers_on_cpu),
        cmocka_unit_test(threads_31_get_the_sequential_answers_on_sim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
