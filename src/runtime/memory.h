/*
 * Device memory: the caching allocator behind buffers, arenas and outputs.
 *
 * Memory comes from the backend in segments, which are cut into blocks. Three levels:
 *
 *   lane cache   blocks that the lane freed or was given, by size class; touched only by whoever holds
 *                the lane. No lock: this is the hot path.
 *   remote list  blocks of a lane's that other threads freed: a stack pushed by compare-and-swap and
 *                taken whole by whoever holds the lane (taking whole makes ABA impossible).
 *   store        all free blocks of the device, under one lock (rank MEMORY), best fit by class, split
 *                and joined with free neighbours. A segment that is wholly free can go back.
 *
 * A block follows the order of its home lane's stream: in the lane's cache it may still be in use by
 * work in that stream, and is handed out only for the same stream, or while the lane is free, which
 * means that its stream is idle. A block that other streams used is freed with a list of points, one
 * for each of them, taken at the free; it waits in `pending` until all have passed.
 *
 * When memory runs out, the caller who asks goes down a ladder: the store; a new segment; the caches
 * and arenas of all lanes that nobody holds, and all remote lists; pending frees, waited for; and then
 * a queue, first in first out, served as memory comes back, until the deadline. While callers queue,
 * the attention bit makes everyone who frees hand over to the store at once. A run asks for all that it
 * needs in one request and holds nothing while it waits, so waiting for memory cannot deadlock.
 *
 * The limit is charged by segment. Counters of blocks in use are kept where blocks are handed out, in
 * lane caches and in the store, and summed by rdl_memory_stats.
 */
#ifndef RDL_RUNTIME_MEMORY_H
#define RDL_RUNTIME_MEMORY_H

#include "device/device.h"
#include "os/cpu.h"
#include "raddle/memory.h"
#include "runtime/cancel.h"

struct rdl__device;
struct rdl__lane;
struct rdl__block_chunk;
struct rdl__memory_waiter;
struct rdl__memory_segment;

/** Number of size classes of free blocks: four for each power of two from 256 bytes to 2^48. */
#define RDL__SIZE_CLASSES 164
/** Smallest block. */
#define RDL__BLOCK_MIN 256
/** Most bytes and blocks that a lane's cache keeps. */
#define RDL__LANE_CACHE_BYTES ((size_t)64 << 20)
#define RDL__LANE_CACHE_BLOCKS 64

/** A piece of a segment. Descriptors are reused, never freed before the device is closed; each has its
 * own cache line, since a block in a lane's cache is written by calls on that lane. */
struct rdl__block {
    _Alignas(RDL__CACHE_LINE) char *address;
    size_t size_bytes;      /* of the block; >= what was asked for */
    size_t requested_bytes; /* what was asked for */
    struct rdl__memory_segment *segment;
    struct rdl__block *before, *after; /* neighbours by address; guarded by the store's lock */
    struct rdl__block *next;           /* in a cache, a free list, a remote list, pending */
    struct rdl__block *previous;       /* in a free list of the store */
    struct rdl__lane *home;            /* lane whose stream it follows; NULL: none */
    bool is_free;                      /* in the store; guarded by its lock */
    uint32_t n_points;                 /* pending: points to pass */
    struct rdl__point *points;         /* [n_points], heap */
};

/** Counters of one lane or of the store; each written by its owner, read by any (relaxed). */
struct rdl__memory_counts {
    _Atomic int64_t allocations, frees;
    _Atomic int64_t allocated_bytes, freed_bytes; /* block sizes */
    _Atomic int64_t requested_bytes, requested_freed_bytes;
};

/** Free blocks of a lane; the holder's. */
struct rdl__lane_cache {
    struct rdl__block *blocks[RDL__LANE_CACHE_BLOCKS]; /* newest last */
    uint32_t n_blocks;
    size_t bytes;
    struct rdl__memory_counts counts;
};

struct rdl__memory {
    struct rdl__lock lock; /* rank MEMORY */
    struct rdl__block *free_lists[RDL__SIZE_CLASSES] RDL_GUARDED_BY(&lock);
    uint64_t filled[(RDL__SIZE_CLASSES + 63) / 64] RDL_GUARDED_BY(&lock); /* bit: list not empty */
    struct rdl__memory_segment *segments RDL_GUARDED_BY(&lock);
    struct rdl__block *spare_blocks RDL_GUARDED_BY(&lock); /* descriptors not in use */
    struct rdl__block_chunk *chunks RDL_GUARDED_BY(&lock); /* where descriptors lie */
    struct rdl__block *pending RDL_GUARDED_BY(&lock);      /* oldest last */
    size_t pending_bytes RDL_GUARDED_BY(&lock);
    size_t free_bytes RDL_GUARDED_BY(&lock);  /* of free_lists */
    size_t split_bytes RDL_GUARDED_BY(&lock); /* of free blocks whose segment is partly in use */
    size_t n_segments RDL_GUARDED_BY(&lock);
    size_t reserved_bytes RDL_GUARDED_BY(&lock); /* segments, and those being asked for */
    size_t reserved_peak RDL_GUARDED_BY(&lock);
    size_t limit_bytes RDL_GUARDED_BY(&lock);              /* 0: none */
    struct rdl__memory_waiter *head RDL_GUARDED_BY(&lock); /* oldest first */
    struct rdl__memory_waiter *tail RDL_GUARDED_BY(&lock);
    uint32_t n_waiters RDL_GUARDED_BY(&lock);
    uint64_t
        frees RDL_GUARDED_BY(&lock); /* times that memory came back: who looks, then waits, sees
                                             whether it missed one */
    uintptr_t
        climber RDL_GUARDED_BY(&lock); /* token of the thread that is first in the queue and on
                                                the ladder; 0: none */
    struct rdl__memory_counts counts;  /* of blocks handed out by the store itself */
    int64_t allocated_peak RDL_GUARDED_BY(&lock); /* as far as rdl__memory_read_stats saw */
    _Atomic int64_t retries, ooms;
};

/** One piece of a request. */
struct rdl__memory_want {
    size_t size_bytes;
    struct rdl__block *block; /* out */
};

/** Makes the memory of a device object, once in its life. */
void rdl__memory_init(struct rdl__device *device);
/** Makes it as new: nothing is in use and all segments went back. */
void rdl__memory_reset(struct rdl__device *device);

/** A block out of the cache of a lane that the caller holds, for its stream or while it is idle; NULL
 * if the cache has none that fits. No lock. */
struct rdl__block *rdl__memory_take_cached(struct rdl__lane *lane, size_t size_bytes);

/**
 * Allocates all pieces, or none. First without waiting; then down the ladder, up to the deadline.
 *
 * @param lane   home of the blocks; held by the caller, or NULL for memory that must be idle now
 * @param wants  [n]
 * @return RDL_ERR_NO_MEMORY (deadline RDL_NO_WAIT, or more than the limit or the device ever has),
 *         RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_CLOSED, RDL_ERR_DEVICE_LOST; the message says
 *         who holds the bytes
 */
enum rdl_status rdl__memory_alloc(struct rdl__device *device, struct rdl__lane *lane,
                                  struct rdl__memory_want *wants, size_t n, int64_t deadline_ns,
                                  struct rdl_cancel *cancel, struct rdl_error *error);

/** Gives a block back to the cache of a lane that the caller holds, which is the block's home. */
void rdl__memory_free_here(struct rdl__lane *lane, struct rdl__block *block);

/** Gives a block back from any thread, holding no lane. points [n] of other streams' last work are
 * copied; if there is no memory for that they are waited for. */
void rdl__memory_free(struct rdl__device *device, struct rdl__block *block,
                      const struct rdl__point *points, uint32_t n);

/** Gives a block back to the store; nothing uses it. */
void rdl__memory_free_idle(struct rdl__device *device, struct rdl__block *block);

/** Moves the cache of a lane that the caller uses into its remote list, where trimming reaches it: to be
 * called when a turn of a held stream ends, since nobody else can take that lane. */
void rdl__memory_share_cache(struct rdl__lane *lane);

/** Empties the cache, the remote list and the arena of a lane that the caller holds and whose stream
 * is idle into the store. */
void rdl__memory_flush_lane(struct rdl__lane *lane);

/** Moves pending blocks whose points have passed to the store. Under no lock. */
void rdl__memory_poll_pending(struct rdl__device *device);

/** Flushes all lanes that nobody holds, and gives wholly free segments back; bytes given back. */
size_t rdl__memory_trim(struct rdl__device *device);

/** Sets the limit; who waits looks again. */
void rdl__memory_limit(struct rdl__device *device, size_t limit_bytes);

/** Fills out [RDL_MEMORY_STAT_COUNT] and notes the peak. */
void rdl__memory_read_stats(struct rdl__device *device, int64_t *out);

/** Wakes all who wait for memory, and makes all frees go to the store: the device is closing. */
void rdl__memory_refuse(struct rdl__device *device);

/** In a forked child: forgets those who wait, who are gone. The process has one thread. */
void rdl__memory_after_fork(struct rdl__device *device);

/** Whether callers queue for memory; one load of a line that is seldom written. */
bool rdl__memory_is_wanted(struct rdl__device *device);

#endif
