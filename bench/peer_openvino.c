/*
 * OpenVINO as a peer, through its C API, loaded at run time.
 *
 * Inputs are the material itself; outputs lie in blocks of our own. Free dimensions are fixed
 * before the model is compiled, and values are f32: by default OpenVINO computes in bf16 on
 * processors that can, and pins the calling thread to one core.
 */
#include "peer.h"

#include "cli/cli.h"

#include <dlfcn.h>
#include <openvino/c/openvino.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum way { SHARED, OWN };

/* The functions that are used, each with the type that its header gives it. */
#define FUNCTIONS(X)                                                                               \
    X(ov_get_openvino_version)                                                                     \
    X(ov_get_last_err_msg)                                                                         \
    X(ov_get_error_info)                                                                           \
    X(ov_free)                                                                                     \
    X(ov_core_create)                                                                              \
    X(ov_core_read_model)                                                                          \
    X(ov_core_compile_model)                                                                       \
    X(ov_model_reshape)                                                                            \
    X(ov_model_free)                                                                               \
    X(ov_partial_shape_create_static)                                                              \
    X(ov_partial_shape_free)                                                                       \
    X(ov_compiled_model_input_by_name)                                                             \
    X(ov_compiled_model_output_by_name)                                                            \
    X(ov_compiled_model_create_infer_request)                                                      \
    X(ov_compiled_model_free)                                                                      \
    X(ov_port_get_element_type)                                                                    \
    X(ov_output_const_port_free)                                                                   \
    X(ov_tensor_create_from_host_ptr)                                                              \
    X(ov_tensor_get_byte_size)                                                                     \
    X(ov_tensor_free)                                                                              \
    X(ov_infer_request_set_tensor_by_const_port)                                                   \
    X(ov_infer_request_infer)                                                                      \
    X(ov_infer_request_free)

/* One library a process; opened by the first peer, read from then on. */
static struct {
    bool open;
    char version[64];
    ov_core_t *core;
#define FIELD(name) __typeof__(name) *(name);
    FUNCTIONS(FIELD)
#undef FIELD
} ov;

struct context {
    ov_compiled_model_t *compiled;
    ov_infer_request_t *request;
    void *blocks[MATERIAL_MAX_PORTS];
    ov_tensor_t *tensors[2 * MATERIAL_MAX_PORTS];
    size_t n_tensors;
    bool owns_compiled;
    char fault[256];
} __attribute__((aligned(MATERIAL_ALIGNMENT)));

static const char *version(void)
{
    return ov.version;
}

/* The library's last message in one line. */
static void describe_fault(ov_status_e status, char *out, size_t room)
{
    const char *message = ov.ov_get_last_err_msg();
    bool empty = message == NULL || message[0] == '\0';
    (void)snprintf(out, room, "%s", empty ? ov.ov_get_error_info(status) : message);
    for (char *at = out; *at != '\0'; at++)
        if (*at == '\n')
            *at = ' ';
    ov.ov_free(message);
}

static enum rdl_status check(ov_status_e status, struct rdl_error *error)
{
    char text[400];
    if (status == OK)
        return RDL_OK;
    describe_fault(status, text, sizeof text);
    return cli_fail(error, RDL_ERR_RUNTIME, "OpenVINO: %s", text);
}

static enum rdl_status find(void *handle, const char *name, void *out, struct rdl_error *error)
{
    void *symbol = dlsym(handle, name);
    if (symbol == NULL)
        return cli_fail(error, RDL_ERR_IO, "OpenVINO has no %s", name);
    memcpy(out, &symbol, sizeof symbol);
    return RDL_OK;
}

static enum rdl_status open_library(const char *library, struct rdl_error *error)
{
    if (ov.open)
        return RDL_OK;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return cli_fail(error, RDL_ERR_IO, "%s", dlerror());
#define FIND(name) CLI_TRY(find(handle, #name, &ov.name, error));
    FUNCTIONS(FIND)
#undef FIND
    ov_version_t found = {0};
    CLI_TRY(check(ov.ov_get_openvino_version(&found), error));
    (void)snprintf(ov.version, sizeof ov.version, "%s", found.buildNumber);
    CLI_TRY(check(ov.ov_core_create(&ov.core), error));
    ov.open = true;
    return RDL_OK;
}

/* ---- model ----------------------------------------------------------------------------------- */

/* Gives every input that is no scalar the shape of the material. */
static enum rdl_status fix_shapes(const ov_model_t *model, const struct material *material,
                                  struct rdl_error *error)
{
    const char *names[MATERIAL_MAX_PORTS];
    ov_partial_shape_t shapes[MATERIAL_MAX_PORTS];
    size_t count = 0;
    enum rdl_status status = RDL_OK;
    for (size_t i = 0; i < material->n_inputs && status == RDL_OK; i++) {
        const struct material_port *input = &material->inputs[i];
        if (input->rank == 0)
            continue;
        status = check(ov.ov_partial_shape_create_static(input->rank, input->dims, &shapes[count]),
                       error);
        names[count] = input->name;
        count += status == RDL_OK;
    }
    if (status == RDL_OK && count > 0)
        status = check(ov.ov_model_reshape(model, names, shapes, count), error);
    while (count-- > 0)
        ov.ov_partial_shape_free(&shapes[count]);
    return status;
}

static enum rdl_status compile(const char *path, const struct material *material, enum way way,
                               ov_compiled_model_t **out, struct rdl_error *error)
{
    ov_model_t *model = NULL;
    char streams[16];
    (void)snprintf(streams, sizeof streams, "%u", way == OWN ? 1 : material->threads);
    CLI_TRY(check(ov.ov_core_read_model(ov.core, path, NULL, &model), error));
    enum rdl_status status = fix_shapes(model, material, error);
    if (status == RDL_OK)
        status = check(ov.ov_core_compile_model(
                           ov.core, model, "CPU", 10, out, "INFERENCE_PRECISION_HINT", "f32",
                           "PERFORMANCE_HINT", way == OWN ? "LATENCY" : "THROUGHPUT", "NUM_STREAMS",
                           streams, "INFERENCE_NUM_THREADS", streams, "ENABLE_CPU_PINNING", "NO"),
                       error);
    ov.ov_model_free(model);
    return status;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static enum rdl_status bind_port(struct context *context, const ov_output_const_port_t *port,
                                 const struct material_port *shape, void *data,
                                 struct rdl_error *error)
{
    int64_t dims[RDL_MAX_RANK];
    ov_element_type_e type;
    size_t size_bytes = 0;
    memcpy(dims, shape->dims, sizeof dims);
    CLI_TRY(check(ov.ov_port_get_element_type(port, &type), error));
    ov_tensor_t **tensor = &context->tensors[context->n_tensors];
    CLI_TRY(check(ov.ov_tensor_create_from_host_ptr(
                      type, (ov_shape_t){.rank = shape->rank, .dims = dims}, data, tensor),
                  error));
    context->n_tensors++;
    CLI_TRY(check(ov.ov_tensor_get_byte_size(*tensor, &size_bytes), error));
    if (size_bytes != shape->size_bytes)
        return cli_fail(error, RDL_ERR_SHAPE, "OpenVINO: '%s' has %zu bytes, not %zu", shape->name,
                        size_bytes, shape->size_bytes);
    return check(ov.ov_infer_request_set_tensor_by_const_port(context->request, port, *tensor),
                 error);
}

static enum rdl_status bind(struct context *context, const struct material *material,
                            unsigned thread, struct rdl_error *error)
{
    enum rdl_status status = RDL_OK;
    ov_output_const_port_t *port = NULL;
    for (size_t i = 0; i < material->n_inputs && status == RDL_OK; i++) {
        const struct material_port *input = &material->inputs[i];
        CLI_TRY(check(ov.ov_compiled_model_input_by_name(context->compiled, input->name, &port),
                      error));
        status = bind_port(context, port, input, material->data[thread].inputs[i], error);
        ov.ov_output_const_port_free(port);
    }
    for (size_t i = 0; i < material->n_outputs && status == RDL_OK; i++) {
        const struct material_port *output = &material->outputs[i];
        context->blocks[i] = material_block(output->size_bytes);
        if (context->blocks[i] == NULL)
            return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
        CLI_TRY(check(ov.ov_compiled_model_output_by_name(context->compiled, output->name, &port),
                      error));
        status = bind_port(context, port, output, context->blocks[i], error);
        ov.ov_output_const_port_free(port);
    }
    return status;
}

static bool call(void *argument)
{
    struct context *context = argument;
    ov_status_e status = ov.ov_infer_request_infer(context->request);
    if (status != OK)
        describe_fault(status, context->fault, sizeof context->fault);
    return status == OK;
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
    if (context->request != NULL)
        ov.ov_infer_request_free(context->request);
    for (size_t i = 0; i < context->n_tensors; i++)
        ov.ov_tensor_free(context->tensors[i]);
    if (context->owns_compiled)
        ov.ov_compiled_model_free(context->compiled);
    for (size_t i = 0; i < MATERIAL_MAX_PORTS; i++)
        free(context->blocks[i]);
}

static enum rdl_status open_context(const struct peer_kind *kind, const struct material_plan *plan,
                                    const struct material *material, unsigned thread,
                                    const void *first, void *out, struct rdl_error *error)
{
    struct context *context = out;
    if (first != NULL && kind->way == SHARED) {
        context->compiled = ((const struct context *)first)->compiled;
    } else {
        CLI_TRY(
            compile(plan->common.model, material, (enum way)kind->way, &context->compiled, error));
        context->owns_compiled = true;
    }
    CLI_TRY(check(ov.ov_compiled_model_create_infer_request(context->compiled, &context->request),
                  error));
    return bind(context, material, thread, error);
}

#define WAY(name_, way_)                                                                           \
    {.name = (name_),                                                                              \
     .engine = "openvino",                                                                         \
     .way = (way_),                                                                                \
     .context_bytes = sizeof(struct context),                                                      \
     .open_library = open_library,                                                                 \
     .version = version,                                                                           \
     .open_context = open_context,                                                                 \
     .close_context = close_context,                                                               \
     .call = call,                                                                                 \
     .output = output,                                                                             \
     .fault = fault}
const struct peer_kind peer_openvino_shared = WAY("openvino", SHARED);
const struct peer_kind peer_openvino_own = WAY("openvino_own", OWN);
