/*
 * Compiling a graph into a program; see program.h.
 *
 * The graph and its weights lie in the importer's arena, which goes when the load is done: nodes are
 * cloned into the program's arena, weights are packed in a third, temporary one, and everything that
 * kernels read is copied once into the program's block on the device.
 */
#include "model/program.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "os/clock.h"
#include "runtime/stream.h"
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t rdl__desc_bytes(const struct rdl__desc *desc)
{
    size_t bytes = 0;
    (void)rdl__tensor_bytes(desc->dtype, &desc->shape, &bytes);
    return bytes;
}

enum rdl_status rdl__limits_check(const struct rdl__compile_limits *limits, struct rdl_error *error)
{
    if (rdl__cancelled(limits->cancel))
        return rdl__fail(error, RDL_ERR_CANCELLED, "cancelled while compiling");
    if (rdl__deadline_passed(limits->deadline_ns))
        return rdl__fail(error, RDL_ERR_DEADLINE, "deadline passed while compiling");
    return RDL_OK;
}

/* --------------------------------------------------------------------------------------- cloning */

static void *clone_bytes(struct rdl__arena *arena, const void *bytes, size_t size)
{
    void *copy = rdl__arena_alloc_aligned(arena, RDL_ALIGN, size > 0 ? size : 1);
    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

static char *clone_text(struct rdl__arena *arena, const char *text)
{
    return rdl__arena_text(arena, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static bool clone_string(struct rdl__arena *arena, struct rdl__string *to,
                         const struct rdl__string *from)
{
    to->bytes = rdl__arena_text(arena, from->bytes, from->size);
    to->size = from->size;
    return to->bytes != NULL;
}

static bool clone_desc(struct rdl__arena *arena, struct rdl__desc *to, const struct rdl__desc *from)
{
    size_t bytes = 0;
    *to = *from;
    if (from->dtype == RDL_STRING)
        to->data = NULL; /* no kernel reads strings, and plans refuse them as outputs */
    if (to->data == NULL)
        return true;
    if (!rdl__tensor_bytes(from->dtype, &from->shape, &bytes))
        return false;
    return (to->data = clone_bytes(arena, from->data, bytes)) != NULL;
}

static bool clone_attr(struct rdl__arena *arena, struct rdl__attr *to, const struct rdl__attr *from)
{
    *to = *from;
    to->name = clone_text(arena, from->name);
    if (to->name == NULL)
        return false;
    switch (from->type) {
    case RDL__ATTR_FLOAT:
    case RDL__ATTR_INT:
        return true;
    case RDL__ATTR_STRING:
        return clone_string(arena, &to->s, &from->s);
    case RDL__ATTR_FLOATS:
        return (to->floats = clone_bytes(arena, from->floats, from->count * sizeof(float))) != NULL;
    case RDL__ATTR_INTS:
        return (to->ints = clone_bytes(arena, from->ints, from->count * sizeof(int64_t))) != NULL;
    case RDL__ATTR_STRINGS: {
        struct rdl__string *strings = RDL__ARENA_ARRAY(arena, struct rdl__string, from->count + 1);
        for (size_t i = 0; strings != NULL && i < from->count; i++)
            if (!clone_string(arena, &strings[i], &from->strings[i]))
                return false;
        return (to->strings = strings) != NULL;
    }
    case RDL__ATTR_TENSOR: {
        struct rdl__desc *desc = RDL__ARENA_NEW(arena, struct rdl__desc);
        return (to->tensor = desc) != NULL && clone_desc(arena, desc, from->tensor);
    }
    case RDL__ATTR_GRAPH:
        to->graph = NULL; /* becomes the node's body */
        return true;
    }
    return false;
}

static bool clone_node(struct rdl__arena *arena, struct rdl__node *to, const struct rdl__node *from)
{
    *to = *from;
    to->name = clone_text(arena, from->name);
    to->op_type = clone_text(arena, from->op_type);
    to->domain = clone_text(arena, from->domain);
    to->inputs = clone_bytes(arena, from->inputs, from->n_inputs * sizeof *from->inputs);
    to->outputs = clone_bytes(arena, from->outputs, from->n_outputs * sizeof *from->outputs);
    to->attrs = RDL__ARENA_ARRAY(arena, struct rdl__attr, from->n_attrs + 1);
    if (to->name == NULL || to->op_type == NULL || to->domain == NULL || to->inputs == NULL ||
        to->outputs == NULL || to->attrs == NULL)
        return false;
    for (uint32_t i = 0; i < from->n_attrs; i++)
        if (!clone_attr(arena, &to->attrs[i], &from->attrs[i]))
            return false;
    return true;
}

static bool clone_port(struct rdl__arena *arena, struct rdl__program_port *to,
                       const struct rdl__graph *graph, int32_t value)
{
    const struct rdl__value_info *from = &graph->values[value];
    *to = (struct rdl__program_port){.name = clone_text(arena, from->name),
                                     .value = value,
                                     .dtype = from->dtype,
                                     .kind = from->kind,
                                     .rank = from->rank};
    for (int32_t i = 0; i < from->rank; i++) {
        to->dims[i] = from->dims[i];
        if (from->dim_names[i] != NULL)
            to->dim_names[i] = clone_text(arena, from->dim_names[i]);
    }
    return to->name != NULL;
}

/* ------------------------------------------------------------------------------ the compile state */

/* One graph's compilation: the model's, or that of a body in it. */
struct compile {
    const struct rdl__graph *graph;
    struct rdl__program *program;
    struct compile *next;       /* the list of the root and all bodies, the root first */
    struct rdl__arena *arena;   /* of the program */
    struct rdl__arena *scratch; /* packed weights, until they are on the device, and this struct */
    struct rdl__weight (*weights)[RDL__MAX_WEIGHTS]; /* [n_nodes] */
    bool *bound; /* [n_values] constants that a kernel may read */
    bool *known; /* [n_values] constants whose elements plans need */
    struct rdl_error *error;
};

static enum rdl_status no_memory(const struct compile *compile)
{
    return rdl__fail(compile->error, RDL_ERR_NO_MEMORY, "program: no memory, or over its limit");
}

static enum rdl_status clone_ports(struct compile *compile)
{
    const struct rdl__graph *graph = compile->graph;
    struct rdl__program *program = compile->program;
    struct rdl__arena *arena = compile->arena;
    program->n_inputs = graph->n_inputs;
    program->n_outputs = graph->n_outputs;
    program->inputs = RDL__ARENA_ARRAY(arena, struct rdl__program_port, graph->n_inputs + 1);
    program->outputs = RDL__ARENA_ARRAY(arena, struct rdl__program_port, graph->n_outputs + 1);
    if (program->inputs == NULL || program->outputs == NULL)
        return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        if (!clone_port(arena, &program->inputs[i], graph, graph->inputs[i]))
            return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (!clone_port(arena, &program->outputs[i], graph, graph->outputs[i]))
            return no_memory(compile);
    return RDL_OK;
}

/* Adds an entry; there is room. false without memory. */
static bool add_metadata(struct compile *compile, const char *key, const char *value)
{
    struct rdl__program *program = compile->program;
    struct rdl__text_pair *pair = &program->metadata[program->n_metadata++];
    pair->key = clone_text(compile->arena, key);
    pair->value = clone_text(compile->arena, value != NULL ? value : "");
    return pair->key != NULL && pair->value != NULL;
}

static bool add_version(struct compile *compile, const char *key, int64_t version)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, version);
    return add_metadata(compile, key, text);
}

/* What the file says of itself, then its own entries. */
static enum rdl_status clone_metadata(struct compile *compile)
{
    const struct rdl__graph *graph = compile->graph;
    struct rdl__program *program = compile->program;
    program->metadata = RDL__ARENA_ARRAY(compile->arena, struct rdl__text_pair,
                                         (size_t)graph->n_metadata + graph->n_opsets + 5);
    if (program->metadata == NULL || !add_metadata(compile, "producer", graph->producer) ||
        !add_metadata(compile, "producer_version", graph->producer_version) ||
        !add_metadata(compile, "graph", graph->name) ||
        !add_version(compile, "opset", graph->opset) ||
        !add_version(compile, "ir_version", graph->ir_version))
        return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_opsets; i++) {
        char key[160];
        (void)snprintf(key, sizeof key, "opset %.150s", graph->opsets[i].domain);
        if (!add_version(compile, key, graph->opsets[i].version))
            return no_memory(compile);
    }
    for (uint32_t i = 0; i < graph->n_metadata; i++)
        if (!add_metadata(compile, graph->metadata[i].key, graph->metadata[i].value))
            return no_memory(compile);
    return RDL_OK;
}

/* Notes which values of a body stand for values outside, and makes these inputs of the body's node. */
static enum rdl_status capture(struct compile *compile, struct rdl__program_node *own,
                               const struct rdl__graph *graph)
{
    struct rdl__program *body = own->body;
    struct rdl__node *node = &own->node;
    for (uint32_t i = 0; i < graph->n_values; i++)
        body->n_captures += graph->values[i].outer != RDL__NO_VALUE;
    const uint32_t n = node->n_inputs + body->n_captures;
    int32_t *inputs = RDL__ARENA_ARRAY(compile->arena, int32_t, n + 1);
    body->captures = RDL__ARENA_ARRAY(compile->arena, int32_t, body->n_captures + 1);
    if (inputs == NULL || body->captures == NULL)
        return no_memory(compile);
    memcpy(inputs, node->inputs, node->n_inputs * sizeof *inputs);
    uint32_t at = 0;
    for (uint32_t i = 0; i < graph->n_values; i++)
        if (graph->values[i].outer != RDL__NO_VALUE) {
            body->captures[at] = (int32_t)i;
            inputs[node->n_inputs + at++] = graph->values[i].outer;
        }
    node->inputs = inputs;
    node->n_inputs = n;
    return RDL_OK;
}

static const struct rdl__graph *body_of(const struct rdl__node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == RDL__ATTR_GRAPH)
            return node->attrs[i].graph;
    return NULL;
}

static enum rdl_status clone_graph(struct compile *compile);

/* Appends the compilation of a node's body to the list. Recursion is as deep as graphs lie in one
 * another. */
static enum rdl_status clone_body(struct compile *compile, struct rdl__program_node *own,
                                  const struct rdl__graph *graph)
{
    struct compile *inner = RDL__ARENA_NEW(compile->scratch, struct compile);
    own->body = RDL__ARENA_NEW(compile->arena, struct rdl__program);
    if (inner == NULL || own->body == NULL)
        return no_memory(compile);
    const struct rdl__program *program = compile->program;
    own->body->root = program->root;
    own->body->device = program->device;
    own->body->isa = program->isa;
    *inner = (struct compile){.graph = graph,
                              .program = own->body,
                              .arena = compile->arena,
                              .scratch = compile->scratch,
                              .error = compile->error};
    RDL_TRY(capture(compile, own, graph));
    struct compile *last = compile;
    while (last->next != NULL)
        last = last->next;
    last->next = inner;
    inner->program->first_number = last->program->first_number + last->graph->n_nodes;
    return clone_graph(inner);
}

static enum rdl_status clone_graph(struct compile *compile)
{
    const struct rdl__graph *graph = compile->graph;
    struct rdl__program *program = compile->program;
    struct rdl__arena *arena = compile->arena;
    program->n_values = graph->n_values;
    program->n_nodes = graph->n_nodes;
    program->values = RDL__ARENA_ARRAY(arena, struct rdl__program_value, graph->n_values + 1);
    program->nodes = RDL__ARENA_ARRAY(arena, struct rdl__program_node, graph->n_nodes + 1);
    compile->weights =
        rdl__arena_zeroed(compile->scratch, graph->n_nodes + 1, sizeof *compile->weights);
    compile->bound = RDL__ARENA_ARRAY(compile->scratch, bool, graph->n_values + 1);
    compile->known = RDL__ARENA_ARRAY(compile->scratch, bool, graph->n_values + 1);
    if (program->values == NULL || program->nodes == NULL || compile->weights == NULL ||
        compile->bound == NULL || compile->known == NULL)
        return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__program_node *own = &program->nodes[i];
        if (!clone_node(arena, &own->node, graph->nodes[i]))
            return no_memory(compile);
        own->n_own_inputs = own->node.n_inputs;
        const struct rdl__graph *body = body_of(graph->nodes[i]);
        if (body != NULL)
            RDL_TRY(clone_body(compile, own, body));
    }
    return clone_ports(compile);
}

/* Prepares a node, and notes which of its constants kernels and plans still need. */
static enum rdl_status prepare_node(struct compile *compile, uint32_t index)
{
    const struct rdl__graph *graph = compile->graph;
    struct rdl__program_node *own = &compile->program->nodes[index];
    const struct rdl__node *node = &own->node;
    struct rdl__desc *in = RDL__ARENA_ARRAY(compile->scratch, struct rdl__desc, node->n_inputs + 1);
    if (in == NULL)
        return no_memory(compile);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE && graph->values[node->inputs[i]].constant != NULL)
            in[i] = *graph->values[node->inputs[i]].constant;
    struct rdl__prepare prepare = {.node = &own->node,
                                   .in = in,
                                   .isa = compile->program->isa,
                                   .arena = compile->arena,
                                   .packed = compile->scratch,
                                   .weights = compile->weights[index],
                                   .error = compile->error};
    if (node->op->prepare != NULL) {
        const enum rdl_status status = node->op->prepare(&prepare);
        if (status != RDL_OK)
            return rdl__fail_within(compile->error, status, "%s", RDL__NODE_TEXT(node));
    }
    own->state = prepare.state;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const int32_t value = node->inputs[i];
        if (value == RDL__NO_VALUE || graph->values[value].constant == NULL)
            continue;
        if (i >= 32 || (prepare.absorbed >> i & 1) == 0)
            compile->bound[value] = true;
        if (i < 32 && (node->op->value_inputs >> i & 1) != 0)
            compile->known[value] = true;
    }
    return RDL_OK;
}

/* Takes room in the block; *offset is its place. */
static enum rdl_status take_room(const struct compile *compile, size_t bytes, size_t *total,
                                 size_t *offset)
{
    *offset = *total;
    if (!rdl__add_size(*total, bytes, total) || !rdl__align_size(*total, RDL_ALIGN, total))
        return no_memory(compile);
    return RDL_OK;
}

/* Describes a value, and gives it its place in the block if it is a constant that kernels read. */
static enum rdl_status lay_out_value(struct compile *compile, uint32_t index, size_t *total)
{
    const struct rdl__value_info *info = &compile->graph->values[index];
    const struct rdl__desc *constant = info->constant;
    struct rdl__program_value *value = &compile->program->values[index];
    size_t bytes;
    value->name = clone_text(compile->arena, info->name);
    value->producer = info->producer;
    value->offset_bytes = RDL__NO_OFFSET;
    if (value->name == NULL)
        return no_memory(compile);
    if (constant == NULL)
        return RDL_OK;
    value->is_constant = true;
    value->constant = *constant;
    value->constant.data = NULL;
    if (!rdl__tensor_bytes(constant->dtype, &constant->shape, &bytes))
        return no_memory(compile);
    if ((compile->known[index] || bytes <= RDL__HOST_CONSTANT_BYTES) &&
        !clone_desc(compile->arena, &value->constant, constant))
        return no_memory(compile);
    if (compile->bound[index] && constant->dtype != RDL_STRING)
        RDL_TRY(take_room(compile, bytes, total, &value->offset_bytes));
    return RDL_OK;
}

/* The place of the same bytes among the weights of the nodes before `node` (several products share a
 * matrix); RDL__NO_OFFSET: they are new. */
static size_t find_weight(const struct compile *compile, uint32_t node,
                          const struct rdl__weight *weight)
{
    for (uint32_t i = 0; i < node; i++)
        for (uint32_t k = 0; k < RDL__MAX_WEIGHTS; k++) {
            const struct rdl__weight *other = &compile->weights[i][k];
            if (other->data != NULL && other->size_bytes == weight->size_bytes &&
                memcmp(other->data, weight->data, weight->size_bytes) == 0)
                return compile->program->nodes[i].weight_offsets[k];
        }
    return RDL__NO_OFFSET;
}

/* Gives the constants and packed weights of a graph their places in the block. */
static enum rdl_status lay_out(struct compile *compile, size_t *total)
{
    struct rdl__program *program = compile->program;
    for (uint32_t i = 0; i < program->n_values; i++)
        RDL_TRY(lay_out_value(compile, i, total));
    for (uint32_t i = 0; i < program->n_nodes; i++)
        for (uint32_t k = 0; k < RDL__MAX_WEIGHTS; k++) {
            const struct rdl__weight *weight = &compile->weights[i][k];
            size_t *offset = &program->nodes[i].weight_offsets[k];
            *offset = weight->data != NULL ? find_weight(compile, i, weight) : RDL__NO_OFFSET;
            program->nodes[i].weight_bytes[k] = weight->size_bytes;
            if (weight->data != NULL && *offset == RDL__NO_OFFSET)
                RDL_TRY(take_room(compile, weight->size_bytes, total, offset));
        }
    return RDL_OK;
}

static void fill(const struct compile *compile, char *image)
{
    const struct rdl__program *program = compile->program;
    for (uint32_t i = 0; i < program->n_values; i++) {
        const struct rdl__desc *constant = compile->graph->values[i].constant;
        if (constant == NULL || program->values[i].offset_bytes == RDL__NO_OFFSET)
            continue;
        const size_t bytes = rdl__desc_bytes(constant);
        if (bytes > 0)
            memcpy(image + program->values[i].offset_bytes, constant->data, bytes);
    }
    for (uint32_t i = 0; i < program->n_nodes; i++)
        for (uint32_t k = 0; k < RDL__MAX_WEIGHTS; k++)
            if (compile->weights[i][k].data != NULL)
                memcpy(image + program->nodes[i].weight_offsets[k], compile->weights[i][k].data,
                       compile->weights[i][k].size_bytes);
}

static void fill_all(const struct compile *compile, char *image)
{
    for (; compile != NULL; compile = compile->next)
        fill(compile, image);
}

enum rdl_status rdl__device_upload(struct rdl__device *device, struct rdl__block *block,
                                   const void *src, size_t size_bytes,
                                   const struct rdl__compile_limits *limits,
                                   struct rdl_error *error)
{
    struct rdl__lane *lane;
    struct rdl__progress progress = {0};
    enum rdl_status status = rdl__lane_acquire(device, limits->deadline_ns, limits->cancel, &lane);
    if (status != RDL_OK)
        return rdl__fail(error, status, "weights: no lane: %s", rdl_status_text(status));
    status = rdl__lane_stream(lane);
    if (status == RDL_OK)
        status = device->backend->copy_in(lane->stream, block->address, src, size_bytes, &progress);
    if (status == RDL_OK) {
        const struct rdl__point point = device->backend->tail(lane->stream);
        status = rdl__device_wait(device, point, limits->deadline_ns, limits->cancel);
        if (status != RDL_OK) {
            rdl__store_relaxed(&progress.stop, (uint32_t)status); /* carries no data */
            rdl__device_drain(device, point);
        }
        const uint64_t failed = rdl__load_acquire(&progress.failed);
        if (failed != 0)
            status = (enum rdl_status)(failed >> 32);
    }
    rdl__lane_release(lane);
    (void)rdl__device_note(device, status);
    if (status != RDL_OK)
        return rdl__fail(error, status, "weights: copy to the device: %s", rdl_status_text(status));
    return RDL_OK;
}

/* Puts constants and weights on the device. Where the host can reach its memory they are written in
 * place, else through an image. */
static enum rdl_status place_weights(struct compile *compile, size_t total,
                                     const struct rdl__compile_limits *limits)
{
    struct rdl__program *program = compile->program;
    struct rdl__device *device = program->device;
    program->weight_bytes = total;
    if (total == 0)
        return RDL_OK;
    struct rdl__memory_want want = {.size_bytes = total};
    RDL_TRY(rdl__memory_alloc(device, NULL, &want, 1, limits->deadline_ns, limits->cancel,
                              compile->error));
    program->block = want.block;
    for (struct compile *inner = compile->next; inner != NULL; inner = inner->next)
        inner->program->block = want.block;
    if (device->backend->host_memory) {
        fill_all(compile, program->block->address);
        return RDL_OK;
    }
    char *image = rdl__alloc_aligned(RDL_ALIGN, total);
    if (image == NULL)
        return no_memory(compile);
    fill_all(compile, image);
    const enum rdl_status status =
        rdl__device_upload(device, program->block, image, total, limits, compile->error);
    rdl__free(image);
    return status;
}

/* ---------------------------------------------------------------------------- facts of a program */

static void count_uses(struct rdl__program *program)
{
    for (uint32_t n = 0; n < program->n_nodes; n++) {
        const struct rdl__node *node = &program->nodes[n].node;
        for (uint32_t i = 0; i < node->n_inputs; i++)
            if (node->inputs[i] != RDL__NO_VALUE)
                program->values[node->inputs[i]].n_uses++;
    }
    for (uint32_t k = 0; k < program->n_outputs; k++)
        program->values[program->outputs[k].value].n_uses++;
}

/* Whether shapes, or what is computed, hang on the elements of input i of a node. */
static bool is_decisive(const struct rdl__node *node, uint32_t i)
{
    return i < 32 && (node->op->value_inputs >> i & 1) != 0 &&
           (node->op->flags & RDL__OP_COUNTS) == 0;
}

/* Finds the inputs that decide: backwards from what decides, through the nodes that it is computed by.
 * Only integers and bools count: no file makes shapes of anything else. */
static enum rdl_status find_deciding_inputs(struct compile *compile)
{
    struct rdl__program *program = compile->program;
    bool *decides = RDL__ARENA_ARRAY(compile->scratch, bool, program->n_values + 1);
    if (decides == NULL)
        return no_memory(compile);
    for (uint32_t n = program->n_nodes; n-- > 0;) {
        const struct rdl__node *node = &program->nodes[n].node;
        bool result = false;
        for (uint32_t k = 0; k < node->n_outputs; k++)
            result = result || (node->outputs[k] != RDL__NO_VALUE && decides[node->outputs[k]]);
        result =
            result && (node->op->flags & (RDL__OP_OF_SHAPE | RDL__OP_LOOP | RDL__OP_COUNTS)) == 0;
        for (uint32_t i = 0; i < node->n_inputs; i++)
            if (node->inputs[i] != RDL__NO_VALUE && (result || is_decisive(node, i)))
                decides[node->inputs[i]] = true;
    }
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        struct rdl__program_port *port = &program->inputs[i];
        port->decides = decides[port->value] && port->dtype != RDL_F32 && port->dtype != RDL_F64 &&
                        port->dtype != RDL_F16 && port->dtype != RDL_BF16;
    }
    return RDL_OK;
}

static enum rdl_status compile_graph(struct compile *compile,
                                     const struct rdl__compile_limits *limits)
{
    size_t total = 0;
    RDL_TRY(clone_graph(compile));
    RDL_TRY(clone_metadata(compile));
    for (struct compile *each = compile; each != NULL; each = each->next) {
        const struct rdl__graph *graph = each->graph;
        for (uint32_t i = 0; i < graph->n_nodes; i++) {
            RDL_TRY(rdl__limits_check(limits, compile->error));
            RDL_TRY(prepare_node(each, i));
        }
        for (uint32_t i = 0; i < graph->n_outputs; i++)
            each->bound[graph->outputs[i]] = true; /* a constant that is an output is copied out */
        RDL_TRY(lay_out(each, &total));
        count_uses(each->program);
    }
    RDL_TRY(find_deciding_inputs(compile));
    return place_weights(compile, total, limits);
}

enum rdl_status rdl__program_compile(const struct rdl__graph *graph, uint32_t n_file_nodes,
                                     struct rdl__device *device,
                                     const struct rdl__compile_limits *limits,
                                     struct rdl__program **out, struct rdl_error *error)
{
    *out = NULL;
    struct rdl__program *program = rdl__alloc_zeroed(1, sizeof *program);
    if (program == NULL)
        return rdl__fail_memory(error, "program", sizeof *program);
    rdl__store_relaxed(&program->references, 1); /* nobody else knows it yet */
    program->root = program;
    program->device = device;
    program->isa = rdl__isa_best();
    program->n_file_nodes = n_file_nodes;
    rdl__arena_init(&program->arena, SIZE_MAX);
    struct rdl__arena scratch;
    rdl__arena_init(&scratch, SIZE_MAX);
    struct compile compile = {.graph = graph,
                              .program = program,
                              .arena = &program->arena,
                              .scratch = &scratch,
                              .error = error};
    const enum rdl_status status = compile_graph(&compile, limits);
    rdl__arena_fini(&scratch);
    if (status != RDL_OK) {
        rdl__program_release(program);
        return status;
    }
    *out = program;
    return RDL_OK;
}

const struct rdl__node *rdl__program_node(const struct rdl__program *program, uint32_t number)
{
    if (number >= program->first_number && number - program->first_number < program->n_nodes)
        return &program->nodes[number - program->first_number].node;
    for (uint32_t i = 0; i < program->n_nodes; i++) {
        const struct rdl__program *body = program->nodes[i].body;
        const struct rdl__node *node = body != NULL ? rdl__program_node(body, number) : NULL;
        if (node != NULL)
            return node;
    }
    return NULL;
}

struct rdl__program *rdl__program_retain(struct rdl__program *program)
{
    rdl__add_relaxed(&program->references, 1); /* from a reference that the caller holds */
    return program;
}

void rdl__program_release(struct rdl__program *program)
{
    if (program == NULL || rdl__sub_acq_rel(&program->references, 1) != 1)
        return;
    if (program->block != NULL)
        rdl__memory_free_idle(program->device, program->block);
    rdl__arena_fini(&program->arena);
    rdl__free(program);
}
