/*
 * Raddle as a peer, through its public API.
 */
#include "peer.h"

#include "cli/cli.h"

#include <stdlib.h>

struct context {
    const struct load *load;
    const struct load_data *data;
    struct rdl_error error;
} __attribute__((aligned(128)));

static bool call(void *argument)
{
    struct context *context = argument;
    const struct session *session = context->load->session;
    return rdl_model_run(session->model, context->data->inputs, session->n_inputs,
                         context->data->outputs, session->n_outputs, NULL,
                         &context->error) == RDL_OK;
}

static const void *output(const void *argument, size_t index, size_t *out_bytes)
{
    const struct context *context = argument;
    const struct rdl_tensor *tensor = rdl_value_tensor(context->data->outputs[index]);
    *out_bytes = rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor));
    return rdl_tensor_data(tensor);
}

static const char *fault(const void *argument)
{
    const struct context *context = argument;
    return context->error.message;
}

static void close_peer(struct peer *peer)
{
    for (size_t i = 0; i < sizeof peer->contexts / sizeof peer->contexts[0]; i++)
        free(peer->contexts[i]);
}

enum rdl_status peer_open_raddle(const struct load *load, struct peer *out, struct rdl_error *error)
{
    *out = (struct peer){
        .name = "raddle", .call = call, .output = output, .fault = fault, .close = close_peer};
    for (unsigned i = 0; i < load->threads; i++) {
        struct context *context = aligned_alloc(128, sizeof *context);
        if (context == NULL) {
            close_peer(out);
            return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
        }
        *context = (struct context){.load = load, .data = &load->data[i]};
        out->contexts[i] = context;
    }
    return RDL_OK;
}
