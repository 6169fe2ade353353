/*
 * Graph: operators (nodes) and the values between them, as imported and then rewritten by passes.
 *
 * A graph and all it points to live in one arena that its owner keeps. Values are named by index into
 * graph->values; index -1 (RDL__NO_VALUE) is an absent optional input or output. Every value is made
 * once: by a graph input, by a constant, or by one node (SSA). nodes[] is in topological order once
 * rdl__graph_finish has passed.
 *
 * Threading: one user while it is built and rewritten; any number of readers afterwards.
 */
#ifndef RDL_GRAPH_GRAPH_H
#define RDL_GRAPH_GRAPH_H

#include "base/arena.h"
#include "tensor/shape.h"

struct rdl__op;
struct rdl__graph;

#define RDL__NO_VALUE (-1)

/** Element of a STRING tensor: bytes that need not end in zero. */
struct rdl__string {
    const char *bytes;
    size_t size;
};

/**
 * What is known of a value: its dtype, its shape, and its elements if they are known on the host.
 * The meaning of "known" depends on who asks: a program knows constants, a plan also all shapes and
 * what folds from them.
 */
struct rdl__desc {
    enum rdl_dtype dtype;    /* RDL_DTYPE_NONE: absent, or not known */
    struct rdl__shape shape; /* meaningful where the asker knows shapes */
    const void *data;        /* C order elements, host memory; NULL: not known */
};

/** Attribute types, with the values of ONNX AttributeProto.AttributeType. */
enum rdl__attr_type {
    RDL__ATTR_FLOAT = 1,
    RDL__ATTR_INT = 2,
    RDL__ATTR_STRING = 3,
    RDL__ATTR_TENSOR = 4,
    RDL__ATTR_GRAPH = 5,
    RDL__ATTR_FLOATS = 6,
    RDL__ATTR_INTS = 7,
    RDL__ATTR_STRINGS = 8
};

/** One attribute of a node. Only the members of its type are meaningful. */
struct rdl__attr {
    const char *name;
    enum rdl__attr_type type;
    size_t count; /* elements of floats, ints, strings */
    union {
        float f;
        int64_t i;
        struct rdl__string s;
        const float *floats;
        const int64_t *ints;
        const struct rdl__string *strings;
        const struct rdl__desc *tensor;
        struct rdl__graph *graph;
    };
};

/** Functions that a node may apply to its result before it is stored. */
enum rdl__activation_kind {
    RDL__ACT_NONE = 0,
    RDL__ACT_RELU,        /* max(x, 0) */
    RDL__ACT_CLIP,        /* min(max(x, a), b) */
    RDL__ACT_HARD_SWISH,  /* a x min(max(x + 3, 0), 6) / 6 + b */
    RDL__ACT_HARD_SIGMOID /* min(max(a x + b, 0), 1) */
};

struct rdl__activation {
    enum rdl__activation_kind kind;
    float a, b; /* parameters of CLIP, HARD_SWISH and HARD_SIGMOID; else zero */
};

/** One operator call. */
struct rdl__node {
    const struct rdl__op *op; /* never NULL after rdl__graph_finish */
    const char *name;         /* as in the file; "" if it has none */
    const char *op_type, *domain;
    int32_t *inputs; /* [n_inputs] value indices, RDL__NO_VALUE for an absent optional */
    int32_t *outputs;
    uint32_t n_inputs, n_outputs;
    uint32_t n_attrs;
    struct rdl__attr *attrs;
    struct rdl__activation activation; /* set by the fusion passes, only where op->fuses */
    bool guarded; /* lies in a branch of an If, and may never be run: that it cannot be folded is no
                       fault of the model's */
    uint32_t index; /* number of the node in its graph of the file, for messages */
};

/** One value. */
struct rdl__value_info {
    const char *name;     /* unique in its graph; never NULL */
    enum rdl_dtype dtype; /* declared or of the constant; RDL_DTYPE_NONE: not declared */
    enum rdl_value_kind kind;
    int32_t rank;                        /* declared; -1: not declared */
    int64_t dims[RDL_MAX_RANK];          /* declared; -1: not fixed */
    const char *dim_names[RDL_MAX_RANK]; /* name of a dimension that is not fixed; NULL: none */
    const struct rdl__desc *constant;    /* elements of a constant; NULL: computed or an input */
    int32_t producer;                    /* node that makes it; -1: none */
    int32_t outer;   /* in a subgraph: the value of graph->outer that this one stands for;
                      RDL__NO_VALUE: the value is this graph's own */
    uint32_t n_uses; /* node inputs and graph outputs that name it, and values of the nodes'
                        subgraphs that stand for it */
};

/** Version of a domain's operators that the model was written for. */
struct rdl__opset {
    const char *domain;
    int64_t version;
};

/** A name and a text: metadata of the model. */
struct rdl__text_pair {
    const char *key, *value;
};

struct rdl__graph {
    struct rdl__arena *arena; /* all that the graph points to; owned by whoever made the graph */
    const char *name;
    struct rdl__node **nodes;
    uint32_t n_nodes, cap_nodes;
    struct rdl__value_info *values;
    uint32_t n_values, cap_values;
    int32_t
        *inputs; /* [n_inputs] values fed by the caller, in the file's order, constants left out */
    uint32_t n_inputs;
    int32_t *outputs; /* [n_outputs] */
    uint32_t n_outputs;
    int64_t opset;                   /* version of the default domain */
    const struct rdl__opset *opsets; /* [n_opsets] of the other domains; the same in subgraphs */
    uint32_t n_opsets;
    int64_t ir_version;
    const char *producer, *producer_version;
    struct rdl__text_pair *metadata; /* [n_metadata] */
    uint32_t n_metadata;
    struct rdl__graph *outer; /* the graph that holds this subgraph; NULL at the top */
};

/** Makes an empty graph in arena; NULL if there is no memory. */
struct rdl__graph *rdl__graph_new(struct rdl__arena *arena);

/**
 * Most graphs that lie within one another, the outermost counted: bounds the recursion of everything
 * that walks subgraphs.
 */
#define RDL__MAX_GRAPH_DEPTH 16

/** Adds a value called name (copied); its index, or RDL__NO_VALUE if there is no memory. */
int32_t rdl__graph_add_value(struct rdl__graph *graph, const char *name);

/** Adds a constant value; desc->data is kept, not copied. Index or RDL__NO_VALUE. */
int32_t rdl__graph_add_constant(struct rdl__graph *graph, const char *name,
                                const struct rdl__desc *desc);

/** Makes value a constant; desc is kept, not copied, and replaces what was declared of the value. */
void rdl__value_set_constant(struct rdl__value_info *value, const struct rdl__desc *desc);

/** Appends a node with room for its inputs and outputs (all RDL__NO_VALUE) and attributes; NULL if
 * there is no memory. */
struct rdl__node *rdl__graph_add_node(struct rdl__graph *graph, const char *op_type,
                                      const char *domain, uint32_t n_inputs, uint32_t n_outputs,
                                      uint32_t n_attrs);

/** Appends a node that was made for another graph of the same arena; false if there is no memory. */
bool rdl__graph_take_node(struct rdl__graph *graph, struct rdl__node *node);

/** Looks operators up: the operator of (domain, name) that holds at `opset`; NULL if none does. */
typedef const struct rdl__op *(*rdl__op_find_fn)(const char *domain, const char *name,
                                                 int64_t opset);

/**
 * Completes a graph and its subgraphs: finds each node's operator, checks counts of inputs and
 * outputs and each operator's own check, sorts topologically (a graph that is in order keeps its
 * order), and fills producer and n_uses. Operators of domains that are in neither opset nor opsets
 * are looked up at version 1.
 *
 * Cost: linear in nodes, values and their uses.
 * @return RDL_ERR_UNSUPPORTED with ONE message that lists every unknown operator (name, domain,
 *         version, first node and number of uses); RDL_ERR_MODEL naming the node: cycle, value used
 *         but never made, value made twice, wrong count of inputs or outputs, bad attribute;
 *         RDL_ERR_NO_MEMORY
 */
enum rdl_status rdl__graph_finish(struct rdl__graph *graph, rdl__op_find_fn find,
                                  struct rdl_error *error);

/**
 * Brings a graph and its subgraphs into order after a pass: drops nodes whose outputs nobody uses,
 * sorts as rdl__graph_finish does, and recomputes producer and n_uses. A pass may therefore append
 * its nodes at the end. Values that nothing names any more stay in values[], with n_uses 0.
 *
 * @return RDL_ERR_MODEL (as rdl__graph_finish: a fault of the pass), RDL_ERR_NO_MEMORY
 */
enum rdl_status rdl__graph_tidy(struct rdl__graph *graph, struct rdl_error *error);

/** The name by which messages call a node: its name, or "#index", with its operator. */
const char *rdl__node_text(const struct rdl__node *node, char *out, size_t size_bytes);
#define RDL__NODE_TEXT_BYTES 160
/** rdl__node_text into memory of the enclosing block: for the arguments of a message. */
#define RDL__NODE_TEXT(node)                                                                       \
    rdl__node_text((node), (char[RDL__NODE_TEXT_BYTES]){0}, RDL__NODE_TEXT_BYTES)

/**
 * A name of the file as messages show it: printable UTF-8 as it is, every other byte as "\xNN", cut
 * with "..." where it does not fit. Returns out.
 */
const char *rdl__name_text(const char *name, char *out, size_t size_bytes);
#define RDL__NAME_TEXT_BYTES 80
/** rdl__name_text into memory of the enclosing block. */
#define RDL__NAME_TEXT(name)                                                                       \
    rdl__name_text((name), (char[RDL__NAME_TEXT_BYTES]){0}, RDL__NAME_TEXT_BYTES)

/* Readers of attributes. They return the attribute's value, or `fallback` if the node lacks it. An
 * attribute of another type is refused by rdl__attr_check in the operator's check function. */
const struct rdl__attr *rdl__attr_find(const struct rdl__node *node, const char *name);
int64_t rdl__attr_int(const struct rdl__node *node, const char *name, int64_t fallback);
float rdl__attr_float(const struct rdl__node *node, const char *name, float fallback);
/** The string attribute, or fallback; zero-terminated. */
const char *rdl__attr_text(const struct rdl__node *node, const char *name, const char *fallback);
/** The integers and their number; NULL and 0 if the node lacks it. */
const int64_t *rdl__attr_ints(const struct rdl__node *node, const char *name, size_t *count);

/** One attribute that an operator knows. */
struct rdl__attr_rule {
    const char *name;
    enum rdl__attr_type type;
    bool required;
};

/**
 * Checks a node's attributes against rules [n]: each given attribute is known and has its type, each
 * required one is there.
 * @return RDL_ERR_MODEL naming the node and the attribute
 */
enum rdl_status rdl__attr_check(const struct rdl__node *node, const struct rdl__attr_rule *rules,
                                size_t n, struct rdl_error *error);

#endif
