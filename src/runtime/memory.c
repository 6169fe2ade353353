/*
 * Device memory: lane caches, remote lists, pending frees, the ladder, and the queue of those who wait.
 * The argument is in memory.h; the store itself is store.c.
 */
#include "runtime/store.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "os/thread.h"
#include "runtime/lane.h"

#include <inttypes.h>
#include <string.h>

#define SMALL ((size_t)1 << 20)
#define SMALL_SEGMENT ((size_t)2 << 20)

struct rdl__memory_waiter {
    struct rdl__memory_waiter *next;
    struct rdl__park park;
    bool refused; /* guarded by the memory lock */
};

/* Notes a peak of memory in use, as far as the store sees it: when memory passes between the store and
 * the lanes. */
static void note_peak(struct rdl__device *device)
{
    int64_t values[RDL_MEMORY_STAT_COUNT];
    rdl__memory_read_stats(device, values);
}

/* ----------------------------------------------------------------------------------- counters */

static void add(_Atomic int64_t *counter, int64_t value)
{
    rdl__add_relaxed(counter, value); /* a statistic, orders nothing */
}

/* Adds to a counter that only the caller writes: a load and a store, no locked instruction. */
static void add_own(_Atomic int64_t *counter, int64_t value)
{
    rdl__store_relaxed(counter, rdl__load_relaxed(counter) + value);
}

static void count_out(struct rdl__device *device, struct rdl__lane *lane,
                      const struct rdl__block *block)
{
    if (lane != NULL) {
        add_own(&lane->cache.counts.allocations, 1);
        add_own(&lane->cache.counts.allocated_bytes, (int64_t)block->size_bytes);
        add_own(&lane->cache.counts.requested_bytes, (int64_t)block->requested_bytes);
    } else {
        add(&device->memory.counts.allocations, 1);
        add(&device->memory.counts.allocated_bytes, (int64_t)block->size_bytes);
        add(&device->memory.counts.requested_bytes, (int64_t)block->requested_bytes);
    }
}

/* What count_in needs of a block that is about to be given away. */
static struct rdl__block as_counted(const struct rdl__block *block)
{
    return (struct rdl__block){.size_bytes = block->size_bytes,
                               .requested_bytes = block->requested_bytes,
                               .home = block->home};
}

/* lane: the lane that the caller holds, or NULL: then the block's home counts, on the line that a free
 * from elsewhere writes anyway. */
static void count_in(struct rdl__device *device, struct rdl__lane *lane,
                     const struct rdl__block *block)
{
    struct rdl__memory_counts *others =
        block->home != NULL ? &block->home->remote_counts : &device->memory.counts;
    if (lane != NULL) {
        add_own(&lane->cache.counts.frees, 1);
        add_own(&lane->cache.counts.freed_bytes, (int64_t)block->size_bytes);
        add_own(&lane->cache.counts.requested_freed_bytes, (int64_t)block->requested_bytes);
    } else {
        add(&others->freed_bytes, (int64_t)block->size_bytes);
        add(&others->requested_freed_bytes, (int64_t)block->requested_bytes);
        /* Last, and seq_cst: a drained device whose counts are level may end right after it. Who frees
         * counts, then looks at the device's state; who drains sets the state, then looks at counts. */
        rdl__add_seq_cst(&others->frees, 1);
    }
}

/* --------------------------------------------------------------------------- handing out, back */

static void tell_live(struct rdl__device *device, struct rdl__block *block, bool live)
{
    if (device->backend->memory_live == NULL)
        return;
    void *stream = block->home != NULL ? block->home->stream : NULL;
    device->backend->memory_live(device->impl, stream, block->address, block->requested_bytes,
                                 live);
}

static struct rdl__block *hand_out(struct rdl__device *device, struct rdl__lane *lane,
                                   struct rdl__block *block, size_t size_bytes)
{
    block->home = lane;
    block->requested_bytes = size_bytes;
    count_out(device, lane, block);
    tell_live(device, block, true);
    return block;
}

/* Notes that memory came back, and wakes the first who waits; but not for what that one gives back
 * itself on its way up the ladder, after which it looks once more anyway. */
static void note_free_locked(struct rdl__memory *memory) RDL_REQUIRES(memory->lock)
{
    if (memory->climber == rdl__thread_token())
        return;
    memory->frees++;
    if (memory->head != NULL)
        rdl__park_wake(&memory->head->park);
}

static void put_all_locked(struct rdl__memory *memory, struct rdl__block *list)
    RDL_REQUIRES(memory->lock)
{
    while (list != NULL) {
        struct rdl__block *next = list->next;
        list->next = NULL;
        rdl__store_put_locked(memory, list);
        list = next;
    }
}

/* Puts idle blocks into the store and wakes the first who waits. */
static void store_put(struct rdl__device *device, struct rdl__block *list)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    put_all_locked(memory, list);
    note_free_locked(memory);
    rdl__lock_release(&memory->lock);
}

bool rdl__memory_is_wanted(struct rdl__device *device)
{
    return (rdl__load_seq_cst(&device->attention) & RDL__ATTENTION_MEMORY) != 0;
}

/* Puts a block with points to pass into the pending list. */
static void pend(struct rdl__device *device, struct rdl__block *block)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    block->next = memory->pending;
    memory->pending = block;
    memory->pending_bytes += block->size_bytes;
    note_free_locked(memory); /* the first who waits can wait for the points now */
    rdl__lock_release(&memory->lock);
}

/* Sends a block that its home's stream, and the streams of points, may still use towards the store. */
static void settle_block(struct rdl__device *device, struct rdl__block *block,
                         const struct rdl__point *points, uint32_t n)
{
    struct rdl__point last = {0};
    if (device->backend->asynchronous && block->home != NULL && block->home->stream != NULL)
        last = device->backend->tail(block->home->stream);
    const uint32_t all = n + (last.stream != NULL);
    if (all > 0)
        block->points = rdl__alloc(all * sizeof *points);
    if (all == 0) {
        store_put(device, block);
        return;
    }
    if (block->points == NULL) { /* no memory to remember them: wait for them */
        for (uint32_t i = 0; i < n; i++)
            rdl__device_drain(device, points[i]);
        rdl__device_drain(device, last);
        store_put(device, block);
        return;
    }
    if (n > 0)
        memcpy(block->points, points, n * sizeof *points);
    if (last.stream != NULL)
        block->points[n] = last;
    block->n_points = all;
    pend(device, block);
}

static bool all_passed(struct rdl__device *device, const struct rdl__block *block)
{
    for (uint32_t i = 0; i < block->n_points; i++) {
        bool passed;
        const enum rdl_status status =
            device->backend->query(device->impl, block->points[i], &passed);
        (void)rdl__device_note(device, status);
        if (!passed)
            return false;
    }
    return true;
}

static void clear_points(struct rdl__block *block)
{
    rdl__free(block->points);
    block->points = NULL;
    block->n_points = 0;
}

void rdl__memory_poll_pending(struct rdl__device *device)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    struct rdl__block *list = memory->pending;
    memory->pending = NULL;
    rdl__lock_release(&memory->lock);
    struct rdl__block *idle = NULL, *waiting = NULL, *last = NULL;
    size_t idle_bytes = 0;
    while (list != NULL) {
        struct rdl__block *next = list->next;
        if (all_passed(device, list)) {
            clear_points(list);
            idle_bytes += list->size_bytes;
            list->next = idle;
            idle = list;
        } else {
            list->next = waiting;
            waiting = list;
            if (last == NULL)
                last = list;
        }
        list = next;
    }
    if (waiting == NULL && idle == NULL)
        return;
    /* In one section: bytes that are neither pending nor in the store would look like a device that
     * has all its memory back. */
    rdl__lock_acquire(&memory->lock);
    memory->pending_bytes -= idle_bytes;
    if (waiting != NULL) {
        last->next = memory->pending;
        memory->pending = waiting;
    }
    put_all_locked(memory, idle);
    note_free_locked(memory); /* who looked meanwhile saw nothing pending */
    rdl__lock_release(&memory->lock);
}

/* --------------------------------------------------------------------------------- lane caches */

static void cache_push(struct rdl__lane_cache *cache, struct rdl__block *block)
{
    cache->blocks[cache->n_blocks++] = block;
    cache->bytes += block->size_bytes;
}

static bool cache_has_room(const struct rdl__lane_cache *cache, const struct rdl__block *block)
{
    return cache->n_blocks < RDL__LANE_CACHE_BLOCKS &&
           cache->bytes + block->size_bytes <= RDL__LANE_CACHE_BYTES;
}

/* Takes what others freed into the cache of a lane that the caller holds. */
static void take_remote(struct rdl__lane *lane)
{
    if (rdl__load_relaxed(&lane->remote) == NULL) /* a look; the exchange takes */
        return;
    struct rdl__block *list = rdl__exchange_seq_cst(&lane->remote, (struct rdl__block *)NULL);
    while (list != NULL) {
        struct rdl__block *next = list->next;
        list->next = NULL;
        if (cache_has_room(&lane->cache, list))
            cache_push(&lane->cache, list);
        else
            settle_block(lane->device, list, NULL, 0);
        list = next;
    }
}

/* The newest cached block that fits without wasting more than half of itself. */
static struct rdl__block *cache_pop(struct rdl__lane_cache *cache, size_t rounded)
{
    for (uint32_t i = cache->n_blocks; i-- > 0;) {
        struct rdl__block *block = cache->blocks[i];
        if (block->size_bytes < rounded || block->size_bytes / 2 > rounded)
            continue;
        cache->n_blocks--;
        memmove(&cache->blocks[i], &cache->blocks[i + 1],
                (cache->n_blocks - i) * sizeof(struct rdl__block *));
        cache->bytes -= block->size_bytes;
        return block;
    }
    return NULL;
}

struct rdl__block *rdl__memory_take_cached(struct rdl__lane *lane, size_t size_bytes)
{
    const size_t rounded = rdl__store_round(size_bytes);
    struct rdl__block *block = cache_pop(&lane->cache, rounded);
    if (block == NULL) {
        take_remote(lane);
        block = cache_pop(&lane->cache, rounded);
    }
    return block == NULL ? NULL : hand_out(lane->device, lane, block, size_bytes);
}

void rdl__memory_free_here(struct rdl__lane *lane, struct rdl__block *block)
{
    count_in(lane->device, lane, block);
    tell_live(lane->device, block, false);
    if (cache_has_room(&lane->cache, block) && !rdl__memory_is_wanted(lane->device))
        cache_push(&lane->cache, block);
    else
        settle_block(lane->device, block, NULL, 0);
}

/* Sends a lane's remote list to the store; from any thread. */
static void drain_remote(struct rdl__lane *lane)
{
    /* A look; the exchange takes. seq_cst: who passes by has set the attention bit before, and a block
     * that is pushed after the look is pushed by a thread that sees the bit. */
    if (rdl__load_seq_cst(&lane->remote) == NULL)
        return;
    struct rdl__block *list = rdl__exchange_seq_cst(&lane->remote, (struct rdl__block *)NULL);
    while (list != NULL) {
        struct rdl__block *next = list->next;
        list->next = NULL;
        settle_block(lane->device, list, NULL, 0);
        list = next;
    }
}

static void push_remote(struct rdl__lane *lane, struct rdl__block *block)
{
    struct rdl__block *head = rdl__load_relaxed(&lane->remote); /* the exchange below decides */
    do {
        block->next = head;
    } while (!rdl__cas_seq_cst(&lane->remote, &head, block));
    /* Who waits for memory sets the bit, then drains the remote lists: one of the two sees the other. */
    if (rdl__memory_is_wanted(lane->device))
        drain_remote(lane);
}

void rdl__memory_share_cache(struct rdl__lane *lane)
{
    while (lane->cache.n_blocks > 0) {
        struct rdl__block *block = lane->cache.blocks[--lane->cache.n_blocks];
        lane->cache.bytes -= block->size_bytes;
        push_remote(lane, block);
    }
}

void rdl__memory_free(struct rdl__device *device, struct rdl__block *block,
                      const struct rdl__point *points, uint32_t n)
{
    struct rdl__lane *lane = block->home;
    const struct rdl__block was = as_counted(block);
    tell_live(device, block, false);
    if (n > 0 || lane == NULL || rdl__memory_is_wanted(device)) {
        settle_block(device, block, points, n);
    } else {
        push_remote(lane, block);
    }
    /* Now that it is back: until then a drained device does not end. */
    count_in(device, NULL, &was);
    rdl__device_freed(device);
}

void rdl__memory_free_idle(struct rdl__device *device, struct rdl__block *block)
{
    const struct rdl__block was = as_counted(block);
    tell_live(device, block, false);
    store_put(device, block);
    count_in(device, NULL, &was); /* as in rdl__memory_free */
    rdl__device_freed(device);
}

void rdl__memory_flush_lane(struct rdl__lane *lane)
{
    take_remote(lane);
    struct rdl__block *list = NULL;
    for (uint32_t i = 0; i < lane->cache.n_blocks; i++) {
        struct rdl__block *block = lane->cache.blocks[i];
        block->next = list;
        list = block;
    }
    lane->cache.n_blocks = 0;
    lane->cache.bytes = 0;
    struct rdl__block *arena = lane->arena;
    if (arena != NULL) {
        count_in(lane->device, lane, arena);
        tell_live(lane->device, arena, false);
        arena->next = list;
        list = arena;
        lane->arena = NULL;
    }
    if (list != NULL)
        store_put(lane->device, list);
}

/* -------------------------------------------------------------------------------- the segments */

static bool charge(struct rdl__memory *memory, size_t size_bytes)
{
    rdl__lock_acquire(&memory->lock);
    size_t total;
    const bool fits = rdl__add_size(memory->reserved_bytes, size_bytes, &total) &&
                      (memory->limit_bytes == 0 || total <= memory->limit_bytes);
    if (fits) {
        memory->reserved_bytes = total;
        if (total > memory->reserved_peak)
            memory->reserved_peak = total;
    }
    rdl__lock_release(&memory->lock);
    return fits;
}

static void uncharge(struct rdl__memory *memory, size_t size_bytes)
{
    rdl__lock_acquire(&memory->lock);
    memory->reserved_bytes -= size_bytes;
    note_free_locked(memory);
    rdl__lock_release(&memory->lock);
}

/* Asks the backend for a segment in which `rounded` bytes fit, a larger one first if they are few. */
static enum rdl_status add_segment(struct rdl__device *device, size_t rounded)
{
    struct rdl__memory *memory = &device->memory;
    size_t size = rounded < SMALL ? SMALL_SEGMENT : rounded;
    if (!charge(memory, size)) {
        size = rounded;
        if (!charge(memory, size))
            return RDL_ERR_NO_MEMORY;
    }
    struct rdl__memory_segment *segment = rdl__alloc(sizeof *segment);
    void *address = NULL;
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    if (segment != NULL)
        status = device->backend->memory_new(device->impl, size, &address);
    if (status != RDL_OK) {
        rdl__free(segment);
        uncharge(memory, size);
        return rdl__device_note(device, status);
    }
    for (;;) {
        rdl__lock_acquire(&memory->lock);
        const bool ready = rdl__store_has_descriptors_locked(memory);
        if (ready)
            rdl__store_add_locked(memory, segment, address, size);
        rdl__lock_release(&memory->lock);
        if (ready)
            return RDL_OK;
        if (!rdl__store_need_descriptors(memory)) {
            device->backend->memory_free(device->impl, address, size);
            rdl__free(segment);
            uncharge(memory, size);
            return RDL_ERR_NO_MEMORY;
        }
    }
}

static size_t release_segments(struct rdl__device *device)
{
    struct rdl__memory *memory = &device->memory;
    size_t freed = 0;
    for (;;) {
        rdl__lock_acquire(&memory->lock);
        struct rdl__memory_segment *segment = rdl__store_detach_locked(memory);
        rdl__lock_release(&memory->lock);
        if (segment == NULL)
            return freed;
        device->backend->memory_free(device->impl, segment->address, segment->size_bytes);
        freed += segment->size_bytes;
        uncharge(memory, segment->size_bytes);
        rdl__free(segment);
    }
}

/* Sends the caches and arenas of lanes that nobody holds, and all remote lists, to the store. */
static void flush_lanes(struct rdl__device *device)
{
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        struct rdl__lane *lane = &device->lanes[i];
        if (rdl__lane_try(lane)) {
            rdl__memory_flush_lane(lane);
            rdl__lane_release_after_try(lane);
        } else {
            drain_remote(lane);
        }
    }
}

size_t rdl__memory_trim(struct rdl__device *device)
{
    flush_lanes(device);
    rdl__memory_poll_pending(device);
    return release_segments(device);
}

/* ---------------------------------------------------------------------------------- allocation */

static struct rdl__block *store_take(struct rdl__memory *memory, size_t rounded)
{
    if (!rdl__store_need_descriptors(memory))
        return NULL;
    rdl__lock_acquire(&memory->lock);
    struct rdl__block *block = rdl__store_take_locked(memory, rounded);
    rdl__lock_release(&memory->lock);
    return block;
}

/* One block, out of the lane's cache, the store, or a new segment. */
static enum rdl_status take_one(struct rdl__device *device, struct rdl__lane *lane,
                                struct rdl__memory_want *want)
{
    const size_t rounded = rdl__store_round(want->size_bytes);
    if (lane != NULL && (want->block = rdl__memory_take_cached(lane, want->size_bytes)) != NULL)
        return RDL_OK;
    struct rdl__block *block = store_take(&device->memory, rounded);
    if (block == NULL) {
        RDL_TRY(add_segment(device, rounded));
        block = store_take(&device->memory, rounded);
        if (block == NULL)
            return RDL_ERR_NO_MEMORY; /* another caller was faster */
    }
    want->block = hand_out(device, lane, block, want->size_bytes);
    note_peak(device);
    return RDL_OK;
}

static void give_back(struct rdl__device *device, struct rdl__lane *lane,
                      struct rdl__memory_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        count_in(device, lane, wants[i].block);
        tell_live(device, wants[i].block, false);
        settle_block(device, wants[i].block, NULL, 0);
        wants[i].block = NULL;
    }
}

/* All pieces or none, at once. */
static enum rdl_status take_all(struct rdl__device *device, struct rdl__lane *lane,
                                struct rdl__memory_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const enum rdl_status status = take_one(device, lane, &wants[i]);
        if (status != RDL_OK) {
            give_back(device, lane, wants, i);
            return status;
        }
    }
    return RDL_OK;
}

/* Sends the cache of the caller's own lane towards the store: trimming passes by lanes that are held,
 * and its stream may have work in flight. */
static void settle_own_cache(struct rdl__lane *lane)
{
    while (lane->cache.n_blocks > 0) {
        struct rdl__block *block = lane->cache.blocks[--lane->cache.n_blocks];
        lane->cache.bytes -= block->size_bytes;
        settle_block(lane->device, block, NULL, 0);
    }
}

/* take_all with all caches given back: again, if it took what others freed meanwhile into the lane's
 * cache without finding its piece there, since in the store that might join to what is wanted. */
static enum rdl_status take_all_trimmed(struct rdl__device *device, struct rdl__lane *lane,
                                        struct rdl__memory_want *wants, size_t n)
{
    enum rdl_status status;
    do {
        if (lane != NULL)
            settle_own_cache(lane);
        (void)rdl__memory_trim(device);
        status = take_all(device, lane, wants, n);
    } while (status == RDL_ERR_NO_MEMORY && lane != NULL && lane->cache.n_blocks > 0);
    return status;
}

/* take_all, then with caches given back, then with pending frees waited for. */
static enum rdl_status climb(struct rdl__device *device, struct rdl__lane *lane,
                             struct rdl__memory_want *wants, size_t n, int64_t deadline_ns,
                             struct rdl_cancel *cancel)
{
    enum rdl_status status = take_all(device, lane, wants, n);
    if (status != RDL_ERR_NO_MEMORY)
        return status;
    add(&device->memory.retries, 1);
    status = take_all_trimmed(device, lane, wants, n);
    while (status == RDL_ERR_NO_MEMORY) {
        rdl__lock_acquire(&device->memory.lock);
        const struct rdl__block *oldest = device->memory.pending;
        while (oldest != NULL && oldest->next != NULL)
            oldest = oldest->next;
        const struct rdl__point point = oldest != NULL ? oldest->points[0] : (struct rdl__point){0};
        rdl__lock_release(&device->memory.lock);
        if (point.stream == NULL)
            return status;
        const enum rdl_status waited = rdl__device_wait(device, point, deadline_ns, cancel);
        if (waited != RDL_OK)
            return waited == RDL_ERR_DEADLINE ? RDL_ERR_NO_MEMORY : waited;
        status = take_all_trimmed(device, lane, wants, n);
    }
    return status;
}

/* Bytes that somebody but the caller could give back: in use, pending, or cached by lanes in use. */
static int64_t bytes_held(struct rdl__device *device)
{
    rdl__lock_acquire(&device->memory.lock);
    int64_t held = (int64_t)device->memory.reserved_bytes - (int64_t)device->memory.free_bytes;
    rdl__lock_release(&device->memory.lock);
    return held;
}

static void enqueue(struct rdl__device *device, struct rdl__memory_waiter *waiter)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    if (memory->tail != NULL)
        memory->tail->next = waiter;
    else
        memory->head = waiter;
    memory->tail = waiter;
    memory->n_waiters++;
    rdl__device_attend(device, RDL__ATTENTION_MEMORY, true);
    waiter->refused = rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN;
    rdl__lock_release(&memory->lock);
}

static void leave(struct rdl__device *device, struct rdl__memory_waiter *waiter)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    struct rdl__memory_waiter **at = &memory->head, *before = NULL;
    while (*at != waiter) {
        before = *at;
        at = &(*at)->next;
    }
    *at = waiter->next;
    memory->n_waiters--;
    if (memory->tail == waiter)
        memory->tail = before;
    if (memory->head == NULL && rdl__load_seq_cst(&device->state) == RDL__DEVICE_OPEN)
        rdl__device_attend(device, RDL__ATTENTION_MEMORY, false);
    else if (memory->head != NULL)
        rdl__park_wake(&memory->head->park); /* the next one's turn */
    rdl__lock_release(&memory->lock);
}

/* Whether it is the waiter's turn, and how often memory had come back by then. climbing: the thread is
 * about to climb the ladder if it is. */
static bool is_first(struct rdl__device *device, struct rdl__memory_waiter *waiter, bool climbing,
                     uint64_t *frees, bool *refused)
{
    rdl__lock_acquire(&device->memory.lock);
    const bool first = device->memory.head == waiter;
    if (first)
        device->memory.climber = climbing ? rdl__thread_token() : 0;
    *frees = device->memory.frees;
    *refused = waiter->refused;
    rdl__lock_release(&device->memory.lock);
    return first;
}

static enum rdl_status wait_in_turn(struct rdl__device *device, struct rdl__lane *lane,
                                    struct rdl__memory_want *wants, size_t n, int64_t deadline_ns,
                                    struct rdl_cancel *cancel)
{
    struct rdl__memory_waiter waiter = {0};
    struct rdl__cancel_link link;
    rdl__park_init(&waiter.park);
    rdl__cancel_link(cancel, &link, &waiter.park);
    enqueue(device, &waiter);
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    while (status == RDL_ERR_NO_MEMORY) {
        uint64_t before, after;
        bool refused;
        if (is_first(device, &waiter, true, &before, &refused) && !refused)
            status = climb(device, lane, wants, n, deadline_ns, cancel);
        const bool first = is_first(device, &waiter, false, &after, &refused);
        if (status != RDL_ERR_NO_MEMORY)
            break;
        if (refused)
            status = RDL_ERR_CLOSED;
        else if (rdl__cancelled(cancel))
            status = RDL_ERR_CANCELLED;
        else if (first && after == before && bytes_held(device) == 0)
            break; /* nobody holds a byte: there never will be enough */
        else if (first && after != before)
            continue; /* something came back while we looked */
        else if (!rdl__park_wait(&waiter.park, deadline_ns))
            status = RDL_ERR_DEADLINE;
    }
    leave(device, &waiter);
    rdl__cancel_unlink(cancel, &link);
    rdl__park_fini(&waiter.park);
    return status;
}

static enum rdl_status explain(struct rdl__device *device, enum rdl_status status, size_t total,
                               struct rdl_error *error)
{
    struct rdl__memory *memory = &device->memory;
    if (status != RDL_ERR_NO_MEMORY && status != RDL_ERR_DEADLINE)
        return rdl__fail(error, status, "memory of device \"%s\": %s", device->backend->name,
                         rdl_status_text(status));
    uint32_t leased, waiting;
    rdl__lanes_count(device, &leased, &waiting);
    int64_t values[RDL_MEMORY_STAT_COUNT];
    rdl__memory_read_stats(device, values);
    rdl__lock_acquire(&memory->lock);
    const size_t reserved = memory->reserved_bytes, limit = memory->limit_bytes,
                 pending = memory->pending_bytes, idle = memory->free_bytes;
    rdl__lock_release(&memory->lock);
    add(&memory->ooms, 1);
    return rdl__fail(
        error, status,
        "memory of device \"%s\": %zu bytes wanted%s; reserved %zu (limit %zu): in use "
        "%" PRId64 " by buffers, outputs and arenas (%u lanes leased), %zu waiting for "
        "work to end, %zu free in pieces",
        device->backend->name, total,
        status == RDL_ERR_DEADLINE ? ", and none came before the deadline" : "", reserved, limit,
        values[RDL_MEMORY_STAT_ALLOCATED_BYTES_CURRENT], leased, pending, idle);
}

enum rdl_status rdl__memory_alloc(struct rdl__device *device, struct rdl__lane *lane,
                                  struct rdl__memory_want *wants, size_t n, int64_t deadline_ns,
                                  struct rdl_cancel *cancel, struct rdl_error *error)
{
    struct rdl__memory *memory = &device->memory;
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t rounded = rdl__store_round(wants[i].size_bytes);
        wants[i].block = NULL;
        if (rounded == SIZE_MAX || !rdl__add_size(total, rounded, &total))
            return rdl__fail(error, RDL_ERR_OVERFLOW, "memory of device \"%s\": size overflows",
                             device->backend->name);
    }
    rdl__lock_acquire(&memory->lock);
    const bool hopeless = memory->limit_bytes > 0 && total > memory->limit_bytes;
    rdl__lock_release(&memory->lock);
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    if (!hopeless && !rdl__memory_is_wanted(device))
        status = climb(device, lane, wants, n, deadline_ns, cancel);
    if (status == RDL_ERR_NO_MEMORY && !hopeless && deadline_ns != RDL_NO_WAIT)
        status = wait_in_turn(device, lane, wants, n, deadline_ns, cancel);
    return status == RDL_OK ? RDL_OK : explain(device, status, total, error);
}

void rdl__memory_refuse(struct rdl__device *device)
{
    rdl__lock_acquire(&device->memory.lock);
    rdl__device_attend(device, RDL__ATTENTION_MEMORY, true);
    for (struct rdl__memory_waiter *waiter = device->memory.head; waiter != NULL;
         waiter = waiter->next) {
        waiter->refused = true;
        rdl__park_wake(&waiter->park);
    }
    rdl__lock_release(&device->memory.lock);
}

void rdl__memory_after_fork(struct rdl__device *device)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    memory->head = memory->tail = NULL; /* they stand on stacks of threads that are gone */
    memory->n_waiters = 0;
    memory->climber = 0;
    if (rdl__load_seq_cst(&device->state) == RDL__DEVICE_OPEN)
        rdl__device_attend(device, RDL__ATTENTION_MEMORY, false);
    rdl__lock_release(&memory->lock);
}

void rdl__memory_limit(struct rdl__device *device, size_t limit_bytes)
{
    struct rdl__memory *memory = &device->memory;
    rdl__lock_acquire(&memory->lock);
    memory->limit_bytes = limit_bytes;
    note_free_locked(memory); /* who waits looks again: there may be room now */
    rdl__lock_release(&memory->lock);
}

/* ----------------------------------------------------------------------------------------- life */

void rdl__memory_init(struct rdl__device *device)
{
    rdl__lock_init(&device->memory.lock, RDL__RANK_MEMORY); /* the rest is zero */
}

static void reset_counts(struct rdl__memory_counts *counts)
{
    rdl__store_relaxed(&counts->allocations, 0); /* nobody else looks at a closed device */
    rdl__store_relaxed(&counts->frees, 0);
    rdl__store_relaxed(&counts->allocated_bytes, 0);
    rdl__store_relaxed(&counts->freed_bytes, 0);
    rdl__store_relaxed(&counts->requested_bytes, 0);
    rdl__store_relaxed(&counts->requested_freed_bytes, 0);
}

void rdl__memory_reset(struct rdl__device *device)
{
    struct rdl__memory *memory = &device->memory;
    rdl__store_free_chunks(memory);
    reset_counts(&memory->counts);
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        reset_counts(&device->lanes[i].cache.counts);
        reset_counts(&device->lanes[i].remote_counts);
    }
    rdl__store_relaxed(&memory->retries, 0);
    rdl__store_relaxed(&memory->ooms, 0);
    rdl__lock_acquire(&memory->lock);
    memory->reserved_peak = 0;
    memory->allocated_peak = 0;
    rdl__lock_release(&memory->lock);
}
