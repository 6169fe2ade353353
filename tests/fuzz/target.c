/*
 * The fuzz target; see target.h.
 */
#include "target.h"

#include "graph/passes/passes.h"
#include "graph/uses.h"
#include "onnx/onnx.h"
#include "ops/ops.h"
#include "raddle/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PORTS 4
#define MEMORY_LIMIT ((size_t)64 << 20)
#define DEADLINE_NS INT64_C(5000000000)  /* the importer is told to stop */
#define PATIENCE_NS INT64_C(60000000000) /* and must have done so, on the slowest machine */
#define REQUIRE(truth) ((truth) ? (void)0 : broken(#truth, __LINE__))

static void broken(const char *what, int line)
{
    (void)fprintf(stderr, "fuzz target: broken: %s (line %d)\n", what, line);
    abort();
}

static int64_t now_ns(void)
{
    struct timespec time;
    REQUIRE(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool is_late(void *user)
{
    return now_ns() > *(const int64_t *)user;
}

unsigned char fuzz_sum;

/* Reads every byte of a constant, so that a sanitizer sees a wrong size. */
static void read_constant(const struct rdl__desc *desc)
{
    REQUIRE(desc->data != NULL && rdl_dtype_size(desc->dtype) > 0);
    REQUIRE(rdl__shape_check(desc->shape.rank, desc->shape.dims, NULL) == RDL_OK);
    const size_t count = rdl__shape_count(&desc->shape);
    unsigned char sum = 0;
    for (size_t i = 0; i < count * rdl_dtype_size(desc->dtype); i++)
        sum ^= ((const unsigned char *)desc->data)[i];
    const struct rdl__string *strings = desc->data;
    for (size_t i = 0; desc->dtype == RDL_STRING && i < count; i++)
        for (size_t k = 0; k <= strings[i].size; k++)
            sum ^= (unsigned char)strings[i].bytes[k];
    fuzz_sum ^= sum;
}

static void check_value(const struct rdl__graph *graph, const struct rdl__value_info *value)
{
    REQUIRE(value->name != NULL && value->rank >= -1 && value->rank <= RDL_MAX_RANK);
    REQUIRE(value->outer == RDL__NO_VALUE ||
            (graph->outer != NULL && (uint32_t)value->outer < graph->outer->n_values));
    REQUIRE((value->constant != NULL) + (value->outer != RDL__NO_VALUE) + (value->producer >= 0) <=
            1);
    if (value->constant != NULL)
        read_constant(value->constant);
}

/* Every use is of something that was made before; uses are counted right. */
static void check_graph(const struct rdl__graph *graph)
{
    char text[RDL__NODE_TEXT_BYTES];
    uint32_t *n_uses = calloc((size_t)graph->n_values + 1, sizeof *n_uses);
    REQUIRE(n_uses != NULL);
    for (uint32_t i = 0; i < graph->n_values; i++)
        check_value(graph, &graph->values[i]);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct rdl__node *node = graph->nodes[i];
        struct rdl__uses uses = rdl__uses_of(node);
        REQUIRE(node->op != NULL);
        (void)rdl__node_text(node, text, sizeof text);
        for (const int32_t *use; (use = rdl__uses_next(&uses)) != NULL;) {
            REQUIRE((uint32_t)*use < graph->n_values);
            REQUIRE(graph->values[*use].producer < (int32_t)i);
            n_uses[*use]++;
        }
        for (uint32_t k = 0; k < node->n_outputs; k++)
            REQUIRE(node->outputs[k] == RDL__NO_VALUE ||
                    graph->values[node->outputs[k]].producer == (int32_t)i);
        for (uint32_t k = 0; k < node->n_attrs; k++) {
            REQUIRE(node->attrs[k].name != NULL);
            if (node->attrs[k].type == RDL__ATTR_GRAPH)
                check_graph(node->attrs[k].graph);
            if (node->attrs[k].type == RDL__ATTR_TENSOR)
                read_constant(node->attrs[k].tensor);
        }
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        n_uses[graph->outputs[i]]++;
    for (uint32_t i = 0; i < graph->n_values; i++)
        REQUIRE(n_uses[i] == graph->values[i].n_uses);
    free(n_uses);
}

/* The library's operators, and If, so that subgraphs get beyond the importer. */
static const struct rdl__op *find_op(const char *domain, const char *name, int64_t opset)
{
    static const struct rdl__op choice = {.domain = "",
                                          .name = "If",
                                          .since = 1,
                                          .min_inputs = 1,
                                          .max_inputs = 1,
                                          .max_outputs = RDL__VARIADIC};
    const struct rdl__op *op = rdl__op_find(domain, name, opset);
    return op == NULL && domain[0] == '\0' && strcmp(name, "If") == 0 ? &choice : op;
}

static enum rdl_status run(const void *data, size_t size, struct rdl__arena *arena,
                           struct rdl_error *error)
{
    int64_t deadline = now_ns() + DEADLINE_NS;
    const struct rdl__onnx_options options = {
        .find = find_op,
        .stop = {is_late, &deadline},
        .reference_weights = size % 2 == 0,
    };
    struct rdl__graph *graph;
    RDL_TRY(rdl__onnx_import(data, size, &options, arena, &graph, error));
    check_graph(graph);
    RDL_TRY(rdl__graph_optimize(graph, find_op, NULL, NULL, error));
    check_graph(graph);
    return RDL_OK;
}

/* A zeroed value for an input, free dimensions being 2; NULL if it would be large or no tensor. */
static struct rdl_value *make_input(const struct rdl_port *port)
{
    int64_t dims[RDL_MAX_RANK], count = 1;
    struct rdl_tensor *tensor;
    struct rdl_value *value = NULL;
    if (port->kind != RDL_VALUE_TENSOR || port->dtype == RDL_DTYPE_NONE || port->rank < 0)
        return NULL;
    for (int32_t i = 0; i < port->rank; i++) {
        dims[i] = port->dims[i] < 0 ? 2 : port->dims[i];
        if (dims[i] > 4096 || (count *= dims[i]) > 4096)
            return NULL;
    }
    if (rdl_tensor_new(port->dtype, port->rank, dims, &tensor, NULL) != RDL_OK)
        return NULL;
    REQUIRE(rdl_value_from_tensor(tensor, &value, NULL) == RDL_OK);
    rdl_tensor_release(tensor);
    return value;
}

/* Runs a model that loaded: shapes are inferred, memory is planned, kernels run. */
static void run_model(struct rdl_model model)
{
    struct rdl_value *inputs[MAX_PORTS] = {NULL}, *outputs[MAX_PORTS] = {NULL};
    struct rdl_model_info *info;
    struct rdl_error error = {.message = ""};
    REQUIRE(rdl_model_get_info(model, &info, &error) == RDL_OK);
    const size_t n_inputs = rdl_model_info_input_count(info);
    const size_t n_outputs = rdl_model_info_output_count(info);
    bool complete = n_inputs <= MAX_PORTS && n_outputs <= MAX_PORTS;
    for (size_t i = 0; complete && i < n_inputs; i++)
        complete = (inputs[i] = make_input(rdl_model_info_input(info, i))) != NULL;
    if (complete) {
        const struct rdl_run_options options = {.size = sizeof options,
                                                .deadline_ns = rdl_deadline_in_ns(DEADLINE_NS)};
        const enum rdl_status status =
            rdl_model_run(model, inputs, n_inputs, outputs, n_outputs, &options, &error);
        REQUIRE(status == RDL_OK || (error.status == status && error.message[0] != '\0'));
        if (status == RDL_ERR_INTERNAL || status == RDL_ERR_ARGUMENT)
            (void)fprintf(stderr, "run: %s\n", error.message);
        REQUIRE(status != RDL_ERR_INTERNAL && status != RDL_ERR_ARGUMENT);
    }
    for (size_t i = 0; i < MAX_PORTS; i++) {
        rdl_value_release(inputs[i]);
        rdl_value_release(outputs[i]);
    }
    rdl_model_info_release(info);
}

/* Loads the file through the public door, which folds and compiles as well. */
static void load(const void *data, size_t size, enum rdl_status imported)
{
    struct rdl_model model;
    struct rdl_error error = {.message = ""};
    const struct rdl_load_options options = {.size = sizeof options,
                                             .memory_limit_bytes = MEMORY_LIMIT,
                                             .deadline_ns = rdl_deadline_in_ns(DEADLINE_NS)};
    const enum rdl_status status = rdl_model_load_memory(data, size, &options, &model, &error);
    REQUIRE(status == RDL_OK || (error.status == status && error.message[0] != '\0'));
    REQUIRE(status != RDL_ERR_INTERNAL && status != RDL_ERR_ARGUMENT);
    REQUIRE(status != RDL_OK || imported == RDL_OK);
    if (status == RDL_OK)
        run_model(model);
    rdl_model_close(model);
}

enum rdl_status fuzz_one(const void *data, size_t size, struct rdl_error *error)
{
    const int64_t begin = now_ns();
    struct rdl__arena arena;
    rdl__arena_init(&arena, MEMORY_LIMIT);
    error->status = RDL_OK;
    error->message[0] = '\0';
    const enum rdl_status status = run(data, size, &arena, error);
    REQUIRE(arena.reserved_bytes <= MEMORY_LIMIT);
    REQUIRE(status == RDL_OK || (error->status == status && error->message[0] != '\0'));
    REQUIRE(status == RDL_OK || status == RDL_ERR_MODEL || status == RDL_ERR_UNSUPPORTED ||
            status == RDL_ERR_NO_MEMORY || status == RDL_ERR_IO || status == RDL_ERR_CANCELLED);
    rdl__arena_fini(&arena);
    load(data, size, status);
    REQUIRE(now_ns() - begin < PATIENCE_NS);
    return status;
}
