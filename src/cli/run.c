/*
 * `raddle run`: one run of a model, with arrays in and out.
 */
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/npz.h"
#include "cli/session.h"

#include <argp.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run_options {
    const char *model, *inputs, *outputs, *device;
    struct named_shapes shapes;
    int64_t seed;
};

enum { KEY_INPUTS = 'i', KEY_OUTPUTS = 'o', KEY_SHAPE = 's', KEY_SEED = 'r', KEY_DEVICE = 'd' };

static const struct argp_option option_table[] = {
    {"inputs", KEY_INPUTS, "IN.npz", 0, "Arrays named as the model's inputs", 0},
    {"outputs", KEY_OUTPUTS, "OUT.npz", 0, "Where to write the outputs", 0},
    {"shape", KEY_SHAPE, "NAME=64x512", 0,
     "Shape of an input that is not given; may be repeated. A free first dimension is 1", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the inputs that are not given (default 1)", 0},
    {"device", KEY_DEVICE, "NAME", 0, "cpu (default) or sim", 0},
    {0},
};

static const char documentation[] =
    "Runs MODEL (an ONNX file) once and tells each output's shape and range.\v"
    "Inputs that IN.npz does not give are random: floating-point values in [-1, 1), integers in "
    "0..9.\n\n"
    "Example: raddle run mlp.onnx --shape x=8x784 --outputs out.npz";

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct run_options *options = state->input;
    struct rdl_error error = {.message = ""};
    enum rdl_status status = RDL_OK;
    switch (key) {
    case KEY_INPUTS:
        options->inputs = argument;
        break;
    case KEY_OUTPUTS:
        options->outputs = argument;
        break;
    case KEY_SHAPE:
        status = named_shapes_add(&options->shapes, argument, &error);
        break;
    case KEY_SEED:
        status = cli_parse_number(argument, 0, INT64_MAX, &options->seed, &error);
        break;
    case KEY_DEVICE:
        options->device = argument;
        break;
    case ARGP_KEY_ARG:
        if (options->model != NULL)
            argp_error(state, "more than one model: '%s'", argument);
        options->model = argument;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "MODEL is missing");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (status != RDL_OK)
        argp_error(state, "%s", error.message);
    return 0;
}

/* ---- what came out --------------------------------------------------------------------------- */

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double mantissa = bits & 1023;
    double value;
    if (exponent == 31)
        value = mantissa != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, -24);
    else
        value = ldexp(mantissa + 1024, exponent - 25);
    return bits >> 15 ? -value : value;
}

static double element_value(enum rdl_dtype dtype, const unsigned char *at)
{
    union {
        float f32;
        double f64;
        uint16_t bits16;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint32_t u32;
        uint64_t u64;
    } element = {.u64 = 0};
    memcpy(&element, at, rdl_dtype_size(dtype));
    switch (dtype) {
    case RDL_F32:
        return (double)element.f32;
    case RDL_F64:
        return element.f64;
    case RDL_F16:
        return half_value(element.bits16);
    case RDL_BF16:
        element.u32 = (uint32_t)element.bits16 << 16;
        return (double)element.f32;
    case RDL_I8:
        return element.i8;
    case RDL_I16:
        return element.i16;
    case RDL_I32:
        return element.i32;
    case RDL_I64:
        return (double)element.i64;
    case RDL_U8:
    case RDL_BOOL:
        return element.u8;
    case RDL_U16:
        return element.bits16;
    case RDL_U32:
        return element.u32;
    case RDL_U64:
        return (double)element.u64;
    default:
        return NAN;
    }
}

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

/* Runs and shows; *place is what the error is about. */
static enum rdl_status run_once(const struct run_options *options, const struct session *session,
                                const struct npz *given, struct rdl_value **inputs,
                                struct rdl_value **outputs, const char **place,
                                struct rdl_error *error)
{
    *place = options->model;
    CLI_TRY(inputs_make(session->info, given, &options->shapes, (uint64_t)options->seed, inputs,
                        error));
    CLI_TRY(rdl_model_run(session->model, inputs, session->n_inputs, outputs, session->n_outputs,
                          NULL, error));
    for (size_t i = 0; i < session->n_outputs; i++)
        print_output(rdl_model_info_output(session->info, i), outputs[i]);
    if (options->outputs == NULL)
        return RDL_OK;
    *place = options->outputs;
    return write_outputs(options->outputs, session, outputs, error);
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
    *place = options->model;
    enum rdl_status status = session_open(options->device, options->model, &session, error);
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
    struct run_options options = {.device = "cpu", .seed = 1};
    const struct argp parser = {
        .options = option_table, .parser = parse_option, .args_doc = "MODEL", .doc = documentation};
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    struct rdl_error error = {.message = ""};
    const char *place = options.model;
    enum rdl_status status = run_model(&options, &place, &error);
    named_shapes_fini(&options.shapes);
    return status == RDL_OK ? CLI_OK : cli_report(place, &error);
}
