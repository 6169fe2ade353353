/*
 * The deferred part of a run; see deferred.h.
 */
#include "model/deferred.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "graph/lowering.h"
#include "model/fold.h"
#include "os/clock.h"
#include "runtime/stream.h"
#include "tensor/tensor.h"

#include <string.h>

/* Works that may be under way before the run waits for them: bounds the memory of their lists. */
#define MAX_WORKS 64

/* -------------------------------------------------------------------------------------- the run */

/* Where empty values lie that have no place: an address of NULL means that there is no value. */
static char nowhere;

static bool is_asynchronous(const struct rdl__deferred *run)
{
    return run->device->backend->asynchronous;
}

enum rdl_status rdl__deferred_note(const struct rdl__deferred *run, enum rdl_status status)
{
    if (status == RDL_OK)
        return RDL_OK;
    (void)rdl__device_note(run->device, status);
    return rdl__fail(run->error, status, "run: %s", rdl_status_text(status));
}

static void free_held(struct rdl__held *held)
{
    rdl__free(held->host);
    rdl__free(held);
}

void rdl__deferred_end(struct rdl__deferred *run)
{
    for (struct rdl__work *work = run->works, *next; work != NULL; work = next) {
        next = work->next;
        rdl__work_free(work);
    }
    for (struct rdl__held *held = run->waiting, *next; held != NULL; held = next) {
        next = held->next;
        free_held(held);
    }
    run->works = NULL;
    run->n_works = 0;
    run->waiting = NULL;
}

/* What a kernel reported, with the node that it belongs to. */
static enum rdl_status report_failure(const struct rdl__deferred *run)
{
    /* pairs with the backend's compare-and-swap */
    const uint64_t failed = rdl__load_acquire(&run->lane->progress.failed);
    if (failed == 0)
        return RDL_OK;
    const enum rdl_status status = (enum rdl_status)(failed >> 32);
    const struct rdl__node *node = rdl__program_node(run->program, (uint32_t)failed);
    if (status != RDL_ERR_RUNTIME || node == NULL)
        return rdl__deferred_note(run, status);
    return rdl__fail(run->error, status, "%s: %s", RDL__NODE_TEXT(node), rdl_status_text(status));
}

enum rdl_status rdl__deferred_check(const struct rdl__deferred *run)
{
    enum rdl_status status = rdl__progress_stop(&run->lane->progress);
    if (status == RDL_OK && rdl__cancelled(run->cancel))
        status = RDL_ERR_CANCELLED;
    if (status == RDL_OK && rdl__deadline_passed(run->deadline_ns))
        status = RDL_ERR_DEADLINE;
    /* What was submitted before may have failed meanwhile. */
    return status == RDL_OK ? report_failure(run)
                            : rdl__fail(run->error, status, "run: %s", rdl_status_text(status));
}

/* Waits for all that was submitted. */
static enum rdl_status catch_up(struct rdl__deferred *run)
{
    const struct rdl__point point = run->device->backend->tail(run->lane->stream);
    const enum rdl_status status =
        rdl__device_wait(run->device, point, run->deadline_ns, run->cancel);
    if (status != RDL_OK)
        return rdl__deferred_note(run, status);
    rdl__deferred_end(run);
    return RDL_OK;
}

/* ----------------------------------------------------------------------------------------- cells */

struct rdl__cell rdl__cell_share(const struct rdl__cell *cell)
{
    if (cell->held != NULL)
        cell->held->references++;
    return *cell;
}

void rdl__cell_release(struct rdl__deferred *run, struct rdl__cell *cell)
{
    struct rdl__held *held = cell->held;
    cell->held = NULL;
    cell->address = NULL;
    cell->desc.data = NULL;
    if (held == NULL)
        return;
    held->references--;
    if (held->references > 0)
        return;
    if (held->block != NULL)
        rdl__memory_free_here(run->lane, held->block);
    held->block = NULL;
    if (held->host == NULL || !is_asynchronous(run)) {
        free_held(held);
        return;
    }
    held->next = run->waiting; /* a copy to the device may still read it */
    run->waiting = held;
}

static enum rdl_status new_block(struct rdl__deferred *run, size_t bytes, struct rdl__block **out)
{
    const size_t size = bytes > 0 ? bytes : 1; /* an empty value has an address too */
    *out = rdl__memory_take_cached(run->lane, size);
    if (*out != NULL)
        return RDL_OK;
    struct rdl__memory_want want = {.size_bytes = size};
    RDL_TRY(
        rdl__memory_alloc(run->device, run->lane, &want, 1, RDL_NO_WAIT, run->cancel, run->error));
    *out = want.block;
    return RDL_OK;
}

static struct rdl__held *new_held(void)
{
    struct rdl__held *held = rdl__alloc_zeroed(1, sizeof *held);
    if (held != NULL)
        held->references = 1;
    return held;
}

enum rdl_status rdl__cell_new(struct rdl__deferred *run, const struct rdl__desc *desc,
                              struct rdl__cell *out)
{
    size_t bytes;
    *out = (struct rdl__cell){0};
    if (!rdl__tensor_bytes(desc->dtype, &desc->shape, &bytes))
        return rdl__fail(run->error, RDL_ERR_OVERFLOW, "run: a value is too large");
    struct rdl__held *held = new_held();
    if (held == NULL)
        return rdl__fail_memory(run->error, "run", sizeof *held);
    const enum rdl_status status = new_block(run, bytes, &held->block);
    if (status != RDL_OK) {
        free_held(held);
        return status;
    }
    *out = (struct rdl__cell){.desc = *desc, .address = held->block->address, .held = held};
    out->desc.data = NULL;
    return RDL_OK;
}

enum rdl_status rdl__cell_scalar(struct rdl__deferred *run, enum rdl_dtype dtype,
                                 const void *element, struct rdl__cell *out)
{
    const struct rdl__desc desc = {.dtype = dtype};
    const size_t bytes = rdl_dtype_size(dtype);
    RDL_TRY(rdl__cell_new(run, &desc, out));
    out->held->host = rdl__alloc(bytes);
    enum rdl_status status = RDL_OK;
    if (out->held->host == NULL) {
        status = rdl__fail_memory(run->error, "run", bytes);
    } else {
        memcpy(out->held->host, element, bytes);
        out->desc.data = out->held->host;
        status = rdl__deferred_note(
            run, run->device->backend->copy_in(run->lane->stream, out->address, out->held->host,
                                               bytes, &run->lane->progress));
    }
    if (status != RDL_OK)
        rdl__cell_release(run, out);
    return status;
}

enum rdl_status rdl__cell_read(struct rdl__deferred *run, struct rdl__cell *cell)
{
    if (cell->desc.data != NULL)
        return RDL_OK;
    const size_t bytes = rdl__desc_bytes(&cell->desc);
    if (bytes == 0 || run->device->backend->host_memory) {
        cell->desc.data = cell->address;
        return RDL_OK;
    }
    if (cell->held == NULL && (cell->held = new_held()) == NULL)
        return rdl__fail_memory(run->error, "run", sizeof *cell->held);
    if (cell->held->host == NULL)
        cell->held->host = rdl__alloc_aligned(RDL_ALIGN, bytes);
    if (cell->held->host == NULL)
        return rdl__fail_memory(run->error, "run", bytes);
    RDL_TRY(rdl__deferred_note(run, run->device->backend->copy_out(run->lane->stream,
                                                                   cell->held->host, cell->address,
                                                                   bytes, &run->lane->progress)));
    RDL_TRY(catch_up(run));
    RDL_TRY(report_failure(run));
    cell->desc.data = cell->held->host;
    return RDL_OK;
}

/* ---------------------------------------------------------------------------------------- frames */

struct rdl__visit {
    uint32_t node;
    uint32_t next; /* input to look at */
};

enum rdl_status rdl__frame_init(struct rdl__frame *frame, struct rdl__deferred *run,
                                const struct rdl__program *program)
{
    *frame = (struct rdl__frame){.run = run, .program = program};
    frame->cells = rdl__alloc_zeroed((size_t)program->n_values + 1, sizeof *frame->cells);
    frame->visits = rdl__alloc_zeroed((size_t)program->n_nodes + 1, sizeof *frame->visits);
    if (frame->cells == NULL || frame->visits == NULL)
        return rdl__fail_memory(run->error, "run", program->n_values * sizeof *frame->cells);
    return RDL_OK;
}

void rdl__frame_clear(struct rdl__frame *frame)
{
    for (uint32_t i = 0; frame->cells != NULL && i < frame->program->n_values; i++) {
        rdl__cell_release(frame->run, &frame->cells[i]);
        frame->cells[i] = (struct rdl__cell){0};
    }
}

void rdl__frame_fini(struct rdl__frame *frame)
{
    rdl__frame_clear(frame);
    rdl__free(frame->cells);
    rdl__free(frame->visits);
}

static void put(struct rdl__frame *frame, int32_t value, struct rdl__cell cell)
{
    if (cell.address == NULL && rdl__shape_count(&cell.desc.shape) == 0)
        cell.address = &nowhere;
    cell.uses = frame->program->values[value].n_uses;
    frame->cells[value] = cell;
}

void rdl__frame_share(struct rdl__frame *frame, int32_t value, const struct rdl__cell *cell)
{
    put(frame, value, rdl__cell_share(cell));
}

void rdl__frame_import(struct rdl__frame *frame, const struct rdl__plan *plan, void *const *bases)
{
    for (uint32_t i = 0; i < plan->n_exports; i++) {
        const struct rdl__plan_export *export = &plan->exports[i];
        char *base = bases[export->base];
        put(frame, export->value,
            (struct rdl__cell){.desc = export->desc,
                               .address = base != NULL ? base + export->offset_bytes : NULL});
    }
}

void rdl__frame_used(struct rdl__frame *frame, int32_t value)
{
    struct rdl__cell *cell = &frame->cells[value];
    if (cell->uses == 0)
        return;
    cell->uses--;
    if (cell->uses == 0)
        rdl__cell_release(frame->run, cell);
}

/* The cell of a value, filled if the value is a constant. */
static struct rdl__cell *cell_of(struct rdl__frame *frame, int32_t value)
{
    const struct rdl__program_value *own = &frame->program->values[value];
    struct rdl__cell *cell = &frame->cells[value];
    if (cell->desc.dtype == RDL_DTYPE_NONE && own->is_constant) {
        char *block = frame->program->block != NULL ? frame->program->block->address : NULL;
        put(frame, value,
            (struct rdl__cell){.desc = own->constant,
                               .address = own->offset_bytes != RDL__NO_OFFSET && block != NULL
                                              ? block + own->offset_bytes
                                              : NULL});
    }
    return cell;
}

/* -------------------------------------------------------------------------------------- one node */

struct rdl__work *rdl__work_new(void)
{
    struct rdl__work *work = rdl__alloc_zeroed(1, sizeof *work);
    if (work != NULL)
        rdl__arena_init(&work->arena, SIZE_MAX);
    return work;
}

void rdl__work_free(struct rdl__work *work)
{
    rdl__arena_fini(&work->arena);
    rdl__free(work);
}

enum rdl_status rdl__work_submit(struct rdl__deferred *run, struct rdl__work *work,
                                 void *const *bases, uint32_t n_bases)
{
    struct rdl__progress *progress = &run->lane->progress;
    const enum rdl_status status = run->device->backend->submit(
        run->lane->stream, &work->segment, bases, n_bases, progress, run->deadline_ns);
    if (status != RDL_OK || !is_asynchronous(run)) {
        rdl__work_free(work);
        return status != RDL_OK ? rdl__deferred_note(run, status) : report_failure(run);
    }
    work->next = run->works;
    run->works = work;
    run->n_works++;
    return run->n_works >= MAX_WORKS ? catch_up(run) : RDL_OK;
}

/* A node on its way from inputs to outputs. */
struct doing {
    struct rdl__frame *frame;
    const struct rdl__program_node *own;
    struct rdl__work *work;
    struct rdl__desc *in, *out; /* [n_inputs], [n_outputs] */
    struct rdl__cell *results;  /* [n_outputs] */
    struct rdl__effort effort;  /* of infer, for lower */
    int64_t infer_ns;           /* how long infer took; only where somebody watches */
    struct rdl__lowering list;
    struct rdl__block *room;     /* temporaries and scratch */
    size_t *temp_offsets;        /* [n_temps] in room */
    size_t scratch_offset_bytes; /* likewise */
};

static enum rdl_status no_memory(const struct doing *doing)
{
    return rdl__fail(doing->frame->run->error, RDL_ERR_NO_MEMORY, "run: no memory");
}

/* The run's error is the one that the check writes. */
static enum rdl_status stop_run(const void *run, struct rdl_error *error)
{
    (void)error;
    return rdl__deferred_check(run);
}

/* Reads what the node's infer looks at, and calls it. */
static enum rdl_status infer(struct doing *doing)
{
    struct rdl__frame *frame = doing->frame;
    const struct rdl__node *node = &doing->own->node;
    struct rdl__arena *arena = &doing->work->arena;
    doing->in = RDL__ARENA_ARRAY(arena, struct rdl__desc, node->n_inputs + 1);
    doing->out = RDL__ARENA_ARRAY(arena, struct rdl__desc, node->n_outputs + 1);
    if (doing->in == NULL || doing->out == NULL)
        return no_memory(doing);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] == RDL__NO_VALUE)
            continue;
        struct rdl__cell *cell = &frame->cells[node->inputs[i]];
        if (i < 32 && (node->op->value_inputs >> i & 1) != 0)
            RDL_TRY(rdl__cell_read(frame->run, cell));
        doing->in[i] = cell->desc;
    }
    doing->effort = (struct rdl__effort){.arena = arena, .stop = stop_run, .user = frame->run};
    return rdl__infer_node(node, doing->in, doing->out, &doing->effort, frame->run->error);
}

static enum rdl_status lower(struct doing *doing)
{
    const struct rdl__node *node = &doing->own->node;
    rdl__lowering_init(&doing->list, &doing->work->arena);
    rdl__lowering_begin(&doing->list, 0);
    bool empty = true;
    for (uint32_t k = 0; k < node->n_outputs; k++)
        empty = empty && rdl__shape_count(&doing->out[k].shape) == 0;
    if (empty)
        return RDL_OK;
    const struct rdl__lower lower = {.node = node,
                                     .in = doing->in,
                                     .out = doing->out,
                                     .state = doing->own->state,
                                     .kept = doing->effort.kept,
                                     .isa = doing->frame->program->isa,
                                     .list = &doing->list,
                                     .error = doing->frame->run->error};
    const enum rdl_status status = node->op->lower(&lower);
    return status == RDL_OK ? RDL_OK
                            : rdl__fail_within(lower.error, status, "%s", RDL__NODE_TEXT(node));
}

/* The input whose memory output k has; RDL__NO_VALUE: none. */
static int32_t alias_of(const struct doing *doing, uint32_t k)
{
    for (uint32_t i = 0; i < doing->list.n_aliases; i++)
        if (doing->list.aliases[i].out == k)
            return doing->own->node.inputs[doing->list.aliases[i].in];
    return RDL__NO_VALUE;
}

/* Memory of the outputs: an input's, or a new block. */
static enum rdl_status place_outputs(struct doing *doing)
{
    const struct rdl__node *node = &doing->own->node;
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        if (node->outputs[k] == RDL__NO_VALUE)
            continue;
        const int32_t source = alias_of(doing, k);
        if (source == RDL__NO_VALUE) {
            RDL_TRY(rdl__cell_new(doing->frame->run, &doing->out[k], &doing->results[k]));
            continue;
        }
        doing->results[k] = rdl__cell_share(&doing->frame->cells[source]);
        doing->results[k].desc.dtype = doing->out[k].dtype;
        doing->results[k].desc.shape = doing->out[k].shape;
    }
    return RDL_OK;
}

/* Temporaries, then scratch, in one block. */
static enum rdl_status place_room(struct doing *doing)
{
    const struct rdl__lowering *list = &doing->list;
    size_t total = 0, scratch = 0;
    doing->temp_offsets = RDL__ARENA_ARRAY(&doing->work->arena, size_t, list->n_temps + 1);
    if (doing->temp_offsets == NULL)
        return no_memory(doing);
    for (uint32_t i = 0; i < list->n_steps; i++)
        if (list->steps[i].spec.scratch_bytes > scratch)
            scratch = list->steps[i].spec.scratch_bytes;
    bool fits = true;
    for (uint32_t i = 0; i < list->n_temps; i++) {
        doing->temp_offsets[i] = total;
        fits = fits && rdl__add_size(total, list->temps[i], &total) &&
               rdl__align_size(total, RDL_ALIGN, &total);
    }
    doing->scratch_offset_bytes = total;
    if (!fits || !rdl__add_size(total, scratch, &total))
        return rdl__fail(doing->frame->run->error, RDL_ERR_OVERFLOW, "%s: too much memory",
                         RDL__NODE_TEXT(&doing->own->node));
    doing->work->segment.scratch_offset_bytes = doing->scratch_offset_bytes;
    doing->work->segment.scratch_bytes = scratch;
    return total == 0 ? RDL_OK : new_block(doing->frame->run, total, &doing->room);
}

/* Bases of a node's own: inputs, outputs behind them. */
static struct rdl__binding bind(const struct doing *doing, const struct rdl__operand *operand)
{
    const struct rdl__node *node = &doing->own->node;
    struct rdl__binding binding = {
        .base = RDL__BASE_NONE, .written = operand->written, .offset_bytes = operand->offset_bytes};
    size_t bytes = 0;
    switch (operand->kind) {
    case RDL__OPERAND_NONE:
        return binding;
    case RDL__OPERAND_INPUT:
        if (node->inputs[operand->index] == RDL__NO_VALUE)
            return binding;
        binding.base = RDL__BASE_FIRST_PORT + operand->index;
        bytes = rdl__desc_bytes(&doing->in[operand->index]);
        break;
    case RDL__OPERAND_OUTPUT:
        if (node->outputs[operand->index] == RDL__NO_VALUE)
            return binding;
        binding.base = RDL__BASE_FIRST_PORT + node->n_inputs + operand->index;
        bytes = rdl__desc_bytes(&doing->out[operand->index]);
        break;
    case RDL__OPERAND_WEIGHT:
        binding.base = RDL__BASE_WEIGHTS;
        binding.offset_bytes += doing->own->weight_offsets[operand->index];
        bytes = doing->own->weight_bytes[operand->index];
        break;
    case RDL__OPERAND_TEMP:
        binding.base = RDL__BASE_ARENA;
        binding.offset_bytes += doing->temp_offsets[operand->index];
        bytes = doing->list.temps[operand->index];
        break;
    }
    binding.size_bytes = bytes - operand->offset_bytes;
    return binding;
}

static uint32_t number_of(const struct rdl__program *program, const struct rdl__program_node *own)
{
    return program->first_number + (uint32_t)(own - program->nodes);
}

static enum rdl_status emit(struct doing *doing)
{
    const struct rdl__lowering *list = &doing->list;
    const struct rdl__program *program = doing->frame->program;
    struct rdl__arena *arena = &doing->work->arena;
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < list->n_steps; i++)
        n += list->steps[i].spec.n_bind;
    struct rdl__step *steps = RDL__ARENA_ARRAY(arena, struct rdl__step, list->n_steps + 1);
    struct rdl__binding *bindings = RDL__ARENA_ARRAY(arena, struct rdl__binding, n + 1);
    if (steps == NULL || bindings == NULL)
        return no_memory(doing);
    const uint32_t number = number_of(program, doing->own);
    for (uint32_t i = 0; i < list->n_steps; i++) {
        const struct rdl__step_spec *spec = &list->steps[i].spec;
        steps[i] =
            (struct rdl__step){spec->fn, spec->params, spec->tiles, spec->n_bind, at, number};
        for (uint32_t b = 0; b < spec->n_bind; b++)
            bindings[at++] = bind(doing, &spec->bind[b]);
    }
    doing->work->segment.steps = steps;
    doing->work->segment.bindings = bindings;
    doing->work->segment.n_steps = list->n_steps;
    return RDL_OK;
}

static enum rdl_status submit(struct doing *doing)
{
    const struct rdl__node *node = &doing->own->node;
    struct rdl__frame *frame = doing->frame;
    const struct rdl__block *weights = frame->program->block;
    const uint32_t n = RDL__BASE_FIRST_PORT + node->n_inputs + node->n_outputs;
    void **bases = rdl__arena_zeroed(&doing->work->arena, n, sizeof *bases);
    if (bases == NULL)
        return no_memory(doing);
    bases[RDL__BASE_ARENA] = doing->room != NULL ? doing->room->address : NULL;
    bases[RDL__BASE_WEIGHTS] = weights != NULL ? weights->address : NULL;
    void **ports = bases + RDL__BASE_FIRST_PORT;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE)
            ports[i] = frame->cells[node->inputs[i]].address;
    for (uint32_t k = 0; k < node->n_outputs; k++)
        ports[node->n_inputs + k] = doing->results[k].address;
    struct rdl__work *work = doing->work;
    doing->work = NULL;
    return rdl__work_submit(frame->run, work, bases, n);
}

/* Tells the watcher how long a node took. */
static void tell_end(struct rdl__deferred *run, uint32_t number, int64_t time_ns)
{
    run->watcher->end(run->watcher, number, time_ns);
    run->watched_ns += time_ns;
}

/* As submit, and waits until it has run. */
static enum rdl_status submit_watched(struct doing *doing)
{
    struct rdl__deferred *run = doing->frame->run;
    const struct rdl__segment *segment = &doing->work->segment;
    struct rdl__deferred_node seen = {.node = &doing->own->node,
                                      .number = number_of(doing->frame->program, doing->own),
                                      .in = doing->in,
                                      .out = doing->out};
    for (uint32_t i = 0; i < segment->n_steps; i++) {
        seen.tiles += segment->steps[i].tiles;
        seen.bytes += rdl__step_bytes(segment, i);
    }
    run->watcher->begin(run->watcher, &seen);
    RDL_TRY(catch_up(run));
    const int64_t start = rdl_now_ns();
    RDL_TRY(submit(doing)); /* the work goes with its lists, which hold what seen points to */
    RDL_TRY(catch_up(run));
    RDL_TRY(report_failure(run));
    tell_end(run, seen.number, doing->infer_ns + rdl_now_ns() - start);
    return RDL_OK;
}

static enum rdl_status infer_watched(struct doing *doing)
{
    RDL_TRY(catch_up(doing->frame->run));
    const int64_t start = rdl_now_ns();
    RDL_TRY(infer(doing));
    doing->infer_ns = rdl_now_ns() - start;
    return RDL_OK;
}

static enum rdl_status compute(struct doing *doing)
{
    RDL_TRY(doing->frame->run->watcher != NULL ? infer_watched(doing) : infer(doing));
    RDL_TRY(lower(doing));
    RDL_TRY(place_outputs(doing));
    if (doing->list.n_steps == 0)
        return RDL_OK;
    RDL_TRY(place_room(doing));
    RDL_TRY(emit(doing));
    return doing->frame->run->watcher != NULL ? submit_watched(doing) : submit(doing);
}

/* Runs a node that is no loop; its inputs are there. */
static enum rdl_status run_node(struct rdl__frame *frame, const struct rdl__program_node *own)
{
    const struct rdl__node *node = &own->node;
    struct rdl__cell inline_results[4] = {{.uses = 0}}, *results = inline_results;
    struct doing doing = {.frame = frame, .own = own, .work = rdl__work_new()};
    if (doing.work == NULL)
        return no_memory(&doing);
    if (node->n_outputs > 4 &&
        (results = rdl__alloc_zeroed(node->n_outputs, sizeof *results)) == NULL) {
        rdl__work_free(doing.work);
        return no_memory(&doing);
    }
    doing.results = results;
    const enum rdl_status status = compute(&doing);
    if (doing.room != NULL)
        rdl__memory_free_here(frame->run->lane, doing.room);
    if (doing.work != NULL)
        rdl__work_free(doing.work);
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        if (status == RDL_OK && node->outputs[k] != RDL__NO_VALUE)
            put(frame, node->outputs[k], results[k]);
        else
            rdl__cell_release(frame->run, &results[k]);
    }
    if (results != inline_results)
        rdl__free(results);
    return status;
}

/* -------------------------------------------------------------------------------------- the walk */

/* Whether the node looks at input i; the condition of a Select is there when i is behind it. */
static enum rdl_status wants_input(struct rdl__frame *frame, const struct rdl__node *node,
                                   uint32_t i, bool *out)
{
    *out = node->inputs[i] != RDL__NO_VALUE;
    if (!*out || i == 0 || (node->op->flags & RDL__OP_SELECT) == 0)
        return RDL_OK;
    struct rdl__cell *condition = &frame->cells[node->inputs[0]];
    RDL_TRY(rdl__cell_read(frame->run, condition));
    *out = rdl__node_wants(node, &condition->desc, i);
    return RDL_OK;
}

/* Tells the watcher of a loop that has run. */
static enum rdl_status watch_loop(struct rdl__frame *frame, const struct rdl__program_node *own,
                                  int64_t time_ns)
{
    const struct rdl__node *node = &own->node;
    struct rdl__deferred *run = frame->run;
    struct rdl__desc *descs =
        rdl__alloc_zeroed((size_t)node->n_inputs + node->n_outputs + 1, sizeof *descs);
    if (descs == NULL)
        return rdl__fail(run->error, RDL_ERR_NO_MEMORY, "run: no memory");
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE)
            descs[i] = cell_of(frame, node->inputs[i])->desc;
    for (uint32_t k = 0; k < node->n_outputs; k++)
        if (node->outputs[k] != RDL__NO_VALUE)
            descs[node->n_inputs + k] = cell_of(frame, node->outputs[k])->desc;
    const struct rdl__deferred_node seen = {.node = node,
                                            .number = number_of(frame->program, own),
                                            .in = descs,
                                            .out = descs + node->n_inputs};
    run->watcher->begin(run->watcher, &seen);
    tell_end(run, seen.number, time_ns);
    rdl__free(descs);
    return RDL_OK;
}

static enum rdl_status run_loop(struct rdl__frame *frame, const struct rdl__program_node *own)
{
    struct rdl__deferred *run = frame->run;
    if (run->watcher == NULL)
        return rdl__loop_run(frame, own);
    RDL_TRY(catch_up(run));
    const int64_t start = rdl_now_ns(), inside = run->watched_ns;
    RDL_TRY(rdl__loop_run(frame, own));
    RDL_TRY(catch_up(run));
    return watch_loop(frame, own, rdl_now_ns() - start - (run->watched_ns - inside));
}

/* Runs a node and lets go of what it was the last to read. */
static enum rdl_status finish_node(struct rdl__frame *frame, const struct rdl__program_node *own)
{
    const struct rdl__node *node = &own->node;
    RDL_TRY(rdl__deferred_check(frame->run));
    RDL_TRY((node->op->flags & RDL__OP_LOOP) != 0 ? run_loop(frame, own) : run_node(frame, own));
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE)
            rdl__frame_used(frame, node->inputs[i]);
    for (uint32_t k = 0; k < node->n_outputs; k++)
        if (node->outputs[k] != RDL__NO_VALUE && frame->cells[node->outputs[k]].uses == 0)
            rdl__cell_release(frame->run, &frame->cells[node->outputs[k]]);
    return RDL_OK;
}

/* The node to be run before a value is there; -1: it is there. */
static int32_t missing(struct rdl__frame *frame, int32_t value)
{
    return cell_of(frame, value)->desc.dtype != RDL_DTYPE_NONE
               ? -1
               : frame->program->values[value].producer;
}

enum rdl_status rdl__frame_evaluate(struct rdl__frame *frame, int32_t value)
{
    const struct rdl__program *program = frame->program;
    size_t depth = 0;
    const int32_t root = missing(frame, value);
    if (root >= 0)
        frame->visits[depth++] = (struct rdl__visit){(uint32_t)root, 0};
    while (depth > 0) {
        struct rdl__visit *top = &frame->visits[depth - 1];
        const struct rdl__program_node *own = &program->nodes[top->node];
        if (top->next == own->node.n_inputs) {
            RDL_TRY(finish_node(frame, own));
            depth--;
            continue;
        }
        const uint32_t i = top->next++;
        bool wanted;
        RDL_TRY(wants_input(frame, &own->node, i, &wanted));
        const int32_t producer = wanted ? missing(frame, own->node.inputs[i]) : -1;
        if (producer >= 0)
            frame->visits[depth++] = (struct rdl__visit){(uint32_t)producer, 0};
    }
    return RDL_OK;
}
