/*
 * A program: a model's graph compiled for a device.
 *
 * Made once a load: the graph after optimisation, each node's kernels chosen and weights packed, and
 * all constants that kernels may read laid out in one block of device memory. It decides everything on
 * which the order of a sum depends, from attributes, dtypes, weights and the instruction set; a plan
 * only adds run-time shapes.
 *
 * The body of a Loop or Scan is a program of its own, which lies in the arena of the one around it (its
 * root) and shares its block. Values that a body takes from outside are inputs of its node, behind the
 * operator's own.
 *
 * Threading: read-only once made; counted, since plans outlive the model that made them while calls use
 * them. Everything lies in the root's arena, but the block.
 */
#ifndef RDL_MODEL_PROGRAM_H
#define RDL_MODEL_PROGRAM_H

#include "graph/graph.h"
#include "graph/op.h"
#include "runtime/device.h"

/** Largest constant whose elements are also kept on the host, so that plans can fold with it. */
#define RDL__HOST_CONSTANT_BYTES 4096
/** No place on the device. */
#define RDL__NO_OFFSET SIZE_MAX

/** A value of the program. */
struct rdl__program_value {
    const char *name;
    bool is_constant;
    struct rdl__desc constant; /* dtype and shape; data NULL if it is only on the device */
    size_t offset_bytes;       /* of a constant, in the program's block; RDL__NO_OFFSET: absorbed */
    int32_t producer;          /* node; -1: input or constant */
    uint32_t n_uses;           /* inputs of nodes, and outputs of the program, that name it */
};

/** A node of the program. */
struct rdl__program_node {
    struct rdl__node node;                   /* with names and attributes of the program's own */
    const void *state;                       /* what prepare left */
    size_t weight_offsets[RDL__MAX_WEIGHTS]; /* in the block; RDL__NO_OFFSET: none */
    size_t weight_bytes[RDL__MAX_WEIGHTS];
    uint32_t n_own_inputs;     /* inputs of the operator; those behind are the body's captures */
    struct rdl__program *body; /* of a Loop or Scan; NULL: none */
};

/** An input or output of the program. */
struct rdl__program_port {
    const char *name;
    int32_t value;
    enum rdl_dtype dtype; /* RDL_DTYPE_NONE: not declared */
    enum rdl_value_kind kind;
    int32_t rank; /* -1: not declared */
    int64_t dims[RDL_MAX_RANK];
    const char *dim_names[RDL_MAX_RANK];
    bool
        decides; /* of an input: shapes, or what is computed, hang on its elements, so they are part of
                     a plan's key where they are few (RDL__DECIDING_BYTES) */
};

/** Most bytes of an input's elements in a plan's key. An input that has more is data, whatever hangs on
 * it. */
#define RDL__DECIDING_BYTES 128

struct rdl__program {
    _Atomic uint32_t references; /* the root's */
    struct rdl__arena arena;     /* likewise */
    struct rdl__program *root;   /* itself, if it is no body */
    uint32_t first_number;       /* number of node 0 among the nodes of the root and all bodies */
    struct rdl__device *device;
    struct rdl__block *block; /* constants and packed weights; NULL: none */
    enum rdl__isa isa;
    struct rdl__program_value *values;
    uint32_t n_values;
    struct rdl__program_node *nodes; /* in topological order */
    uint32_t n_nodes;
    struct rdl__program_port *inputs, *outputs;
    uint32_t n_inputs, n_outputs;
    int32_t *captures; /* [n_captures] of a body: its values that stand for values outside */
    uint32_t n_captures;
    uint32_t n_file_nodes; /* nodes in the file */
    size_t weight_bytes;   /* of block */
    struct rdl__text_pair *metadata;
    uint32_t n_metadata;
};

/** Bounds of the work of compiling, and of waiting within it. */
struct rdl__compile_limits {
    int64_t deadline_ns;
    struct rdl_cancel *cancel; /* NULL allowed */
};

/** Bytes of a value's elements in C order; its shape was checked when it was inferred or imported, so they
 * fit. */
size_t rdl__desc_bytes(const struct rdl__desc *desc);

/** RDL_OK, or RDL_ERR_CANCELLED or RDL_ERR_DEADLINE once the limits are met. */
enum rdl_status rdl__limits_check(const struct rdl__compile_limits *limits,
                                  struct rdl_error *error);

/**
 * Compiles an optimised graph. Nothing of graph's arena is referenced afterwards.
 *
 * @param out  receives the program with one reference
 * @return RDL_ERR_NO_MEMORY, RDL_ERR_UNSUPPORTED, RDL_ERR_MODEL, RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST,
 *         RDL_ERR_CANCELLED, RDL_ERR_DEADLINE
 */
enum rdl_status rdl__program_compile(const struct rdl__graph *graph, uint32_t n_file_nodes,
                                     struct rdl__device *device,
                                     const struct rdl__compile_limits *limits,
                                     struct rdl__program **out, struct rdl_error *error);

/** The node of a number, in the program or one of its bodies; NULL if there is none. */
const struct rdl__node *rdl__program_node(const struct rdl__program *program, uint32_t number);

struct rdl__program *rdl__program_retain(struct rdl__program *program);
void rdl__program_release(struct rdl__program *program);

/** Copies host memory into a block of the device and waits for it. @return as rdl_buffer_write */
enum rdl_status rdl__device_upload(struct rdl__device *device, struct rdl__block *block,
                                   const void *src, size_t size_bytes,
                                   const struct rdl__compile_limits *limits,
                                   struct rdl_error *error);

#endif
