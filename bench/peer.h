/*
 * A peer: one way to run a model, measured beside others. Each thread has a context of its own,
 * with inputs and outputs bound before any clock runs.
 */
#ifndef RADDLE_BENCH_PEER_H
#define RADDLE_BENCH_PEER_H

#include "material.h"

/** A way to run models. */
struct peer_kind {
    const char *name;   /* of the way */
    const char *engine; /* of the library, one for all its ways */
    int way;            /* among the engine's */
    size_t context_bytes;
    /** Opens the engine's library, once a process; NULL if nothing is to be opened. */
    enum rdl_status (*open_library)(const char *library, struct rdl_error *error);
    /** Version of the opened library, static; NULL: the engine is Raddle. */
    const char *(*version)(void);
    /**
     * Fills a zeroed context: loads the model, width 1 within a call, and binds thread's material.
     * `first` is the context of thread 0, whose model the way may share; NULL for that thread itself.
     * What a failure leaves is closed like the rest.
     */
    enum rdl_status (*open_context)(const struct peer_kind *kind, const struct material_plan *plan,
                                    const struct material *material, unsigned thread,
                                    const void *first, void *context, struct rdl_error *error);
    void (*close_context)(void *context);
    bool (*call)(void *context); /* one inference; false on a fault */
    /** Elements of output `index` of a context after a call, borrowed. */
    const void *(*output)(const void *context, size_t index);
    /** The last fault of a context, in words. */
    const char *(*fault)(const void *context);
};

/** What is measured: a context for each thread. Zeroed: not open. */
struct peer {
    const struct peer_kind *kind;
    void *contexts[MATERIAL_MAX_THREADS]; /* [threads] */
};

/** Opens a context for each thread of the material; on failure nothing is open. */
enum rdl_status peer_open(const struct peer_kind *kind, const struct material_plan *plan,
                          const struct material *material, struct peer *out,
                          struct rdl_error *error);
/** Harmless on one that is not open. */
void peer_close(struct peer *peer);

/** Raddle: one shared model. */
extern const struct peer_kind peer_raddle;

/** ONNX Runtime's C API: Run on one session, RunWithBinding on one session, Run on a session a
 * thread. Arena on, all optimisations, in each. */
extern const struct peer_kind peer_ort_shared, peer_ort_binding, peer_ort_own;

/** OpenVINO's C API in f32 with static shapes: one compiled model with a stream and a request a
 * thread, a compiled model a thread. */
extern const struct peer_kind peer_openvino_shared, peer_openvino_own;

#endif
