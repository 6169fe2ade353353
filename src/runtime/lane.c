/*
 * Lanes: lease, hand-over, release. The argument is in lane.h, the model in spec/Lane.tla.
 *
 * The thread's hint (which lane to try first) is the only thread-local state, and only a hint. Threads
 * whose hints meet on one lane move apart by chance (settle).
 */
#include "runtime/lane.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/clock.h"
#include "os/fork.h"
#include "os/thread.h"

struct rdl__lane_waiter {
    struct rdl__lane_waiter *next;
    struct rdl__park park;
    struct rdl__lane *granted; /* guarded by the device's wait lock, as all here but park */
    uintptr_t token;
    bool queued;
    bool refused;
};

/* A call that closes the device. There may be several: each takes the lanes that it finds free, and
 * those that another one took are as good as its own. */
struct rdl__lane_closer {
    struct rdl__lane_closer *next;
    struct rdl__park park;
};

/* Which lane to try first, over all devices, 0: the thread has used none; the lane used last; and what
 * chance is drawn from. */
static _Thread_local uint32_t hint __attribute__((tls_model("initial-exec")));
static _Thread_local uint32_t used_last __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t chance __attribute__((tls_model("initial-exec")));
/* Spreads the first lanes of threads; a count, orders nothing. */
static _Atomic uint32_t first_hint;

enum rdl_status rdl__lanes_init(struct rdl__device *device, uint32_t n_lanes)
{
    if (n_lanes > device->cap_lanes) {
        struct rdl__lane *lanes =
            rdl__alloc_aligned(RDL__CACHE_LINE, n_lanes * sizeof(struct rdl__lane));
        if (lanes == NULL)
            return RDL_ERR_NO_MEMORY;
        for (uint32_t i = 0; i < n_lanes; i++)
            lanes[i] = (struct rdl__lane){.device = device, .index = i};
        rdl__free(device->lanes); /* a device that never was open: nobody has seen them */
        device->lanes = lanes;
        device->cap_lanes = n_lanes;
    }
    device->n_lanes = n_lanes;
    return RDL_OK;
}

void rdl__lanes_open(struct rdl__device *device)
{
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        struct rdl__lane *lane = &device->lanes[i];
        lane->stream = NULL;
        rdl__store_relaxed(&lane->stream_seen, NULL);
        lane->last_user = 0;
        lane->last.model = 0;
        rdl__store_relaxed(&lane->progress.stop, (uint32_t)RDL_OK);
        rdl__store_seq_cst(&lane->owner, (uintptr_t)0);
    }
}

/* Owner of the lanes of a device that is closed; no thread has this token. */
#define CLOSER ((uintptr_t)1)

static bool try_as(struct rdl__lane *lane, uintptr_t token)
{
    /* A look first, so that a scan does not steal lines of busy lanes; the exchange decides. The look
     * is seq_cst, since a lane that it passes by is missed: who scans has set an attention bit before,
     * and one that is freed after the look is freed by a thread that sees the bit. */
    if (rdl__load_seq_cst(&lane->owner) != 0)
        return false;
    uintptr_t none = 0;
    return rdl__cas_seq_cst(&lane->owner, &none, token);
}

bool rdl__lane_try(struct rdl__lane *lane)
{
    return try_as(lane, rdl__thread_token());
}

/* The lane that the calling thread tries first. */
static uint32_t start_lane(const struct rdl__device *device)
{
    if (hint == 0)
        hint = 1 + rdl__add_relaxed(&first_hint, 1) % 4096; /* a count */
    return 1 + (hint - 1) % (device->n_lanes - 1);
}

/* Notes that the thread holds the lane. If it is the one that the thread used last, and another thread
 * used it in between, the two share it though each could have its own: the thread tries another one, by
 * chance, next time. By chance, since threads that all moved one on would march in step for ever. */
static void settle(struct rdl__lane *lane)
{
    const uintptr_t token = rdl__thread_token();
    const bool shared = lane->last_user != token && used_last == lane->index;
    if (lane->last_user != token)
        lane->last_user = token;
    used_last = lane->index;
    hint = lane->index;
    if (shared) {
        chance = chance * UINT64_C(6364136223846793005) + (token | 1);
        hint = 1 + (uint32_t)(chance >> 33) % 4096; /* wraps in start_lane */
    }
}

static struct rdl__lane *scan(struct rdl__device *device)
{
    const uint32_t start = start_lane(device), count = device->n_lanes - 1;
    for (uint32_t i = 0; i < count; i++) {
        struct rdl__lane *lane = &device->lanes[1 + (start - 1 + i) % count];
        if (rdl__lane_try(lane))
            return lane;
    }
    return NULL;
}

/* Gives free lanes to the oldest waiters, as long as there are both. */
static void grant_locked(struct rdl__device *device) RDL_REQUIRES(device->wait.lock)
{
    for (uint32_t i = 1; i < device->n_lanes && device->wait.head != NULL; i++) {
        struct rdl__lane *lane = &device->lanes[i];
        struct rdl__lane_waiter *waiter = device->wait.head;
        if (!try_as(lane, waiter->token))
            continue;
        device->wait.head = waiter->next;
        if (waiter->next == NULL)
            device->wait.tail = NULL;
        device->wait.count--;
        waiter->queued = false;
        waiter->granted = lane;
        rdl__park_wake(&waiter->park);
    }
    if (device->wait.head == NULL)
        rdl__device_attend(device, RDL__ATTENTION_LANES, false);
}

static void enqueue(struct rdl__device *device, struct rdl__lane_waiter *waiter)
{
    rdl__lock_acquire(&device->wait.lock);
    waiter->queued = true;
    if (device->wait.tail != NULL)
        device->wait.tail->next = waiter;
    else
        device->wait.head = waiter;
    device->wait.tail = waiter;
    device->wait.count++;
    rdl__device_attend(device, RDL__ATTENTION_LANES, true);
    /* Closing sets its state, then refuses those who queue: one of the two sees the other. */
    if (rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN)
        waiter->refused = true;
    else
        grant_locked(device);
    rdl__lock_release(&device->wait.lock);
}

/* Takes the waiter off the queue; the lane that it was given, if it was. */
static struct rdl__lane *leave(struct rdl__device *device, struct rdl__lane_waiter *waiter,
                               bool only_if_served, bool *refused)
{
    rdl__lock_acquire(&device->wait.lock);
    struct rdl__lane *lane = waiter->granted;
    *refused = waiter->refused;
    if (waiter->queued && !(only_if_served && !*refused)) {
        struct rdl__lane_waiter **at = &device->wait.head, *before = NULL;
        while (*at != waiter) {
            before = *at;
            at = &(*at)->next;
        }
        *at = waiter->next;
        if (device->wait.tail == waiter)
            device->wait.tail = before;
        device->wait.count--;
        waiter->queued = false;
        if (device->wait.head == NULL)
            rdl__device_attend(device, RDL__ATTENTION_LANES, false);
    }
    rdl__lock_release(&device->wait.lock);
    return lane;
}

static enum rdl_status wait_for_lane(struct rdl__device *device, int64_t deadline_ns,
                                     struct rdl_cancel *cancel, struct rdl__lane **out)
{
    struct rdl__lane_waiter waiter = {.token = rdl__thread_token()};
    struct rdl__cancel_link link;
    rdl__park_init(&waiter.park);
    rdl__cancel_link(cancel, &link, &waiter.park);
    enqueue(device, &waiter);
    enum rdl_status status = RDL_OK;
    bool refused;
    struct rdl__lane *lane = leave(device, &waiter, true, &refused);
    while (lane == NULL && !refused && status == RDL_OK) {
        if (rdl__cancelled(cancel))
            status = RDL_ERR_CANCELLED;
        else if (!rdl__park_wait(&waiter.park, deadline_ns))
            status = RDL_ERR_DEADLINE;
        lane = leave(device, &waiter, status == RDL_OK, &refused);
    }
    rdl__cancel_unlink(cancel, &link);
    rdl__park_fini(&waiter.park);
    if (lane != NULL) /* served after all, maybe at the last moment: a lane is never dropped */
        status = RDL_OK;
    else if (refused)
        status = RDL_ERR_CLOSED;
    *out = lane;
    return status;
}

enum rdl_status rdl__lane_acquire(struct rdl__device *device, int64_t deadline_ns,
                                  struct rdl_cancel *cancel, struct rdl__lane **out)
{
    *out = NULL;
    if (rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN)
        return RDL_ERR_CLOSED;
    if ((rdl__load_seq_cst(&device->attention) & RDL__ATTENTION_LANES) == 0)
        *out = scan(device);
    if (*out == NULL) {
        if (deadline_ns == RDL_NO_WAIT)
            return RDL_ERR_BUSY;
        RDL_TRY(wait_for_lane(device, deadline_ns, cancel, out));
    }
    /* Closing sets its state, then takes every lane: a lane leased after that is not used. */
    if (rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN) {
        rdl__lane_release(*out);
        *out = NULL;
        return RDL_ERR_CLOSED;
    }
    settle(*out);
    return RDL_OK;
}

struct rdl__lane *rdl__lane_try_hint(struct rdl__device *device)
{
    if (rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN ||
        rdl__load_seq_cst(&device->attention) != 0)
        return NULL;
    struct rdl__lane *lane = &device->lanes[start_lane(device)];
    if (!rdl__lane_try(lane))
        return NULL;
    if (rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN) {
        rdl__lane_release(lane);
        return NULL;
    }
    settle(lane);
    return lane;
}

static void wake_closers_locked(struct rdl__device *device) RDL_REQUIRES(device->wait.lock)
{
    for (struct rdl__lane_closer *closer = device->wait.closers; closer != NULL;
         closer = closer->next)
        rdl__park_wake(&closer->park);
}

/* Frees the lane's word, then serves those who wait for a lane; the attention bits that it saw. */
static uint32_t release_word(struct rdl__lane *lane)
{
    struct rdl__device *device = lane->device;
    (void)rdl__exchange_seq_cst(&lane->owner, (uintptr_t)0);
    const uint32_t attention = rdl__load_seq_cst(&device->attention);
    if ((attention & (RDL__ATTENTION_LANES | RDL__ATTENTION_CLOSE)) != 0) {
        rdl__lock_acquire(&device->wait.lock);
        wake_closers_locked(device);
        if (device->wait.closers == NULL)
            grant_locked(device);
        rdl__lock_release(&device->wait.lock);
    }
    return attention;
}

void rdl__lane_release_after_try(struct rdl__lane *lane)
{
    (void)release_word(lane);
}

void rdl__lane_release(struct rdl__lane *lane)
{
    struct rdl__device *device = lane->device;
    /* while the lane is held the device has this life; only a stale call may see the one before */
    const uint64_t id = rdl__load_relaxed(&device->id);
    if ((rdl__load_seq_cst(&device->attention) & RDL__ATTENTION_MEMORY) != 0)
        rdl__memory_flush_lane(lane);
    const uint32_t attention = release_word(lane);
    if ((attention & (RDL__ATTENTION_RETIRE | RDL__ATTENTION_MEMORY)) == 0)
        return;
    /* The lane kept the device; from here on only a pin does. If it is closed, its end does the rest. */
    if (rdl__handle_pin(&rdl__devices, id) == NULL)
        return;
    if ((attention & RDL__ATTENTION_RETIRE) != 0)
        rdl__retire_scan(device);
    if ((attention & RDL__ATTENTION_MEMORY) != 0)
        rdl__memory_trim(device); /* who began to wait after the flush above */
    rdl__handle_unpin(&rdl__devices, id);
}

enum rdl_status rdl__lane_stream(struct rdl__lane *lane)
{
    if (lane->stream != NULL)
        return RDL_OK;
    struct rdl__device *device = lane->device;
    RDL_TRY(rdl__device_note(device, device->backend->stream_new(device->impl, &lane->stream)));
    rdl__store_release(&lane->stream_seen, lane->stream); /* pairs with rdl_device_synchronize */
    return RDL_OK;
}

void rdl__lanes_refuse(struct rdl__device *device)
{
    rdl__lock_acquire(&device->wait.lock);
    for (struct rdl__lane_waiter *waiter = device->wait.head; waiter != NULL;
         waiter = waiter->next) {
        waiter->refused = true;
        rdl__park_wake(&waiter->park);
    }
    rdl__lock_release(&device->wait.lock);
}

static void list_closer(struct rdl__device *device, struct rdl__lane_closer *closer)
{
    rdl__lock_acquire(&device->wait.lock);
    closer->next = device->wait.closers;
    device->wait.closers = closer;
    rdl__device_attend(device, RDL__ATTENTION_CLOSE, true);
    rdl__lock_release(&device->wait.lock);
}

static void unlist_closer(struct rdl__device *device, struct rdl__lane_closer *closer)
{
    rdl__lock_acquire(&device->wait.lock);
    struct rdl__lane_closer **at = &device->wait.closers;
    while (*at != closer)
        at = &(*at)->next;
    *at = closer->next;
    wake_closers_locked(device); /* for lanes that this one took, which nobody will release */
    rdl__lock_release(&device->wait.lock);
}

/* Asks the runs on all lanes to end, before the first is waited for: where work queues for the device, one
 * may end no earlier than another. Stored after the device's state, in one order with it, so that a run
 * either sees the state or is stopped. */
static void stop_all(struct rdl__device *device)
{
    for (uint32_t i = 0; i < device->n_lanes; i++)
        rdl__store_seq_cst(&device->lanes[i].progress.stop, (uint32_t)RDL_ERR_CLOSED);
}

enum rdl_status rdl__lanes_take_all(struct rdl__device *device, int64_t deadline_ns)
{
    struct rdl__lane_closer closer;
    rdl__park_init(&closer.park);
    list_closer(device, &closer);
    stop_all(device);
    enum rdl_status status = RDL_OK;
    for (uint32_t i = 0; i < device->n_lanes && status == RDL_OK; i++) {
        struct rdl__lane *lane = &device->lanes[i];
        /* A lane taken by another close, or by one that ran into its deadline, is ours already. */
        while (rdl__load_seq_cst(&lane->owner) != CLOSER && !try_as(lane, CLOSER) &&
               status == RDL_OK)
            if (!rdl__park_wait(&closer.park, deadline_ns))
                status = RDL_ERR_DEADLINE;
    }
    unlist_closer(device, &closer);
    rdl__park_fini(&closer.park);
    return status;
}

void rdl__lanes_count(struct rdl__device *device, uint32_t *leased, uint32_t *waiting)
{
    *leased = 0;
    for (uint32_t i = 1; i < device->n_lanes; i++)
        *leased += rdl__load_relaxed(&device->lanes[i].owner) != 0; /* a snapshot */
    rdl__lock_acquire(&device->wait.lock);
    *waiting = device->wait.count;
    rdl__lock_release(&device->wait.lock);
}

void rdl__lanes_after_fork(struct rdl__device *device)
{
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        struct rdl__lane *lane = &device->lanes[i];
        const bool held = rdl__load_relaxed(&lane->owner) != 0; /* one thread is left */
        rdl__store_relaxed(&lane->hazard_model, NULL);
        if (held) { /* its holder is gone, maybe in the middle of a change: forget what it held */
            lane->arena = NULL;
            lane->cache.n_blocks = 0;
            lane->cache.bytes = 0;
            lane->last.model = 0;
            lane->stream = NULL;
            rdl__store_relaxed(&lane->remote, NULL);
            rdl__store_seq_cst(&lane->owner, (uintptr_t)0);
        }
    }
    rdl__lock_acquire(&device->wait.lock);
    device->wait.head = device->wait.tail =
        NULL; /* waiters stand on stacks of threads that are gone */
    device->wait.count = 0;
    device->wait.closers = NULL;
    rdl__device_attend(device, RDL__ATTENTION_LANES, false);
    rdl__lock_release(&device->wait.lock);
}
