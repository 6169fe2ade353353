/*
 * Runs: from a handle and values to answers, on the calling thread.
 *
 * The path of a call whose shapes were seen before, on a synchronous device with given outputs:
 *
 *   lease a lane (one exchange on the lane's word)
 *   publish the lane's last plan and its model, look whether both are still linked
 *   compare the inputs with the plan's key, fill the table of bases, run the segment
 *   clear the hazard, give the lane back (one exchange, one look at the attention bits)
 *
 * It takes no lock, allocates nothing, and writes no line but the lane's own and the outputs.
 *
 * On an asynchronous device inputs are copied into the arena, the segment is submitted, outputs are
 * copied out, and the call waits for the last of it; whatever ends the wait early, the call stops the
 * rest and returns only when nothing touches the caller's memory any more.
 */
#include "model/deferred.h"
#include "model/model.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/clock.h"
#include "os/fork.h"
#include "os/fpenv.h"
#include "runtime/lifecycle.h"
#include "runtime/stream.h"
#include "tensor/tensor.h"

#include <inttypes.h>
#include <string.h>

#define INLINE_PORTS 16 /* inputs and outputs that need no memory of their own */

/* A run on a lane. */
struct running {
    const struct rdl__run *run;
    struct rdl__device *device;
    struct rdl__model *model; /* published in the lane */
    struct rdl__plan *plan;   /* likewise, once found */
    struct rdl__lane *lane;
    struct rdl_error *error;
    bool is_explained;             /* error holds the message of the status already */
    struct rdl__deferred deferred; /* meaningful if the plan has a deferred part, from execute on */
    struct rdl__frame frame;       /* likewise: its values */
    uint64_t wanted;               /* bit: output k */
    struct rdl_value **fresh;      /* [n_outputs] values made by this run; NULL: given */
    void **packed;                 /* [n_inputs] C order copies of strided inputs; NULL: none */
    void *memory;                  /* behind fresh and packed if they are not inline */
    void *inline_memory[2 * INLINE_PORTS];
};

/* --------------------------------------------------------------------------------------- options */

enum rdl_status rdl__run_init(struct rdl__run *run, struct rdl_model model,
                              struct rdl_value *const *inputs, size_t n_inputs,
                              struct rdl_value **outputs, size_t n_outputs,
                              const struct rdl_run_options *options, struct rdl_error *error)
{
    *run = (struct rdl__run){.model = model,
                             .inputs = inputs,
                             .n_inputs = n_inputs,
                             .outputs = outputs,
                             .n_outputs = n_outputs,
                             .deadline_ns = RDL_FOREVER};
    if ((inputs == NULL && n_inputs > 0) || (outputs == NULL && n_outputs > 0))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "run: %s is NULL",
                         inputs == NULL && n_inputs > 0 ? "inputs" : "outputs");
    if (options == NULL)
        return RDL_OK;
    if (options->size != sizeof *options)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "run: options have an unknown size");
    if (options->output_allocator != NULL &&
        (options->output_allocator->allocate == NULL || options->output_allocator->free == NULL))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "run: an output allocator's function is NULL");
    run->output_indices = options->output_indices;
    if (options->deadline_ns != 0)
        run->deadline_ns = options->deadline_ns;
    run->cancel = options->cancel;
    run->no_wait = options->no_wait;
    run->stream = options->stream;
    run->output_allocator = options->output_allocator;
    return RDL_OK;
}

static uint32_t output_index(const struct rdl__run *run, size_t i)
{
    return run->output_indices != NULL ? run->output_indices[i] : (uint32_t)i;
}

/* ---------------------------------------------------------------------------------------- inputs */

static enum rdl_status check_counts(struct running *running)
{
    const struct rdl__run *run = running->run;
    const struct rdl__program *program = running->model->program;
    if (run->n_inputs != program->n_inputs)
        return rdl__fail(running->error, RDL_ERR_ARGUMENT,
                         "run: %zu inputs given, the model has %" PRIu32, run->n_inputs,
                         program->n_inputs);
    if (run->n_outputs > program->n_outputs)
        return rdl__fail(running->error, RDL_ERR_ARGUMENT,
                         "run: %zu outputs asked for, the model has %" PRIu32, run->n_outputs,
                         program->n_outputs);
    running->wanted = 0;
    for (size_t i = 0; i < run->n_outputs; i++) {
        const uint32_t k = output_index(run, i);
        if (k >= program->n_outputs)
            return rdl__fail(running->error, RDL_ERR_ARGUMENT,
                             "run: output %" PRIu32 " asked for, the model has %" PRIu32, k,
                             program->n_outputs);
        if ((running->wanted >> k & 1) != 0)
            return rdl__fail(running->error, RDL_ERR_ARGUMENT,
                             "run: output %" PRIu32 " is asked for twice", k);
        running->wanted |= UINT64_C(1) << k;
    }
    return RDL_OK;
}

/* Whether a value given for an input is a tensor that runs read. */
static enum rdl_status check_value(const struct rdl__program_port *port,
                                   const struct rdl_value *value, struct rdl_error *error)
{
    if (value == NULL || value->kind != RDL_VALUE_TENSOR)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "input \"%s\": %s", port->name,
                         value == NULL ? "no value given" : "the value is not a tensor");
    if (!value->tensor->is_host)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "input \"%s\": the tensor is not in host memory",
                         port->name);
    return RDL_OK;
}

/* The elements of an input that decides, in C order: the tensor's own, or a copy in room
 * [RDL__DECIDING_BYTES]. */
static const void *deciding_elements(const struct rdl_tensor *tensor, void *room)
{
    if (tensor->is_contiguous)
        return tensor->data;
    rdl__tensor_pack(tensor, room);
    return room;
}

/* Whether the inputs that decide have the elements that the plan was made for; shapes match. */
static bool elements_match(const struct rdl__run *run, const struct rdl__plan *plan)
{
    _Alignas(16) char room[RDL__DECIDING_BYTES];
    for (size_t i = 0; i < run->n_inputs; i++) {
        const struct rdl__plan_port *port = &plan->inputs[i];
        if (port->host_data != NULL && port->bytes > 0 &&
            memcmp(deciding_elements(run->inputs[i]->tensor, room), port->host_data, port->bytes) !=
                0)
            return false;
    }
    return true;
}

/* Whether the inputs are tensors in host memory with the dtypes and shapes of the plan. */
static bool inputs_match(const struct rdl__run *run, const struct rdl__plan *plan)
{
    for (size_t i = 0; i < run->n_inputs; i++) {
        const struct rdl_value *value = run->inputs[i];
        if (value == NULL || value->kind != RDL_VALUE_TENSOR || !value->tensor->is_host ||
            value->tensor->dtype != plan->inputs[i].dtype ||
            !rdl__shape_equal(&value->tensor->shape, &plan->inputs[i].shape))
            return false;
    }
    return !plan->has_deciding || elements_match(run, plan);
}

enum rdl_status rdl__check_port(const struct rdl__program_port *port, const struct rdl__desc *given,
                                struct rdl_error *error)
{
    char text[RDL__SHAPE_TEXT_BYTES];
    if (port->dtype != RDL_DTYPE_NONE && given->dtype != port->dtype)
        return rdl__fail(error, RDL_ERR_SHAPE, "input \"%s\": dtype %s given, %s expected",
                         port->name, rdl_dtype_name(given->dtype), rdl_dtype_name(port->dtype));
    if (port->rank >= 0 && given->shape.rank != port->rank)
        return rdl__fail(error, RDL_ERR_SHAPE,
                         "input \"%s\": rank %" PRId32 " %s given, rank %" PRId32 " expected",
                         port->name, given->shape.rank,
                         rdl__shape_text(&given->shape, text, sizeof text), port->rank);
    for (int32_t d = 0; d < port->rank; d++)
        if (port->dims[d] >= 0 && given->shape.dims[d] != port->dims[d])
            return rdl__fail(
                error, RDL_ERR_SHAPE,
                "input \"%s\": shape %s given, dimension %" PRId32 " is %" PRId64 " in the model",
                port->name, rdl__shape_text(&given->shape, text, sizeof text), d, port->dims[d]);
    return RDL_OK;
}

enum rdl_status rdl__describe_inputs(const struct rdl__program *program,
                                     struct rdl_value *const *inputs, struct rdl__desc *descs,
                                     char (*room)[RDL__DECIDING_BYTES], struct rdl_error *error)
{
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        RDL_TRY(check_value(&program->inputs[i], inputs[i], error));
        const struct rdl_tensor *tensor = inputs[i]->tensor;
        descs[i] = (struct rdl__desc){.dtype = tensor->dtype, .shape = tensor->shape};
        RDL_TRY(rdl__check_port(&program->inputs[i], &descs[i], error));
        size_t bytes;
        if (program->inputs[i].decides &&
            rdl__tensor_bytes(tensor->dtype, &tensor->shape, &bytes) &&
            bytes <= RDL__DECIDING_BYTES)
            descs[i].data = bytes > 0 ? deciding_elements(tensor, room[i]) : room[i];
    }
    return RDL_OK;
}

/* Finds or makes the plan for the inputs: the slow path, for shapes that the lane's hint is not of. */
static enum rdl_status find_plan(struct running *running)
{
    const struct rdl__run *run = running->run;
    const struct rdl__program *program = running->model->program;
    struct rdl__desc inline_descs[INLINE_PORTS], *descs = inline_descs;
    _Alignas(16) char inline_room[INLINE_PORTS][RDL__DECIDING_BYTES],
        (*room)[RDL__DECIDING_BYTES] = inline_room;
    if (run->n_inputs > INLINE_PORTS) {
        descs = rdl__alloc_zeroed(run->n_inputs, sizeof *descs + sizeof *room);
        if (descs == NULL)
            return rdl__fail_memory(running->error, "run", run->n_inputs * sizeof *descs);
        room = (char (*)[RDL__DECIDING_BYTES])(void *)(descs + run->n_inputs);
    }
    enum rdl_status status =
        rdl__describe_inputs(program, run->inputs, descs, room, running->error);
    if (status == RDL_OK) {
        const struct rdl__plan_key key = {descs, program->n_inputs, running->wanted};
        const struct rdl__compile_limits limits = {run->deadline_ns, run->cancel};
        status = rdl__plans_get(running->model, running->lane, &key, &limits, &running->plan,
                                running->error);
    }
    if (descs != inline_descs)
        rdl__free(descs);
    if (status == RDL_OK)
        running->lane->last.model = run->model.id;
    return status;
}

/* ------------------------------------------------------------------------------- memory of a run */

/* Room for what is kept for each input and output. */
static enum rdl_status init_ports(struct running *running)
{
    const struct rdl__run *run = running->run;
    const size_t n = run->n_inputs + run->n_outputs;
    void **memory = running->inline_memory;
    if (n > 2 * INLINE_PORTS) {
        memory = rdl__alloc(n * sizeof *memory);
        if (memory == NULL)
            return rdl__fail_memory(running->error, "run", n * sizeof *memory);
        running->memory = memory;
    }
    for (size_t i = 0; i < n; i++)
        memory[i] = NULL;
    running->packed = memory;
    running->fresh = (struct rdl_value **)(void *)(memory + run->n_inputs);
    return RDL_OK;
}

static const struct rdl__plan_port *output_port(const struct running *running, size_t i)
{
    return &running->plan->outputs[output_index(running->run, i)];
}

/* Checks the tensor that the caller gave for output i, and sets its shape. */
static enum rdl_status bind_given(struct running *running, size_t i,
                                  const struct rdl__plan_port *port)
{
    const char *name = running->model->program->outputs[output_index(running->run, i)].name;
    struct rdl_value *value = running->run->outputs[i];
    struct rdl_tensor *tensor = value->kind == RDL_VALUE_TENSOR ? value->tensor : NULL;
    char text[RDL__SHAPE_TEXT_BYTES];
    if (tensor == NULL || !tensor->is_host || tensor->is_read_only)
        return rdl__fail(running->error, RDL_ERR_ARGUMENT, "output \"%s\": %s", name,
                         tensor == NULL     ? "the given value is not a tensor"
                         : !tensor->is_host ? "the given tensor is not in host memory"
                                            : "the given tensor is read-only");
    if (tensor->dtype != port->dtype)
        return rdl__fail(running->error, RDL_ERR_SHAPE, "output \"%s\": dtype %s given, %s needed",
                         name, rdl_dtype_name(tensor->dtype), rdl_dtype_name(port->dtype));
    if (tensor->capacity_bytes < port->bytes)
        return rdl__fail(running->error, RDL_ERR_BUFFER_SIZE,
                         "output \"%s\": %zu bytes given, shape %s needs %zu", name,
                         tensor->capacity_bytes, rdl__shape_text(&port->shape, text, sizeof text),
                         port->bytes);
    if (!tensor->is_contiguous && !rdl__shape_equal(&tensor->shape, &port->shape))
        return rdl__fail(running->error, RDL_ERR_ARGUMENT,
                         "output \"%s\": the given tensor is strided and has another shape", name);
    if (!tensor->is_contiguous)
        return rdl__fail(running->error, RDL_ERR_ARGUMENT,
                         "output \"%s\": the given tensor is not in C order", name);
    if (!rdl__shape_equal(&tensor->shape, &port->shape))
        rdl__tensor_reshape(tensor, &port->shape);
    return RDL_OK;
}

static void free_by_allocator(void *data, void *user)
{
    const struct rdl_allocator *allocator = user;
    allocator->free(data, allocator->user);
}

/* An output in memory of the caller's allocator. */
static enum rdl_status make_by_allocator(struct running *running, const struct rdl__plan_port *port,
                                         struct rdl_value **out)
{
    const struct rdl_allocator *allocator = running->run->output_allocator;
    const uint32_t epoch = rdl__fork_epoch();
    void *data = allocator->allocate(port->bytes > 0 ? port->bytes : 1, RDL_ALIGN, allocator->user);
    if (rdl__fork_epoch() != epoch)
        return rdl__fail(running->error, RDL_ERR_FORKED, "run: forked in the output allocator");
    if (data == NULL)
        return rdl__fail_memory(running->error, "run: output allocator", port->bytes);
    struct rdl_tensor *tensor = NULL;
    enum rdl_status status =
        rdl_tensor_wrap(port->dtype, port->shape.rank, port->shape.dims, NULL, data, port->bytes,
                        free_by_allocator, (void *)(uintptr_t)allocator, &tensor, running->error);
    if (status != RDL_OK) {
        allocator->free(data, allocator->user);
        return status;
    }
    status = rdl_value_from_tensor(tensor, out, running->error);
    rdl_tensor_release(tensor);
    return status;
}

/* An output in host memory of the library's, on devices whose memory the host cannot read. */
static enum rdl_status make_on_host(struct running *running, const struct rdl__plan_port *port,
                                    struct rdl_value **out)
{
    struct rdl_tensor *tensor = NULL;
    RDL_TRY(
        rdl_tensor_new(port->dtype, port->shape.rank, port->shape.dims, &tensor, running->error));
    const enum rdl_status status = rdl_value_from_tensor(tensor, out, running->error);
    rdl_tensor_release(tensor);
    return status;
}

static enum rdl_status make_output(struct running *running, const struct rdl__plan_port *port,
                                   struct rdl_value **out)
{
    return running->run->output_allocator != NULL ? make_by_allocator(running, port, out)
                                                  : make_on_host(running, port, out);
}

/* Whether output i is to be made out of a block of the device. */
static bool needs_block(const struct running *running, size_t i)
{
    return running->run->outputs[i] == NULL && running->run->output_allocator == NULL &&
           running->device->backend->host_memory &&
           output_port(running, i)->kind != RDL__PLAN_DEFERRED;
}

static bool arena_fits(const struct running *running)
{
    return running->plan->arena_bytes == 0 ||
           (running->lane->arena != NULL &&
            running->lane->arena->requested_bytes >= running->plan->arena_bytes);
}

static void drop_blocks(struct running *running)
{
    for (size_t i = 0; i < running->run->n_outputs; i++)
        if (running->fresh[i] != NULL) {
            rdl_value_release(running->fresh[i]);
            running->fresh[i] = NULL;
        }
    if (running->lane->arena != NULL)
        rdl__memory_free_here(running->lane, running->lane->arena);
    running->lane->arena = NULL;
}

static struct rdl_value *output_of(struct running *running, size_t i, struct rdl__block *block)
{
    const struct rdl__plan_port *port = &running->plan->outputs[output_index(running->run, i)];
    return rdl__output_init(running->device, block, port->dtype, &port->shape);
}

/* Arena and outputs in one request that holds nothing while it waits. */
static enum rdl_status allocate_all(struct running *running)
{
    const struct rdl__run *run = running->run;
    drop_blocks(running);
    struct rdl__memory_want *wants = rdl__alloc_zeroed(run->n_outputs + 1, sizeof *wants);
    if (wants == NULL)
        return rdl__fail_memory(running->error, "run", (run->n_outputs + 1) * sizeof *wants);
    size_t n = 0;
    if (running->plan->arena_bytes > 0)
        wants[n++].size_bytes = running->plan->arena_bytes;
    const size_t first = n;
    for (size_t i = 0; i < run->n_outputs; i++)
        if (needs_block(running, i))
            wants[n++].size_bytes =
                RDL__OUTPUT_HEADER + running->plan->outputs[output_index(run, i)].bytes;
    const enum rdl_status status = rdl__memory_alloc(running->device, running->lane, wants, n,
                                                     run->no_wait ? RDL_NO_WAIT : run->deadline_ns,
                                                     run->cancel, running->error);
    if (status == RDL_OK) {
        if (first > 0)
            running->lane->arena = wants[0].block;
        n = first;
        for (size_t i = 0; i < run->n_outputs; i++)
            if (needs_block(running, i))
                running->fresh[i] = output_of(running, i, wants[n++].block);
    }
    rdl__free(wants);
    return status;
}

/* Outputs out of the lane's cache; false if one is not there. */
static bool take_outputs(struct running *running)
{
    const struct rdl__run *run = running->run;
    for (size_t i = 0; i < run->n_outputs; i++) {
        if (!needs_block(running, i))
            continue;
        struct rdl__block *block = rdl__memory_take_cached(
            running->lane, RDL__OUTPUT_HEADER + running->plan->outputs[output_index(run, i)].bytes);
        if (block == NULL)
            return false;
        running->fresh[i] = output_of(running, i, block);
    }
    return true;
}

static enum rdl_status get_memory(struct running *running)
{
    const struct rdl__run *run = running->run;
    for (size_t i = 0; i < run->n_outputs; i++)
        if (run->outputs[i] != NULL && output_port(running, i)->kind != RDL__PLAN_DEFERRED)
            RDL_TRY(bind_given(running, i, output_port(running, i)));
    if (!arena_fits(running) || !take_outputs(running))
        RDL_TRY(allocate_all(running));
    if (run->output_allocator == NULL && running->device->backend->host_memory)
        return RDL_OK;
    for (size_t i = 0; i < run->n_outputs; i++) {
        const struct rdl__plan_port *port = output_port(running, i);
        if (run->outputs[i] != NULL || running->fresh[i] != NULL ||
            port->kind == RDL__PLAN_DEFERRED)
            continue;
        RDL_TRY(make_output(running, port, &running->fresh[i]));
    }
    return RDL_OK;
}

/* Address of input i in C order; a strided one is packed first. */
static enum rdl_status input_data(struct running *running, size_t i, void **out)
{
    const struct rdl_tensor *tensor = running->run->inputs[i]->tensor;
    *out = tensor->data;
    if (tensor->is_contiguous)
        return RDL_OK;
    const size_t bytes = running->plan->inputs[i].bytes;
    running->packed[i] = rdl__alloc_aligned(RDL_ALIGN, bytes);
    if (running->packed[i] == NULL)
        return rdl__fail_memory(running->error, "run: copy of a strided input", bytes);
    rdl__tensor_pack(tensor, running->packed[i]);
    *out = running->packed[i];
    return RDL_OK;
}

/* The tensor of output i, which has a place. */
static struct rdl_tensor *output_tensor(const struct running *running, size_t i)
{
    struct rdl_value *given = running->run->outputs[i];
    return given != NULL ? given->tensor : running->fresh[i]->tensor;
}

/* --------------------------------------------------------------------------------- deferred part */

/* Gives a deferred output its place and has its elements copied there. */
static enum rdl_status deliver(struct running *running, size_t i)
{
    struct rdl__deferred *deferred = &running->deferred;
    const uint32_t k = output_index(running->run, i);
    const struct rdl__cell *cell = &running->frame.cells[running->model->program->outputs[k].value];
    struct rdl__plan_port port = {.dtype = cell->desc.dtype, .shape = cell->desc.shape};
    if (!rdl__tensor_bytes(port.dtype, &port.shape, &port.bytes))
        return rdl__fail(running->error, RDL_ERR_OVERFLOW, "run: an output is too large");
    RDL_TRY(running->run->outputs[i] != NULL ? bind_given(running, i, &port)
                                             : make_output(running, &port, &running->fresh[i]));
    if (port.bytes == 0)
        return RDL_OK;
    return rdl__deferred_note(deferred, running->device->backend->copy_out(
                                            running->lane->stream, output_tensor(running, i)->data,
                                            cell->address, port.bytes, &running->lane->progress));
}

static enum rdl_status compute_deferred(struct running *running, void *const *bases)
{
    const struct rdl__run *run = running->run;
    const struct rdl__program *program = running->model->program;
    RDL_TRY(rdl__frame_init(&running->frame, &running->deferred, program));
    rdl__frame_import(&running->frame, running->plan, bases);
    for (size_t i = 0; i < run->n_outputs; i++) {
        if (output_port(running, i)->kind != RDL__PLAN_DEFERRED)
            continue;
        RDL_TRY(rdl__frame_evaluate(&running->frame, program->outputs[output_index(run, i)].value));
        RDL_TRY(deliver(running, i));
    }
    return RDL_OK;
}

/* Runs what the plan left open; the work before it is submitted, and has not failed as far as is seen. */
static enum rdl_status run_deferred(struct running *running, void *const *bases)
{
    /* pairs with the backend's compare-and-swap */
    if (!running->plan->has_deferred || rdl__load_acquire(&running->lane->progress.failed) != 0)
        return RDL_OK;
    running->deferred = (struct rdl__deferred){.device = running->device,
                                               .lane = running->lane,
                                               .program = running->model->program,
                                               .deadline_ns = running->run->deadline_ns,
                                               .cancel = running->run->cancel,
                                               .error = running->error};
    const enum rdl_status status = compute_deferred(running, bases);
    running->is_explained = status != RDL_OK;
    return status;
}

/* Frees the deferred part's values; the stream is idle. */
static void end_deferred(struct running *running)
{
    if (!running->plan->has_deferred)
        return;
    rdl__frame_fini(&running->frame);
    rdl__deferred_end(&running->deferred);
}

/* ------------------------------------------------------------------------------------- execution */

enum rdl_status rdl__explain_failure(const struct rdl__program *program, uint64_t failed,
                                     struct rdl_error *error)
{
    const enum rdl_status status = (enum rdl_status)(failed >> 32);
    const struct rdl__node *failed_node = rdl__program_node(program, (uint32_t)failed);
    if (status == RDL_ERR_RUNTIME && failed_node != NULL)
        return rdl__fail(error, status, "%s: %s", RDL__NODE_TEXT(failed_node),
                         rdl_status_text(status));
    return rdl__fail(error, status, "run: %s", rdl_status_text(status));
}

/* Copies outputs that the plan knows already. */
static void copy_known(struct running *running)
{
    for (size_t i = 0; i < running->run->n_outputs; i++) {
        const struct rdl__plan_port *port = &running->plan->outputs[output_index(running->run, i)];
        if (port->kind == RDL__PLAN_CONSTANT && port->bytes > 0)
            memcpy(output_tensor(running, i)->data, port->host_data, port->bytes);
    }
}

static void set_fixed_bases(const struct running *running, void **bases)
{
    const struct rdl__plan *plan = running->plan;
    const struct rdl__block *weights = plan->program->block;
    bases[RDL__BASE_NONE] = NULL;
    bases[RDL__BASE_ARENA] = running->lane->arena != NULL ? running->lane->arena->address : NULL;
    bases[RDL__BASE_WEIGHTS] = weights != NULL ? weights->address : NULL;
    bases[RDL__BASE_CONSTANTS] = plan->constants;
}

/* On the caller's thread, in the caller's memory. */
static enum rdl_status execute_here(struct running *running, void **bases)
{
    const struct rdl__run *run = running->run;
    const size_t n_inputs = run->n_inputs;
    for (size_t i = 0; i < n_inputs; i++) {
        const struct rdl_tensor *tensor = run->inputs[i]->tensor;
        bases[RDL__BASE_FIRST_PORT + i] = tensor->data;
        if (!tensor->is_contiguous)
            RDL_TRY(input_data(running, i, &bases[RDL__BASE_FIRST_PORT + i]));
    }
    for (size_t i = 0; i < run->n_outputs; i++)
        if (output_port(running, i)->kind != RDL__PLAN_DEFERRED)
            bases[RDL__BASE_FIRST_PORT + n_inputs + output_index(run, i)] =
                output_tensor(running, i)->data;
    RDL_TRY(running->device->backend->submit(running->lane->stream, &running->plan->segment, bases,
                                             running->plan->n_bases, &running->lane->progress,
                                             run->deadline_ns));
    const enum rdl_status status = run_deferred(running, bases);
    if (status != RDL_ERR_FORKED)
        end_deferred(running);
    return status;
}

/* A place in the arena; a plan whose ports are all empty has none. */
static void *staging(char *arena, const struct rdl__plan_port *port)
{
    return arena != NULL ? arena + port->staging_bytes : NULL;
}

/* Submits copies in, the segment, and copies out. */
static enum rdl_status submit_all(struct running *running, void **bases)
{
    const struct rdl__run *run = running->run;
    const struct rdl__plan *plan = running->plan;
    const struct rdl__backend *backend = running->device->backend;
    void *stream = running->lane->stream;
    struct rdl__progress *progress = &running->lane->progress;
    const uint32_t n_inputs = running->model->program->n_inputs;
    char *arena = bases[RDL__BASE_ARENA];
    for (size_t i = 0; i < run->n_inputs; i++) {
        void *host;
        RDL_TRY(input_data(running, i, &host));
        bases[RDL__BASE_FIRST_PORT + i] = staging(arena, &plan->inputs[i]);
        if (plan->inputs[i].bytes > 0)
            RDL_TRY(backend->copy_in(stream, bases[RDL__BASE_FIRST_PORT + i], host,
                                     plan->inputs[i].bytes, progress));
    }
    for (size_t i = 0; i < run->n_outputs; i++) {
        const uint32_t k = output_index(run, i);
        bases[RDL__BASE_FIRST_PORT + n_inputs + k] = staging(arena, &plan->outputs[k]);
    }
    RDL_TRY(
        backend->submit(stream, &plan->segment, bases, plan->n_bases, progress, run->deadline_ns));
    for (size_t i = 0; i < run->n_outputs; i++) {
        const uint32_t k = output_index(run, i);
        if (plan->outputs[k].kind == RDL__PLAN_COMPUTED && plan->outputs[k].bytes > 0)
            RDL_TRY(backend->copy_out(stream, output_tensor(running, i)->data,
                                      bases[RDL__BASE_FIRST_PORT + n_inputs + k],
                                      plan->outputs[k].bytes, progress));
    }
    return RDL_OK;
}

static enum rdl_status execute_there(struct running *running, void **bases)
{
    struct rdl__device *device = running->device;
    struct rdl__progress *progress = &running->lane->progress;
    enum rdl_status status = submit_all(running, bases);
    if (status == RDL_OK)
        status = run_deferred(running, bases);
    if (status == RDL_ERR_FORKED)
        return status;
    const bool is_whole = status == RDL_OK;
    const struct rdl__point point = device->backend->tail(running->lane->stream);
    if (status == RDL_OK)
        status = rdl__device_wait(device, point, running->run->deadline_ns, running->run->cancel);
    if (status != RDL_OK) {
        rdl__store_relaxed(&progress->stop, (uint32_t)status); /* carries no data */
        rdl__device_drain(device, point);
    }
    end_deferred(running);
    /* If all of it had run before the stop was seen, the answer is there and right. */
    return is_whole && (status == RDL_ERR_DEADLINE || status == RDL_ERR_CANCELLED) &&
                   rdl__load_acquire(&progress->failed) == 0
               ? RDL_OK
               : status;
}

static enum rdl_status execute(struct running *running)
{
    void *inline_bases[RDL__BASE_FIRST_PORT + INLINE_PORTS], **bases = inline_bases;
    const uint32_t n = running->plan->n_bases;
    running->is_explained = false;
    if (running->plan->has_deferred) {
        running->deferred = (struct rdl__deferred){.device = running->device};
        running->frame = (struct rdl__frame){.run = &running->deferred};
    }
    if (n > RDL__BASE_FIRST_PORT + INLINE_PORTS) {
        bases = rdl__alloc(n * sizeof *bases);
        if (bases == NULL)
            return rdl__fail_memory(running->error, "run", n * sizeof *bases);
    }
    for (size_t i = RDL__BASE_FIRST_PORT + running->run->n_inputs; i < n; i++)
        bases[i] = NULL; /* outputs that nobody asked for */
    set_fixed_bases(running, bases);
    enum rdl_status status = running->device->backend->asynchronous ? execute_there(running, bases)
                                                                    : execute_here(running, bases);
    if (bases != inline_bases)
        rdl__free(bases);
    if (status == RDL_ERR_FORKED)
        return status; /* in the output allocator: the lane is not the child's to touch */
    (void)rdl__device_note(running->device, status);
    /* pairs with the backend's compare-and-swap, which the end of the work orders already */
    const uint64_t failed = rdl__load_acquire(&running->lane->progress.failed);
    if (failed != 0) {
        (void)rdl__device_note(running->device, (enum rdl_status)(failed >> 32));
        /* A stop makes the work that it skips fail with its status: the cause is told already. */
        return running->is_explained
                   ? status
                   : rdl__explain_failure(running->model->program, failed, running->error);
    }
    if (status != RDL_OK)
        return running->is_explained
                   ? status
                   : rdl__fail(running->error, status, "run: %s", rdl_status_text(status));
    copy_known(running);
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------ on the lane */

/* Everything between finding the model open and having the answers. */
static enum rdl_status run_published(struct running *running)
{
    RDL_TRY(check_counts(running));
    struct rdl__plan *hint = running->plan;
    if (hint == NULL || hint->wanted != running->wanted || !inputs_match(running->run, hint))
        RDL_TRY(find_plan(running));
    RDL_TRY(init_ports(running));
    RDL_TRY(get_memory(running));
    return execute(running);
}

static void finish(struct running *running, enum rdl_status status)
{
    const struct rdl__run *run = running->run;
    for (size_t i = 0; running->fresh != NULL && i < run->n_outputs; i++) {
        if (running->fresh[i] == NULL)
            continue;
        if (status == RDL_OK)
            run->outputs[i] = running->fresh[i];
        else
            rdl_value_release(running->fresh[i]);
    }
    for (size_t i = 0; running->packed != NULL && i < run->n_inputs; i++)
        rdl__free(running->packed[i]);
    rdl__free(running->memory);
}

/* Publishes the model, and the lane's hint if it is of this model; false if the model is closed. */
static bool publish(struct running *running, struct rdl__slot *slot)
{
    struct rdl__lane *lane = running->lane;
    const uint64_t id = running->run->model.id;
    /* The object is read through a slot that may be closed at any moment: it is only a name until the
     * handle is found open after the hazard was published. */
    running->model = rdl__load_seq_cst(&slot->object);
    running->plan = NULL;
    if (lane->last.model == id) {
        running->plan = rdl__plans_hint(running->model, slot, id, lane);
        if (running->plan != NULL)
            return true;
    }
    rdl__lane_publish(lane, running->model, NULL);
    return rdl__handle_is_open(slot, id);
}

static enum rdl_status run_on_lane(struct running *running, struct rdl__slot *slot)
{
    struct rdl__lane *lane = running->lane;
    rdl__store_relaxed(&lane->progress.failed, UINT64_C(0)); /* the lane is held */
    rdl__cancel_flags(running->run->cancel, lane->progress.cancelled);
    const rdl__fpenv callers = rdl__fpenv_enter();
    enum rdl_status status;
    if (rdl__load_seq_cst(&running->device->state) != RDL__DEVICE_OPEN || !publish(running, slot))
        status = rdl__fail(running->error, RDL_ERR_CLOSED, "run: the model is closed");
    else if ((status = rdl__lane_stream(lane)) != RDL_OK)
        status = rdl__fail(running->error, status, "run: stream: %s", rdl_status_text(status));
    else
        status = run_published(running);
    rdl__fpenv_leave(callers);
    if (status == RDL_ERR_FORKED && running->fresh != NULL) {
        finish(running, status); /* the fork has freed the lane: it is not ours to touch */
        return status;
    }
    finish(running, status);
    /* Not at the start: a stop that the device's closer asks for then must not be lost. Here it may be,
     * since the run has ended. */
    if (rdl__load_relaxed(&lane->progress.stop) != RDL_OK)
        rdl__store_relaxed(&lane->progress.stop, (uint32_t)RDL_OK);
    rdl__lane_unpublish(lane);
    return status;
}

static enum rdl_status run_leased(struct running *running, struct rdl__slot *slot)
{
    const struct rdl__run *run = running->run;
    const uint32_t epoch = rdl__fork_epoch();
    enum rdl_status status =
        rdl__lane_acquire(running->device, run->no_wait ? RDL_NO_WAIT : run->deadline_ns,
                          run->cancel, &running->lane);
    if (status != RDL_OK)
        return rdl__fail(running->error, status, "run: no lane: %s", rdl_status_text(status));
    status = run_on_lane(running, slot);
    if (rdl__fork_epoch() == epoch)
        rdl__lane_release(running->lane);
    return status;
}

static enum rdl_status run_held(struct running *running, struct rdl__slot *slot)
{
    const struct rdl__run *run = running->run;
    const uint32_t epoch = rdl__fork_epoch();
    enum rdl_status status;
    struct rdl__stream *stream =
        rdl__stream_pin(running->device, run->stream, &status, running->error);
    if (stream == NULL)
        return status;
    status =
        rdl__turn_take(&stream->turn, run->no_wait ? RDL_NO_WAIT : run->deadline_ns, run->cancel);
    if (status == RDL_OK) {
        running->lane = stream->lane;
        status = run_on_lane(running, slot);
        if (rdl__fork_epoch() == epoch) {
            rdl__memory_share_cache(stream->lane);
            rdl__turn_give(&stream->turn);
        }
    } else {
        (void)rdl__fail(running->error, status, "run: the stream's turn: %s",
                        rdl_status_text(status));
    }
    rdl__stream_unpin(stream);
    return status;
}

enum rdl_status rdl__run(const struct rdl__run *run, struct rdl_error *error)
{
    struct rdl__slot *slot = rdl__handle_slot(&rdl__models, run->model.id);
    /* Devices are type-stable: a stale handle's may be looked at. */
    struct rdl__device *device = slot != NULL ? rdl__load_seq_cst(&slot->context) : NULL;
    if (device == NULL || !rdl__handle_is_open(slot, run->model.id))
        return rdl__fail(error, RDL_ERR_CLOSED, "run: the model is closed");
    const enum rdl_status usable = rdl__device_usable(device);
    if (usable != RDL_OK)
        return rdl__fail(error, usable, "run: %s", rdl_status_text(usable));
    struct running running;
    running.run = run;
    running.device = device;
    running.error = error;
    running.fresh = NULL;
    running.packed = NULL;
    running.memory = NULL;
    return run->stream.id != 0 ? run_held(&running, slot) : run_leased(&running, slot);
}

enum rdl_status rdl_model_run(struct rdl_model model, struct rdl_value *const *inputs,
                              size_t n_inputs, struct rdl_value **outputs, size_t n_outputs,
                              const struct rdl_run_options *options, struct rdl_error *error)
{
    struct rdl__run run;
    if (rdl__in_callback())
        return rdl__fail(error, RDL_ERR_STATE, "rdl_model_run: called from a callback");
    RDL_TRY(rdl__run_init(&run, model, inputs, n_inputs, outputs, n_outputs, options, error));
    return rdl__run(&run, error);
}
