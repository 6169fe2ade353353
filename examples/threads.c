/*
 * Many threads, one model: each thread runs the model on data of its own and checks that the answer is
 * the one that the same call gave alone. The inputs are made by shape: threads MODEL [DIM...].
 */
#include <raddle/raddle.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, CALLS = 100 };

struct work {
    struct rdl_model model;
    struct rdl_value *input, *alone;
    unsigned wrong;
};

static void *run(void *object)
{
    struct work *work = object;
    struct rdl_value *output = NULL; /* the first run makes it, the others write into it again */
    for (int i = 0; i < CALLS; i++) {
        const struct rdl_tensor *alone = rdl_value_tensor(work->alone);
        const size_t bytes = rdl_tensor_count(alone) * rdl_dtype_size(rdl_tensor_dtype(alone));
        if (rdl_model_run(work->model, &work->input, 1, &output, 1, NULL, NULL) != RDL_OK ||
            memcmp(rdl_tensor_data(rdl_value_tensor(output)), rdl_tensor_data(alone), bytes) != 0)
            work->wrong++;
    }
    rdl_value_release(output);
    return NULL;
}

static struct rdl_value *make_input(unsigned seed, int rank, const int64_t *dims)
{
    struct rdl_tensor *tensor;
    struct rdl_value *value = NULL;
    if (rdl_tensor_new(RDL_F32, rank, dims, &tensor, NULL) != RDL_OK)
        return NULL;
    float *data = rdl_tensor_data(tensor);
    for (size_t i = 0; i < rdl_tensor_count(tensor); i++)
        data[i] = (float)((i * 2654435761u + seed * 40503u) % 1000) / 500 - 1;
    if (rdl_value_from_tensor(tensor, &value, NULL) != RDL_OK)
        value = NULL;
    rdl_tensor_release(tensor); /* the value holds a reference of its own */
    return value;
}

int main(int argc, char **argv)
{
    struct rdl_error error;
    struct rdl_model model;
    struct work work[THREADS];
    pthread_t threads[THREADS];
    int64_t dims[RDL_MAX_RANK] = {1, 8};
    const int rank = argc > 2 ? argc - 2 : 2;
    for (int i = 0; i + 2 < argc && i < RDL_MAX_RANK; i++)
        dims[i] = strtoll(argv[i + 2], NULL, 10);
    if (argc < 2 || rank > RDL_MAX_RANK) {
        (void)fprintf(stderr, "usage: threads MODEL [DIM...]\n");
        return 2;
    }
    if (rdl_model_load(argv[1], NULL, &model, &error) != RDL_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (unsigned t = 0; t < THREADS; t++) {
        work[t] = (struct work){.model = model, .input = make_input(t, rank, dims)};
        if (work[t].input == NULL ||
            rdl_model_run(model, &work[t].input, 1, &work[t].alone, 1, NULL, &error) != RDL_OK) {
            (void)fprintf(stderr, "%s\n", error.message);
            return 1;
        }
    }
    unsigned wrong = 0;
    for (unsigned t = 0; t < THREADS; t++)
        if (pthread_create(&threads[t], NULL, run, &work[t]) != 0)
            return 1;
    for (unsigned t = 0; t < THREADS; t++) {
        (void)pthread_join(threads[t], NULL);
        wrong += work[t].wrong;
        rdl_value_release(work[t].input);
        rdl_value_release(work[t].alone);
    }
    printf("%d threads, %d calls, %u wrong\n", THREADS, THREADS * CALLS, wrong);
    rdl_model_close(model);
    return wrong > 0;
}
