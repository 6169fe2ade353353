/*
 * `raddle run`: one run of a model, with arrays in and out.
 */
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/elements.h"
#include "cli/npz.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "cli/session.h"

#include <argp.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_RUNS 20

struct run_options {
    struct common common;
    const char *inputs, *outputs, *trace;
    int64_t runs;
    bool profile;
};

enum { KEY_INPUTS = 'i', KEY_OUTPUTS = 'o', KEY_PROFILE = 'p', KEY_RUNS = 'n', KEY_TRACE = 't' };

static const struct argp_option option_table[] = {
    {"inputs", KEY_INPUTS, "IN.npz", 0, "Arrays named as the model's inputs", 0},
    {"outputs", KEY_OUTPUTS, "OUT.npz", 0, "Where to write the outputs", 0},
    {"profile", KEY_PROFILE, NULL, 0, "Then tell where the time goes, node by node", 0},
    {"runs", KEY_RUNS, "N", 0, "Runs of the profile; times are their medians (default 20)", 0},
    {"trace", KEY_TRACE, "OUT.json", 0,
     "Write the profile for Perfetto or chrome://tracing; implies --profile", 0},
    {0},
};

static const char documentation[] =
    "Runs MODEL (an ONNX file) once and tells each output's shape and range.\v"
    "Inputs that are neither in IN.npz nor set are random: floating-point values in [-1, 1), "
    "integers in 0..9.\n\n"
    "A profile runs the model step by step, on one thread. GFLOP/s is told for nodes with a standard "
    "count of operations: products, convolutions and recurrences, 2 for each multiply-add.\n\n"
    "Exit status: 0 success, 1 a fault, 2 wrong use.\n\n"
    "Examples:\n"
    "  raddle run mlp.onnx --shape x=8x784 --outputs out.npz\n"
    "  raddle run vad.onnx -s input=1x576 -s state=2x1x128 --set sr=16000\n"
    "  raddle run mlp.onnx --inputs in.npz --profile --runs 100\n"
    "  raddle run mlp.onnx --trace mlp.json    (then open it at ui.perfetto.dev)";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct run_options *options = state->input;
    struct rdl_error error = {.message = ""};
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        return 0;
    case KEY_INPUTS:
        options->inputs = argument;
        return 0;
    case KEY_OUTPUTS:
        options->outputs = argument;
        return 0;
    case KEY_PROFILE:
        options->profile = true;
        return 0;
    case KEY_RUNS:
        common_check(state, cli_parse_number(argument, 1, 100000, &options->runs, &error), &error);
        return 0;
    case KEY_TRACE:
        options->trace = argument;
        options->profile = true;
        return 0;
    case ARGP_KEY_END:
        if (options->runs > 0 && !options->profile)
            argp_error(state, "--runs is for --profile");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- what came out --------------------------------------------------------------------------- */

static void print_range(const struct rdl_tensor *tensor)
{
    enum rdl_dtype dtype = rdl_tensor_dtype(tensor);
    size_t size = rdl_dtype_size(dtype), count = rdl_tensor_count(tensor), not_finite = 0;
    const unsigned char *at = rdl_tensor_data(tensor);
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++, at += size) {
        double value = element_value(dtype, at);
        if (!isfinite(value)) {
            not_finite++;
            continue;
        }
        low = value < low ? value : low;
        high = value > high ? value : high;
        sum += value;
    }
    if (count > not_finite)
        printf("  min %.6g  max %.6g  mean %.6g", low, high, sum / (double)(count - not_finite));
    if (not_finite > 0)
        printf("  not finite %zu", not_finite);
}

static void print_output(const struct rdl_port *port, const struct rdl_value *value)
{
    const struct rdl_tensor *tensor = rdl_value_tensor(value);
    if (tensor == NULL) {
        printf("%s  %s of %zu\n", port->name,
               rdl_value_get_kind(value) == RDL_VALUE_SEQUENCE ? "sequence" : "optional",
               rdl_value_count(value));
        return;
    }
    printf("%s  %s ", port->name, rdl_dtype_name(rdl_tensor_dtype(tensor)));
    for (int32_t i = 0; i < rdl_tensor_rank(tensor); i++)
        printf("%s%" PRId64, i > 0 ? "x" : " ", rdl_tensor_dims(tensor)[i]);
    if (rdl_tensor_rank(tensor) == 0)
        printf(" scalar");
    if (rdl_tensor_dtype(tensor) != RDL_STRING && rdl_tensor_is_host(tensor))
        print_range(tensor);
    putchar('\n');
}

static enum rdl_status write_outputs(const char *path, const struct session *session,
                                     struct rdl_value *const *outputs, struct rdl_error *error)
{
    enum rdl_status status = RDL_OK;
    const char **names = calloc(session->n_outputs + 1, sizeof *names);
    struct rdl_tensor **tensors = calloc(session->n_outputs + 1, sizeof(struct rdl_tensor *));
    if (names == NULL || tensors == NULL)
        status = cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < session->n_outputs && status == RDL_OK; i++) {
        names[i] = rdl_model_info_output(session->info, i)->name;
        tensors[i] = rdl_value_tensor(outputs[i]);
        if (tensors[i] == NULL || !rdl_tensor_is_host(tensors[i]))
            status = cli_fail(error, RDL_ERR_UNSUPPORTED, "'%s' is not a tensor in host memory",
                              names[i]);
    }
    if (status == RDL_OK)
        status = npz_write(path, names, tensors, session->n_outputs, error);
    free(names);
    free(tensors);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum rdl_status profile_model(const struct run_options *options,
                                     const struct session *session, struct rdl_value **inputs,
                                     const char **place, struct rdl_error *error)
{
    struct rdl_plan_info *plan = NULL;
    const uint32_t runs = options->runs > 0 ? (uint32_t)options->runs : DEFAULT_RUNS;
    progress_show("profiling: %u runs", (unsigned)runs);
    enum rdl_status status =
        rdl_model_profile(session->model, inputs, session->n_inputs, runs, &plan, error);
    progress_clear();
    CLI_TRY(status);
    status = profile_print(plan, runs, error);
    if (status == RDL_OK && options->trace != NULL) {
        *place = options->trace;
        status = profile_write_trace(plan, options->common.model, options->trace, error);
    }
    rdl_plan_info_release(plan);
    return status;
}

/* Runs and shows; *place is what the error is about. */
static enum rdl_status run_once(const struct run_options *options, const struct session *session,
                                const struct npz *given, struct rdl_value **inputs,
                                struct rdl_value **outputs, const char **place,
                                struct rdl_error *error)
{
    *place = options->common.model;
    CLI_TRY(inputs_make(session->info, given, &options->common.wish, (uint64_t)options->common.seed,
                        inputs, error));
    CLI_TRY(rdl_model_run(session->model, inputs, session->n_inputs, outputs, session->n_outputs,
                          NULL, error));
    for (size_t i = 0; i < session->n_outputs; i++)
        print_output(rdl_model_info_output(session->info, i), outputs[i]);
    if (options->outputs != NULL) {
        *place = options->outputs;
        CLI_TRY(write_outputs(options->outputs, session, outputs, error));
    }
    *place = options->common.model;
    return options->profile ? profile_model(options, session, inputs, place, error) : RDL_OK;
}

static enum rdl_status run_model(const struct run_options *options, const char **place,
                                 struct rdl_error *error)
{
    struct session session = {0};
    struct npz given = {0};
    if (options->inputs != NULL) {
        *place = options->inputs;
        CLI_TRY(npz_read(options->inputs, &given, error));
    }
    *place = options->common.model;
    enum rdl_status status = session_open(&options->common, &session, error);
    struct rdl_value **values = NULL;
    if (status == RDL_OK) {
        values = calloc(session.n_inputs + session.n_outputs + 1, sizeof(struct rdl_value *));
        status = values == NULL ? cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory")
                                : run_once(options, &session, &given, values,
                                           values + session.n_inputs, place, error);
    }
    if (values != NULL)
        values_release(values, session.n_inputs + session.n_outputs);
    free(values);
    session_close(&session);
    npz_fini(&given);
    return status;
}

int cli_run(int argc, char **argv)
{
    struct run_options options = {.common = COMMON_DEFAULTS};
    common_parse(argc, argv, option_table, parse_option, documentation, &options);
    struct rdl_error error = {.message = ""};
    const char *place = options.common.model;
    enum rdl_status status = run_model(&options, &place, &error);
    const int exit_status = status == RDL_OK ? CLI_OK : cli_report(place, &error);
    common_fini(&options.common);
    return exit_status;
}
