/*
 * Profiles: a plan of one's own, run step by step on a leased lane, each step waited for and timed.
 *
 * Nothing of it is shared with other runs but the lane: the plan is in no cache, inputs and outputs lie in
 * blocks of the device that the call asks for, together with the arena, in one request. The lane's own
 * arena stays as it is. What the plan leaves to the run goes through model/deferred.h, watched.
 */
#include "model/deferred.h"
#include "model/model.h"
#include "model/plan_info.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "os/fpenv.h"
#include "runtime/lifecycle.h"
#include "runtime/stream.h"
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RUNS 100000

/* A node of the deferred part, as it is met. */
struct met {
    struct rdl_step_info step; /* of the last run; calls 0: not met in it */
    int64_t *times;            /* [runs] */
};

struct profile {
    struct rdl__deferred_watcher watcher; /* first: begin_node and end_node get it */
    struct rdl__program *program;
    struct rdl__device *device;
    struct rdl__lane *lane;
    struct rdl__plan *plan;
    struct rdl_plan_info *info;
    struct rdl_value *const *inputs;
    struct rdl_error *error;
    struct rdl__arena arena; /* of the call */
    struct rdl__memory_want
        *wants;         /* [1 + n_inputs + n_outputs] arena and ports; block NULL: none */
    void **bases;       /* [plan->n_bases] */
    uint32_t runs, run; /* how many, and the one under way */
    int64_t **times;    /* [n_steps][runs] */
    struct met *met;    /* [n_met] by number of the node */
    uint32_t n_met;
    bool no_memory; /* of begin_node, which returns nothing */
};

static enum rdl_status no_memory(const struct profile *profile)
{
    return rdl__fail(profile->error, RDL_ERR_NO_MEMORY, "profile: no memory");
}

/* Waits until all that was submitted has run, and reads what it says. */
static enum rdl_status settle(const struct profile *profile, enum rdl_status status)
{
    struct rdl__lane *lane = profile->lane;
    const struct rdl__point point = profile->device->backend->tail(lane->stream);
    if (status == RDL_OK)
        status = rdl__device_wait(profile->device, point, RDL_FOREVER, NULL);
    if (status != RDL_OK)
        rdl__device_drain(profile->device, point);
    (void)rdl__device_note(profile->device, status);
    /* pairs with the backend's compare-and-swap */
    const uint64_t failed = rdl__load_acquire(&lane->progress.failed);
    if (failed != 0)
        return rdl__explain_failure(profile->program, failed, profile->error);
    if (status == RDL_OK) /* of who closes the device */
        status = (enum rdl_status)rdl__load_relaxed(&lane->progress.stop);
    return status == RDL_OK
               ? RDL_OK
               : rdl__fail(profile->error, status, "profile: %s", rdl_status_text(status));
}

/* ---------------------------------------------------------------------------------------- memory */

static enum rdl_status get_memory(struct profile *profile)
{
    const struct rdl__program *program = profile->program;
    const struct rdl__plan *plan = profile->plan;
    const size_t n = (size_t)program->n_inputs + program->n_outputs + 1;
    struct rdl__memory_want *wants = RDL__ARENA_ARRAY(&profile->arena, struct rdl__memory_want, n);
    profile->bases = RDL__ARENA_ARRAY(&profile->arena, void *, plan->n_bases);
    if (wants == NULL || profile->bases == NULL)
        return no_memory(profile);
    wants[0].size_bytes = plan->arena_bytes;
    for (uint32_t i = 0; i < program->n_inputs; i++)
        wants[1 + i].size_bytes = plan->inputs[i].bytes;
    for (uint32_t k = 0; k < program->n_outputs; k++)
        wants[1 + program->n_inputs + k].size_bytes = plan->outputs[k].bytes;
    for (size_t i = 0; i < n; i++)
        if (wants[i].size_bytes == 0)
            wants[i].size_bytes = 1;
    RDL_TRY(rdl__memory_alloc(profile->device, profile->lane, wants, n, RDL_FOREVER, NULL,
                              profile->error));
    profile->wants = wants;
    profile->bases[RDL__BASE_ARENA] = wants[0].block->address;
    profile->bases[RDL__BASE_WEIGHTS] = program->block != NULL ? program->block->address : NULL;
    profile->bases[RDL__BASE_CONSTANTS] = plan->constants;
    for (size_t i = 1; i < n; i++)
        profile->bases[RDL__BASE_FIRST_PORT + i - 1] = wants[i].block->address;
    return RDL_OK;
}

static void free_memory(struct profile *profile)
{
    const size_t n = (size_t)profile->program->n_inputs + profile->program->n_outputs + 1;
    for (size_t i = 0; profile->wants != NULL && i < n; i++)
        rdl__memory_free_here(profile->lane, profile->wants[i].block);
}

static enum rdl_status copy_inputs(struct profile *profile)
{
    const struct rdl__plan *plan = profile->plan;
    enum rdl_status status = RDL_OK;
    for (uint32_t i = 0; i < profile->program->n_inputs && status == RDL_OK; i++) {
        const struct rdl_tensor *tensor = profile->inputs[i]->tensor;
        const size_t bytes = plan->inputs[i].bytes;
        const void *host = tensor->data;
        if (bytes == 0)
            continue;
        if (!tensor->is_contiguous) {
            void *packed = rdl__arena_alloc_aligned(&profile->arena, RDL_ALIGN, bytes);
            if (packed == NULL)
                return settle(profile, no_memory(profile));
            rdl__tensor_pack(tensor, packed);
            host = packed;
        }
        status = profile->device->backend->copy_in(profile->lane->stream,
                                                   profile->bases[RDL__BASE_FIRST_PORT + i], host,
                                                   bytes, &profile->lane->progress);
    }
    return settle(profile, status);
}

/* ----------------------------------------------------------------------------------- the plan's */

static enum rdl_status run_step(struct profile *profile, uint32_t s)
{
    struct rdl__segment one = profile->plan->segment;
    one.steps += s;
    one.n_steps = 1;
    const int64_t start = rdl_now_ns();
    RDL_TRY(settle(profile, profile->device->backend->submit(
                                profile->lane->stream, &one, profile->bases, profile->plan->n_bases,
                                &profile->lane->progress, RDL_FOREVER)));
    profile->times[s][profile->run] = rdl_now_ns() - start;
    return RDL_OK;
}

/* ----------------------------------------------------------------------------- the deferred part */

/* How deep the node of a number lies in bodies. */
static uint32_t depth_of(const struct rdl__program *program, uint32_t number)
{
    if (number >= program->first_number && number - program->first_number < program->n_nodes)
        return 0;
    for (uint32_t n = 0; n < program->n_nodes; n++) {
        const struct rdl__program *body = program->nodes[n].body;
        const uint32_t depth = body != NULL ? depth_of(body, number) : UINT32_MAX;
        if (depth != UINT32_MAX)
            return depth + 1;
    }
    return UINT32_MAX;
}

static void begin_node(struct rdl__deferred_watcher *watcher, const struct rdl__deferred_node *what)
{
    struct profile *profile = (struct profile *)(void *)watcher;
    struct met *met = &profile->met[what->number];
    if (met->times == NULL)
        met->times = RDL__ARENA_ARRAY(&profile->arena, int64_t, profile->runs);
    profile->no_memory = profile->no_memory || met->times == NULL;
    if (profile->run + 1 < profile->runs)
        return;
    /* The last run: described at its first call, then added up. */
    if (met->step.calls == 0) {
        met->step.is_deferred = true;
        if (!rdl__plan_info_node(profile->info, what->node,
                                 depth_of(profile->program, what->number), what->in, what->out,
                                 &met->step))
            profile->no_memory = true;
    } else if (what->node->op->flop != NULL) {
        met->step.flop += what->node->op->flop(what->node, what->in, what->out);
    }
    met->step.tiles += what->tiles;
    met->step.bytes += what->bytes;
    met->step.calls++;
}

static void end_node(struct rdl__deferred_watcher *watcher, uint32_t number, int64_t time_ns)
{
    struct profile *profile = (struct profile *)(void *)watcher;
    struct met *met = &profile->met[number];
    if (met->times != NULL)
        met->times[profile->run] += time_ns;
}

static enum rdl_status evaluate(struct profile *profile, struct rdl__frame *frame,
                                struct rdl__deferred *deferred)
{
    const struct rdl__program *program = profile->program;
    RDL_TRY(rdl__frame_init(frame, deferred, program));
    rdl__frame_import(frame, profile->plan, profile->bases);
    for (uint32_t k = 0; k < program->n_outputs; k++)
        if (profile->plan->outputs[k].kind == RDL__PLAN_DEFERRED)
            RDL_TRY(rdl__frame_evaluate(frame, program->outputs[k].value));
    return RDL_OK;
}

static enum rdl_status run_deferred(struct profile *profile)
{
    struct rdl__deferred deferred = {.device = profile->device,
                                     .program = profile->program,
                                     .lane = profile->lane,
                                     .deadline_ns = RDL_FOREVER,
                                     .error = profile->error,
                                     .watcher = &profile->watcher};
    struct rdl__frame frame = {.run = &deferred};
    if (!profile->plan->has_deferred)
        return RDL_OK;
    enum rdl_status status = evaluate(profile, &frame, &deferred);
    if (status != RDL_OK)
        rdl__device_drain(profile->device, profile->device->backend->tail(profile->lane->stream));
    else
        status = settle(profile, status);
    rdl__frame_fini(&frame);
    rdl__deferred_end(&deferred);
    return status == RDL_OK && profile->no_memory ? no_memory(profile) : status;
}

/* --------------------------------------------------------------------------------------- results */

static int compare_times(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static int64_t median(int64_t *times, uint32_t n)
{
    qsort(times, n, sizeof *times, compare_times);
    return times[n / 2];
}

/* Puts the times into the description, and the deferred part's nodes behind the steps. */
static enum rdl_status finish(struct profile *profile)
{
    struct rdl_plan_info *info = profile->info;
    size_t n = 0;
    for (size_t s = 0; s < info->n_steps; s++)
        info->steps[s].time_ns = median(profile->times[s], profile->runs);
    for (uint32_t i = 0; i < profile->n_met; i++)
        n += profile->met[i].step.calls > 0;
    struct rdl_step_info *steps = rdl__plan_info_extend(info, n);
    if (steps == NULL)
        return no_memory(profile);
    for (uint32_t i = 0; i < profile->n_met; i++) {
        struct met *met = &profile->met[i];
        if (met->step.calls == 0)
            continue;
        *steps = met->step;
        (steps++)->time_ns = median(met->times, profile->runs);
    }
    info->n_steps += n;
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------------- runs */

/* Numbers of nodes in the program and its bodies. */
static uint32_t count_numbers(const struct rdl__program *program)
{
    uint32_t count = program->first_number + program->n_nodes;
    for (uint32_t n = 0; n < program->n_nodes; n++) {
        const struct rdl__program *body = program->nodes[n].body;
        const uint32_t inner = body != NULL ? count_numbers(body) : 0;
        count = inner > count ? inner : count;
    }
    return count;
}

static enum rdl_status make_room(struct profile *profile)
{
    const uint32_t n_steps = profile->plan->segment.n_steps;
    profile->n_met = count_numbers(profile->program);
    profile->times = RDL__ARENA_ARRAY(&profile->arena, int64_t *, (size_t)n_steps + 1);
    profile->met = RDL__ARENA_ARRAY(&profile->arena, struct met, (size_t)profile->n_met + 1);
    if (profile->times == NULL || profile->met == NULL)
        return no_memory(profile);
    for (uint32_t s = 0; s < n_steps; s++)
        if ((profile->times[s] = RDL__ARENA_ARRAY(&profile->arena, int64_t, profile->runs)) == NULL)
            return no_memory(profile);
    return RDL_OK;
}

static enum rdl_status run_all(struct profile *profile)
{
    RDL_TRY(make_room(profile));
    RDL_TRY(get_memory(profile));
    RDL_TRY(copy_inputs(profile));
    for (; profile->run < profile->runs; profile->run++) {
        for (uint32_t s = 0; s < profile->plan->segment.n_steps; s++)
            RDL_TRY(run_step(profile, s));
        RDL_TRY(run_deferred(profile));
    }
    return finish(profile);
}

static enum rdl_status run_on_lane(struct profile *profile)
{
    struct rdl__lane *lane = profile->lane;
    rdl__store_relaxed(&lane->progress.failed, UINT64_C(0)); /* the lane is held */
    rdl__cancel_flags(NULL, lane->progress.cancelled);
    enum rdl_status status = rdl__lane_stream(lane);
    if (status != RDL_OK)
        return rdl__fail(profile->error, status, "profile: stream: %s", rdl_status_text(status));
    const rdl__fpenv callers = rdl__fpenv_enter();
    status = run_all(profile);
    rdl__fpenv_leave(callers);
    free_memory(profile);
    rdl__store_relaxed(&lane->progress.stop, (uint32_t)RDL_OK); /* as at the end of every run */
    return status;
}

static enum rdl_status profile_plan(struct profile *profile)
{
    enum rdl_status status = rdl__lane_acquire(profile->device, RDL_FOREVER, NULL, &profile->lane);
    if (status != RDL_OK)
        return rdl__fail(profile->error, status, "no lane: %s", rdl_status_text(status));
    rdl__arena_init(&profile->arena, SIZE_MAX);
    status = run_on_lane(profile);
    rdl__arena_fini(&profile->arena);
    rdl__lane_release(profile->lane);
    return status;
}

static enum rdl_status profile_model(struct rdl__model *model, struct rdl_value *const *inputs,
                                     uint32_t runs, struct rdl_plan_info **out,
                                     struct rdl_error *error)
{
    struct profile profile = {.watcher = {begin_node, end_node},
                              .program = model->program,
                              .device = model->device,
                              .inputs = inputs,
                              .runs = runs,
                              .error = error};
    if (runs < 1 || runs > MAX_RUNS)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "%" PRIu32 " runs, 1..%d are possible", runs,
                         MAX_RUNS);
    RDL_TRY(rdl__plan_info_make(model->program, inputs, &profile.plan, &profile.info, error));
    const enum rdl_status status = profile_plan(&profile);
    rdl__plan_free(profile.plan);
    if (status == RDL_OK)
        *out = profile.info;
    else
        rdl_plan_info_release(profile.info);
    return status;
}

/* ----------------------------------------------------------------------------------- entry points */

/* The model behind a handle, pinned, after a look at what both functions below are given. */
static struct rdl__model *begin(struct rdl_model handle, struct rdl_value *const *inputs,
                                size_t n_inputs, struct rdl_plan_info **out,
                                enum rdl_status *status, struct rdl_error *error)
{
    if (out == NULL || (inputs == NULL && n_inputs > 0)) {
        *status = rdl__fail(error, RDL_ERR_ARGUMENT, "%s is NULL", out == NULL ? "out" : "inputs");
        return NULL;
    }
    *out = NULL;
    if (rdl__in_callback()) {
        *status = rdl__fail(error, RDL_ERR_STATE, "called from a callback");
        return NULL;
    }
    struct rdl__model *model = rdl__model_pin(handle, status, error);
    if (model == NULL)
        return NULL;
    *status = rdl__device_usable(model->device);
    if (*status != RDL_OK)
        *status = rdl__fail(error, *status, "%s", rdl_status_text(*status));
    else if (n_inputs != model->program->n_inputs)
        *status = rdl__fail(error, RDL_ERR_ARGUMENT, "%zu inputs given, the model has %" PRIu32,
                            n_inputs, model->program->n_inputs);
    if (*status == RDL_OK)
        return model;
    rdl__model_unpin(handle);
    return NULL;
}

enum rdl_status rdl_model_get_plan(struct rdl_model handle, struct rdl_value *const *inputs,
                                   size_t n_inputs, struct rdl_plan_info **out,
                                   struct rdl_error *error)
{
    enum rdl_status status;
    const struct rdl__model *model = begin(handle, inputs, n_inputs, out, &status, error);
    if (model != NULL) {
        status = rdl__plan_info_make(model->program, inputs, NULL, out, error);
        rdl__model_unpin(handle);
    }
    return status == RDL_OK ? RDL_OK : rdl__fail_within(error, status, "rdl_model_get_plan");
}

enum rdl_status rdl_model_profile(struct rdl_model handle, struct rdl_value *const *inputs,
                                  size_t n_inputs, uint32_t runs, struct rdl_plan_info **out,
                                  struct rdl_error *error)
{
    enum rdl_status status;
    struct rdl__model *model = begin(handle, inputs, n_inputs, out, &status, error);
    if (model != NULL) {
        status = profile_model(model, inputs, runs, out, error);
        rdl__model_unpin(handle);
    }
    return status == RDL_OK ? RDL_OK : rdl__fail_within(error, status, "rdl_model_profile");
}
