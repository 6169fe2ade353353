/*
 * Inputs and expected answers, made in a child process and left in shared memory.
 */
#include "material.h"

#include "cli/cli.h"
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reserved addresses; pages that are not touched cost nothing. */
#define ARENA_BYTES (UINT64_C(1) << 30)
#define CALIBRATION_NS 20000000
#define CALIBRATION_CALLS 3

/* At the start of the shared memory; the elements follow. */
struct arena {
    struct material material;
    size_t used_bytes;
    struct rdl_error error;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t round_up(size_t size_bytes)
{
    return (size_bytes / MATERIAL_ALIGNMENT + 1) * MATERIAL_ALIGNMENT;
}

void *material_block(size_t size_bytes)
{
    return aligned_alloc(MATERIAL_ALIGNMENT, round_up(size_bytes));
}

/* A copy of a tensor's elements. */
static enum rdl_status keep(struct arena *arena, const struct rdl_tensor *tensor, size_t size_bytes,
                            void **out, struct rdl_error *error)
{
    if (size_bytes >= ARENA_BYTES - arena->used_bytes - MATERIAL_ALIGNMENT)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "inputs and outputs exceed %zu bytes",
                        (size_t)ARENA_BYTES);
    *out = (char *)arena + arena->used_bytes;
    arena->used_bytes += round_up(size_bytes);
    if (size_bytes > 0)
        memcpy(*out, rdl_tensor_data(tensor), size_bytes);
    return RDL_OK;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* Describes a value, or holds it against the description that is there since an earlier thread. */
static enum rdl_status describe(const char *name, const struct rdl_tensor *tensor, bool first,
                                struct material_port *port, struct rdl_error *error)
{
    if (tensor == NULL || rdl_tensor_dtype(tensor) == RDL_STRING)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "'%s' is no tensor of numbers", name);
    struct material_port found = {.dtype = rdl_tensor_dtype(tensor),
                                  .rank = rdl_tensor_rank(tensor)};
    if (strlen(name) >= sizeof found.name)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "'%s' is too long a name", name);
    memcpy(found.name, name, strlen(name));
    memcpy(found.dims, rdl_tensor_dims(tensor), (size_t)found.rank * sizeof found.dims[0]);
    found.size_bytes = rdl_tensor_count(tensor) * rdl_dtype_size(found.dtype);
    if (first)
        *port = found;
    if (found.rank != port->rank || memcmp(found.dims, port->dims, sizeof found.dims) != 0)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "the shape of '%s' changes with the values",
                        name);
    return RDL_OK;
}

static void put_integer(void *out, int64_t value, size_t size_bytes)
{
    /* Little-endian, as all machines that this is built for. */
    memcpy(out, &value, size_bytes);
}

static enum rdl_status fill(const struct value_range *range, struct rdl_tensor *tensor,
                            uint64_t seed, struct rdl_error *error)
{
    enum rdl_dtype dtype = rdl_tensor_dtype(tensor);
    size_t size = rdl_dtype_size(dtype);
    bool integer = dtype == RDL_I8 || dtype == RDL_U8 || dtype == RDL_I16 || dtype == RDL_U16 ||
                   dtype == RDL_I32 || dtype == RDL_U32 || dtype == RDL_I64 || dtype == RDL_U64;
    if (!integer)
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' holds no integers", range->name);
    unsigned short state[3] = {0x330e, (unsigned short)seed, (unsigned short)(seed >> 16)};
    unsigned char *out = rdl_tensor_data(tensor);
    for (size_t i = 0; i < rdl_tensor_count(tensor); i++)
        put_integer(out + i * size, range->low + nrand48(state) % (range->high - range->low + 1),
                    size);
    return RDL_OK;
}

static enum rdl_status apply_ranges(const struct session *session,
                                    const struct value_ranges *ranges, uint64_t seed,
                                    struct rdl_value *const *inputs, struct rdl_error *error)
{
    for (size_t r = 0; r < ranges->count; r++) {
        size_t i = 0;
        while (i < session->n_inputs &&
               strcmp(rdl_model_info_input(session->info, i)->name, ranges->items[r].name) != 0)
            i++;
        if (i == session->n_inputs)
            return cli_fail(error, RDL_ERR_NOT_FOUND, "the model has no input '%s'",
                            ranges->items[r].name);
        CLI_TRY(fill(&ranges->items[r], rdl_value_tensor(inputs[i]), seed, error));
    }
    return RDL_OK;
}

/* How long a call takes, from at least 20 ms or 3 calls. */
static enum rdl_status calibrate(const struct session *session, struct rdl_value *const *inputs,
                                 int64_t *out_call_ns, struct rdl_error *error)
{
    int64_t calls = 0, start = rdl_now_ns(), now = start;
    while (calls < CALIBRATION_CALLS || now - start < CALIBRATION_NS) {
        struct rdl_value *outputs[MATERIAL_MAX_PORTS] = {0};
        CLI_TRY(rdl_model_run(session->model, inputs, session->n_inputs, outputs,
                              session->n_outputs, NULL, error));
        values_release(outputs, session->n_outputs);
        calls++;
        now = rdl_now_ns();
    }
    *out_call_ns = (now - start) / calls;
    return RDL_OK;
}

static enum rdl_status make_thread(struct arena *arena, const struct session *session,
                                   const struct material_plan *plan, unsigned thread,
                                   struct rdl_error *error)
{
    struct material *material = &arena->material;
    struct material_data *data = &material->data[thread];
    /* Not given back on failure: the process ends. */
    struct rdl_value *inputs[MATERIAL_MAX_PORTS] = {0}, *outputs[MATERIAL_MAX_PORTS] = {0};
    CLI_TRY(inputs_make(session->info, NULL, &plan->common.wish,
                        (uint64_t)plan->common.seed + thread, inputs, error));
    CLI_TRY(
        apply_ranges(session, &plan->ranges, (uint64_t)plan->common.seed + thread, inputs, error));
    CLI_TRY(rdl_model_run(session->model, inputs, session->n_inputs, outputs, session->n_outputs,
                          NULL, error));
    for (size_t i = 0; i < session->n_inputs; i++) {
        const struct rdl_tensor *tensor = rdl_value_tensor(inputs[i]);
        CLI_TRY(describe(rdl_model_info_input(session->info, i)->name, tensor, thread == 0,
                         &material->inputs[i], error));
        CLI_TRY(keep(arena, tensor, material->inputs[i].size_bytes, &data->inputs[i], error));
    }
    for (size_t i = 0; i < session->n_outputs; i++) {
        const struct rdl_tensor *tensor = rdl_value_tensor(outputs[i]);
        CLI_TRY(describe(rdl_model_info_output(session->info, i)->name, tensor, thread == 0,
                         &material->outputs[i], error));
        CLI_TRY(keep(arena, tensor, material->outputs[i].size_bytes, &data->expected[i], error));
    }
    if (thread == 0)
        CLI_TRY(calibrate(session, inputs, &material->call_ns, error));
    values_release(inputs, session->n_inputs);
    values_release(outputs, session->n_outputs);
    return RDL_OK;
}

static bool same_inputs(const struct material *material, unsigned a, unsigned b)
{
    for (size_t i = 0; i < material->n_inputs; i++)
        if (memcmp(material->data[a].inputs[i], material->data[b].inputs[i],
                   material->inputs[i].size_bytes) != 0)
            return false;
    return true;
}

static enum rdl_status make(struct arena *arena, const struct material_plan *plan,
                            struct rdl_error *error)
{
    struct material *material = &arena->material;
    struct session session;
    CLI_TRY(session_open(&plan->common, &session, error));
    if (session.n_inputs > MATERIAL_MAX_PORTS || session.n_outputs > MATERIAL_MAX_PORTS)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "more than %d inputs or outputs",
                        MATERIAL_MAX_PORTS);
    material->n_inputs = session.n_inputs;
    material->n_outputs = session.n_outputs;
    material->threads = plan->threads;
    for (unsigned thread = 0; thread < plan->threads; thread++) {
        CLI_TRY(make_thread(arena, &session, plan, thread, error));
        for (unsigned other = 0; other < thread; other++)
            if (same_inputs(material, thread, other))
                return cli_fail(error, RDL_ERR_UNSUPPORTED, "two threads have the same inputs");
    }
    session_close(&session);
    return RDL_OK;
}

/* ---- the parent ------------------------------------------------------------------------------ */

static enum rdl_status make_in_child(struct arena *arena, const struct material_plan *plan,
                                     struct rdl_error *error)
{
    arena->used_bytes = round_up(sizeof *arena);
    arena->error = (struct rdl_error){.status = RDL_ERR_RUNTIME,
                                      .message = "the process that makes the inputs died"};
    pid_t child = fork();
    if (child < 0)
        return cli_fail(error, RDL_ERR_RUNTIME, "cannot fork");
    if (child == 0) {
        struct rdl_error fault = {.status = RDL_OK};
        if (make(arena, plan, &fault) == RDL_OK)
            fault.status = RDL_OK;
        arena->error = fault;
        _exit(0);
    }
    if (waitpid(child, NULL, 0) != child)
        return cli_fail(error, RDL_ERR_RUNTIME, "lost the process that makes the inputs");
    if (arena->error.status != RDL_OK)
        *error = arena->error;
    return arena->error.status;
}

enum rdl_status material_make(const struct material_plan *plan, struct material **out,
                              struct rdl_error *error)
{
    *out = NULL;
    struct arena *arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "no shared memory");
    enum rdl_status status = make_in_child(arena, plan, error);
    if (status == RDL_OK)
        *out = &arena->material;
    else
        (void)munmap(arena, ARENA_BYTES);
    return status;
}

void material_free(struct material *material)
{
    if (material != NULL)
        (void)munmap(material, ARENA_BYTES);
}
