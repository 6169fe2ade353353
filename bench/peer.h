/*
 * A peer: one way to run a model, measured beside others. Each thread has a context of its own,
 * with inputs and outputs bound before any clock runs.
 */
#ifndef RADDLE_BENCH_PEER_H
#define RADDLE_BENCH_PEER_H

#include "material.h"

/** What is measured. Zeroed: not open. */
struct peer {
    bool (*call)(void *context);          /* one inference; false on a fault */
    void *contexts[MATERIAL_MAX_THREADS]; /* [threads] */
    /** Elements of output `index` of a context after a call, borrowed. */
    const void *(*output)(const void *context, size_t index);
    /** The last fault of a context, in words. */
    const char *(*fault)(const void *context);
    void (*close)(struct peer *peer);
    void *shared; /* of the peer itself */
};

/** A way to run models. */
struct peer_kind {
    const char *name;   /* of the way */
    const char *engine; /* of the library, one for all its ways */
    /** Opens the engine's library, once a process; NULL if nothing is to be opened. */
    enum rdl_status (*open_library)(const char *library, struct rdl_error *error);
    /** Loads the model once or for each thread, width 1 within a call, and binds the material. */
    enum rdl_status (*open)(const struct peer_kind *kind, const struct material_plan *plan,
                            const struct material *material, struct peer *out,
                            struct rdl_error *error);
    /** Version of the opened library, static. */
    const char *(*version)(void);
    int way; /* among the engine's */
};

/** Raddle: one shared model. */
extern const struct peer_kind peer_raddle;

/** ONNX Runtime's C API: Run on one session, RunWithBinding on one session, Run on a session a
 * thread. Arena on, all optimisations, in each. */
extern const struct peer_kind peer_ort_shared, peer_ort_binding, peer_ort_own;

/** OpenVINO's C API in f32 with static shapes: one compiled model with a stream and a request a
 * thread, a compiled model a thread. */
extern const struct peer_kind peer_openvino_shared, peer_openvino_own;

#endif
