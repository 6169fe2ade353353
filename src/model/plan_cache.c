/*
 * The cache of plans and the flights that fill it; the argument is in model.h.
 */
#include "model/model.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/fork.h"

/* A key that is being compiled. Guarded by the device's plans lock, but for what is said. */
struct rdl__flight {
    struct rdl__flight *next;
    const struct rdl__plan_key *key; /* the compiling caller's; fixed */
    uint64_t hash;                   /* fixed */
    struct flight_waiter *waiters;
};

struct flight_waiter {
    struct flight_waiter *next;
    struct rdl__park park;
    bool over;               /* the flight has ended */
    enum rdl_status status;  /* of a fault that is the model's; RDL_OK: look again */
    struct rdl_error *error; /* the waiter's, filled with the message; may be NULL */
};

enum rdl_status rdl__plans_init(struct rdl__model *model, uint32_t capacity)
{
    model->ways = capacity < RDL__PLAN_WAYS ? capacity : RDL__PLAN_WAYS;
    model->n_buckets = (capacity + model->ways - 1) / model->ways;
    const size_t n = (size_t)model->n_buckets * model->ways;
    model->entries = rdl__alloc_aligned(RDL_ALIGN, n * sizeof *model->entries);
    if (model->entries == NULL)
        return RDL_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        rdl__store_relaxed(&model->entries[i].hash, 0); /* nobody else knows the model yet */
        rdl__store_relaxed(&model->entries[i].plan, NULL);
    }
    return RDL_OK;
}

void rdl__plans_fini(struct rdl__model *model)
{
    const size_t n = (size_t)model->n_buckets * model->ways;
    for (size_t i = 0; model->entries != NULL && i < n; i++) {
        struct rdl__plan *plan =
            rdl__load_relaxed(&model->entries[i].plan); /* nobody else is left */
        if (plan != NULL)
            rdl__plan_free(plan);
    }
    rdl__free(model->entries);
}

/* --------------------------------------------------------------------------------------- looking */

static struct rdl__plan_entry *bucket_of(const struct rdl__model *model, uint64_t hash)
{
    return model->entries + hash % model->n_buckets * model->ways;
}

/* Publishes the plan of an entry and checks that the entry still names it. */
static bool hold(struct rdl__model *model, struct rdl__lane *lane, struct rdl__plan_entry *entry,
                 struct rdl__plan *plan)
{
    rdl__lane_publish(lane, model, plan);
    return rdl__load_seq_cst(&entry->plan) == plan;
}

/* The lane's next run looks here first. */
static void remember(const struct rdl__model *model, struct rdl__lane *lane, struct rdl__plan *plan,
                     const struct rdl__plan_entry *entry)
{
    lane->last.plan = plan;
    lane->last.entry = (uint32_t)(entry - model->entries);
}

static struct rdl__plan *look(struct rdl__model *model, struct rdl__lane *lane,
                              const struct rdl__plan_key *key, uint64_t hash)
{
    struct rdl__plan_entry *bucket = bucket_of(model, hash);
    for (uint32_t i = 0; i < model->ways; i++) {
        /* A hash read without its plan costs a look in vain; hold decides. */
        if (rdl__load_relaxed(&bucket[i].hash) != hash)
            continue;
        struct rdl__plan *plan = rdl__load_seq_cst(&bucket[i].plan);
        if (plan != NULL && hold(model, lane, &bucket[i], plan) && rdl__plan_matches(plan, key)) {
            if (!rdl__load_relaxed(&plan->used)) /* a hint for eviction: written when it changes */
                rdl__store_relaxed(&plan->used, true);
            remember(model, lane, plan, &bucket[i]);
            return plan;
        }
    }
    rdl__lane_publish(lane, model, NULL);
    return NULL;
}

struct rdl__plan *rdl__plans_hint(struct rdl__model *model, struct rdl__slot *slot, uint64_t id,
                                  struct rdl__lane *lane)
{
    struct rdl__plan *plan = (struct rdl__plan *)(uintptr_t)lane->last.plan;
    rdl__lane_publish(lane, model, plan);
    if (!rdl__handle_is_open(slot, id))
        return NULL;
    if (rdl__load_seq_cst(&model->entries[lane->last.entry].plan) != plan)
        return NULL;
    if (!rdl__load_relaxed(&plan->used)) /* as in look */
        rdl__store_relaxed(&plan->used, true);
    return plan;
}

/* ------------------------------------------------------------------------------------- inserting */

/* The entry that a new plan of this hash takes: an empty one, or that of a plan not used lately. */
static struct rdl__plan_entry *victim_locked(struct rdl__model *model, uint64_t hash)
    RDL_REQUIRES(model->device->plans_lock)
{
    struct rdl__plan_entry *bucket = bucket_of(model, hash), *oldest = NULL;
    uint64_t oldest_number = UINT64_MAX;
    for (int round = 0; round < 2 && oldest == NULL; round++)
        for (uint32_t i = 0; i < model->ways; i++) {
            struct rdl__plan *plan =
                rdl__load_relaxed(&bucket[i].plan); /* changed under the lock */
            if (plan == NULL)
                return &bucket[i];
            if (rdl__load_relaxed(&plan->used)) { /* a hint */
                rdl__store_relaxed(&plan->used, false);
                continue;
            }
            if (plan->number < oldest_number) {
                oldest_number = plan->number;
                oldest = &bucket[i];
            }
        }
    return oldest != NULL ? oldest : bucket;
}

static void free_evicted(struct rdl__retired *retired)
{
    rdl__plan_free((struct rdl__plan *)(void *)retired);
}
_Static_assert(offsetof(struct rdl__plan, retired) == 0, "a retired plan is its first member");

/* Links a plan; the one that it replaces, unlinked, or NULL. */
static struct rdl__plan *link_locked(struct rdl__model *model, struct rdl__lane *lane,
                                     struct rdl__plan *plan) RDL_REQUIRES(model->device->plans_lock)
{
    struct rdl__plan_entry *entry = victim_locked(model, plan->hash);
    struct rdl__plan *old = rdl__load_relaxed(&entry->plan); /* changed under the lock */
    plan->number = model->n_made++;
    model->n_evicted += old != NULL;
    rdl__store_relaxed(&plan->used, true);
    rdl__store_relaxed(&entry->hash, plan->hash); /* before the plan: see look */
    rdl__store_seq_cst(&entry->plan, plan);
    remember(model, lane, plan, entry);
    return old;
}

/* --------------------------------------------------------------------------------------- flights */

static struct rdl__flight *find_locked(struct rdl__model *model, const struct rdl__plan_key *key,
                                       uint64_t hash) RDL_REQUIRES(model->device->plans_lock)
{
    if (model->flights_epoch != rdl__fork_epoch()) { /* the parent's, on stacks that are gone */
        model->flights = NULL;
        model->flights_epoch = rdl__fork_epoch();
    }
    for (struct rdl__flight *flight = model->flights; flight != NULL; flight = flight->next) {
        if (flight->hash != hash || flight->key->wanted != key->wanted)
            continue;
        bool same = true;
        for (uint32_t i = 0; i < key->n_inputs; i++)
            same = same && rdl__plan_input_equal(&key->inputs[i], &flight->key->inputs[i]);
        if (same)
            return flight;
    }
    return NULL;
}

/* Whether a failure is the compiling caller's own, so that another may succeed. */
static bool is_own_cause(enum rdl_status status)
{
    return status == RDL_ERR_CANCELLED || status == RDL_ERR_DEADLINE ||
           status == RDL_ERR_NO_MEMORY || status == RDL_ERR_FORKED;
}

/* Ends a flight: links the plan, if there is one, and tells the waiters. */
static void land(struct rdl__model *model, struct rdl__lane *lane, struct rdl__flight *flight,
                 struct rdl__plan *plan, enum rdl_status status, const struct rdl_error *cause)
{
    struct rdl__plan *old = NULL;
    rdl__lock_acquire(&model->device->plans_lock);
    if (plan != NULL)
        old = link_locked(model, lane, plan);
    struct rdl__flight **at = &model->flights;
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    for (struct flight_waiter *waiter = flight->waiters, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        waiter->over = true;
        waiter->status = status == RDL_OK || is_own_cause(status) ? RDL_OK : status;
        if (waiter->status != RDL_OK && waiter->error != NULL)
            *waiter->error = *cause;
        rdl__park_wake(&waiter->park);
    }
    rdl__lock_release(&model->device->plans_lock);
    if (old != NULL) {
        old->retired.object = old;
        old->retired.free = free_evicted;
        rdl__retire(model->device, &old->retired);
    }
}

/* Makes the plan of a flight and lands it. The lane publishes the plan before others see it: who had
 * to look for it again could find it evicted, and two callers could compile in turns for ever. */
static enum rdl_status compile(struct rdl__model *model, struct rdl__lane *lane,
                               struct rdl__flight *flight, const struct rdl__compile_limits *limits,
                               struct rdl__plan **out, struct rdl_error *error)
{
    struct rdl_error cause = {0};
    const enum rdl_status status = rdl__plan_make(model->program, flight->key, limits, out, &cause);
    if (status == RDL_OK)
        rdl__lane_publish(lane, model, *out);
    else if (error != NULL)
        *error = cause;
    land(model, lane, flight, status == RDL_OK ? *out : NULL, status, &cause);
    return status;
}

/* Whether the flight is over; a waiter that gives up leaves it. */
static bool check_over(struct rdl__model *model, struct rdl__flight *flight,
                       struct flight_waiter *waiter, bool give_up)
{
    rdl__lock_acquire(&model->device->plans_lock);
    const bool over = waiter->over;
    if (!over && give_up) {
        struct flight_waiter **at = &flight->waiters;
        while (*at != waiter)
            at = &(*at)->next;
        *at = waiter->next;
    }
    rdl__lock_release(&model->device->plans_lock);
    return over;
}

/* Waits for the end of a flight that the waiter is listed in. */
static enum rdl_status wait_for(struct rdl__model *model, struct rdl__flight *flight,
                                struct flight_waiter *waiter,
                                const struct rdl__compile_limits *limits, struct rdl_error *error)
{
    struct rdl__cancel_link link;
    rdl__cancel_link(limits->cancel, &link, &waiter->park);
    enum rdl_status status = RDL_OK;
    bool over = false;
    while (!over && status == RDL_OK) {
        if (rdl__cancelled(limits->cancel))
            status = RDL_ERR_CANCELLED;
        else if (!rdl__park_wait(&waiter->park, limits->deadline_ns))
            status = RDL_ERR_DEADLINE;
        over = check_over(model, flight, waiter, status != RDL_OK);
    }
    rdl__cancel_unlink(limits->cancel, &link);
    if (over)
        return waiter->status;
    return rdl__fail(error, status, "plan: %s while another call compiles it",
                     rdl_status_text(status));
}

/* Joins the flight of the key, or begins it: *own. */
static struct rdl__flight *board(struct rdl__model *model, struct rdl__flight *fresh,
                                 struct flight_waiter *waiter, bool *own)
{
    rdl__lock_acquire(&model->device->plans_lock);
    struct rdl__flight *flight = find_locked(model, fresh->key, fresh->hash);
    *own = flight == NULL;
    if (*own) {
        flight = fresh;
        fresh->next = model->flights;
        model->flights = fresh;
    } else {
        waiter->next = flight->waiters;
        flight->waiters = waiter;
    }
    rdl__lock_release(&model->device->plans_lock);
    return flight;
}

enum rdl_status rdl__plans_get(struct rdl__model *model, struct rdl__lane *lane,
                               const struct rdl__plan_key *key,
                               const struct rdl__compile_limits *limits, struct rdl__plan **out,
                               struct rdl_error *error)
{
    const uint64_t hash = rdl__plan_hash(key);
    for (;;) {
        *out = look(model, lane, key, hash);
        if (*out != NULL)
            return RDL_OK;
        struct rdl__flight fresh = {.key = key, .hash = hash};
        struct flight_waiter waiter = {.error = error};
        bool own;
        rdl__park_init(&waiter.park);
        struct rdl__flight *flight = board(model, &fresh, &waiter, &own);
        enum rdl_status status = RDL_OK;
        if (!own)
            status = wait_for(model, flight, &waiter, limits, error);
        else if ((*out = look(model, lane, key, hash)) != NULL) /* it landed before we boarded */
            land(model, lane, &fresh, NULL, RDL_OK, NULL);
        else
            status = compile(model, lane, &fresh, limits, out, error);
        rdl__park_fini(&waiter.park);
        if (*out != NULL || status != RDL_OK)
            return status;
    }
}

void rdl__plans_count(struct rdl__model *model, struct rdl_model_stats *stats)
{
    const size_t n = (size_t)model->n_buckets * model->ways;
    rdl__lock_acquire(&model->device->plans_lock);
    stats->plans_compiled = model->n_made;
    stats->plans_evicted = model->n_evicted;
    for (size_t i = 0; i < n; i++) {
        const struct rdl__plan *plan =
            rdl__load_relaxed(&model->entries[i].plan); /* under the lock */
        if (plan == NULL)
            continue;
        stats->plans++;
        if (plan->arena_bytes > stats->largest_arena_bytes)
            stats->largest_arena_bytes = plan->arena_bytes;
    }
    rdl__lock_release(&model->device->plans_lock);
}
