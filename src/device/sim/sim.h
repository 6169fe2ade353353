/*
 * The simulated device: an accelerator made of CPU threads, for tests.
 *
 * It is truly asynchronous: worker threads take the streams' work in a seeded random order, after
 * seeded random delays. Its memory has addresses at which the host faults: the region is mapped twice,
 * once without access at the addresses that the runtime sees, once readable at an alias that only the
 * workers use. It plays faults on demand, poisons memory that is handed out and given back, and checks
 * at each submit that what the work touches is live, and that work of other streams on the same bytes
 * is ordered before it by waits (vector clocks). What it finds is counted and fails the work.
 *
 * Threading: `lock` guards everything but what is fixed after open and the alias memory, which a
 * worker touches while it runs a stream's piece of work (the stream is marked busy, so one worker).
 * Workers run work, sleep and poison without the lock. Who waits for a stream that is not busy takes off
 * it, under the lock, what has been stopped: that runs nothing and touches no memory of the device.
 * Rank SIM: under it only parked threads are woken.
 */
#ifndef RDL_DEVICE_SIM_SIM_H
#define RDL_DEVICE_SIM_SIM_H

#include "device/device.h"
#include "os/thread.h"

#define SIM_MAX_STREAMS 1100 /* most lanes of a device, and some */
#define SIM_MAX_RANGES 16384 /* most segments, and most pieces of memory in use */
#define SIM_MAX_USES 65536   /* most uses of bytes that the host has not seen pass */

enum sim_kind { SIM_SEGMENT, SIM_COPY, SIM_FILL, SIM_RECORD, SIM_WAIT };

/** A piece of work in a stream. */
struct sim_work {
    struct sim_work *next;
    enum sim_kind kind;
    struct rdl__progress *progress; /* NULL: none */
    struct rdl__mark *mark;         /* RECORD */
    struct rdl__point point;        /* WAIT */
    const struct rdl__segment *segment;
    void *dst; /* COPY, FILL: host or device address */
    const void *src;
    size_t size_bytes;
    uint8_t value;
    bool broken;      /* the check found a fault: the work fails instead of running */
    uint32_t n_bases; /* SEGMENT: bases[n_bases] follows */
    void *bases[];
};

/** What a stream's work is known to come after: for each stream the last number. */
struct sim_clock {
    struct sim_clock *older;
    uint64_t from;   /* holds for numbers of the stream from here on */
    uint64_t seen[]; /* [SIM_MAX_STREAMS] */
};

struct sim_stream {
    struct sim_device *device;
    uint32_t index;
    struct sim_work *head, *tail; /* submitted, oldest first */
    bool busy;                    /* a worker runs head */
    uint64_t submitted;           /* number of the newest piece */
    uint64_t completed;
    struct rdl__watch *watches;
    struct sim_clock *clock; /* newest first */
};

/** A use of bytes by a stream's work, kept until the host has seen it pass. */
struct sim_use {
    uintptr_t begin, end;
    uint64_t number;
    uint32_t stream;
    bool write;
};

/** A range of the region: free, or taken by a segment of the allocator. */
struct sim_range {
    uintptr_t begin, end;
};

/** The lists are of fixed size, so that no check fails for want of memory. */
struct sim_device {
    struct rdl_sim_options options;
    char *region; /* addresses that the runtime sees; no access */
    char *alias;  /* the same memory, for workers */
    size_t region_bytes;
    struct rdl__thread *threads; /* [n_threads] */
    uint32_t n_threads;

    struct rdl__lock lock;
    struct rdl__cond work_cond; /* workers wait for work or the end */
    bool ending RDL_GUARDED_BY(&lock);
    bool lost RDL_GUARDED_BY(&lock);
    uint64_t random RDL_GUARDED_BY(&lock);
    struct sim_stream *streams[SIM_MAX_STREAMS] RDL_GUARDED_BY(&lock);
    uint32_t n_streams RDL_GUARDED_BY(&lock); /* highest index used + 1 */
    size_t n_taken RDL_GUARDED_BY(&lock), n_live RDL_GUARDED_BY(&lock),
        n_uses RDL_GUARDED_BY(&lock);
    struct sim_range
        taken[SIM_MAX_RANGES] RDL_GUARDED_BY(&lock);             /* sorted segments of the region */
    struct sim_range live[SIM_MAX_RANGES] RDL_GUARDED_BY(&lock); /* sorted: handed out to users */
    struct sim_use uses[SIM_MAX_USES] RDL_GUARDED_BY(&lock);
    uint64_t host_seen[SIM_MAX_STREAMS] RDL_GUARDED_BY(&lock);

    /* Calls so far, for the n-th failure; atomic since some are counted without the lock. */
    _Atomic uint64_t allocs, submits, waits, stream_news;
    _Atomic uint64_t violations; /* faults that the checks found */
};

/** Counts a call and says whether it is the one to fail (n), or a later one if faults stay. */
bool sim_fault(struct sim_device *device, _Atomic uint64_t *calls, uint64_t n);

/** The alias of an address in the region; other addresses (the host's) as they are. */
void *sim_alias(const struct sim_device *device, const void *address);

/* sim_memory.c */
enum rdl_status sim_memory_map(struct sim_device *device, struct rdl_error *error);
void sim_memory_unmap(struct sim_device *device);
enum rdl_status sim_memory_new(void *object, size_t size_bytes, void **out);
void sim_memory_free(void *object, void *memory, size_t size_bytes);
void sim_memory_live(void *object, void *stream, void *memory, size_t size_bytes, bool live);

/* sim_check.c */
/** Checks one use of a piece of work about to be submitted and remembers it; false: a fault. */
bool sim_check_use_locked(struct sim_stream *stream, uint64_t number, const void *address,
                          size_t size_bytes, bool write) RDL_REQUIRES(stream->device->lock);
/** The stream's work from `number` on comes after the point. */
void sim_check_wait_locked(struct sim_stream *stream, uint64_t number, struct rdl__point point,
                           struct sim_clock *fresh) RDL_REQUIRES(stream->device->lock);
/** The host has seen the point pass. */
void sim_check_seen_locked(struct sim_device *device, struct rdl__point point)
    RDL_REQUIRES(device->lock);
/** Memory for one clock; to be had before the lock is taken. */
struct sim_clock *sim_clock_new(void);

/** Number of faults that a sim device's checks found: work on memory that is not live, work on bytes
 * that another stream's unordered work uses. For tests. @param device the backend's device */
uint64_t rdl__sim_violations(void *device);

#endif
