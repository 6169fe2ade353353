/*
 * ONNX Runtime as a peer, through its C API, loaded at run time.
 *
 * Inputs are the memory of Raddle's; outputs lie in blocks of our own, outside the arena.
 */
#include "peer.h"

#include "cli/cli.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PORTS 16

struct ort {
    const OrtApi *api;
    const char *version;
    OrtEnv *env;
    OrtMemoryInfo *memory;
    OrtSessionOptions *options;
};

/* One library a process; opened by the first peer. */
static struct ort ort;

struct context {
    OrtSession *session;
    OrtIoBinding *binding;
    OrtValue *inputs[MAX_PORTS], *outputs[MAX_PORTS];
    const char *input_names[MAX_PORTS], *output_names[MAX_PORTS];
    void *blocks[MAX_PORTS];
    size_t block_bytes[MAX_PORTS];
    size_t n_inputs, n_outputs;
    bool owns_session;
    char fault[256];
} __attribute__((aligned(128)));

const char *peer_ort_version(void)
{
    return ort.version != NULL ? ort.version : "";
}

/* Turns ONNX Runtime's status into ours. */
static enum rdl_status check(OrtStatus *status, struct rdl_error *error)
{
    if (status == NULL)
        return RDL_OK;
    cli_note(error, RDL_ERR_RUNTIME, "ONNX Runtime: %s", ort.api->GetErrorMessage(status));
    ort.api->ReleaseStatus(status);
    return RDL_ERR_RUNTIME;
}

static enum rdl_status open_library(const char *library, struct rdl_error *error)
{
    if (ort.api != NULL)
        return RDL_OK;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return cli_fail(error, RDL_ERR_IO, "%s", dlerror());
    const OrtApiBase *(*get_base)(void) = NULL;
    void *symbol = dlsym(handle, "OrtGetApiBase");
    memcpy(&get_base, &symbol, sizeof get_base);
    if (get_base == NULL)
        return cli_fail(error, RDL_ERR_IO, "%s has no OrtGetApiBase", library);
    const OrtApiBase *base = get_base();
    ort.version = base->GetVersionString();
    ort.api = base->GetApi(ORT_API_VERSION);
    if (ort.api == NULL)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "ONNX Runtime %s lacks API %d", ort.version,
                        ORT_API_VERSION);
    CLI_TRY(check(ort.api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &ort.env), error));
    CLI_TRY(check(ort.api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &ort.memory),
                  error));
    CLI_TRY(check(ort.api->CreateSessionOptions(&ort.options), error));
    CLI_TRY(check(ort.api->SetIntraOpNumThreads(ort.options, 1), error));
    CLI_TRY(check(ort.api->SetInterOpNumThreads(ort.options, 1), error));
    return check(ort.api->SetSessionGraphOptimizationLevel(ort.options, ORT_ENABLE_ALL), error);
}

static ONNXTensorElementDataType element_type(enum rdl_dtype dtype)
{
    /* Both count as TensorProto.DataType does. */
    return (ONNXTensorElementDataType)dtype;
}

static enum rdl_status bind_inputs(struct context *context, const struct load_data *data,
                                   const struct session *session, struct rdl_error *error)
{
    for (size_t i = 0; i < session->n_inputs; i++) {
        const struct rdl_tensor *tensor = rdl_value_tensor(data->inputs[i]);
        size_t bytes = rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor));
        CLI_TRY(check(ort.api->CreateTensorWithDataAsOrtValue(
                          ort.memory, rdl_tensor_data(tensor), bytes, rdl_tensor_dims(tensor),
                          (size_t)rdl_tensor_rank(tensor), element_type(rdl_tensor_dtype(tensor)),
                          &context->inputs[i]),
                      error));
        context->input_names[i] = rdl_model_info_input(session->info, i)->name;
    }
    return RDL_OK;
}

/* Outputs as Raddle's expected ones are: the two must agree in shape anyway. */
static enum rdl_status bind_outputs(struct context *context, const struct load_data *data,
                                    const struct session *session, struct rdl_error *error)
{
    for (size_t i = 0; i < session->n_outputs; i++) {
        const struct rdl_tensor *tensor = rdl_value_tensor(data->expected[i]);
        size_t bytes = rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor));
        context->blocks[i] = aligned_alloc(64, bytes / 64 * 64 + 64);
        context->block_bytes[i] = bytes;
        if (context->blocks[i] == NULL)
            return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
        CLI_TRY(check(ort.api->CreateTensorWithDataAsOrtValue(
                          ort.memory, context->blocks[i], bytes, rdl_tensor_dims(tensor),
                          (size_t)rdl_tensor_rank(tensor), element_type(rdl_tensor_dtype(tensor)),
                          &context->outputs[i]),
                      error));
        context->output_names[i] = rdl_model_info_output(session->info, i)->name;
    }
    return RDL_OK;
}

static enum rdl_status bind_both(struct context *context, struct rdl_error *error)
{
    CLI_TRY(check(ort.api->CreateIoBinding(context->session, &context->binding), error));
    for (size_t i = 0; i < context->n_inputs; i++)
        CLI_TRY(
            check(ort.api->BindInput(context->binding, context->input_names[i], context->inputs[i]),
                  error));
    for (size_t i = 0; i < context->n_outputs; i++)
        CLI_TRY(check(
            ort.api->BindOutput(context->binding, context->output_names[i], context->outputs[i]),
            error));
    return RDL_OK;
}

static bool note_fault(struct context *context, OrtStatus *status)
{
    if (status == NULL)
        return true;
    strncpy(context->fault, ort.api->GetErrorMessage(status), sizeof context->fault - 1);
    ort.api->ReleaseStatus(status);
    return false;
}

static bool call_run(void *argument)
{
    struct context *context = argument;
    return note_fault(context,
                      ort.api->Run(context->session, NULL, context->input_names,
                                   (const OrtValue *const *)context->inputs, context->n_inputs,
                                   context->output_names, context->n_outputs, context->outputs));
}

static bool call_binding(void *argument)
{
    struct context *context = argument;
    return note_fault(context, ort.api->RunWithBinding(context->session, NULL, context->binding));
}

static const void *output(const void *argument, size_t index, size_t *out_bytes)
{
    const struct context *context = argument;
    *out_bytes = context->block_bytes[index];
    return context->blocks[index];
}

static const char *fault(const void *argument)
{
    const struct context *context = argument;
    return context->fault;
}

static void close_context(struct context *context)
{
    if (context->binding != NULL)
        ort.api->ReleaseIoBinding(context->binding);
    for (size_t i = 0; i < MAX_PORTS; i++) {
        if (context->inputs[i] != NULL)
            ort.api->ReleaseValue(context->inputs[i]);
        if (context->outputs[i] != NULL)
            ort.api->ReleaseValue(context->outputs[i]);
        free(context->blocks[i]);
    }
    if (context->owns_session)
        ort.api->ReleaseSession(context->session);
    free(context);
}

static void close_peer(struct peer *peer)
{
    /* The first context may own the session that the others use. */
    for (size_t i = sizeof peer->contexts / sizeof peer->contexts[0]; i-- > 0;)
        if (peer->contexts[i] != NULL)
            close_context(peer->contexts[i]);
}

static enum rdl_status open_context(struct context *context, const char *path,
                                    const struct load *load, unsigned index, OrtSession *shared,
                                    struct rdl_error *error)
{
    const struct session *session = load->session;
    context->session = shared;
    context->owns_session = shared == NULL;
    context->n_inputs = session->n_inputs;
    context->n_outputs = session->n_outputs;
    if (shared == NULL) {
        enum rdl_status status =
            check(ort.api->CreateSession(ort.env, path, ort.options, &context->session), error);
        context->owns_session = status == RDL_OK;
        CLI_TRY(status);
    }
    CLI_TRY(bind_inputs(context, &load->data[index], session, error));
    return bind_outputs(context, &load->data[index], session, error);
}

enum rdl_status peer_open_ort(const char *library, const char *path, const struct load *load,
                              enum ort_use use, struct peer *out, struct rdl_error *error)
{
    static const char *const names[] = {"ort", "ort_binding", "ort_own"};
    *out = (struct peer){.name = names[use],
                         .call = use == ORT_BINDING ? call_binding : call_run,
                         .output = output,
                         .fault = fault,
                         .close = close_peer};
    if (load->session->n_inputs > MAX_PORTS || load->session->n_outputs > MAX_PORTS)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "more than %d inputs or outputs", MAX_PORTS);
    CLI_TRY(open_library(library, error));
    enum rdl_status status = RDL_OK;
    OrtSession *shared = NULL;
    for (unsigned i = 0; i < load->threads && status == RDL_OK; i++) {
        struct context *context = aligned_alloc(128, sizeof *context);
        if (context == NULL) {
            status = cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
            break;
        }
        memset(context, 0, sizeof *context);
        out->contexts[i] = context;
        status = open_context(context, path, load, i, shared, error);
        if (status == RDL_OK && use == ORT_BINDING)
            status = bind_both(context, error);
        shared = use == ORT_OWN ? NULL : context->session;
    }
    if (status != RDL_OK)
        close_peer(out);
    return status;
}
