/*
 * Warm-up: a plan compiled, and lanes' arenas grown, before the first run needs them.
 */
#include "model/model.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/fpenv.h"
#include "tensor/tensor.h"

#include <inttypes.h>

static enum rdl_status make_key(const struct rdl__program *program, const struct rdl_shape *shapes,
                                struct rdl__desc *descs, struct rdl_error *error)
{
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const struct rdl__program_port *port = &program->inputs[i];
        enum rdl_status status = rdl__shape_check(shapes[i].rank, shapes[i].dims, error);
        if (status != RDL_OK)
            return rdl__fail_within(error, status, "input \"%s\"", port->name);
        if (port->dtype == RDL_DTYPE_NONE)
            return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                             "input \"%s\": the model does not say its dtype", port->name);
        descs[i].dtype = port->dtype;
        rdl__shape_set(&descs[i].shape, shapes[i].rank, shapes[i].dims);
        RDL_TRY(rdl__check_port(port, &descs[i], error));
        size_t bytes;
        if (port->decides && rdl__tensor_bytes(port->dtype, &descs[i].shape, &bytes) &&
            bytes <= RDL__DECIDING_BYTES)
            return rdl__fail(
                error, RDL_ERR_UNSUPPORTED,
                "input \"%s\" decides by its elements what is computed: warm up by a run",
                port->name);
    }
    return RDL_OK;
}

static enum rdl_status grow_arena(struct rdl__lane *lane, size_t bytes, struct rdl_error *error)
{
    if (bytes == 0 || (lane->arena != NULL && lane->arena->requested_bytes >= bytes))
        return RDL_OK;
    if (lane->arena != NULL)
        rdl__memory_free_here(lane, lane->arena);
    lane->arena = NULL;
    struct rdl__memory_want want = {.size_bytes = bytes};
    RDL_TRY(rdl__lane_stream(lane));
    RDL_TRY(rdl__memory_alloc(lane->device, lane, &want, 1, RDL_NO_WAIT, NULL, error));
    lane->arena = want.block;
    return RDL_OK;
}

/* Grows the arenas of up to `count` lanes that nobody holds. */
static enum rdl_status grow_lanes(struct rdl__device *device, uint32_t count, size_t bytes,
                                  struct rdl_error *error)
{
    enum rdl_status status = RDL_OK;
    for (uint32_t i = 1; i < device->n_lanes && count > 0 && status == RDL_OK; i++) {
        struct rdl__lane *lane = &device->lanes[i];
        if (!rdl__lane_try(lane))
            continue;
        status = grow_arena(lane, bytes, error);
        rdl__lane_release(lane);
        count--;
    }
    return status;
}

static enum rdl_status warm_up(struct rdl__model *model, const struct rdl_shape *shapes,
                               uint32_t lanes, struct rdl_error *error)
{
    const struct rdl__program *program = model->program;
    const struct rdl__compile_limits limits = {RDL_FOREVER, NULL};
    struct rdl__lane *lane;
    struct rdl__plan *plan = NULL;
    struct rdl__desc *descs = rdl__alloc_zeroed(program->n_inputs + 1, sizeof *descs);
    if (descs == NULL)
        return rdl__fail_memory(error, "rdl_model_warm_up", program->n_inputs * sizeof *descs);
    const uint64_t all =
        program->n_outputs < 64 ? (UINT64_C(1) << program->n_outputs) - 1 : UINT64_MAX;
    const struct rdl__plan_key key = {descs, program->n_inputs, all};
    enum rdl_status status = make_key(program, shapes, descs, error);
    if (status == RDL_OK) {
        status = rdl__lane_acquire(model->device, RDL_FOREVER, NULL, &lane);
        if (status != RDL_OK)
            status = rdl__fail(error, status, "no lane: %s", rdl_status_text(status));
    }
    if (status == RDL_OK) {
        const rdl__fpenv callers = rdl__fpenv_enter(); /* folding computes */
        size_t arena_bytes = 0;
        status = rdl__plans_get(model, lane, &key, &limits, &plan, error);
        if (status == RDL_OK)
            arena_bytes = plan->arena_bytes;
        rdl__lane_unpublish(lane);
        rdl__lane_release(lane);
        rdl__fpenv_leave(callers);
        if (status == RDL_OK)
            status = grow_lanes(model->device, lanes, arena_bytes, error);
    }
    rdl__free(descs);
    return status;
}

enum rdl_status rdl_model_warm_up(struct rdl_model handle, const struct rdl_shape *shapes,
                                  size_t n_inputs, uint32_t lanes, struct rdl_error *error)
{
    enum rdl_status status;
    struct rdl__model *model = rdl__model_pin(handle, &status, error);
    if (model == NULL)
        return status;
    if (n_inputs != model->program->n_inputs || (shapes == NULL && n_inputs > 0))
        status =
            rdl__fail(error, RDL_ERR_ARGUMENT, "%zu shapes given, the model has %" PRIu32 " inputs",
                      n_inputs, model->program->n_inputs);
    else
        status = warm_up(model, shapes, lanes, error);
    rdl__model_unpin(handle);
    return status == RDL_OK ? RDL_OK : rdl__fail_within(error, status, "rdl_model_warm_up");
}
