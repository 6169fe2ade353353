/*
 * Handle tables: objects named by value, with stale names that are found out and never followed.
 *
 * A handle is 64 bits: an index and a generation. A table has slots of one kind of object; a slot is
 * type-stable: once made it is never given back to the system, so reading it through a stale handle is
 * harmless. A slot's word holds its generation and a count of pins:
 *
 *   generation odd: open, the object lives;  even: closed;  it only grows, and a slot whose generation
 *   is used up is retired, so no two objects ever share a handle.
 *
 * pin adds one if the generation matches; while a pin is held the object stays. close moves the
 * generation on (so new pins fail) and whoever takes the last pin off afterwards frees the object, under
 * no lock. Model runs do not pin: they publish a hazard and recheck the generation (lane.h).
 *
 * Threading: word and object are atomic. `lock` (rank TABLE) guards the free list and growth. Handlers
 * of fork take it, so the child finds both whole.
 */
#ifndef RDL_RUNTIME_HANDLE_H
#define RDL_RUNTIME_HANDLE_H

#include "os/atomic.h"
#include "os/lock.h"
#include "raddle/status.h"

#define RDL__HANDLE_INDEX_BITS 24
#define RDL__HANDLE_CHUNKS 18 /* chunk c has 64 << c slots: 2^24 in all */

struct rdl__slot {
    _Atomic uint64_t word;  /* generation << INDEX_BITS | pins; all accesses seq_cst */
    _Atomic(void *) object; /* written while closed, before the word opens */
    _Atomic(void *)
        context;        /* second pointer, for who must know something before it may touch object:
                                a model's device. Type-stable objects only */
    uint32_t next_free; /* index + 1; guarded by the table's lock */
};

struct rdl__table {
    struct rdl__lock lock;
    void (*destroy)(void *object); /* frees an object whose last pin went; under no lock */
    _Atomic(struct rdl__slot *) chunks[RDL__HANDLE_CHUNKS]; /* written under lock, release */
    uint32_t n_slots RDL_GUARDED_BY(&lock);
    uint32_t first_free RDL_GUARDED_BY(&lock); /* index + 1; 0: none */
};

#define RDL__TABLE_INIT(destroy_fn)                                                                \
    {.lock = RDL__LOCK_INIT(RDL__RANK_TABLE), .destroy = (destroy_fn)}

/** Names an object: *id is its handle, written before anyone can use it. Who closes all objects of a
 * device may close it, and so free it, before the call returns. @return RDL_ERR_NO_MEMORY: the caller
 * keeps the object */
enum rdl_status rdl__handle_open(struct rdl__table *table, void *object, void *context,
                                 uint64_t *id);

/** As rdl__handle_open, with a pin for the caller, who goes on using the object. */
enum rdl_status rdl__handle_open_pinned(struct rdl__table *table, void *object, void *context,
                                        uint64_t *id);

/** The object behind a handle, pinned; NULL if the handle is stale. Give back by unpin. */
void *rdl__handle_pin(struct rdl__table *table, uint64_t id);
/** Gives a pin back; frees the object if it is closed and this was the last. */
void rdl__handle_unpin(struct rdl__table *table, uint64_t id);

/** Closes a handle: true for the one call that did; the object goes when its last pin does, maybe
 * within this call. */
bool rdl__handle_close(struct rdl__table *table, uint64_t id);

/** Slot `index` (the low bits of a handle); NULL if the table has not grown that far. */
static inline struct rdl__slot *rdl__slot_at(struct rdl__table *table, uint64_t index)
{
    const uint64_t place = index + 64;
    const unsigned chunk = 63u - (unsigned)__builtin_clzll(place) - 6u;
    if (chunk >= RDL__HANDLE_CHUNKS)
        return NULL;
    /* pairs with the release in grow */
    struct rdl__slot *slots = rdl__load_acquire(&table->chunks[chunk]);
    return slots == NULL ? NULL : slots + (place - (UINT64_C(64) << chunk));
}

/** The slot of a handle, whether or not it is stale; NULL if no object ever had the handle: its index
 * was never used, or its generation is even, as in the zero handle. */
static inline struct rdl__slot *rdl__handle_slot(struct rdl__table *table, uint64_t id)
{
    if ((id >> RDL__HANDLE_INDEX_BITS) % 2 == 0)
        return NULL;
    return rdl__slot_at(table, id & ((UINT64_C(1) << RDL__HANDLE_INDEX_BITS) - 1));
}

/** Whether the slot is open under this handle. seq_cst: the recheck of a hazard. */
static inline bool rdl__handle_is_open(struct rdl__slot *slot, uint64_t id)
{
    return rdl__load_seq_cst(&slot->word) >> RDL__HANDLE_INDEX_BITS == id >> RDL__HANDLE_INDEX_BITS;
}

/** Closes all open handles whose context is `context`. */
void rdl__handle_close_all(struct rdl__table *table, const void *context);

/** Calls visit for each open object, pinned meanwhile and under no lock. Objects opened or closed
 * during the walk may be missed. */
void rdl__handle_each(struct rdl__table *table,
                      void (*visit)(uint64_t id, void *object, void *user), void *user);

#endif
