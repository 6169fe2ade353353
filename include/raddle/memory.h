/*
 * Device memory: buffers, copies, limits and statistics.
 *
 * Memory comes from a caching allocator. A buffer belongs to the stream that it was allocated for; if
 * work on other streams uses it, rdl_buffer_record_stream says so, and its memory is reused only when
 * the work that those streams hold at the time of the last release has run.
 *
 * When the device is full only the caller that asks is hit: caches are trimmed, frees that are under
 * way are waited for, and then the call waits for memory up to its deadline, in order of arrival.
 */
#ifndef RADDLE_MEMORY_H
#define RADDLE_MEMORY_H

#include "raddle/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A piece of device memory, counted. */
struct rdl_buffer;

/** How to allocate a buffer. Zeroed fields mean the default. */
struct rdl_buffer_options {
    size_t size;               /* sizeof(struct rdl_buffer_options) */
    struct rdl_stream stream;  /* stream whose order the buffer's reuse follows; 0: none, the memory
                                  is idle when it is handed out */
    int64_t deadline_ns;       /* latest time to wait for memory; 0 (RDL_NO_WAIT): fail at once */
    struct rdl_cancel *cancel; /* NULL allowed */
};

/**
 * Allocates size_bytes of device memory, 256-byte aligned, uninitialised.
 *
 * @param size_bytes  0 is allowed
 * @param options     NULL: no stream, no wait
 * @param out         receives the buffer, one reference owned by the caller; NULL on failure
 * @return RDL_ERR_NO_MEMORY (the message says who holds the bytes), RDL_ERR_DEADLINE,
 *         RDL_ERR_CANCELLED, RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT, RDL_ERR_OVERFLOW,
 *         RDL_ERR_DEVICE_LOST
 * Thread: any; blocks only if a deadline is given.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_buffer_new(struct rdl_device device, size_t size_bytes,
                                                     const struct rdl_buffer_options *options,
                                                     struct rdl_buffer **out,
                                                     struct rdl_error *error);

/** Takes one more reference and returns buffer. Thread: any; never blocks. */
RDL_API struct rdl_buffer *rdl_buffer_retain(struct rdl_buffer *buffer);
/** Gives a reference back; the last one frees. NULL is allowed. Thread: any; never blocks. */
RDL_API void rdl_buffer_release(struct rdl_buffer *buffer);
/** Address: of the host, or of the device if the host cannot read it. */
RDL_API void *rdl_buffer_data(const struct rdl_buffer *buffer);
/** Size that was asked for, in bytes. */
RDL_API size_t rdl_buffer_size(const struct rdl_buffer *buffer);
/** Whether the host may read and write at rdl_buffer_data(). */
RDL_API bool rdl_buffer_is_host(const struct rdl_buffer *buffer);

/**
 * Says that work in `stream` uses the buffer: its memory is not reused before the work that the stream
 * holds when the last reference is given back has run.
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT (another device), RDL_ERR_NO_MEMORY
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_buffer_record_stream(struct rdl_buffer *buffer,
                                                               struct rdl_stream stream,
                                                               struct rdl_error *error);

/**
 * Copies from host memory into the buffer, ordered in the stream; returns when the copy has run.
 *
 * @param src  [size_bytes] host memory
 * @return RDL_ERR_BUFFER_SIZE (range outside the buffer), RDL_ERR_DEADLINE (nothing touches src any
 *         more), RDL_ERR_CANCELLED, RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_DEVICE,
 *         RDL_ERR_DEVICE_LOST, RDL_ERR_NO_MEMORY
 * Thread: any; blocks.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_buffer_write(struct rdl_buffer *buffer, size_t offset_bytes, const void *src, size_t size_bytes,
                 struct rdl_stream stream, int64_t deadline_ns, struct rdl_error *error);

/** Copies out of the buffer into host memory dst, [size_bytes]; otherwise as rdl_buffer_write. */
RDL_API RDL_NODISCARD enum rdl_status rdl_buffer_read(const struct rdl_buffer *buffer,
                                                      size_t offset_bytes, void *dst,
                                                      size_t size_bytes, struct rdl_stream stream,
                                                      int64_t deadline_ns, struct rdl_error *error);

/** Submits a copy of size_bytes between buffers of one device; does not wait for it. The buffers'
 * memory outlives the copy if they belong to the stream or recorded it.
 * @return RDL_ERR_BUFFER_SIZE, RDL_ERR_ARGUMENT (devices differ), RDL_ERR_CLOSED, RDL_ERR_FORKED,
 *         RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status
rdl_buffer_copy(struct rdl_buffer *dst, size_t dst_offset_bytes, const struct rdl_buffer *src,
                size_t src_offset_bytes, size_t size_bytes, struct rdl_stream stream,
                struct rdl_error *error);

/** Submits a fill of size_bytes with one byte value; does not wait. @return as rdl_buffer_copy. */
RDL_API RDL_NODISCARD enum rdl_status rdl_buffer_fill(struct rdl_buffer *buffer,
                                                      size_t offset_bytes, uint8_t value,
                                                      size_t size_bytes, struct rdl_stream stream,
                                                      struct rdl_error *error);

/**
 * Gives cached memory back to the system: every cache of every lane, and arenas of lanes that are not
 * leased. @param freed_bytes receives how much; NULL allowed
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED. Thread: any; does not wait for running work.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_memory_trim(struct rdl_device device,
                                                      size_t *freed_bytes);

/** Sets the hard limit of reserved memory; 0: none. What is reserved above it stays until it is freed.
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status rdl_memory_set_limit(struct rdl_device device,
                                                           size_t limit_bytes);

/* X(enumerator, "key"): statistics, under PyTorch's memory_stats key names. */
#define RDL_MEMORY_STAT_LIST(X)                                                                    \
    X(ALLOCATED_BYTES_CURRENT, "allocated_bytes.all.current")                                      \
    X(ALLOCATED_BYTES_PEAK, "allocated_bytes.all.peak")                                            \
    X(ALLOCATED_BYTES_ALLOCATED, "allocated_bytes.all.allocated")                                  \
    X(ALLOCATED_BYTES_FREED, "allocated_bytes.all.freed")                                          \
    X(ALLOCATION_CURRENT, "allocation.all.current")                                                \
    X(ALLOCATION_ALLOCATED, "allocation.all.allocated")                                            \
    X(ALLOCATION_FREED, "allocation.all.freed")                                                    \
    X(RESERVED_BYTES_CURRENT, "reserved_bytes.all.current")                                        \
    X(RESERVED_BYTES_PEAK, "reserved_bytes.all.peak")                                              \
    X(SEGMENT_CURRENT, "segment.all.current")                                                      \
    X(ACTIVE_BYTES_CURRENT, "active_bytes.all.current")                                            \
    X(INACTIVE_SPLIT_BYTES_CURRENT, "inactive_split_bytes.all.current")                            \
    X(REQUESTED_BYTES_CURRENT, "requested_bytes.all.current")                                      \
    X(NUM_ALLOC_RETRIES, "num_alloc_retries")                                                      \
    X(NUM_OOMS, "num_ooms")

/** Index of a statistic. */
enum rdl_memory_stat {
#define RDL_MEMORY_STAT_ENUM(name, key) RDL_MEMORY_STAT_##name,
    RDL_MEMORY_STAT_LIST(RDL_MEMORY_STAT_ENUM)
#undef RDL_MEMORY_STAT_ENUM
        RDL_MEMORY_STAT_COUNT
};

/** The key of a statistic, e.g. "allocated_bytes.all.current"; NULL if out of range. Static. */
RDL_API const char *rdl_memory_stat_key(enum rdl_memory_stat stat);

/**
 * Reads all statistics.
 *
 * "allocated" is memory in use by buffers and arenas, "active" adds memory whose free still waits for
 * device work, "reserved" is what the device gave, caches included. Peaks of allocated bytes are taken
 * when memory passes between lanes and store, not at every call: they may miss a short spike (not
 * exact); peaks of reserved bytes are exact.
 *
 * @param out  [RDL_MEMORY_STAT_COUNT] values
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_memory_stats(struct rdl_device device, int64_t *out);

#ifdef __cplusplus
}
#endif
#endif
