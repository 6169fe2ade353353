/*
 * Looking into a model: its graph, the plan for given inputs with its memory, and where a run's time goes.
 *
 * Everything here returns unchanging snapshots that outlive the model. None of it is for the hot path: a
 * plan is compiled anew for each call, beside the model's cache of plans, and a profiled run waits for
 * each step.
 *
 * @code
 * struct rdl_plan_info *plan = NULL;
 * struct rdl_step_info step;
 * if (rdl_model_profile(model, &input, 1, 20, &plan, &error) == RDL_OK)
 *     for (size_t i = 0; rdl_plan_info_step(plan, i, &step); i++)
 *         printf("%s %s: %lld ns\n", step.node, step.op, (long long)step.time_ns);
 * rdl_plan_info_release(plan);
 * @endcode
 */
#ifndef RADDLE_INSPECT_H
#define RADDLE_INSPECT_H

#include "raddle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A node of a model's compiled graph: what is left after fusion. */
struct rdl_node_info {
    const char *name;   /* as in the file; "" if it has none */
    const char *op;     /* operator, "Conv" */
    const char *domain; /* "" is ONNX's own */
    uint32_t index; /* number in the file's graph, which messages show where the name is empty */
    uint32_t depth; /* 0; 1 for a node of a Loop's or Scan's body, 2 for one in that, ... */
};

/** Number of nodes for rdl_model_info_node: unlike rdl_model_info_compiled_node_count it counts those of
 * bodies. Thread: any. */
RDL_API size_t rdl_model_info_all_node_count(const struct rdl_model_info *info);
/** Node `index` of the compiled graph, in the order of evaluation, a body's nodes behind the node that
 * has the body; false if out of range. Thread: any; valid while info is held. */
RDL_API bool rdl_model_info_node(const struct rdl_model_info *info, size_t index,
                                 struct rdl_node_info *out);

/** Constants that the compiled graph reads: how many elements, and their bytes as the file has them
 * (rdl_model_info_weight_bytes is what they take on the device). Thread: any. */
RDL_API uint64_t rdl_model_info_parameter_count(const struct rdl_model_info *info);
RDL_API uint64_t rdl_model_info_parameter_bytes(const struct rdl_model_info *info);

/** `index` of a step that belongs to no node. */
#define RDL_NO_NODE UINT32_MAX

/** A step of a plan: one call of a kernel; of the deferred part, all calls for one node. */
struct rdl_step_info {
    const char *node; /* the node's name; "" if it has none */
    const char *op;   /* its operator; "Copy" for a copy into an output, which is of no node */
    const char
        *shapes;      /* "1x3x48x192,8x3x3x3 -> 1x8x24x96": inputs and outputs of the node; [] is a
                           scalar, - is absent */
    uint32_t index;   /* of the node, as in struct rdl_node_info; RDL_NO_NODE: of none */
    uint32_t depth;   /* likewise */
    size_t tiles;     /* pieces between which cancel and deadline are seen */
    double flop;      /* floating-point operations of the node's products where its operator has a
                           standard count (products, convolutions, recurrences: 2 a multiply-add), at
                           the node's first step; else 0 */
    size_t bytes;     /* extents of all that it reads and writes */
    uint64_t calls;   /* in one run: 1, but for nodes of bodies; 0: it was not run */
    int64_t time_ns;  /* of a profiled run, all calls together: the median of the runs; else 0. Of a
                           Loop or Scan: what it takes beside the nodes of its body */
    bool is_deferred; /* run node by node, since its shape hangs on data */
};

/** Where a buffer of a plan lies. */
enum rdl_buffer_place {
    RDL_BUFFER_ARENA =
        1, /* the lane's arena; shared by buffers that do not live at the same time */
    RDL_BUFFER_INPUT = 2,   /* memory of an input */
    RDL_BUFFER_OUTPUT = 3,  /* memory of an output */
    RDL_BUFFER_WEIGHTS = 4, /* constants of the model, packed ones included */
    RDL_BUFFER_FOLDED = 5   /* constants of the plan */
};

/** A buffer of a plan: memory that steps read or write. */
struct rdl_plan_buffer {
    const char *value; /* the first value that lies in it; "" for a temporary, and for weights that
                          an operator packed for itself */
    enum rdl_buffer_place place;
    size_t offset_bytes; /* in its place; 0 for inputs and outputs */
    size_t size_bytes;
    uint32_t first_step,
        last_step; /* in which it is in use; what the deferred part reads stays to the
                                       number of steps, which is none of them */
};

/** The plan for given inputs; unchanging, and independent of the model's life. */
struct rdl_plan_info;

/**
 * Compiles the plan for all outputs and for inputs of these values' shapes (and of their elements, where
 * these decide shapes) and describes it.
 *
 * @param inputs  [n_inputs], as in rdl_model_run; only read
 * @param out     receives the description, to be released; NULL on failure
 * @param error   NULL allowed
 * @return as rdl_model_run
 * Thread: any; blocks.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_model_get_plan(struct rdl_model model, struct rdl_value *const *inputs, size_t n_inputs,
                   struct rdl_plan_info **out, struct rdl_error *error);

/**
 * As rdl_model_get_plan, and runs the plan `runs` times, step by step: time_ns of each step is the median.
 * Nodes of the deferred part are listed behind the plan's own steps, each once, as the last run had them.
 * The outputs are dropped.
 *
 * @param runs  1..100000
 * @return as rdl_model_run
 * Thread: any; blocks. It leases a lane; other runs go on beside it, and make it slower.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_model_profile(struct rdl_model model, struct rdl_value *const *inputs, size_t n_inputs,
                  uint32_t runs, struct rdl_plan_info **out, struct rdl_error *error);

/** Frees the description; NULL is allowed. Thread: any, once. */
RDL_API void rdl_plan_info_release(struct rdl_plan_info *plan);
/** Number of steps, and step `index` (false if out of range). Thread: any, as all readers below. */
RDL_API size_t rdl_plan_info_step_count(const struct rdl_plan_info *plan);
RDL_API bool rdl_plan_info_step(const struct rdl_plan_info *plan, size_t index,
                                struct rdl_step_info *out);
/** Number of buffers, and buffer `index` (false if out of range). */
RDL_API size_t rdl_plan_info_buffer_count(const struct rdl_plan_info *plan);
RDL_API bool rdl_plan_info_buffer(const struct rdl_plan_info *plan, size_t index,
                                  struct rdl_plan_buffer *out);
/** Bytes of the lane's arena that the plan needs, scratch included. */
RDL_API size_t rdl_plan_info_arena_bytes(const struct rdl_plan_info *plan);
/** Bytes of scratch in that. */
RDL_API size_t rdl_plan_info_scratch_bytes(const struct rdl_plan_info *plan);
/** Nodes that the plan folded away. */
RDL_API size_t rdl_plan_info_folded_nodes(const struct rdl_plan_info *plan);
/** Whether nodes are left to the run, since their shapes hang on data. */
RDL_API bool rdl_plan_info_has_deferred(const struct rdl_plan_info *plan);

#ifdef __cplusplus
}
#endif
#endif
