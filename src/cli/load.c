/*
 * Load on a model.
 *
 * Threads: load_make and load_measure are called by one thread. Each thread of the crew writes its
 * own struct hand and the outputs of its own data only.
 */
#include "cli/load.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define CHECKED_CALLS 50
#define MAX_ERRORS 100

/* ---- values ---------------------------------------------------------------------------------- */

static bool same_strings(const struct rdl_tensor *a, const struct rdl_tensor *b)
{
    for (size_t i = 0; i < rdl_tensor_count(a); i++) {
        const char *left = NULL, *right = NULL;
        size_t left_size = 0, right_size = 0;
        if (rdl_tensor_get_string(a, i, &left, &left_size) != RDL_OK ||
            rdl_tensor_get_string(b, i, &right, &right_size) != RDL_OK || left_size != right_size ||
            memcmp(left, right, left_size) != 0)
            return false;
    }
    return true;
}

/* Bit for bit; both in C order in host memory, as runs give them. */
static bool same_tensor(const struct rdl_tensor *a, const struct rdl_tensor *b)
{
    int32_t rank = rdl_tensor_rank(a);
    enum rdl_dtype dtype = rdl_tensor_dtype(a);
    if (dtype != rdl_tensor_dtype(b) || rank != rdl_tensor_rank(b))
        return false;
    for (int32_t i = 0; i < rank; i++)
        if (rdl_tensor_dims(a)[i] != rdl_tensor_dims(b)[i])
            return false;
    if (dtype == RDL_STRING)
        return same_strings(a, b);
    size_t bytes = rdl_tensor_count(a) * rdl_dtype_size(dtype);
    return bytes == 0 || memcmp(rdl_tensor_data(a), rdl_tensor_data(b), bytes) == 0;
}

static bool same_value(const struct rdl_value *a, const struct rdl_value *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (rdl_value_get_kind(a) != rdl_value_get_kind(b))
        return false;
    if (rdl_value_get_kind(a) == RDL_VALUE_TENSOR)
        return same_tensor(rdl_value_tensor(a), rdl_value_tensor(b));
    if (rdl_value_count(a) != rdl_value_count(b))
        return false;
    for (size_t i = 0; i < rdl_value_count(a); i++)
        if (!same_value(rdl_value_item(a, i), rdl_value_item(b, i)))
            return false;
    return true;
}

static bool same_values(struct rdl_value *const *a, struct rdl_value *const *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!same_value(a[i], b[i]))
            return false;
    return true;
}

/* A tensor of the same kind for the run to write into; NULL if the run must make the value. */
static enum rdl_status bind_output(const struct rdl_value *expected, struct rdl_value **out,
                                   struct rdl_error *error)
{
    const struct rdl_tensor *model = rdl_value_tensor(expected);
    struct rdl_tensor *tensor = NULL;
    *out = NULL;
    if (model == NULL || rdl_tensor_dtype(model) == RDL_STRING)
        return RDL_OK;
    CLI_TRY(rdl_tensor_new(rdl_tensor_dtype(model), rdl_tensor_rank(model), rdl_tensor_dims(model),
                           &tensor, error));
    enum rdl_status status = rdl_value_from_tensor(tensor, out, error);
    rdl_tensor_release(tensor);
    return status;
}

/* ---- data ------------------------------------------------------------------------------------ */

static enum rdl_status make_data(const struct session *session, const struct inputs_wish *wish,
                                 uint64_t seed, struct load_data *out, struct rdl_error *error)
{
    size_t n_inputs = session->n_inputs, n_outputs = session->n_outputs;
    out->inputs = calloc(n_inputs + 1, sizeof(struct rdl_value *));
    out->outputs = calloc(n_outputs + 1, sizeof(struct rdl_value *));
    out->expected = calloc(n_outputs + 1, sizeof(struct rdl_value *));
    if (out->inputs == NULL || out->outputs == NULL || out->expected == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    CLI_TRY(inputs_make(session->info, NULL, wish, seed, out->inputs, error));
    CLI_TRY(rdl_model_run(session->model, out->inputs, n_inputs, out->expected, n_outputs, NULL,
                          error));
    for (size_t i = 0; i < n_outputs; i++)
        CLI_TRY(bind_output(out->expected[i], &out->outputs[i], error));
    return RDL_OK;
}

static enum rdl_status run_data(const struct session *session, const struct load_data *data,
                                struct rdl_error *error)
{
    return rdl_model_run(session->model, data->inputs, session->n_inputs, data->outputs,
                         session->n_outputs, NULL, error);
}

/* Values that the run itself made are given back before the next run. */
static void drop_unbound(const struct session *session, const struct load_data *data)
{
    for (size_t i = 0; i < session->n_outputs; i++) {
        const struct rdl_tensor *tensor =
            data->outputs[i] != NULL ? rdl_value_tensor(data->outputs[i]) : NULL;
        if (tensor == NULL || rdl_tensor_dtype(tensor) == RDL_STRING)
            values_release(&data->outputs[i], 1);
    }
}

static unsigned count_distinct(const struct load *load)
{
    unsigned distinct = 0;
    for (unsigned i = 0; i < load->threads; i++) {
        bool seen = false;
        for (unsigned j = 0; j < i && !seen; j++)
            seen = same_values(load->data[i].expected, load->data[j].expected,
                               load->session->n_outputs);
        distinct += !seen;
    }
    return distinct;
}

/* The length of a call, from at least 20 ms or 3 calls. */
static enum rdl_status calibrate(struct load *load, struct rdl_error *error)
{
    int64_t calls = 0, start = rdl_now_ns(), now = start;
    while (calls < 3 || now - start < 20000000) {
        CLI_TRY(run_data(load->session, &load->data[0], error));
        drop_unbound(load->session, &load->data[0]);
        calls++;
        now = rdl_now_ns();
    }
    load->call_ns = (now - start) / calls;
    return RDL_OK;
}

enum rdl_status load_make(const struct session *session, const struct inputs_wish *wish,
                          uint64_t seed, unsigned threads, struct load *out,
                          struct rdl_error *error)
{
    *out = (struct load){.session = session, .threads = threads};
    out->data = calloc(threads, sizeof *out->data);
    enum rdl_status status =
        out->data == NULL ? cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory") : RDL_OK;
    for (unsigned i = 0; i < threads && status == RDL_OK; i++)
        status = make_data(session, wish, seed + i, &out->data[i], error);
    if (status == RDL_OK)
        status = calibrate(out, error);
    if (status == RDL_OK) {
        out->distinct = count_distinct(out);
        for (size_t i = 0; i < session->n_outputs; i++)
            out->unbound = out->unbound || out->data[0].outputs[i] == NULL;
    } else {
        load_fini(out);
    }
    return status;
}

void load_fini(struct load *load)
{
    for (unsigned i = 0; load->data != NULL && i < load->threads; i++) {
        struct load_data *data = &load->data[i];
        if (data->inputs != NULL)
            values_release(data->inputs, load->session->n_inputs);
        if (data->outputs != NULL)
            values_release(data->outputs, load->session->n_outputs);
        if (data->expected != NULL)
            values_release(data->expected, load->session->n_outputs);
        free(data->inputs);
        free(data->outputs);
        free(data->expected);
    }
    free(load->data);
    *load = (struct load){0};
}

/* ---- threads --------------------------------------------------------------------------------- */

/* What a thread works on and what it finds; on cache lines of its own. */
struct hand {
    const struct load *load;
    const struct load_data *data;
    uint64_t checked, mismatches, errors;
    struct rdl_error first_error;
} __attribute__((aligned(128)));

/* One run; false on a fault. */
static bool run_once(struct hand *hand)
{
    struct rdl_error error;
    if (run_data(hand->load->session, hand->data, &error) == RDL_OK)
        return true;
    if (hand->errors++ == 0)
        hand->first_error = error;
    return false;
}

static void compare(struct hand *hand)
{
    hand->checked++;
    if (!same_values(hand->data->outputs, hand->data->expected, hand->load->session->n_outputs))
        hand->mismatches++;
}

/* Spoils what the last run wrote, so that an answer that is never written cannot pass. */
static void spoil(const struct hand *hand)
{
    for (size_t i = 0; i < hand->load->session->n_outputs; i++) {
        const struct rdl_value *output = hand->data->outputs[i];
        const struct rdl_tensor *tensor = output != NULL ? rdl_value_tensor(output) : NULL;
        if (tensor != NULL && rdl_tensor_dtype(tensor) != RDL_STRING &&
            rdl_tensor_count(tensor) > 0)
            memset(rdl_tensor_data(tensor), 0xa5,
                   rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor)));
    }
}

static bool call_checked(void *context)
{
    struct hand *hand = context;
    spoil(hand);
    if (run_once(hand))
        compare(hand);
    drop_unbound(hand->load->session, hand->data);
    return hand->errors < MAX_ERRORS;
}

static bool call_timed(void *context)
{
    struct hand *hand = context;
    bool good = run_once(hand);
    if (hand->load->unbound)
        drop_unbound(hand->load->session, hand->data);
    return good || hand->errors < MAX_ERRORS;
}

/* ---- measurement ----------------------------------------------------------------------------- */

static void add_counts(const struct hand *hands, unsigned threads, struct load_result *out)
{
    for (unsigned i = 0; i < threads; i++) {
        if (out->errors == 0 && hands[i].errors > 0)
            out->first_error = hands[i].first_error;
        out->checked += hands[i].checked;
        out->mismatches += hands[i].mismatches;
        out->errors += hands[i].errors;
    }
}

static enum rdl_status measure(const struct load *load, struct hand *hands, void **contexts,
                               unsigned threads, double seconds, struct load_result *out,
                               struct rdl_error *error)
{
    struct crew_task task = {
        .call = call_checked,
        .contexts = contexts,
        .threads = threads,
        .seconds = seconds / 4,
        .least_calls = CHECKED_CALLS,
        .call_ns = load->call_ns,
    };
    for (unsigned i = 0; i < threads; i++) {
        hands[i] = (struct hand){.load = load, .data = &load->data[i]};
        contexts[i] = &hands[i];
    }
    CLI_TRY(crew_work(&task, &out->timed, error));
    task.call = call_timed;
    task.seconds = seconds;
    task.least_calls = 1;
    CLI_TRY(crew_work(&task, &out->timed, error));
    for (unsigned i = 0; i < threads && !load->unbound; i++)
        if (hands[i].errors == 0)
            compare(&hands[i]);
    add_counts(hands, threads, out);
    return RDL_OK;
}

enum rdl_status load_measure(const struct load *load, unsigned threads, double seconds,
                             struct load_result *out, struct rdl_error *error)
{
    *out = (struct load_result){0};
    struct hand *hands = aligned_alloc(128, threads * sizeof *hands);
    void **contexts = calloc(threads, sizeof *contexts);
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    if (hands == NULL || contexts == NULL)
        cli_note(error, status, "out of memory");
    else
        status = measure(load, hands, contexts, threads, seconds, out, error);
    free(contexts);
    free(hands);
    return status;
}
