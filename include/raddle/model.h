/*
 * Models: load, ask, run, submit, close.
 *
 * Any number of threads may run one model at the same time; each gets the bits that the same call made
 * alone would give. Loading, running and closing may overlap in any order.
 *
 * @code
 * struct rdl_model model;
 * struct rdl_value *output = NULL;
 * RDL_OK == rdl_model_load("mlp.onnx", NULL, &model, &error) &&
 * RDL_OK == rdl_model_run(model, &input, 1, &output, 1, NULL, &error);
 * ... rdl_tensor_data(rdl_value_tensor(output)) ...
 * rdl_value_release(output);
 * rdl_model_close(model);
 * @endcode
 */
#ifndef RADDLE_MODEL_H
#define RADDLE_MODEL_H

#include "raddle/memory.h"
#include "raddle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A model, by value. id 0 is no model. */
struct rdl_model {
    uint64_t id;
};

/** A submitted run, by value. id 0 is no request. */
struct rdl_request {
    uint64_t id;
};

/** How to load a model. Zeroed fields mean the default. */
struct rdl_load_options {
    size_t size;              /* sizeof(struct rdl_load_options) */
    struct rdl_device device; /* where to run it; 0: the shared "cpu" device */
    const char *folder; /* where external data lies, for rdl_model_load_memory; NULL: refused */
    size_t memory_limit_bytes; /* most host memory for graph and weights; 0: none */
    int64_t deadline_ns;       /* latest time to be done; 0: none */
    struct rdl_cancel *cancel; /* NULL allowed */
    bool no_fusion;            /* leave the graph as it is in the file, for comparisons */
};

/**
 * Loads an ONNX model from a file and compiles it for its device.
 *
 * @param path     the file; external data is read from its folder only
 * @param options  NULL: defaults
 * @param out      receives the handle; zero on failure
 * @param error    NULL allowed; names the node or tensor and the cause
 * @return RDL_ERR_IO (the file cannot be read), RDL_ERR_MODEL (not a valid model), RDL_ERR_UNSUPPORTED
 *         (operators, dtypes, opset; one message lists all unknown operators), RDL_ERR_NO_MEMORY,
 *         RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_ARGUMENT, RDL_ERR_CLOSED, RDL_ERR_FORKED,
 *         RDL_ERR_SHUTDOWN, RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST
 * Thread: any; blocks while it reads and compiles.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_model_load(const char *path,
                                                     const struct rdl_load_options *options,
                                                     struct rdl_model *out,
                                                     struct rdl_error *error);

/** As rdl_model_load from size_bytes at data, which may be freed or changed afterwards. */
RDL_API RDL_NODISCARD enum rdl_status rdl_model_load_memory(const void *data, size_t size_bytes,
                                                            const struct rdl_load_options *options,
                                                            struct rdl_model *out,
                                                            struct rdl_error *error);

/** Closes the model: calls in flight finish, then it is freed; later calls get RDL_ERR_CLOSED.
 * Harmless on a stale or zero handle. Thread: any; does not wait. */
RDL_API void rdl_model_close(struct rdl_model model);

/** An input or an output of a model. */
struct rdl_port {
    const char *name;
    enum rdl_value_kind kind;
    enum rdl_dtype dtype;                /* RDL_DTYPE_NONE if the model does not say */
    int32_t rank;                        /* -1 if the model does not say */
    int64_t dims[RDL_MAX_RANK];          /* -1: free */
    const char *dim_names[RDL_MAX_RANK]; /* name of a free dimension; NULL: none */
};

/** Facts about a model; counted, unchanging, and independent of the model's life. */
struct rdl_model_info;

/** Takes a reference to the facts. @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT.
 * Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status
rdl_model_get_info(struct rdl_model model, struct rdl_model_info **out, struct rdl_error *error);
/** Gives the reference back; NULL is allowed. Thread: any. */
RDL_API void rdl_model_info_release(struct rdl_model_info *info);
/** Number of inputs, and of outputs. Thread: any, as all readers below. */
RDL_API size_t rdl_model_info_input_count(const struct rdl_model_info *info);
RDL_API size_t rdl_model_info_output_count(const struct rdl_model_info *info);
/** Input or output `index`, valid while info is held; NULL if out of range. */
RDL_API const struct rdl_port *rdl_model_info_input(const struct rdl_model_info *info,
                                                    size_t index);
RDL_API const struct rdl_port *rdl_model_info_output(const struct rdl_model_info *info,
                                                     size_t index);
/** Metadata: number of entries, and entry `index` (false if out of range). The first five are
 * "producer", "producer_version", "graph", "opset" and "ir_version", then "opset DOMAIN" for each other
 * domain; the model's own entries follow under their names. */
RDL_API size_t rdl_model_info_metadata_count(const struct rdl_model_info *info);
RDL_API bool rdl_model_info_metadata(const struct rdl_model_info *info, size_t index,
                                     const char **key, const char **value);
/** Nodes in the file, and nodes left after optimisation. */
RDL_API size_t rdl_model_info_node_count(const struct rdl_model_info *info);
RDL_API size_t rdl_model_info_compiled_node_count(const struct rdl_model_info *info);
/** Bytes of weights on the device, packed ones included. */
RDL_API size_t rdl_model_info_weight_bytes(const struct rdl_model_info *info);

/** How to run. Zeroed fields mean the default. */
struct rdl_run_options {
    size_t size;               /* sizeof(struct rdl_run_options) */
    int64_t deadline_ns;       /* latest time; 0: RDL_FOREVER. Seen between tiles of work */
    struct rdl_cancel *cancel; /* NULL allowed. Seen between tiles of work */
    bool no_wait;              /* fail with RDL_ERR_BUSY if no lane is free at once */
    struct rdl_stream stream;  /* use this held stream's lane; 0: lease one for the call */
    const uint32_t
        *output_indices; /* [n_outputs] which outputs to compute, each at most once; NULL:
                                       the first n_outputs */
    const struct rdl_allocator *output_allocator; /* memory of outputs that are not bound; NULL: the
                                                     device's cache */
};

/**
 * Runs the model and waits for the answer.
 *
 * @param inputs   [n_inputs], in the order of the model's inputs; dtype and shape must fit them; host
 *                 memory, any strides. Only read.
 * @param outputs  [n_outputs], in and out. NULL receives a new value, one reference owned by the
 *                 caller. A tensor value given by the caller receives the answer in its memory: same
 *                 dtype, C order, host memory, capacity enough; its dims are set. On failure new values
 *                 are NULL and the contents of given ones undefined.
 * @param n_outputs  at most the number of outputs; only these are computed
 * @param options  NULL: defaults
 * @param error    NULL allowed
 * @return RDL_ERR_ARGUMENT (counts, NULL value, memory not of the host), RDL_ERR_SHAPE (dtype, rank or
 *         dims do not fit; the message names the input), RDL_ERR_BUFFER_SIZE (an output too small; the
 *         message has the needed shape), RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_BUSY,
 *         RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_NO_MEMORY, RDL_ERR_UNSUPPORTED,
 *         RDL_ERR_RUNTIME (an operator fails on its data), RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST,
 *         RDL_ERR_SHUTDOWN
 * Thread: any number at once; blocks while it computes, and for a lane or memory up to the deadline.
 *         Outputs given by the caller must not be used by others meanwhile.
 * Cost: on "cpu" with given outputs and shapes seen before: no allocation, no shared lock, no cache
 *       line that another call writes. What hangs on data (NonZero, an undecided If, a Loop) is run node
 *       by node: it allocates, and on a full device gets RDL_ERR_NO_MEMORY without waiting.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_model_run(struct rdl_model model, struct rdl_value *const *inputs, size_t n_inputs,
              struct rdl_value **outputs, size_t n_outputs, const struct rdl_run_options *options,
              struct rdl_error *error);

/** A shape, for warm-up. */
struct rdl_shape {
    int32_t rank;
    int64_t dims[RDL_MAX_RANK];
};

/**
 * Compiles the plan for input shapes ahead of the first run with them, and makes the lanes' arenas
 * large enough.
 *
 * @param shapes  [n_inputs]
 * @param lanes   how many free lanes get their arena grown; 0: none
 * @return as rdl_model_run
 * Thread: any; blocks.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_model_warm_up(struct rdl_model model,
                                                        const struct rdl_shape *shapes,
                                                        size_t n_inputs, uint32_t lanes,
                                                        struct rdl_error *error);

/** Counters of a model; a snapshot. */
struct rdl_model_stats {
    size_t size;                  /* in: sizeof(struct rdl_model_stats) */
    uint64_t plans;               /* plans in the cache */
    uint64_t plans_compiled;      /* ever compiled */
    uint64_t plans_evicted;       /* ever evicted */
    uint64_t largest_arena_bytes; /* arena of the largest plan in the cache */
};

/** Fills *stats. @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status rdl_model_get_stats(struct rdl_model model,
                                                          struct rdl_model_stats *stats);

/**
 * Called once when a submitted run has ended, on a thread of the worker pool and under no lock. It may
 * submit, cancel and close, but not wait (RDL_ERR_STATE). While it runs, its thread does nothing else.
 */
typedef void (*rdl_run_callback)(struct rdl_request request, enum rdl_status status, void *user);

/**
 * Submits a run and returns at once.
 *
 * @param inputs    as in rdl_model_run; references are taken, contents must not change until the end
 * @param outputs   [n_outputs]; NULL entries (or NULL instead of the array) are allocated; given
 *                  tensors are written; references are taken. The array itself is only read.
 * @param options   as in rdl_model_run; output_indices is copied; the stream, cancel token and
 *                  allocator must outlive the request's end
 * @param callback  NULL: none
 * @param out       receives the request, to be closed by rdl_request_close; NULL: no handle is wanted
 * @return RDL_ERR_NO_MEMORY, RDL_ERR_THREAD (no worker could be started), RDL_ERR_ARGUMENT,
 *         RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_SHUTDOWN; faults of the run itself come with the
 *         request. On failure the callback is not called.
 * Thread: any; never waits for lanes, memory or the run.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_model_submit(struct rdl_model model, struct rdl_value *const *inputs, size_t n_inputs,
                 struct rdl_value *const *outputs, size_t n_outputs,
                 const struct rdl_run_options *options, rdl_run_callback callback, void *user,
                 struct rdl_request *out, struct rdl_error *error);

/**
 * Waits for the end of a request.
 *
 * @param outputs  [n_outputs] receives references to the output values if the run succeeded; NULL
 *                 allowed, with n_outputs 0
 * @return the run's own status (its message in error); RDL_ERR_DEADLINE if the wait's deadline passed
 *         first (the request goes on; rdl_request_done tells the two apart); RDL_ERR_STATE in a
 *         callback, if the request has not ended; RDL_ERR_CLOSED, RDL_ERR_FORKED
 * Thread: any number at once; blocks.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_request_wait(struct rdl_request request,
                                                       int64_t deadline_ns,
                                                       struct rdl_value **outputs, size_t n_outputs,
                                                       struct rdl_error *error);

/** Whether the request has ended: *out. @return RDL_ERR_CLOSED, RDL_ERR_FORKED. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status rdl_request_done(struct rdl_request request, bool *out);

/** Asks the run to end early, with RDL_ERR_CANCELLED, at once if it has not begun; it may have ended
 * already. Thread: any. */
RDL_API void rdl_request_cancel(struct rdl_request request);

/** Gives the handle back; the run goes on, and its results go with it if nobody took them. Harmless
 * on a stale or zero handle. Thread: any; never blocks. */
RDL_API void rdl_request_close(struct rdl_request request);

#ifdef __cplusplus
}
#endif
#endif
