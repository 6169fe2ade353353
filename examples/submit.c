/*
 * Without a thread for each caller: runs are submitted, and a callback tells when one has ended. One
 * run gets a deadline that has passed and one is cancelled; the others are none the worse for it.
 */
#include <raddle/raddle.h>

#include <stdatomic.h>
#include <stdio.h>

enum { RUNS = 20 };

static void ended(struct rdl_request request, enum rdl_status status, void *user)
{
    (void)request;
    atomic_fetch_add((atomic_int *)user, status == RDL_OK);
}

int main(int argc, char **argv)
{
    struct rdl_error error;
    struct rdl_model model;
    struct rdl_request requests[RUNS];
    struct rdl_value *input;
    struct rdl_tensor *tensor;
    atomic_int succeeded = 0;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: submit MODEL, with an input of [1, 8]\n");
        return 2;
    }
    if (rdl_model_load(argv[1], NULL, &model, &error) != RDL_OK ||
        rdl_tensor_new(RDL_F32, 2, (int64_t[]){1, 8}, &tensor, &error) != RDL_OK ||
        rdl_value_from_tensor(tensor, &input, &error) != RDL_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (int i = 0; i < RUNS; i++) {
        struct rdl_run_options options = {.size = sizeof options};
        if (i == 3)
            options.deadline_ns = 1; /* long ago */
        if (rdl_model_submit(model, &input, 1, NULL, 1, &options, ended, &succeeded, &requests[i],
                             &error) != RDL_OK) {
            (void)fprintf(stderr, "%s\n", error.message);
            return 1;
        }
    }
    rdl_request_cancel(requests[RUNS - 1]); /* if it has not ended already */
    for (int i = 0; i < RUNS; i++) {
        const enum rdl_status status = rdl_request_wait(requests[i], RDL_FOREVER, NULL, 0, &error);
        if (status != RDL_OK)
            printf("run %d: %s\n", i, error.message);
        rdl_request_close(requests[i]);
    }
    rdl_value_release(input);
    rdl_tensor_release(tensor);
    rdl_model_close(model);
    /* Callbacks may still run; this waits for them and for the threads that run them. */
    return rdl_shutdown(RDL_FOREVER, &error) == RDL_OK && succeeded >= RUNS - 2 ? 0 : 1;
}
