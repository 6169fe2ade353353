/*
 * The importer: turns decoded messages into graphs.
 *
 * Each graph is filled in two steps. First all its values get their indices: initialisers, inputs,
 * results of nodes. Then nodes and outputs are connected by name. So nodes may come in any order, and a
 * name that a subgraph does not make is looked up in the graphs around it, all of whose values are
 * known by then. Whether each value is made once, and cycles, are rdl__graph_finish's business.
 *
 * Decoded messages and name tables lie in an arena of their own, which goes when the import ends.
 *
 * Threading: one user a call; no state outside it.
 */
#include "onnx/onnx.h"

#include "base/mem.h"
#include "base/size.h"
#include "onnx/names.h"
#include "onnx/read.h"
#include "onnx/tensor.h"

#include <inttypes.h>

/* Most attributes of one node: no operator has a tenth of it. */
#define MAX_ATTRS 256

struct importer {
    struct rdl__onnx_options options;
    struct rdl__arena *arena;  /* of the graph */
    struct rdl__arena scratch; /* of messages and name tables */
    const rdl__onnx_ModelProto *model;
    struct rdl_error *error;
};

/* A graph being filled, and the one around it. */
struct scope {
    struct importer *importer;
    struct rdl__graph *graph;
    const rdl__onnx_GraphProto *proto;
    struct rdl__names names;
    struct scope *outer;
};

/* A span as messages show it. */
#define SPAN_TEXT(span) span_text((span), (char[RDL__NAME_TEXT_BYTES]){0})

static const char *span_text(struct rdl__span span, char out[RDL__NAME_TEXT_BYTES])
{
    char start[RDL__NAME_TEXT_BYTES + 1] = "";
    size_t length = span.size_bytes < sizeof start ? span.size_bytes : sizeof start - 1;
    if (length > 0)
        memcpy(start, span.bytes, length);
    return rdl__name_text(start, out, RDL__NAME_TEXT_BYTES);
}

static enum rdl_status no_memory(struct importer *importer)
{
    return rdl__fail(importer->error, RDL_ERR_NO_MEMORY,
                     "no memory for the graph (limit of %zu bytes)", importer->arena->limit_bytes);
}

/* A zero-terminated copy; "" of an absent field. */
static enum rdl_status copy_text(struct importer *importer, struct rdl__span span, const char **out)
{
    *out = rdl__arena_text(importer->arena, (const char *)span.bytes, span.size_bytes);
    return *out == NULL ? no_memory(importer) : RDL_OK;
}

/* A name: as a text, and without zero bytes, which would make two names one. */
static enum rdl_status copy_name(struct importer *importer, struct rdl__span span, const char **out)
{
    if (span.size_bytes > 0 && memchr(span.bytes, '\0', span.size_bytes) != NULL)
        return rdl__fail(importer->error, RDL_ERR_MODEL, "name \"%s\" holds a zero byte",
                         SPAN_TEXT(span));
    return copy_text(importer, span, out);
}

/* ---- values ------------------------------------------------------------------------------------ */

/* The value called name in this graph itself, made if need be. */
static enum rdl_status define(struct scope *scope, struct rdl__span name, int32_t *out)
{
    struct importer *importer = scope->importer;
    *out = rdl__names_get(&scope->names, name);
    if (*out >= 0)
        return RDL_OK;
    const char *text = NULL;
    RDL_TRY(copy_name(importer, name, &text));
    *out = rdl__graph_add_value(scope->graph, text);
    if (*out == RDL__NO_VALUE || !rdl__names_put(&scope->names, name, *out))
        return no_memory(importer);
    return RDL_OK;
}

/* The value that name means in this graph; RDL__NO_VALUE if neither it nor a graph around it has one.
 * Recursion is as deep as graphs lie in one another. */
static enum rdl_status resolve(struct scope *scope, struct rdl__span name, int32_t *out)
{
    *out = rdl__names_get(&scope->names, name);
    if (*out >= 0 || scope->outer == NULL)
        return RDL_OK;
    int32_t outer;
    RDL_TRY(resolve(scope->outer, name, &outer));
    if (outer == RDL__NO_VALUE)
        return RDL_OK;
    RDL_TRY(define(scope, name, out));
    const struct rdl__value_info *source = &scope->outer->graph->values[outer];
    struct rdl__value_info *value = &scope->graph->values[*out];
    if (source->constant != NULL)
        rdl__value_set_constant(value, source->constant);
    else
        value->outer = outer;
    return RDL_OK;
}

/* ---- types ------------------------------------------------------------------------------------- */

static enum rdl_status take_dims(struct importer *importer, const rdl__onnx_TensorShapeProto *shape,
                                 struct rdl__value_info *value)
{
    if (shape->dim.n > RDL_MAX_RANK)
        return rdl__fail(importer->error, RDL_ERR_UNSUPPORTED, "rank %zu is above %d", shape->dim.n,
                         RDL_MAX_RANK);
    value->rank = (int32_t)shape->dim.n;
    for (int32_t i = 0; i < value->rank; i++) {
        const rdl__onnx_DimensionProto *dim = &RDL__ITEMS(shape->dim, rdl__onnx_DimensionProto)[i];
        /* Some exporters write -1 for a dimension that is not fixed. */
        if (dim->has_dim_value && dim->dim_value < -1)
            return rdl__fail(importer->error, RDL_ERR_MODEL,
                             "dimension %" PRId32 " is negative (%" PRId64 ")", i, dim->dim_value);
        value->dims[i] = dim->has_dim_value ? dim->dim_value : -1;
        value->dim_names[i] = NULL;
        if (dim->dim_param.size_bytes > 0)
            RDL_TRY(copy_name(importer, dim->dim_param, &value->dim_names[i]));
    }
    int64_t fixed[RDL_MAX_RANK];
    for (int32_t i = 0; i < value->rank; i++)
        fixed[i] = value->dims[i] < 0 ? 1 : value->dims[i];
    const enum rdl_status status = rdl__shape_check(value->rank, fixed, importer->error);
    return status == RDL_OK ? RDL_OK : RDL_ERR_MODEL;
}

/* Fills dtype, kind and dims of value. The dtype of a sequence or optional is that of its tensors. */
static enum rdl_status take_type(struct importer *importer, const rdl__onnx_TypeProto *type,
                                 struct rdl__value_info *value)
{
    if (type->map_type != NULL || type->opaque_type != NULL || type->sparse_tensor_type != NULL)
        return rdl__fail(importer->error, RDL_ERR_UNSUPPORTED,
                         "maps, opaque types and sparse tensors are not supported");
    const rdl__onnx_ElementTypeProto *holder = type->sequence_type;
    value->kind = RDL_VALUE_TENSOR;
    if (holder != NULL)
        value->kind = RDL_VALUE_SEQUENCE;
    else if ((holder = type->optional_type) != NULL)
        value->kind = RDL_VALUE_OPTIONAL;
    const rdl__onnx_TypeProto *inner = type;
    for (; holder != NULL && holder->elem_type != NULL;
         holder = inner->sequence_type != NULL ? inner->sequence_type : inner->optional_type)
        inner = holder->elem_type;
    const rdl__onnx_TensorTypeProto *tensor = inner->tensor_type;
    if (tensor == NULL)
        return RDL_OK;
    if (tensor->elem_type != 0)
        RDL_TRY(rdl__onnx_dtype(tensor->elem_type, &value->dtype, importer->error));
    if (value->kind == RDL_VALUE_TENSOR && tensor->shape != NULL)
        return take_dims(importer, tensor->shape, value);
    return RDL_OK;
}

/* Puts "what "name": " before the message of status and makes a fault of shape a fault of the model. */
static enum rdl_status fail_named(struct importer *importer, enum rdl_status status,
                                  const char *what, struct rdl__span name)
{
    if (status == RDL_OK)
        return RDL_OK;
    if (importer->error != NULL)
        importer->error->status = status;
    return rdl__fail_within(importer->error, status, "%s \"%s\"", what, SPAN_TEXT(name));
}

/* Gives a value its declared type, unless it is a constant, which is its own declaration. */
static enum rdl_status declare(struct scope *scope, const char *what,
                               const rdl__onnx_ValueInfoProto *info, int32_t index)
{
    struct rdl__value_info *value = &scope->graph->values[index];
    if (info->type == NULL || value->constant != NULL)
        return RDL_OK;
    return fail_named(scope->importer, take_type(scope->importer, info->type, value), what,
                      info->name);
}

/* ---- step one: values -------------------------------------------------------------------------- */

/* Makes value `index` a constant of the tensor's elements. */
static enum rdl_status make_constant(struct scope *scope, int32_t index,
                                     const rdl__onnx_TensorProto *tensor)
{
    struct importer *importer = scope->importer;
    struct rdl__desc *desc = RDL__ARENA_NEW(importer->arena, struct rdl__desc);
    if (desc == NULL)
        return no_memory(importer);
    RDL_TRY(rdl__onnx_tensor(tensor, &importer->options, importer->arena, desc, importer->error));
    rdl__value_set_constant(&scope->graph->values[index], desc);
    return RDL_OK;
}

static enum rdl_status poll_stop(struct importer *importer)
{
    const struct rdl__stop stop = importer->options.stop;
    if (stop.poll != NULL && stop.poll(stop.user))
        return rdl__fail(importer->error, RDL_ERR_CANCELLED, "stopped while importing the model");
    return RDL_OK;
}

static enum rdl_status take_initialisers(struct scope *scope)
{
    struct importer *importer = scope->importer;
    const struct rdl__list list = scope->proto->initializer;
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_TensorProto *tensor = &RDL__ITEMS(list, rdl__onnx_TensorProto)[i];
        RDL_TRY(poll_stop(importer));
        if (tensor->name.size_bytes == 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "initialiser #%zu has no name", i);
        int32_t index;
        RDL_TRY(define(scope, tensor->name, &index));
        if (scope->graph->values[index].constant != NULL)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "initialiser \"%s\" is there twice",
                             SPAN_TEXT(tensor->name));
        RDL_TRY(
            fail_named(importer, make_constant(scope, index, tensor), "initialiser", tensor->name));
    }
    const struct rdl__list sparse = scope->proto->sparse_initializer;
    if (sparse.n > 0) {
        const rdl__onnx_TensorProto *values =
            RDL__ITEMS(sparse, rdl__onnx_SparseTensorProto)[0].values;
        return rdl__fail(importer->error, RDL_ERR_UNSUPPORTED,
                         "initialiser \"%s\": sparse tensors are not supported",
                         values == NULL ? "" : SPAN_TEXT(values->name));
    }
    return RDL_OK;
}

static enum rdl_status take_inputs(struct scope *scope)
{
    struct importer *importer = scope->importer;
    struct rdl__graph *graph = scope->graph;
    const struct rdl__list list = scope->proto->input;
    graph->inputs = RDL__ARENA_ARRAY(importer->arena, int32_t, list.n);
    if (graph->inputs == NULL)
        return no_memory(importer);
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_ValueInfoProto *info = &RDL__ITEMS(list, rdl__onnx_ValueInfoProto)[i];
        if (info->name.size_bytes == 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "graph input #%zu has no name", i);
        const int32_t known = rdl__names_get(&scope->names, info->name);
        if (known >= 0 && graph->values[known].constant != NULL)
            continue; /* an initialiser listed as input, as files before IR 4 must */
        if (known >= 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "graph input \"%s\" is there twice",
                             SPAN_TEXT(info->name));
        if (info->type == NULL && scope->outer == NULL)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "graph input \"%s\" has no type",
                             SPAN_TEXT(info->name));
        int32_t index;
        RDL_TRY(define(scope, info->name, &index));
        RDL_TRY(declare(scope, "graph input", info, index));
        graph->inputs[graph->n_inputs++] = index;
    }
    return RDL_OK;
}

/* Whether domain is the default one, under either of its names. */
static bool is_default_domain(struct rdl__span domain)
{
    static const char name[] = "ai.onnx";
    return domain.size_bytes == 0 || (domain.size_bytes == sizeof name - 1 &&
                                      memcmp(domain.bytes, name, sizeof name - 1) == 0);
}

static bool span_is(struct rdl__span span, const char *text)
{
    return span.size_bytes == strlen(text) &&
           (span.size_bytes == 0 || memcmp(span.bytes, text, span.size_bytes) == 0);
}

static bool is_constant_node(const rdl__onnx_NodeProto *node)
{
    return is_default_domain(node->domain) && span_is(node->op_type, "Constant");
}

/* "node "name" (Op)", or "node #7 (Op)", of a node that is not in the graph yet. */
#define PROTO_TEXT_BYTES (2 * RDL__NAME_TEXT_BYTES + 32)
#define PROTO_TEXT(node, i) proto_text((node), (i), (char[PROTO_TEXT_BYTES]){0})

static const char *proto_text(const rdl__onnx_NodeProto *proto, size_t i,
                              char out[PROTO_TEXT_BYTES])
{
    const struct rdl__node node = {
        .name = SPAN_TEXT(proto->name), .op_type = SPAN_TEXT(proto->op_type), .index = (uint32_t)i};
    return rdl__node_text(&node, out, PROTO_TEXT_BYTES);
}

static enum rdl_status fail_at(struct importer *importer, enum rdl_status status,
                               const rdl__onnx_NodeProto *node, size_t i)
{
    return status == RDL_OK ? RDL_OK
                            : rdl__fail_within(importer->error, status, "%s", PROTO_TEXT(node, i));
}

/* Elements of a Constant node that are not a tensor attribute, as a tensor of the same form. */
static bool constant_as_tensor(const rdl__onnx_AttributeProto *attr, int64_t *n,
                               rdl__onnx_TensorProto *tensor)
{
    const bool many = span_is(attr->name, "value_floats") || span_is(attr->name, "value_ints") ||
                      span_is(attr->name, "value_strings");
    *tensor = (rdl__onnx_TensorProto){.has_data_type = true};
    if (span_is(attr->name, "value_float")) {
        tensor->data_type = RDL_F32;
        tensor->float_data = (struct rdl__list){(void *)(uintptr_t)&attr->f, 1, 1};
    } else if (span_is(attr->name, "value_int")) {
        tensor->data_type = RDL_I64;
        tensor->int64_data = (struct rdl__list){(void *)(uintptr_t)&attr->i, 1, 1};
    } else if (span_is(attr->name, "value_string")) {
        tensor->data_type = RDL_STRING;
        tensor->string_data = (struct rdl__list){(void *)(uintptr_t)&attr->s, 1, 1};
    } else if (span_is(attr->name, "value_floats")) {
        tensor->data_type = RDL_F32;
        tensor->float_data = attr->floats;
    } else if (span_is(attr->name, "value_ints")) {
        tensor->data_type = RDL_I64;
        tensor->int64_data = attr->ints;
    } else if (span_is(attr->name, "value_strings")) {
        tensor->data_type = RDL_STRING;
        tensor->string_data = attr->strings;
    } else {
        return false;
    }
    *n = (int64_t)(tensor->float_data.n + tensor->int64_data.n + tensor->string_data.n);
    if (many)
        tensor->dims = (struct rdl__list){n, 1, 1};
    return true;
}

/* Makes the result of a Constant node a constant. */
static enum rdl_status take_constant_node(struct scope *scope, const rdl__onnx_NodeProto *node)
{
    struct importer *importer = scope->importer;
    if (node->output.n != 1 || node->input.n != 0 || node->attribute.n != 1)
        return rdl__fail(importer->error, RDL_ERR_MODEL,
                         "%zu inputs, %zu outputs and %zu attributes; a constant has 0, 1 and 1",
                         node->input.n, node->output.n, node->attribute.n);
    const rdl__onnx_AttributeProto *attr = node->attribute.items;
    int32_t index;
    RDL_TRY(define(scope, RDL__ITEMS(node->output, struct rdl__span)[0], &index));
    if (scope->graph->values[index].constant != NULL)
        return rdl__fail(importer->error, RDL_ERR_MODEL, "value \"%s\" is made twice",
                         RDL__NAME_TEXT(scope->graph->values[index].name));
    int64_t n;
    rdl__onnx_TensorProto made;
    const rdl__onnx_TensorProto *tensor = &made;
    if (span_is(attr->name, "sparse_value"))
        return rdl__fail(importer->error, RDL_ERR_UNSUPPORTED, "sparse tensors are not supported");
    if (span_is(attr->name, "value"))
        tensor = attr->t;
    else if (!constant_as_tensor(attr, &n, &made))
        return rdl__fail(importer->error, RDL_ERR_MODEL, "attribute \"%s\" is not known",
                         SPAN_TEXT(attr->name));
    if (tensor == NULL)
        return rdl__fail(importer->error, RDL_ERR_MODEL, "attribute \"value\" has no tensor");
    return make_constant(scope, index, tensor);
}

static enum rdl_status take_results(struct scope *scope)
{
    struct importer *importer = scope->importer;
    const struct rdl__list list = scope->proto->node;
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_NodeProto *node = &RDL__ITEMS(list, rdl__onnx_NodeProto)[i];
        RDL_TRY(poll_stop(importer));
        if (node->op_type.size_bytes == 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "node #%zu has no operator", i);
        if (is_constant_node(node)) {
            RDL_TRY(fail_at(importer, take_constant_node(scope, node), node, i));
            continue;
        }
        for (size_t k = 0; k < node->output.n; k++) {
            const struct rdl__span name = RDL__ITEMS(node->output, struct rdl__span)[k];
            int32_t index;
            if (name.size_bytes > 0)
                RDL_TRY(fail_at(importer, define(scope, name, &index), node, i));
        }
    }
    return RDL_OK;
}

/* Declared types of values between nodes; names that nothing makes are of no use and no harm. */
static enum rdl_status take_value_infos(struct scope *scope)
{
    const struct rdl__list list = scope->proto->value_info;
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_ValueInfoProto *info = &RDL__ITEMS(list, rdl__onnx_ValueInfoProto)[i];
        const int32_t index = rdl__names_get(&scope->names, info->name);
        if (index >= 0 && scope->graph->values[index].dtype == RDL_DTYPE_NONE)
            RDL_TRY(declare(scope, "value", info, index));
    }
    return RDL_OK;
}

/* ---- step two: nodes --------------------------------------------------------------------------- */

static enum rdl_status import_graph(struct importer *importer, const rdl__onnx_GraphProto *proto,
                                    struct scope *outer, struct rdl__graph **out);

/* Names and values of AttributeProto.AttributeType beyond those that graphs have. */
static const char *foreign_attr(int64_t type)
{
    switch (type) {
    case 9:
        return "a list of tensors";
    case 10:
        return "a list of graphs";
    case 11:
    case 12:
        return "a sparse tensor";
    case 13:
    case 14:
        return "a type";
    default:
        return NULL;
    }
}

/* The type of an attribute; files of IR version 1 do not say it. */
static int64_t attr_type(const rdl__onnx_AttributeProto *attr)
{
    if (attr->type != 0)
        return attr->type;
    if (attr->has_f)
        return RDL__ATTR_FLOAT;
    if (attr->has_i)
        return RDL__ATTR_INT;
    if (attr->s.bytes != NULL)
        return RDL__ATTR_STRING;
    if (attr->t != NULL)
        return RDL__ATTR_TENSOR;
    if (attr->g != NULL)
        return RDL__ATTR_GRAPH;
    if (attr->floats.n > 0)
        return RDL__ATTR_FLOATS;
    if (attr->ints.n > 0)
        return RDL__ATTR_INTS;
    return attr->strings.n > 0 ? RDL__ATTR_STRINGS : 0;
}

/* A copy of a list's numbers in the graph's arena; not NULL of an empty list. NULL: no memory. */
static const void *copy_numbers(struct importer *importer, struct rdl__list list, size_t size)
{
    void *copy = rdl__arena_zeroed(importer->arena, list.n, size);
    if (copy != NULL && list.n > 0)
        memcpy(copy, list.items, list.n * size);
    return copy;
}

static enum rdl_status copy_string(struct importer *importer, struct rdl__span span,
                                   struct rdl__string *out)
{
    out->size = span.size_bytes;
    return copy_text(importer, span, &out->bytes);
}

static enum rdl_status copy_strings(struct importer *importer, struct rdl__list list,
                                    const struct rdl__string **out)
{
    struct rdl__string *strings = RDL__ARENA_ARRAY(importer->arena, struct rdl__string, list.n);
    if (strings == NULL)
        return no_memory(importer);
    for (size_t i = 0; i < list.n; i++)
        RDL_TRY(copy_string(importer, RDL__ITEMS(list, struct rdl__span)[i], &strings[i]));
    *out = strings;
    return RDL_OK;
}

static enum rdl_status copy_tensor(struct importer *importer, const rdl__onnx_TensorProto *tensor,
                                   const struct rdl__desc **out)
{
    struct rdl__desc *desc = RDL__ARENA_NEW(importer->arena, struct rdl__desc);
    if (desc == NULL)
        return no_memory(importer);
    *out = desc;
    return rdl__onnx_tensor(tensor, &importer->options, importer->arena, desc, importer->error);
}

/* The attribute's value, by its type. */
static enum rdl_status take_attr_value(struct scope *scope, const rdl__onnx_AttributeProto *proto,
                                       struct rdl__attr *attr)
{
    struct importer *importer = scope->importer;
    const int64_t type = attr_type(proto);
    if (foreign_attr(type) != NULL)
        return rdl__fail(importer->error, RDL_ERR_UNSUPPORTED, "is %s, which is not supported",
                         foreign_attr(type));
    if (type < RDL__ATTR_FLOAT || type > RDL__ATTR_STRINGS)
        return rdl__fail(importer->error, RDL_ERR_MODEL, "has no known type (%" PRId64 ")", type);
    attr->type = (enum rdl__attr_type)type;
    switch (attr->type) {
    case RDL__ATTR_FLOAT:
        attr->f = proto->f;
        return RDL_OK;
    case RDL__ATTR_INT:
        attr->i = proto->i;
        return RDL_OK;
    case RDL__ATTR_STRING:
        return copy_string(importer, proto->s, &attr->s);
    case RDL__ATTR_FLOATS:
        attr->count = proto->floats.n;
        attr->floats = copy_numbers(importer, proto->floats, sizeof *attr->floats);
        return attr->floats == NULL ? no_memory(importer) : RDL_OK;
    case RDL__ATTR_INTS:
        attr->count = proto->ints.n;
        attr->ints = copy_numbers(importer, proto->ints, sizeof *attr->ints);
        return attr->ints == NULL ? no_memory(importer) : RDL_OK;
    case RDL__ATTR_STRINGS:
        attr->count = proto->strings.n;
        return copy_strings(importer, proto->strings, &attr->strings);
    case RDL__ATTR_TENSOR:
        if (proto->t == NULL)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "has no tensor");
        return copy_tensor(importer, proto->t, &attr->tensor);
    case RDL__ATTR_GRAPH:
        if (proto->g == NULL)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "has no graph");
        return import_graph(importer, proto->g, scope, &attr->graph);
    }
    return RDL_OK;
}

static enum rdl_status take_attr(struct scope *scope, const rdl__onnx_AttributeProto *proto,
                                 const struct rdl__node *node, uint32_t i)
{
    struct importer *importer = scope->importer;
    struct rdl__attr *attr = &node->attrs[i];
    if (proto->name.size_bytes == 0)
        return rdl__fail(importer->error, RDL_ERR_MODEL, "attribute #%" PRIu32 " has no name", i);
    RDL_TRY(copy_name(importer, proto->name, &attr->name));
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(node->attrs[k].name, attr->name) == 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "attribute \"%s\" is there twice",
                             SPAN_TEXT(proto->name));
    if (proto->ref_attr_name.size_bytes > 0)
        return rdl__fail(importer->error, RDL_ERR_MODEL,
                         "attribute \"%s\" refers to a function's, but is in none",
                         SPAN_TEXT(proto->name));
    return fail_named(importer, take_attr_value(scope, proto, attr), "attribute", proto->name);
}

/* Number of names without the empty ones at the end, which say nothing. */
static size_t count_names(struct rdl__list list)
{
    size_t n = list.n;
    while (n > 0 && RDL__ITEMS(list, struct rdl__span)[n - 1].size_bytes == 0)
        n--;
    return n;
}

static enum rdl_status connect(struct scope *scope, const rdl__onnx_NodeProto *proto,
                               const struct rdl__node *node)
{
    struct importer *importer = scope->importer;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct rdl__span name = RDL__ITEMS(proto->input, struct rdl__span)[i];
        if (name.size_bytes == 0)
            continue;
        RDL_TRY(resolve(scope, name, &node->inputs[i]));
        if (node->inputs[i] == RDL__NO_VALUE)
            return rdl__fail(importer->error, RDL_ERR_MODEL,
                             "input %" PRIu32 ": nothing makes value \"%s\"", i, SPAN_TEXT(name));
    }
    for (uint32_t i = 0; i < node->n_outputs; i++)
        node->outputs[i] =
            rdl__names_get(&scope->names, RDL__ITEMS(proto->output, struct rdl__span)[i]);
    return RDL_OK;
}

static enum rdl_status fill_node(struct scope *scope, const rdl__onnx_NodeProto *proto,
                                 struct rdl__node *node)
{
    RDL_TRY(copy_name(scope->importer, proto->name, &node->name));
    RDL_TRY(connect(scope, proto, node));
    for (uint32_t i = 0; i < node->n_attrs; i++)
        RDL_TRY(
            take_attr(scope, &RDL__ITEMS(proto->attribute, rdl__onnx_AttributeProto)[i], node, i));
    return RDL_OK;
}

static enum rdl_status take_node(struct scope *scope, const rdl__onnx_NodeProto *proto, size_t i)
{
    struct importer *importer = scope->importer;
    const size_t n_inputs = count_names(proto->input), n_outputs = count_names(proto->output);
    if (n_inputs > UINT32_MAX || n_outputs > UINT32_MAX || proto->attribute.n > MAX_ATTRS)
        return rdl__fail(importer->error, RDL_ERR_MODEL,
                         "%zu inputs, %zu outputs and %zu attributes are too many", n_inputs,
                         n_outputs, proto->attribute.n);
    const char *op_type = NULL, *domain = "";
    RDL_TRY(copy_name(importer, proto->op_type, &op_type));
    if (!is_default_domain(proto->domain))
        RDL_TRY(copy_name(importer, proto->domain, &domain));
    struct rdl__node *node = rdl__graph_add_node(scope->graph, op_type, domain, (uint32_t)n_inputs,
                                                 (uint32_t)n_outputs, (uint32_t)proto->attribute.n);
    if (node == NULL)
        return no_memory(importer);
    node->index = (uint32_t)i;
    return fill_node(scope, proto, node);
}

static enum rdl_status take_nodes(struct scope *scope)
{
    const struct rdl__list list = scope->proto->node;
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_NodeProto *node = &RDL__ITEMS(list, rdl__onnx_NodeProto)[i];
        RDL_TRY(poll_stop(scope->importer));
        if (!is_constant_node(node))
            RDL_TRY(fail_at(scope->importer, take_node(scope, node, i), node, i));
    }
    return RDL_OK;
}

static enum rdl_status take_outputs(struct scope *scope)
{
    struct importer *importer = scope->importer;
    struct rdl__graph *graph = scope->graph;
    const struct rdl__list list = scope->proto->output;
    struct rdl__names seen;
    rdl__names_init(&seen, &importer->scratch);
    graph->outputs = RDL__ARENA_ARRAY(importer->arena, int32_t, list.n);
    if (graph->outputs == NULL)
        return no_memory(importer);
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_ValueInfoProto *info = &RDL__ITEMS(list, rdl__onnx_ValueInfoProto)[i];
        if (info->name.size_bytes == 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "graph output #%zu has no name", i);
        if (scope->outer == NULL && rdl__names_get(&seen, info->name) >= 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "graph output \"%s\" is there twice",
                             SPAN_TEXT(info->name));
        if (scope->outer == NULL && !rdl__names_put(&seen, info->name, 0))
            return no_memory(importer);
        int32_t index;
        RDL_TRY(resolve(scope, info->name, &index));
        if (index == RDL__NO_VALUE)
            return rdl__fail(importer->error, RDL_ERR_MODEL, "nothing makes graph output \"%s\"",
                             SPAN_TEXT(info->name));
        if (graph->values[index].dtype == RDL_DTYPE_NONE)
            RDL_TRY(declare(scope, "graph output", info, index));
        graph->outputs[graph->n_outputs++] = index;
    }
    return RDL_OK;
}

/* ---- the model --------------------------------------------------------------------------------- */

/* Versions of the domains. Every domain is listed once, the default one among them. */
static enum rdl_status take_opsets(struct importer *importer, struct rdl__graph *graph)
{
    const struct rdl__list list = importer->model->opset_import;
    struct rdl__opset *opsets = RDL__ARENA_ARRAY(importer->arena, struct rdl__opset, list.n);
    struct rdl__names seen;
    rdl__names_init(&seen, &importer->scratch);
    if (opsets == NULL)
        return no_memory(importer);
    graph->opsets = opsets;
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_OperatorSetIdProto *set =
            &RDL__ITEMS(list, rdl__onnx_OperatorSetIdProto)[i];
        static const uint8_t none[] = "";
        const struct rdl__span domain =
            is_default_domain(set->domain) ? (struct rdl__span){none, 0} : set->domain;
        if (rdl__names_get(&seen, domain) >= 0)
            return rdl__fail(importer->error, RDL_ERR_MODEL,
                             "opset of domain \"%s\" is there twice", SPAN_TEXT(domain));
        if (!rdl__names_put(&seen, domain, 0))
            return no_memory(importer);
        if (domain.size_bytes == 0) {
            graph->opset = set->version;
            continue;
        }
        struct rdl__opset *opset = &opsets[graph->n_opsets++];
        opset->version = set->version;
        RDL_TRY(copy_name(importer, domain, &opset->domain));
    }
    static const uint8_t none[] = "";
    if (rdl__names_get(&seen, (struct rdl__span){none, 0}) < 0)
        return rdl__fail(importer->error, RDL_ERR_MODEL,
                         "the model does not say its opset of domain ai.onnx");
    if (graph->opset < RDL__ONNX_MIN_OPSET || graph->opset > RDL__ONNX_MAX_OPSET)
        return rdl__fail(importer->error, RDL_ERR_UNSUPPORTED,
                         "opset %" PRId64 " of domain ai.onnx is outside %d..%d", graph->opset,
                         RDL__ONNX_MIN_OPSET, RDL__ONNX_MAX_OPSET);
    return RDL_OK;
}

static enum rdl_status take_facts(struct importer *importer, struct rdl__graph *graph)
{
    const rdl__onnx_ModelProto *model = importer->model;
    const struct rdl__list list = model->metadata_props;
    graph->ir_version = model->ir_version;
    RDL_TRY(copy_text(importer, model->producer_name, &graph->producer));
    RDL_TRY(copy_text(importer, model->producer_version, &graph->producer_version));
    graph->metadata = RDL__ARENA_ARRAY(importer->arena, struct rdl__text_pair, list.n);
    if (graph->metadata == NULL)
        return no_memory(importer);
    for (size_t i = 0; i < list.n; i++) {
        const rdl__onnx_StringStringEntryProto *entry =
            &RDL__ITEMS(list, rdl__onnx_StringStringEntryProto)[i];
        struct rdl__text_pair *pair = &graph->metadata[graph->n_metadata++];
        RDL_TRY(copy_text(importer, entry->key, &pair->key));
        RDL_TRY(copy_text(importer, entry->value, &pair->value));
    }
    return RDL_OK;
}

/* ---- graphs ------------------------------------------------------------------------------------ */

static void inherit(struct rdl__graph *graph, struct rdl__graph *outer)
{
    graph->outer = outer;
    graph->opset = outer->opset;
    graph->opsets = outer->opsets;
    graph->n_opsets = outer->n_opsets;
    graph->ir_version = outer->ir_version;
}

/* Recursion is bounded: the reader refuses graphs that lie too deep. */
static enum rdl_status import_graph(struct importer *importer, const rdl__onnx_GraphProto *proto,
                                    struct scope *outer, struct rdl__graph **out)
{
    struct scope scope = {.importer = importer, .proto = proto, .outer = outer};
    struct rdl__graph *graph = rdl__graph_new(importer->arena);
    if (graph == NULL)
        return no_memory(importer);
    scope.graph = graph;
    rdl__names_init(&scope.names, &importer->scratch);
    *out = graph;
    if (outer != NULL) {
        inherit(graph, outer->graph);
    } else {
        RDL_TRY(take_opsets(importer, graph));
        RDL_TRY(take_facts(importer, graph));
    }
    RDL_TRY(copy_name(importer, proto->name, &graph->name));
    RDL_TRY(take_initialisers(&scope));
    RDL_TRY(take_inputs(&scope));
    RDL_TRY(take_results(&scope));
    RDL_TRY(take_value_infos(&scope));
    RDL_TRY(take_nodes(&scope));
    return take_outputs(&scope);
}

static enum rdl_status check_model(const rdl__onnx_ModelProto *model, struct rdl_error *error)
{
    if (model->graph == NULL || model->ir_version < 1)
        return rdl__fail(error, RDL_ERR_MODEL, "not an ONNX model: it has no %s",
                         model->graph == NULL ? "graph" : "IR version");
    if (model->functions.n > 0) {
        const rdl__onnx_FunctionProto *function = model->functions.items;
        return rdl__fail(
            error, RDL_ERR_UNSUPPORTED,
            "the model defines %zu functions of its own (the first is \"%s\" of domain "
            "\"%s\"), which are not supported: export it with functions inlined",
            model->functions.n, SPAN_TEXT(function->name), SPAN_TEXT(function->domain));
    }
    if (model->graph->node.n == 0)
        return rdl__fail(error, RDL_ERR_MODEL, "the graph has no nodes");
    if (model->graph->output.n == 0)
        return rdl__fail(error, RDL_ERR_MODEL, "the graph has no outputs");
    return RDL_OK;
}

static enum rdl_status import_model(struct importer *importer, const void *data, size_t size_bytes,
                                    struct rdl__graph **out)
{
    if (size_bytes == 0)
        return rdl__fail(importer->error, RDL_ERR_MODEL, "not an ONNX model: it is empty");
    struct rdl__onnx_reader reader = {
        .arena = &importer->scratch, .stop = importer->options.stop, .error = importer->error};
    rdl__onnx_ModelProto *model = NULL;
    RDL_TRY(rdl__onnx_read(&reader, data, size_bytes, &model));
    RDL_TRY(check_model(model, importer->error));
    importer->model = model;
    struct rdl__graph *graph = NULL;
    RDL_TRY(import_graph(importer, model->graph, NULL, &graph));
    if (importer->options.find != NULL)
        RDL_TRY(rdl__graph_finish(graph, importer->options.find, importer->error));
    *out = graph;
    return RDL_OK;
}

enum rdl_status rdl__onnx_import(const void *data, size_t size_bytes,
                                 const struct rdl__onnx_options *options, struct rdl__arena *arena,
                                 struct rdl__graph **out, struct rdl_error *error)
{
    struct importer importer = {.arena = arena, .error = error};
    if (options != NULL)
        importer.options = *options;
    *out = NULL;
    rdl__arena_init(&importer.scratch, arena->limit_bytes - arena->reserved_bytes);
    const enum rdl_status status = import_model(&importer, data, size_bytes, out);
    rdl__arena_fini(&importer.scratch);
    return status;
}

/* The folder that path lies in, to be freed; NULL: no memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return rdl__strdup(".");
    char *folder = rdl__strdup(path);
    if (folder != NULL)
        folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

enum rdl_status rdl__onnx_import_file(const char *path, const struct rdl__onnx_options *options,
                                      struct rdl__arena *arena, struct rdl__graph **out,
                                      struct rdl_error *error)
{
    struct rdl__onnx_options own = options == NULL ? (struct rdl__onnx_options){0} : *options;
    void *data = NULL;
    size_t size_bytes;
    *out = NULL;
    char *folder = folder_of(path);
    if (folder == NULL)
        return rdl__fail_memory(error, "path", strlen(path));
    enum rdl_status status =
        rdl__file_read(path, arena->limit_bytes, own.stop, &data, &size_bytes, error);
    if (status == RDL_OK) {
        own.reference_weights = false;
        own.folder = own.folder == NULL ? folder : own.folder;
        status = rdl__onnx_import(data, size_bytes, &own, arena, out, error);
        if (status != RDL_OK)
            status = rdl__fail_within(error, status, "\"%s\"",
                                      rdl__name_text(path, (char[512]){0}, 512));
    }
    rdl__free(data);
    rdl__free(folder);
    return status;
}
