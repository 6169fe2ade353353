/*
 * ONNX Runtime as a peer, through its C API, loaded at run time.
 *
 * Inputs are the material itself; outputs lie in blocks of our own, outside the arena.
 */
#include "peer.h"

#include "cli/cli.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdlib.h>
#include <string.h>

enum way { SHARED, BINDING, OWN };

struct ort {
    const OrtApi *api;
    const char *version;
    OrtEnv *env;
    OrtMemoryInfo *memory;
    OrtSessionOptions *options;
};

/* One library a process; opened by the first peer, read from then on. */
static struct ort ort;

struct context {
    OrtSession *session;
    OrtIoBinding *binding;
    OrtValue *inputs[MATERIAL_MAX_PORTS], *outputs[MATERIAL_MAX_PORTS];
    const char *input_names[MATERIAL_MAX_PORTS], *output_names[MATERIAL_MAX_PORTS];
    void *blocks[MATERIAL_MAX_PORTS];
    size_t n_inputs, n_outputs;
    bool owns_session;
    char fault[256];
} __attribute__((aligned(MATERIAL_ALIGNMENT)));

static const char *version(void)
{
    return ort.version;
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

static enum rdl_status make_value(const struct material_port *port, void *data, OrtValue **out,
                                  struct rdl_error *error)
{
    return check(ort.api->CreateTensorWithDataAsOrtValue(ort.memory, data, port->size_bytes,
                                                         port->dims, (size_t)port->rank,
                                                         element_type(port->dtype), out),
                 error);
}

static enum rdl_status bind(struct context *context, const struct material *material,
                            unsigned thread, struct rdl_error *error)
{
    context->n_inputs = material->n_inputs;
    context->n_outputs = material->n_outputs;
    for (size_t i = 0; i < material->n_inputs; i++) {
        context->input_names[i] = material->inputs[i].name;
        CLI_TRY(make_value(&material->inputs[i], material->data[thread].inputs[i],
                           &context->inputs[i], error));
    }
    for (size_t i = 0; i < material->n_outputs; i++) {
        context->output_names[i] = material->outputs[i].name;
        context->blocks[i] = material_block(material->outputs[i].size_bytes);
        if (context->blocks[i] == NULL)
            return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
        CLI_TRY(make_value(&material->outputs[i], context->blocks[i], &context->outputs[i], error));
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

static const void *output(const void *argument, size_t index)
{
    const struct context *context = argument;
    return context->blocks[index];
}

static const char *fault(const void *argument)
{
    const struct context *context = argument;
    return context->fault;
}

static void close_context(void *argument)
{
    struct context *context = argument;
    if (context->binding != NULL)
        ort.api->ReleaseIoBinding(context->binding);
    for (size_t i = 0; i < MATERIAL_MAX_PORTS; i++) {
        if (context->inputs[i] != NULL)
            ort.api->ReleaseValue(context->inputs[i]);
        if (context->outputs[i] != NULL)
            ort.api->ReleaseValue(context->outputs[i]);
        free(context->blocks[i]);
    }
    if (context->owns_session)
        ort.api->ReleaseSession(context->session);
}

static enum rdl_status open_context(const struct peer_kind *kind, const struct material_plan *plan,
                                    const struct material *material, unsigned thread,
                                    const void *first, void *out, struct rdl_error *error)
{
    struct context *context = out;
    if (first != NULL && kind->way != OWN) {
        context->session = ((const struct context *)first)->session;
    } else {
        CLI_TRY(check(
            ort.api->CreateSession(ort.env, plan->common.model, ort.options, &context->session),
            error));
        context->owns_session = true;
    }
    CLI_TRY(bind(context, material, thread, error));
    return kind->way == BINDING ? bind_both(context, error) : RDL_OK;
}

#define WAY(name_, way_, call_)                                                                    \
    {.name = (name_),                                                                              \
     .engine = "onnxruntime",                                                                      \
     .way = (way_),                                                                                \
     .context_bytes = sizeof(struct context),                                                      \
     .open_library = open_library,                                                                 \
     .version = version,                                                                           \
     .open_context = open_context,                                                                 \
     .close_context = close_context,                                                               \
     .call = (call_),                                                                              \
     .output = output,                                                                             \
     .fault = fault}
const struct peer_kind peer_ort_shared = WAY("ort", SHARED, call_run);
const struct peer_kind peer_ort_binding = WAY("ort_binding", BINDING, call_binding);
const struct peer_kind peer_ort_own = WAY("ort_own", OWN, call_run);
