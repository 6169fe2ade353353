/*
 * Real models for tests, and values for them.
 *
 * The models lie in the folder that RADDLE_TEST_MODELS names; tools/setup makes and fetches them. Every
 * caller makes inputs of its own from a seed, so that answers of different threads differ and a mix-up
 * shows.
 */
#ifndef TESTS_SUPPORT_MODELS_H
#define TESTS_SUPPORT_MODELS_H

#include "support/cmocka.h"

#include "raddle/raddle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Path of a model file; skips the program (exit 77) if it is not there. */
static inline const char *models_path(const char *name)
{
    static _Thread_local char path[1024];
    const char *folder = getenv("RADDLE_TEST_MODELS");
    (void)snprintf(path, sizeof path, "%s/%s.onnx", folder != NULL ? folder : ".cache/models",
                   name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)printf("SKIP: no model %s\n", path);
        exit(77);
    }
    (void)fclose(file);
    return path;
}

static inline struct rdl_model models_load(const char *name, struct rdl_device device)
{
    const struct rdl_load_options options = {.size = sizeof options, .device = device};
    struct rdl_model model;
    struct rdl_error error;
    if (rdl_model_load(models_path(name), &options, &model, &error) != RDL_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        abort();
    }
    return model;
}

/** A tensor value of f32 with elements in [-1, 1) that the seed decides. */
static inline struct rdl_value *models_input(uint64_t seed, int32_t rank, const int64_t *dims)
{
    struct rdl_tensor *tensor;
    struct rdl_value *value;
    if (rdl_tensor_new(RDL_F32, rank, dims, &tensor, NULL) != RDL_OK)
        abort();
    float *data = rdl_tensor_data(tensor);
    const size_t count = rdl_tensor_count(tensor);
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (float)((double)(x >> 11) / 4503599627370496.0 - 1.0);
    }
    if (rdl_value_from_tensor(tensor, &value, NULL) != RDL_OK)
        abort();
    rdl_tensor_release(tensor);
    return value;
}

/** Bytes of a tensor value in C order. */
static inline size_t models_bytes(const struct rdl_value *value)
{
    const struct rdl_tensor *tensor = rdl_value_tensor(value);
    return rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor));
}

static inline const float *models_data(const struct rdl_value *value)
{
    return rdl_tensor_data(rdl_value_tensor(value));
}

/** Whether two tensor values have the same shape and the same bits. */
static inline bool models_same(const struct rdl_value *a, const struct rdl_value *b)
{
    const struct rdl_tensor *x = rdl_value_tensor(a), *y = rdl_value_tensor(b);
    return rdl_tensor_rank(x) == rdl_tensor_rank(y) &&
           memcmp(rdl_tensor_dims(x), rdl_tensor_dims(y),
                  (size_t)rdl_tensor_rank(x) * sizeof(int64_t)) == 0 &&
           memcmp(rdl_tensor_data(x), rdl_tensor_data(y), models_bytes(a)) == 0;
}

/** Runs a model of one input and one output; a new output value, or NULL with the message printed. */
static inline struct rdl_value *models_run(struct rdl_model model, struct rdl_value *input)
{
    struct rdl_value *output = NULL;
    struct rdl_error error;
    if (rdl_model_run(model, &input, 1, &output, 1, NULL, &error) != RDL_OK)
        (void)fprintf(stderr, "run: %s\n", error.message);
    return output;
}

/** The models that every concurrency test runs, with a shape for one call. */
struct models_case {
    const char *name;
    int32_t rank;
    int64_t dims[4];
    bool has_deferred; /* shapes hang on data */
};
static const struct models_case models_cases[] = {
    {"linear_8x8", 2, {1, 8}, false},
    {"linear_512x256", 2, {64, 512}, false},
    {"mlp_784_512_512_10", 2, {8, 784}, false},
    {"ppocr_cls", 4, {1, 3, 48, 192}, false},
    {"control", 2, {5, 8}, true},
};
#define MODELS_CASES (sizeof models_cases / sizeof *models_cases)

#endif
