/*
 * Devices: where models run.
 *
 * "cpu" runs work on the calling thread. "sim" is a test device: an accelerator simulated on CPU
 * threads, truly asynchronous, with memory that the host cannot touch, a seeded schedule and faults
 * on demand; it computes what "cpu" computes.
 *
 * A device has lanes: what a call leases while it runs (a stream, an arena, a block cache). Lane 0 is
 * the default one and never leased, so `lanes - 1` calls run at once; what happens to one more call is
 * the caller's choice, by deadline: RDL_NO_WAIT fails at once, a time waits until then, RDL_FOREVER
 * waits. Those who wait are served first come, first served.
 *
 * @code
 * struct rdl_device device;
 * struct rdl_error error;
 * if (rdl_device_open("cpu", NULL, &device, &error) != RDL_OK)
 *     fprintf(stderr, "%s\n", error.message);
 * @endcode
 */
#ifndef RADDLE_DEVICE_H
#define RADDLE_DEVICE_H

#include "raddle/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A device, by value: copy it freely. id 0 is no device. */
struct rdl_device {
    uint64_t id;
};

/** Faults that the "sim" device plays, for tests. n counts from 1 over the life of the device; 0 is
 * never. "Sticky" faults hit the n-th call and all later ones. */
struct rdl_sim_options {
    uint64_t seed;         /* of schedule and delays; the same seed gives the same delays */
    uint32_t workers;      /* threads that run streams; 0: 2 */
    uint32_t max_delay_us; /* longest random delay before a piece of work; 0: none */
    uint64_t fail_alloc;   /* n-th memory request fails */
    uint64_t fail_submit;  /* n-th submitted piece of work fails */
    uint64_t fail_wait;    /* n-th wait for an event fails */
    uint64_t fail_stream;  /* n-th making of a stream fails */
    uint64_t fail_thread;  /* n-th start of a worker thread fails */
    uint64_t lose_at;      /* the device is lost at the n-th piece of work */
    bool sticky;           /* the fail_* faults stay */
    size_t memory_bytes;   /* memory of the device; 0: 1 GiB */
};

/** How to open a device. Zeroed fields mean the default. */
struct rdl_device_options {
    size_t size;                       /* sizeof(struct rdl_device_options) */
    uint32_t lanes;                    /* 2..1024; 0: 32, on "cpu" max(32, 2 x allowed cores) */
    size_t memory_limit_bytes;         /* hard limit of memory reserved on the device; 0: none */
    uint32_t intra_op_threads;         /* most threads of one call; 0: 1; more is not there yet */
    uint32_t plan_cache;               /* plans kept for each model, 1..65536; 0: 64 */
    const struct rdl_sim_options *sim; /* only for "sim"; NULL: no faults, no delays */
};

/**
 * Opens a device.
 *
 * With options NULL all callers share one device a name, made at the first call, and closing it is
 * not needed. With options each call makes a device of its own.
 *
 * @param name     "cpu" or "sim"
 * @param options  NULL: the shared device
 * @param out      receives the handle; zero on failure
 * @param error    NULL allowed
 * @return RDL_ERR_NOT_FOUND (no such device), RDL_ERR_ARGUMENT (name or out NULL, size or a value of
 *         options out of range), RDL_ERR_UNSUPPORTED (intra_op_threads > 1), RDL_ERR_NO_MEMORY,
 *         RDL_ERR_THREAD, RDL_ERR_DEVICE, RDL_ERR_SHUTDOWN
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_device_open(const char *name,
                                                      const struct rdl_device_options *options,
                                                      struct rdl_device *out,
                                                      struct rdl_error *error);

/**
 * Closes a device: its models, streams, events and requests become stale (RDL_ERR_CLOSED), calls in
 * flight are cancelled and waited for, cached memory is given back. Buffers that are still held are
 * freed with their last reference, and so is the device then.
 *
 * @param deadline_ns  latest time to return
 * @return RDL_ERR_DEADLINE (work still in flight; the device stays closed for new work, and another
 *         call goes on waiting), RDL_ERR_CLOSED, RDL_ERR_STATE (called from a callback)
 * Thread: any; blocks.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_device_close(struct rdl_device device, int64_t deadline_ns, struct rdl_error *error);

/** What a device is. */
struct rdl_device_info {
    size_t size;                 /* in: sizeof(struct rdl_device_info) */
    char name[32];               /* "cpu", "sim" */
    char isa[32];                /* instruction set of its kernels */
    uint32_t lanes;              /* effective number of lanes */
    uint32_t lanes_leased;       /* leased now, held streams included; a snapshot */
    uint32_t lane_waiters;       /* callers that wait for a lane; a snapshot */
    uint32_t memory_waiters;     /* callers that wait for memory; a snapshot */
    uint32_t intra_op_threads;   /* effective */
    uint32_t plan_cache;         /* effective */
    uint64_t memory_limit_bytes; /* 0: none */
    bool host_memory;            /* whether the host can read the device's memory */
    bool asynchronous;           /* whether work runs beside the caller */
    bool lost;                   /* device loss is final */
};

/**
 * Fills *info.
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT (NULL, unknown size)
 * Thread: any; never blocks.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_device_get_info(struct rdl_device device,
                                                          struct rdl_device_info *info);

/**
 * Waits until all work that was submitted to the device before the call has run.
 * @return RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_DEVICE_LOST, RDL_ERR_CLOSED, RDL_ERR_FORKED
 * Thread: any; blocks, holding no lock.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_device_synchronize(struct rdl_device device,
                                                             int64_t deadline_ns,
                                                             struct rdl_cancel *cancel,
                                                             struct rdl_error *error);

#ifdef __cplusplus
}
#endif
#endif
