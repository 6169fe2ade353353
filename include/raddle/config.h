/*
 * Process-wide settings: the host allocator and the log sink; and the knobs' effective values.
 */
#ifndef RADDLE_CONFIG_H
#define RADDLE_CONFIG_H

#include "raddle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Host memory functions. All three are given, and may be called by any thread at the same time.
 * Thread: any; they must not call the library.
 */
struct rdl_allocator {
    /** size_bytes of memory at a multiple of align_bytes (a power of two), or NULL. */
    void *(*allocate)(size_t size_bytes, size_t align_bytes, void *user);
    /** Frees what allocate gave; memory is never NULL. */
    void (*free)(void *memory, void *user);
    /** Passed to both. */
    void *user;
};

/** How grave a log line is. */
enum rdl_log_level { RDL_LOG_ERROR = 1, RDL_LOG_WARNING = 2, RDL_LOG_INFO = 3, RDL_LOG_DEBUG = 4 };

/**
 * Receives one log line, without newline. Called under no lock of the library, on any thread.
 * It must not call the library.
 */
typedef void (*rdl_log_fn)(enum rdl_log_level level, const char *line, void *user);

/** Settings that hold for the whole process. Zeroed fields mean the default. */
struct rdl_config {
    size_t size;                           /* sizeof(struct rdl_config) */
    const struct rdl_allocator *allocator; /* NULL: aligned_alloc and free */
    rdl_log_fn log;                        /* NULL: nothing is logged */
    void *log_user;                        /* passed to log */
    enum rdl_log_level log_level;          /* gravest level left out + 1; 0: RDL_LOG_WARNING */
    uint32_t worker_threads;               /* most threads of the worker pool; 0: allowed cores */
};

/**
 * Sets the process-wide settings. To be called at most once, before any other function that makes
 * something (readers such as rdl_version are allowed).
 *
 * @param config  copied, and the allocator it points to
 * @param error   NULL allowed
 * @return RDL_ERR_STATE (the library was used before, or configured already), RDL_ERR_ARGUMENT
 *         (config NULL, unknown size, an allocator with a NULL function)
 * Thread: any; the first wins.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_configure(const struct rdl_config *config,
                                                    struct rdl_error *error);

/**
 * Shuts the runtime down: new work is refused with RDL_ERR_SHUTDOWN, work in flight is cancelled and
 * waited for, all devices are closed and worker threads joined. What users still hold (tensors,
 * values, buffers of host memory) stays valid. Calling it again is harmless. A process may end
 * without it: exit neither waits nor crashes.
 *
 * @param deadline_ns  latest time (rdl_now_ns clock) to return; RDL_FOREVER waits without bound
 * @return RDL_ERR_DEADLINE: something was still running; it stays valid and may be waited for by
 *         another call
 * Thread: any; blocks until the deadline at the latest. Not from a callback (RDL_ERR_STATE).
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_shutdown(int64_t deadline_ns, struct rdl_error *error);

/** A deadline that never comes. */
#define RDL_FOREVER INT64_MAX
/** A deadline that has passed: what cannot be had at once fails at once. */
#define RDL_NO_WAIT INT64_C(0)

/** Nanoseconds of the monotonic clock that all deadlines count in. Thread: any; never blocks. */
RDL_API int64_t rdl_now_ns(void);

/** The deadline `duration_ns` from now; a negative duration gives RDL_FOREVER. */
RDL_API int64_t rdl_deadline_in_ns(int64_t duration_ns);

/** A cancel token: makes waits and runs that carry it return RDL_ERR_CANCELLED. Counted. */
struct rdl_cancel;

/**
 * Makes a token, one reference owned by the caller.
 * @return RDL_ERR_ARGUMENT (out NULL), RDL_ERR_NO_MEMORY
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_cancel_new(struct rdl_cancel **out,
                                                     struct rdl_error *error);
/** Cancels: every wait and run that carries the token ends, now and later. Thread: any. */
RDL_API void rdl_cancel_request(struct rdl_cancel *cancel);
/** Whether rdl_cancel_request was called. Thread: any; never blocks. */
RDL_API bool rdl_cancel_requested(const struct rdl_cancel *cancel);
/** Takes one more reference and returns cancel. Thread: any; never blocks. */
RDL_API struct rdl_cancel *rdl_cancel_retain(struct rdl_cancel *cancel);
/** Gives a reference back; the last one frees. NULL is allowed. Thread: any. */
RDL_API void rdl_cancel_release(struct rdl_cancel *cancel);

/**
 * The effective value of a process-wide knob, as text: "worker_threads", "log_level", "isa" (instruction
 * set of the kernels), "isa_found" (the best that the machine has), "isa_asked" (value of the environment
 * variable RADDLE_ISA, or none), "allowed_cores", "affinity_cores" (of the affinity mask), "quota_cores"
 * (of the cgroup, rounded up, or none), "page_bytes".
 *
 * The library reads one environment variable: RADDLE_ISA, one of portable, avx2 and avx512, asks for an
 * instruction set below the machine's best. A value that the machine does not have is logged as a warning
 * at the library's first use, and the best is used.
 *
 * @param name      the knob
 * @param out       [size_bytes], receives the zero-terminated text, cut if too long
 * @return RDL_ERR_NOT_FOUND (no such knob), RDL_ERR_ARGUMENT
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_knob(const char *name, char *out, size_t size_bytes);

/** Name of knob `index`, for listing them all; NULL behind the last. Thread: any. */
RDL_API const char *rdl_knob_name(size_t index);

#ifdef __cplusplus
}
#endif
#endif
