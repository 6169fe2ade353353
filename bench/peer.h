/*
 * A peer: one way to run a model, measured beside others. Each thread has a context of its own,
 * with inputs and outputs bound before any clock runs.
 */
#ifndef RADDLE_BENCH_PEER_H
#define RADDLE_BENCH_PEER_H

#include "cli/load.h"

/** What is measured. */
struct peer {
    const char *name;
    bool (*call)(void *context); /* one inference; false on a fault */
    void *contexts[64];          /* [threads] */
    /** Output `index` of a context after a call: its bytes, borrowed. */
    const void *(*output)(const void *context, size_t index, size_t *out_bytes);
    /** The last fault of a context, in words. */
    const char *(*fault)(const void *context);
    void (*close)(struct peer *peer);
};

/** Raddle: one shared model, the inputs of load. */
enum rdl_status peer_open_raddle(const struct load *load, struct peer *out,
                                 struct rdl_error *error);

/** How ONNX Runtime is used: Run on one session, RunWithBinding on one session, Run on a session a
 * thread. Intra-op width 1, arena on, all optimisations, in each. */
enum ort_use { ORT_SHARED, ORT_BINDING, ORT_OWN };

/**
 * ONNX Runtime's C API on the same inputs.
 * @param library  path of libonnxruntime.so
 * @param path     the model
 */
enum rdl_status peer_open_ort(const char *library, const char *path, const struct load *load,
                              enum ort_use use, struct peer *out, struct rdl_error *error);

/** Version of the library that peer_open_ort opened, static; "" before. */
const char *peer_ort_version(void);

#endif
