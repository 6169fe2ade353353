/*
 * Handle tables; the argument is in handle.h.
 */
#include "runtime/handle.h"

#include "base/mem.h"

#define PIN_MASK ((UINT64_C(1) << RDL__HANDLE_INDEX_BITS) - 1)
#define GENERATION_STEP (UINT64_C(1) << RDL__HANDLE_INDEX_BITS)
/* A slot whose generation reaches this is not used again. */
#define LAST_GENERATION ((UINT64_C(1) << (64 - RDL__HANDLE_INDEX_BITS)) - 4)

static uint64_t generation_of(uint64_t word)
{
    return word >> RDL__HANDLE_INDEX_BITS;
}

/* Makes the chunk of slot `index` if it is not there. Called without the lock, since it allocates. */
static bool grow(struct rdl__table *table, uint32_t index)
{
    const uint64_t place = (uint64_t)index + 64;
    const unsigned chunk = 63u - (unsigned)__builtin_clzll(place) - 6u;
    if (chunk >= RDL__HANDLE_CHUNKS)
        return false;
    if (rdl__load_acquire(&table->chunks[chunk]) != NULL) /* pairs with the store below */
        return true;
    struct rdl__slot *slots = rdl__alloc_zeroed((size_t)64 << chunk, sizeof *slots);
    if (slots == NULL)
        return false;
    rdl__lock_acquire(&table->lock);
    const bool mine = rdl__load_relaxed(&table->chunks[chunk]) == NULL; /* under the lock */
    if (mine) /* pairs with the acquire in rdl__handle_slot */
        rdl__store_release(&table->chunks[chunk], slots);
    rdl__lock_release(&table->lock);
    if (!mine)
        rdl__free(slots);
    return true;
}

/* Takes a free slot; UINT32_MAX if there is none. */
static uint32_t take_slot(struct rdl__table *table)
{
    for (;;) {
        rdl__lock_acquire(&table->lock);
        uint32_t index = UINT32_MAX;
        const uint32_t fresh = table->n_slots;
        struct rdl__slot *next = rdl__slot_at(table, fresh);
        if (table->first_free > 0) {
            index = table->first_free - 1;
            table->first_free = rdl__slot_at(table, index)->next_free;
        } else if (fresh <= PIN_MASK && next != NULL) {
            index = fresh;
            table->n_slots++;
        }
        rdl__lock_release(&table->lock);
        if (index != UINT32_MAX)
            return index;
        if (fresh > PIN_MASK || !grow(table, fresh))
            return UINT32_MAX;
    }
}

static enum rdl_status open_with(struct rdl__table *table, void *object, void *context,
                                 uint64_t pins, uint64_t *id)
{
    const uint32_t index = take_slot(table);
    if (index == UINT32_MAX)
        return RDL_ERR_NO_MEMORY;
    struct rdl__slot *slot = rdl__slot_at(table, index);
    rdl__store_seq_cst(&slot->object, object);
    rdl__store_seq_cst(&slot->context, context);
    /* Even to odd: open. Nobody else writes a closed, unpinned word. *id may lie in the object, which
     * may be gone as soon as the word is out. */
    const uint64_t word = rdl__load_seq_cst(&slot->word) + GENERATION_STEP;
    *id = generation_of(word) << RDL__HANDLE_INDEX_BITS | index;
    rdl__store_seq_cst(&slot->word, word + pins);
    return RDL_OK;
}

enum rdl_status rdl__handle_open(struct rdl__table *table, void *object, void *context,
                                 uint64_t *id)
{
    return open_with(table, object, context, 0, id);
}

enum rdl_status rdl__handle_open_pinned(struct rdl__table *table, void *object, void *context,
                                        uint64_t *id)
{
    return open_with(table, object, context, 1, id);
}

void *rdl__handle_pin(struct rdl__table *table, uint64_t id)
{
    struct rdl__slot *slot = rdl__handle_slot(table, id);
    if (slot == NULL)
        return NULL;
    uint64_t word = rdl__load_seq_cst(&slot->word);
    while (generation_of(word) == generation_of(id) && (word & PIN_MASK) != PIN_MASK)
        if (rdl__cas_seq_cst(&slot->word, &word, word + 1))
            return rdl__load_seq_cst(&slot->object);
    return NULL;
}

static void free_slot(struct rdl__table *table, struct rdl__slot *slot, uint32_t index)
{
    void *object = rdl__load_seq_cst(&slot->object);
    table->destroy(object);
    if (generation_of(rdl__load_seq_cst(&slot->word)) >= LAST_GENERATION)
        return;
    rdl__lock_acquire(&table->lock);
    slot->next_free = table->first_free;
    table->first_free = index + 1;
    rdl__lock_release(&table->lock);
}

void rdl__handle_unpin(struct rdl__table *table, uint64_t id)
{
    struct rdl__slot *slot = rdl__handle_slot(table, id);
    const uint64_t word = rdl__sub_seq_cst(&slot->word, 1) - 1;
    const bool closed = generation_of(word) != generation_of(id);
    if (closed && (word & PIN_MASK) == 0)
        free_slot(table, slot, (uint32_t)(id & PIN_MASK));
}

bool rdl__handle_close(struct rdl__table *table, uint64_t id)
{
    struct rdl__slot *slot = rdl__handle_slot(table, id);
    if (slot == NULL)
        return false;
    uint64_t word = rdl__load_seq_cst(&slot->word);
    do {
        if (generation_of(word) != generation_of(id))
            return false;
        /* The next generation, with a pin of our own that the unpin below takes off. */
    } while (!rdl__cas_seq_cst(&slot->word, &word, word + GENERATION_STEP + 1));
    rdl__handle_unpin(table, id);
    return true;
}

static uint32_t slot_count(struct rdl__table *table)
{
    rdl__lock_acquire(&table->lock);
    const uint32_t count = table->n_slots;
    rdl__lock_release(&table->lock);
    return count;
}

/* The handle under which the slot is open now; 0 if it is closed. */
static uint64_t open_id(struct rdl__slot *slot, uint32_t index)
{
    const uint64_t generation = generation_of(rdl__load_seq_cst(&slot->word));
    return generation % 2 == 1 ? generation << RDL__HANDLE_INDEX_BITS | index : 0;
}

void rdl__handle_close_all(struct rdl__table *table, const void *context)
{
    const uint32_t count = slot_count(table);
    for (uint32_t index = 0; index < count; index++) {
        struct rdl__slot *slot = rdl__slot_at(table, index);
        const uint64_t id = open_id(slot, index);
        /* Read while the generation is this one: pin, look, unpin. */
        if (id != 0 && rdl__handle_pin(table, id) != NULL) {
            const bool mine = rdl__load_seq_cst(&slot->context) == context;
            if (mine)
                (void)rdl__handle_close(table, id);
            rdl__handle_unpin(table, id);
        }
    }
}

void rdl__handle_each(struct rdl__table *table,
                      void (*visit)(uint64_t id, void *object, void *user), void *user)
{
    const uint32_t count = slot_count(table);
    for (uint32_t index = 0; index < count; index++) {
        const uint64_t id = open_id(rdl__slot_at(table, index), index);
        void *object = id != 0 ? rdl__handle_pin(table, id) : NULL;
        if (object != NULL) {
            visit(id, object, user);
            rdl__handle_unpin(table, id);
        }
    }
}
