/*
 * Loading and closing models.
 *
 * A load works in an arena of its own for the imported graph, which goes at its end; what stays is the
 * program. The model becomes visible with its handle, last of all. Closing moves the handle on, and the
 * object is retired when the last pin goes: from then on only calls that found it before, and published
 * it, may still read it.
 */
#include "model/model.h"

#include "base/mem.h"
#include "base/status.h"
#include "graph/passes/passes.h"
#include "model/fold.h"
#include "onnx/names.h"
#include "onnx/onnx.h"
#include "ops/ops.h"
#include "os/fork.h"
#include "os/fpenv.h"
#include "runtime/lifecycle.h"

#define MAX_OUTPUTS 64 /* bits of a plan's key */

static void retire_model(void *object);
struct rdl__table rdl__models = RDL__TABLE_INIT(retire_model);

static void free_model(struct rdl__model *model)
{
    rdl__plans_fini(model);
    rdl__program_release(model->program);
    rdl_model_info_release(model->info);
    rdl__free(model);
}

static void free_retired(struct rdl__retired *retired)
{
    free_model((struct rdl__model *)(void *)retired);
}
_Static_assert(offsetof(struct rdl__model, retired) == 0, "a retired model is its first member");

static void retire_model(void *object)
{
    struct rdl__model *model = object;
    if (rdl__device_usable(model->device) == RDL_ERR_FORKED)
        return; /* a child may not touch the memory of its parent's device: it forgets the model */
    model->retired.object = model;
    model->retired.free = free_retired;
    rdl__retire(model->device, &model->retired);
}

struct rdl__model *rdl__model_pin(struct rdl_model handle, enum rdl_status *status,
                                  struct rdl_error *error)
{
    struct rdl__model *model = rdl__handle_pin(&rdl__models, handle.id);
    *status = RDL_ERR_CLOSED;
    if (model != NULL) {
        *status = rdl__device_usable(model->device);
        if (*status != RDL_ERR_FORKED) {
            *status = RDL_OK; /* a lost device's model still answers */
            return model;
        }
        rdl__handle_unpin(&rdl__models, handle.id);
    }
    (void)rdl__fail(error, *status, "model: %s", rdl_status_text(*status));
    return NULL;
}

void rdl__model_unpin(struct rdl_model handle)
{
    rdl__handle_unpin(&rdl__models, handle.id);
}

/* --------------------------------------------------------------------------------------- loading */

/* A load in progress. */
struct load {
    struct rdl_load_options options;
    struct rdl__compile_limits limits;
    struct rdl__arena arena; /* the graph, until the program is made */
    struct rdl__device *device;
    struct rdl_error *error;
};

static bool is_to_stop(void *user)
{
    const struct load *load = user;
    return rdl__limits_check(&load->limits, NULL) != RDL_OK;
}

/* Says which of the limits stopped the importer. */
static enum rdl_status stopped(const struct load *load, enum rdl_status status)
{
    if (status != RDL_ERR_CANCELLED)
        return status;
    const enum rdl_status cause = rdl__limits_check(&load->limits, load->error);
    return cause != RDL_OK ? cause : status;
}

static enum rdl_status stop_load(const void *user, struct rdl_error *error)
{
    return rdl__limits_check(user, error);
}

static enum rdl_status fold_node(void *user, const struct rdl__graph *graph,
                                 const struct rdl__node *node, struct rdl__desc *out,
                                 struct rdl_error *error)
{
    const struct load *load = user;
    RDL_TRY(rdl__limits_check(&load->limits, error));
    struct rdl__desc *in = RDL__ARENA_ARRAY(graph->arena, struct rdl__desc, node->n_inputs + 1);
    if (in == NULL)
        return rdl__fail_memory(error, "fold", node->n_inputs * sizeof *in);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE && graph->values[node->inputs[i]].constant != NULL)
            in[i] = *graph->values[node->inputs[i]].constant;
    if (!rdl__can_fold(node, in))
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "an input is not known");
    struct rdl__effort effort = {.arena = graph->arena, .stop = stop_load, .user = &load->limits};
    RDL_TRY(rdl__infer_node(node, in, out, &effort, error));
    return rdl__fold(node, in, out, effort.kept, graph->arena, rdl__isa_best(), error);
}

static enum rdl_status check_ports(const struct rdl__graph *graph, struct rdl_error *error)
{
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        const struct rdl__value_info *value = &graph->values[graph->inputs[i]];
        if (value->kind != 0 && value->kind != RDL_VALUE_TENSOR)
            return rdl__fail(error, RDL_ERR_UNSUPPORTED, "input \"%s\": only tensors are supported",
                             value->name);
        if (value->dtype == RDL_STRING)
            return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                             "input \"%s\": string tensors are not supported", value->name);
    }
    if (graph->n_outputs > MAX_OUTPUTS)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%u outputs, at most %d are supported",
                         graph->n_outputs, MAX_OUTPUTS);
    return RDL_OK;
}

static enum rdl_status compile_graph(struct load *load, struct rdl__graph *graph,
                                     struct rdl__program **out)
{
    const uint32_t n_file_nodes = graph->n_nodes;
    RDL_TRY(check_ports(graph, load->error));
    RDL_TRY(rdl__graph_dissolve_ifs(graph, rdl__op_find, load->error));
    if (!load->options.no_fusion) {
        RDL_TRY(rdl__limits_check(&load->limits, load->error));
        RDL_TRY(rdl__graph_optimize(graph, rdl__op_find, fold_node, load, load->error));
    }
    return rdl__program_compile(graph, n_file_nodes, load->device, &load->limits, out, load->error);
}

/* Makes the model of a program, which it takes over, and its handle. */
static enum rdl_status publish(struct load *load, struct rdl__program *program,
                               struct rdl_model *out)
{
    struct rdl__model *model = rdl__alloc_zeroed(1, sizeof *model);
    if (model == NULL) {
        rdl__program_release(program);
        return rdl__fail_memory(load->error, "model", sizeof *model);
    }
    model->device = load->device;
    model->program = program;
    model->info = rdl__model_info_new(program);
    model->flights_epoch = rdl__fork_epoch();
    enum rdl_status status = model->info != NULL ? RDL_OK : RDL_ERR_NO_MEMORY;
    if (status == RDL_OK)
        status = rdl__plans_init(model, load->device->plan_cache);
    if (status == RDL_OK)
        status = rdl__handle_open(&rdl__models, model, load->device, &out->id);
    if (status != RDL_OK) {
        free_model(model);
        return rdl__fail_memory(load->error, "model", sizeof *model);
    }
    /* A device that began to close may have walked its models before this one was named. */
    if (rdl__load_seq_cst(&load->device->state) != RDL__DEVICE_OPEN) {
        (void)rdl__handle_close(&rdl__models, out->id);
        out->id = 0;
        return rdl__fail(load->error, RDL_ERR_CLOSED, "model: the device is closed");
    }
    return RDL_OK;
}

static enum rdl_status load_graph(struct load *load, const void *data, size_t size_bytes,
                                  const char *path, struct rdl_model *out)
{
    const struct rdl__onnx_options import = {.folder = load->options.folder,
                                             .find = rdl__op_find,
                                             .stop = {.poll = is_to_stop, .user = load}};
    struct rdl__graph *graph = NULL;
    const enum rdl_status status =
        path != NULL
            ? rdl__onnx_import_file(path, &import, &load->arena, &graph, load->error)
            : rdl__onnx_import(data, size_bytes, &import, &load->arena, &graph, load->error);
    RDL_TRY(stopped(load, status));
    struct rdl__program *program;
    const rdl__fpenv callers = rdl__fpenv_enter(); /* folding computes */
    const enum rdl_status compiled = compile_graph(load, graph, &program);
    rdl__fpenv_leave(callers);
    if (compiled == RDL_OK)
        return publish(load, program, out);
    /* The importer's messages name the file already. */
    return path == NULL ? compiled
                        : rdl__fail_within(load->error, compiled, "\"%s\"",
                                           rdl__name_text(path, (char[512]){0}, 512));
}

static enum rdl_status begin(struct load *load, const struct rdl_load_options *options,
                             struct rdl_model *out, struct rdl_error *error)
{
    if (out == NULL || (options != NULL && options->size != sizeof *options))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_model_load: %s",
                         out == NULL ? "out is NULL" : "options have an unknown size");
    out->id = 0;
    RDL_TRY(rdl__runtime_enter(error));
    rdl__table_register(&rdl__models);
    *load = (struct load){.error = error};
    if (options != NULL)
        load->options = *options;
    load->limits.deadline_ns =
        load->options.deadline_ns != 0 ? load->options.deadline_ns : RDL_FOREVER;
    load->limits.cancel = load->options.cancel;
    rdl__arena_init(&load->arena, load->options.memory_limit_bytes > 0
                                      ? load->options.memory_limit_bytes
                                      : SIZE_MAX);
    enum rdl_status status;
    load->device = rdl__device_pin_or_default(load->options.device, &status, error);
    return status;
}

static void end(struct load *load)
{
    rdl__arena_fini(&load->arena);
    rdl__device_unpin(load->device);
}

enum rdl_status rdl_model_load(const char *path, const struct rdl_load_options *options,
                               struct rdl_model *out, struct rdl_error *error)
{
    struct load load;
    if (path == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_model_load: path is NULL");
    RDL_TRY(begin(&load, options, out, error));
    const enum rdl_status status = load_graph(&load, NULL, 0, path, out);
    end(&load);
    return status;
}

enum rdl_status rdl_model_load_memory(const void *data, size_t size_bytes,
                                      const struct rdl_load_options *options, struct rdl_model *out,
                                      struct rdl_error *error)
{
    struct load load;
    if (data == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_model_load_memory: data is NULL");
    RDL_TRY(begin(&load, options, out, error));
    const enum rdl_status status = load_graph(&load, data, size_bytes, NULL, out);
    end(&load);
    return status;
}

void rdl_model_close(struct rdl_model handle)
{
    (void)rdl__handle_close(&rdl__models, handle.id);
}
