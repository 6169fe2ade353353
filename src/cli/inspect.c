/*
 * `raddle inspect`: what a model is made of, and the plan for given shapes.
 */
#include "raddle/inspect.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct inspect_options {
    struct common common;
    bool json;
};

static const struct argp_option option_table[] = {
    {"json", 'j', NULL, 0, "Write one JSON object instead of the lists", 0},
    {0},
};

static const char documentation[] =
    "Tells what MODEL (an ONNX file) is made of: inputs and outputs, metadata, parameters, operators, "
    "the nodes that are left after optimisation; and, where every dimension is fixed or a shape is "
    "given, the plan: its steps, and where and how long each buffer lives.\v"
    "A model that cannot be run is refused with one message that lists everything in it that is not "
    "supported.\n\n"
    "Exit status: 0 success, 1 a fault, 2 wrong use.\n\n"
    "Examples:\n"
    "  raddle inspect mlp.onnx\n"
    "  raddle inspect mlp.onnx --shape x=8x784 --json\n"
    "  raddle inspect vad.onnx -s input=1x576 -s state=2x1x128 --set sr=16000";

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is argp's */
static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct inspect_options *options = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- gathering ------------------------------------------------------------------------------- */

/* How many nodes of the compiled graph, bodies' included, have an operator. */
struct operator_count {
    const char *op, *domain;
    size_t count;
};

struct inspection {
    struct session session;
    struct operator_count *operators; /* [n_operators] most first */
    size_t n_operators;
    struct rdl_plan_info *plan; /* NULL: shapes are missing */
};

static int most_first(const void *a, const void *b)
{
    const struct operator_count *left = a, *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return strcmp(left->op, right->op);
}

static enum rdl_status count_operators(struct inspection *found, struct rdl_error *error)
{
    const struct rdl_model_info *info = found->session.info;
    struct rdl_node_info node;
    found->operators = calloc(rdl_model_info_all_node_count(info) + 1, sizeof *found->operators);
    if (found->operators == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    size_t n = 0;
    for (size_t i = 0; rdl_model_info_node(info, i, &node); i++) {
        size_t k = 0;
        while (k < n && (strcmp(node.op, found->operators[k].op) != 0 ||
                         strcmp(node.domain, found->operators[k].domain) != 0))
            k++;
        if (k == n)
            found->operators[n++] = (struct operator_count){node.op, node.domain, 0};
        found->operators[k].count++;
    }
    qsort(found->operators, n, sizeof *found->operators, most_first);
    found->n_operators = n;
    return RDL_OK;
}

/* Whether nothing about the inputs is left to be said on the command line. */
static bool is_fixed(const struct rdl_model_info *info)
{
    for (size_t i = 0; i < rdl_model_info_input_count(info); i++) {
        const struct rdl_port *port = rdl_model_info_input(info, i);
        if (port->rank < 0)
            return false;
        for (int32_t d = 0; d < port->rank; d++)
            if (port->dims[d] < 0)
                return false;
    }
    return true;
}

static enum rdl_status get_plan(const struct common *common, struct inspection *found,
                                struct rdl_error *error)
{
    const struct session *session = &found->session;
    if (common->wish.shapes.count + common->wish.sets.count == 0 && !is_fixed(session->info))
        return RDL_OK;
    struct rdl_value **inputs = calloc(session->n_inputs + 1, sizeof(struct rdl_value *));
    if (inputs == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    enum rdl_status status =
        inputs_make(session->info, NULL, &common->wish, (uint64_t)common->seed, inputs, error);
    if (status == RDL_OK)
        status = rdl_model_get_plan(session->model, inputs, session->n_inputs, &found->plan, error);
    values_release(inputs, session->n_inputs);
    free(inputs);
    return status;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const char *place_name(enum rdl_buffer_place place)
{
    switch (place) {
    case RDL_BUFFER_ARENA:
        return "arena";
    case RDL_BUFFER_INPUT:
        return "input";
    case RDL_BUFFER_OUTPUT:
        return "output";
    case RDL_BUFFER_WEIGHTS:
        return "weights";
    case RDL_BUFFER_FOLDED:
        return "folded";
    }
    return "?";
}

static const char *kind_name(enum rdl_value_kind kind)
{
    return kind == RDL_VALUE_SEQUENCE ? "sequence" : kind == RDL_VALUE_OPTIONAL ? "optional" : "";
}

static void print_port(const struct rdl_port *port)
{
    char dims[512];
    describe_dims(port, dims, sizeof dims);
    printf("  %-24s %s%s %s\n", port->name, kind_name(port->kind), rdl_dtype_name(port->dtype),
           dims);
}

static void print_graph(const struct inspection *found)
{
    const struct rdl_model_info *info = found->session.info;
    const char *key, *value;
    struct rdl_node_info node;
    printf("metadata\n");
    for (size_t i = 0; rdl_model_info_metadata(info, i, &key, &value); i++)
        printf("  %-24s %s\n", key, value);
    printf("\ninputs\n");
    for (size_t i = 0; i < rdl_model_info_input_count(info); i++)
        print_port(rdl_model_info_input(info, i));
    printf("\noutputs\n");
    for (size_t i = 0; i < rdl_model_info_output_count(info); i++)
        print_port(rdl_model_info_output(info, i));
    printf("\nparameters\n");
    printf("  %-24s %" PRIu64 "\n", "elements", rdl_model_info_parameter_count(info));
    printf("  %-24s %" PRIu64 "\n", "bytes", rdl_model_info_parameter_bytes(info));
    printf("  %-24s %zu\n", "bytes on the device", rdl_model_info_weight_bytes(info));
    printf("\noperators\n");
    for (size_t i = 0; i < found->n_operators; i++)
        printf("  %6zu  %s%s%s\n", found->operators[i].count, found->operators[i].domain,
               found->operators[i].domain[0] != '\0' ? "." : "", found->operators[i].op);
    printf("\nnodes: %zu in the file, %zu compiled", rdl_model_info_node_count(info),
           rdl_model_info_compiled_node_count(info));
    if (rdl_model_info_all_node_count(info) > rdl_model_info_compiled_node_count(info))
        printf(", %zu with those of bodies", rdl_model_info_all_node_count(info));
    putchar('\n');
    for (size_t i = 0; rdl_model_info_node(info, i, &node); i++)
        printf("  %6" PRIu32 "  %*s%-20s %s\n", node.index, (int)(2 * node.depth), "", node.op,
               node.name);
}

static void print_plan(const struct rdl_plan_info *plan)
{
    struct rdl_step_info step;
    struct rdl_plan_buffer buffer;
    printf("\nplan: %zu steps, %zu nodes folded%s; arena %zu bytes, %zu of them scratch\n",
           rdl_plan_info_step_count(plan), rdl_plan_info_folded_nodes(plan),
           rdl_plan_info_has_deferred(plan) ? ", some left to the run" : "",
           rdl_plan_info_arena_bytes(plan), rdl_plan_info_scratch_bytes(plan));
    printf("  %6s  %-18s %6s %10s %12s  %-28s %s\n", "step", "operator", "tiles", "MFLOP", "bytes",
           "node", "shapes");
    for (size_t i = 0; rdl_plan_info_step(plan, i, &step); i++)
        printf("  %6zu  %-18s %6zu %10.3f %12zu  %-28s %s\n", i, step.op, step.tiles,
               step.flop / 1e6, step.bytes, step.node, step.shapes);
    printf("\nbuffers\n  %-8s %12s %12s %15s  %s\n", "place", "offset", "size", "steps", "value");
    for (size_t i = 0; rdl_plan_info_buffer(plan, i, &buffer); i++)
        printf("  %-8s %12zu %12zu %7" PRIu32 "-%-7" PRIu32 "  %s\n", place_name(buffer.place),
               buffer.offset_bytes, buffer.size_bytes, buffer.first_step, buffer.last_step,
               buffer.value);
}

static void print_lists(const struct inspection *found)
{
    print_graph(found);
    if (found->plan != NULL)
        print_plan(found->plan);
    else
        printf("\nplan: give the shapes of the inputs, as --shape %s=...\n",
               rdl_model_info_input(found->session.info, 0)->name);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_port(struct json *json, cJSON *ports, const struct rdl_port *port)
{
    cJSON *object = json_object(json, ports, NULL);
    json_text(json, object, "name", port->name);
    json_text(json, object, "dtype", rdl_dtype_name(port->dtype));
    if (port->kind == RDL_VALUE_SEQUENCE || port->kind == RDL_VALUE_OPTIONAL)
        json_text(json, object, "kind", kind_name(port->kind));
    if (port->rank < 0)
        return;
    cJSON *dims = json_array(json, object, "dims");
    for (int32_t i = 0; i < port->rank; i++) {
        if (port->dims[i] >= 0)
            json_number(json, dims, NULL, (double)port->dims[i]);
        else
            json_text(json, dims, NULL, port->dim_names[i] != NULL ? port->dim_names[i] : "?");
    }
}

static void add_graph(struct json *json, cJSON *root, const struct inspection *found)
{
    const struct rdl_model_info *info = found->session.info;
    const char *key, *value;
    struct rdl_node_info node;
    cJSON *metadata = json_object(json, root, "metadata");
    for (size_t i = 0; rdl_model_info_metadata(info, i, &key, &value); i++)
        json_text(json, metadata, key, value);
    cJSON *ports = json_array(json, root, "inputs");
    for (size_t i = 0; i < rdl_model_info_input_count(info); i++)
        add_port(json, ports, rdl_model_info_input(info, i));
    ports = json_array(json, root, "outputs");
    for (size_t i = 0; i < rdl_model_info_output_count(info); i++)
        add_port(json, ports, rdl_model_info_output(info, i));
    cJSON *parameters = json_object(json, root, "parameters");
    json_number(json, parameters, "elements", (double)rdl_model_info_parameter_count(info));
    json_number(json, parameters, "bytes", (double)rdl_model_info_parameter_bytes(info));
    json_number(json, parameters, "device_bytes", (double)rdl_model_info_weight_bytes(info));
    cJSON *operators = json_array(json, root, "operators");
    for (size_t i = 0; i < found->n_operators; i++) {
        cJSON *object = json_object(json, operators, NULL);
        json_text(json, object, "domain", found->operators[i].domain);
        json_text(json, object, "op", found->operators[i].op);
        json_number(json, object, "count", (double)found->operators[i].count);
    }
    json_number(json, root, "file_nodes", (double)rdl_model_info_node_count(info));
    cJSON *nodes = json_array(json, root, "nodes");
    for (size_t i = 0; rdl_model_info_node(info, i, &node); i++) {
        cJSON *object = json_object(json, nodes, NULL);
        json_number(json, object, "index", node.index);
        json_number(json, object, "depth", node.depth);
        json_text(json, object, "domain", node.domain);
        json_text(json, object, "op", node.op);
        json_text(json, object, "name", node.name);
    }
}

static void add_plan(struct json *json, cJSON *root, const struct rdl_plan_info *plan)
{
    struct rdl_step_info step;
    struct rdl_plan_buffer buffer;
    cJSON *object = json_object(json, root, "plan");
    json_number(json, object, "arena_bytes", (double)rdl_plan_info_arena_bytes(plan));
    json_number(json, object, "scratch_bytes", (double)rdl_plan_info_scratch_bytes(plan));
    json_number(json, object, "folded_nodes", (double)rdl_plan_info_folded_nodes(plan));
    json_bool(json, object, "has_deferred", rdl_plan_info_has_deferred(plan));
    cJSON *steps = json_array(json, object, "steps");
    for (size_t i = 0; rdl_plan_info_step(plan, i, &step); i++) {
        cJSON *item = json_object(json, steps, NULL);
        json_text(json, item, "op", step.op);
        json_text(json, item, "node", step.node);
        if (step.index != RDL_NO_NODE)
            json_number(json, item, "index", step.index);
        json_text(json, item, "shapes", step.shapes);
        json_number(json, item, "tiles", (double)step.tiles);
        json_number(json, item, "flop", step.flop);
        json_number(json, item, "bytes", (double)step.bytes);
    }
    cJSON *buffers = json_array(json, object, "buffers");
    for (size_t i = 0; rdl_plan_info_buffer(plan, i, &buffer); i++) {
        cJSON *item = json_object(json, buffers, NULL);
        json_text(json, item, "place", place_name(buffer.place));
        json_number(json, item, "offset", (double)buffer.offset_bytes);
        json_number(json, item, "size", (double)buffer.size_bytes);
        json_number(json, item, "first_step", buffer.first_step);
        json_number(json, item, "last_step", buffer.last_step);
        json_text(json, item, "value", buffer.value);
    }
}

static enum rdl_status print_json(const struct common *common, const struct inspection *found,
                                  struct rdl_error *error)
{
    struct json json = {0};
    cJSON *root = json_object(&json, NULL, NULL);
    json_text(&json, root, "model", common->model);
    add_graph(&json, root, found);
    if (found->plan != NULL)
        add_plan(&json, root, found->plan);
    return json_write(&json, stdout, error);
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum rdl_status inspect(const struct inspect_options *options, struct inspection *found,
                               struct rdl_error *error)
{
    CLI_TRY(session_open(&options->common, &found->session, error));
    CLI_TRY(count_operators(found, error));
    CLI_TRY(get_plan(&options->common, found, error));
    if (options->json)
        return print_json(&options->common, found, error);
    print_lists(found);
    return RDL_OK;
}

int cli_inspect(int argc, char **argv)
{
    struct inspect_options options = {.common = COMMON_DEFAULTS};
    common_parse(argc, argv, option_table, parse_option, documentation, &options);
    struct inspection found = {0};
    struct rdl_error error = {.message = ""};
    const enum rdl_status status = inspect(&options, &found, &error);
    const int exit_status = status == RDL_OK ? CLI_OK : cli_report(options.common.model, &error);
    rdl_plan_info_release(found.plan);
    free(found.operators);
    session_close(&found.session);
    common_fini(&options.common);
    return exit_status;
}
