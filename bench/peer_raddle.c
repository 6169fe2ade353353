/*
 * Raddle as a peer, through its public API.
 */
#include "peer.h"

#include "cli/cli.h"
#include "cli/session.h"

struct context {
    struct session own;            /* of thread 0 */
    const struct session *session; /* that of thread 0 */
    struct rdl_value *inputs[MATERIAL_MAX_PORTS], *outputs[MATERIAL_MAX_PORTS];
    struct rdl_error error;
} __attribute__((aligned(MATERIAL_ALIGNMENT)));

static bool call(void *argument)
{
    struct context *context = argument;
    const struct session *session = context->session;
    return rdl_model_run(session->model, context->inputs, session->n_inputs, context->outputs,
                         session->n_outputs, NULL, &context->error) == RDL_OK;
}

static const void *output(const void *argument, size_t index)
{
    const struct context *context = argument;
    return rdl_tensor_data(rdl_value_tensor(context->outputs[index]));
}

static const char *fault(const void *argument)
{
    const struct context *context = argument;
    return context->error.message;
}

static void close_context(void *argument)
{
    struct context *context = argument;
    values_release(context->inputs, MATERIAL_MAX_PORTS);
    values_release(context->outputs, MATERIAL_MAX_PORTS);
    session_close(&context->own);
}

/* data NULL: memory of the tensor's own. */
static enum rdl_status make_value(const struct material_port *port, void *data,
                                  struct rdl_value **out, struct rdl_error *error)
{
    struct rdl_tensor *tensor = NULL;
    if (data == NULL)
        CLI_TRY(rdl_tensor_new(port->dtype, port->rank, port->dims, &tensor, error));
    else
        CLI_TRY(rdl_tensor_wrap(port->dtype, port->rank, port->dims, NULL, data, port->size_bytes,
                                NULL, NULL, &tensor, error));
    enum rdl_status status = rdl_value_from_tensor(tensor, out, error);
    rdl_tensor_release(tensor);
    return status;
}

static enum rdl_status open_context(const struct peer_kind *kind, const struct material_plan *plan,
                                    const struct material *material, unsigned thread,
                                    const void *first, void *out, struct rdl_error *error)
{
    (void)kind;
    struct context *context = out;
    context->session = first != NULL ? ((const struct context *)first)->session : &context->own;
    if (first == NULL)
        CLI_TRY(session_open(&plan->common, &context->own, error));
    for (size_t i = 0; i < material->n_inputs; i++)
        CLI_TRY(make_value(&material->inputs[i], material->data[thread].inputs[i],
                           &context->inputs[i], error));
    for (size_t i = 0; i < material->n_outputs; i++)
        CLI_TRY(make_value(&material->outputs[i], NULL, &context->outputs[i], error));
    return RDL_OK;
}

const struct peer_kind peer_raddle = {.name = "raddle",
                                      .engine = "raddle",
                                      .context_bytes = sizeof(struct context),
                                      .open_context = open_context,
                                      .close_context = close_context,
                                      .call = call,
                                      .output = output,
                                      .fault = fault};
