#include <raddle/raddle.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct rdl_error error;
    struct rdl_model model;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct rdl_tensor *tensor = NULL;
    struct rdl_value *input = NULL, *output = NULL;
    if (rdl_model_load(argc > 1 ? argv[1] : "model.onnx", NULL, &model, &error) != RDL_OK ||
        rdl_tensor_wrap(RDL_F32, 2, (int64_t[]){1, 8}, NULL, x, sizeof x, NULL, NULL, &tensor,
                        &error) != RDL_OK ||
        rdl_value_from_tensor(tensor, &input, &error) != RDL_OK ||
        rdl_model_run(model, &input, 1, &output, 1, NULL, &error) != RDL_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    const float *y = rdl_tensor_data(rdl_value_tensor(output));
    printf("%g\n", y[0]);
    rdl_value_release(output);
    rdl_value_release(input);
    rdl_tensor_release(tensor);
    rdl_model_close(model); /* any thread may run the model until here, and at the same time */
    return 0;
}
