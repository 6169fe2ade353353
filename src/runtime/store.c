/*
 * The store of free blocks; the argument is in store.h and memory.h.
 */
#include "runtime/store.h"

#include "base/mem.h"
#include "base/size.h"

#define CHUNK_BLOCKS 64
#define LARGE ((size_t)1 << 20)
#define LARGE_GRAIN ((size_t)64 << 10)

struct rdl__block_chunk {
    struct rdl__block_chunk *next;
    struct rdl__block blocks[CHUNK_BLOCKS];
};

/* ----------------------------------------------------------------------------- size classes */

/* Class c holds free blocks of at least (4 + c % 4) << (6 + c / 4) bytes, and less than class c + 1. */
static uint32_t class_of(size_t size_bytes)
{
    const unsigned exponent = 63u - (unsigned)__builtin_clzll(size_bytes);
    const uint32_t size_class = (exponent - 8) * 4 + (uint32_t)((size_bytes >> (exponent - 2)) & 3);
    return size_class < RDL__SIZE_CLASSES ? size_class : RDL__SIZE_CLASSES - 1;
}

size_t rdl__store_round(size_t size_bytes)
{
    size_t rounded = SIZE_MAX;
    if (size_bytes <= RDL__BLOCK_MIN)
        return RDL__BLOCK_MIN;
    (void)rdl__align_size(size_bytes, size_bytes < LARGE ? RDL__BLOCK_MIN : LARGE_GRAIN, &rounded);
    return rounded;
}

/* ---------------------------------------------------------------------------- the free lists */

static bool is_split(const struct rdl__block *block)
{
    return block->before != NULL || block->after != NULL;
}

static void list_locked(struct rdl__memory *memory, struct rdl__block *block)
    RDL_REQUIRES(memory->lock)
{
    const uint32_t size_class = class_of(block->size_bytes);
    block->is_free = true;
    block->previous = NULL;
    block->next = memory->free_lists[size_class];
    if (block->next != NULL)
        block->next->previous = block;
    memory->free_lists[size_class] = block;
    memory->filled[size_class / 64] |= UINT64_C(1) << size_class % 64;
    memory->free_bytes += block->size_bytes;
    if (is_split(block))
        memory->split_bytes += block->size_bytes;
}

static void unlist_locked(struct rdl__memory *memory, struct rdl__block *block)
    RDL_REQUIRES(memory->lock)
{
    const uint32_t size_class = class_of(block->size_bytes);
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        memory->free_lists[size_class] = block->next;
    if (block->next != NULL)
        block->next->previous = block->previous;
    if (memory->free_lists[size_class] == NULL)
        memory->filled[size_class / 64] &= ~(UINT64_C(1) << size_class % 64);
    memory->free_bytes -= block->size_bytes;
    if (is_split(block))
        memory->split_bytes -= block->size_bytes;
    block->is_free = false;
    block->next = block->previous = NULL;
}

/* First class from `from` on whose list is not empty; RDL__SIZE_CLASSES if there is none. */
static uint32_t next_filled_locked(const struct rdl__memory *memory, uint32_t from)
    RDL_REQUIRES(memory->lock)
{
    for (uint32_t word = from / 64; word < sizeof memory->filled / sizeof *memory->filled; word++) {
        uint64_t bits = memory->filled[word];
        if (word == from / 64)
            bits &= ~UINT64_C(0) << from % 64;
        if (bits != 0)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return RDL__SIZE_CLASSES;
}

/* The smallest block of one list that has size_bytes; in higher classes any has. */
static struct rdl__block *best_locked(const struct rdl__memory *memory, uint32_t size_class,
                                      size_t size_bytes) RDL_REQUIRES(memory->lock)
{
    struct rdl__block *best = NULL;
    for (struct rdl__block *block = memory->free_lists[size_class]; block != NULL;
         block = block->next)
        if (block->size_bytes >= size_bytes &&
            (best == NULL || block->size_bytes < best->size_bytes))
            best = block;
    return best;
}

/* ------------------------------------------------------------------------------- descriptors */

static struct rdl__block *spare_locked(struct rdl__memory *memory) RDL_REQUIRES(memory->lock)
{
    struct rdl__block *block = memory->spare_blocks;
    memory->spare_blocks = block->next;
    *block = (struct rdl__block){0};
    return block;
}

static void recycle_locked(struct rdl__memory *memory, struct rdl__block *block)
    RDL_REQUIRES(memory->lock)
{
    block->next = memory->spare_blocks;
    memory->spare_blocks = block;
}

bool rdl__store_has_descriptors_locked(const struct rdl__memory *memory)
{
    return memory->spare_blocks != NULL && memory->spare_blocks->next != NULL;
}

bool rdl__store_need_descriptors(struct rdl__memory *memory)
{
    rdl__lock_acquire(&memory->lock);
    const bool has = rdl__store_has_descriptors_locked(memory);
    rdl__lock_release(&memory->lock);
    if (has)
        return true;
    struct rdl__block_chunk *chunk = rdl__alloc_aligned(RDL__CACHE_LINE, sizeof *chunk);
    if (chunk == NULL)
        return false;
    rdl__lock_acquire(&memory->lock);
    chunk->next = memory->chunks;
    memory->chunks = chunk;
    for (uint32_t i = 0; i < CHUNK_BLOCKS; i++)
        recycle_locked(memory, &chunk->blocks[i]);
    rdl__lock_release(&memory->lock);
    return true;
}

void rdl__store_free_chunks(struct rdl__memory *memory)
{
    rdl__lock_acquire(&memory->lock);
    struct rdl__block_chunk *chunk = memory->chunks;
    memory->chunks = NULL;
    memory->spare_blocks = NULL;
    rdl__lock_release(&memory->lock);
    while (chunk != NULL) {
        struct rdl__block_chunk *next = chunk->next;
        rdl__free(chunk);
        chunk = next;
    }
}

/* ------------------------------------------------------------------------------ take and put */

static void cut_locked(struct rdl__memory *memory, struct rdl__block *block, size_t size_bytes)
    RDL_REQUIRES(memory->lock)
{
    struct rdl__block *rest = spare_locked(memory);
    rest->address = block->address + size_bytes;
    rest->size_bytes = block->size_bytes - size_bytes;
    rest->segment = block->segment;
    rest->before = block;
    rest->after = block->after;
    if (rest->after != NULL)
        rest->after->before = rest;
    block->after = rest;
    block->size_bytes = size_bytes;
    list_locked(memory, rest);
}

struct rdl__block *rdl__store_take_locked(struct rdl__memory *memory, size_t size_bytes)
{
    if (!rdl__store_has_descriptors_locked(memory))
        return NULL;
    uint32_t size_class = class_of(size_bytes);
    struct rdl__block *block = best_locked(memory, size_class, size_bytes);
    if (block == NULL) {
        size_class = next_filled_locked(memory, size_class + 1);
        if (size_class < RDL__SIZE_CLASSES)
            block = best_locked(memory, size_class, size_bytes);
    }
    if (block == NULL)
        return NULL;
    unlist_locked(memory, block);
    if (block->size_bytes - size_bytes >= RDL__BLOCK_MIN)
        cut_locked(memory, block, size_bytes);
    return block;
}

/* Joins `gone`, which follows block, into it. */
static void join_locked(struct rdl__memory *memory, struct rdl__block *block,
                        struct rdl__block *gone) RDL_REQUIRES(memory->lock)
{
    block->size_bytes += gone->size_bytes;
    block->after = gone->after;
    if (block->after != NULL)
        block->after->before = block;
    recycle_locked(memory, gone);
}

void rdl__store_put_locked(struct rdl__memory *memory, struct rdl__block *block)
{
    block->home = NULL;
    if (block->after != NULL && block->after->is_free) {
        unlist_locked(memory, block->after);
        join_locked(memory, block, block->after);
    }
    if (block->before != NULL && block->before->is_free) {
        struct rdl__block *before = block->before;
        unlist_locked(memory, before);
        join_locked(memory, before, block);
        block = before;
    }
    list_locked(memory, block);
}

void rdl__store_add_locked(struct rdl__memory *memory, struct rdl__memory_segment *segment,
                           char *address, size_t size_bytes)
{
    struct rdl__block *block = spare_locked(memory);
    block->address = address;
    block->size_bytes = size_bytes;
    block->segment = segment;
    *segment = (struct rdl__memory_segment){memory->segments, block, address, size_bytes};
    memory->segments = segment;
    memory->n_segments++;
    list_locked(memory, block);
}

struct rdl__memory_segment *rdl__store_detach_locked(struct rdl__memory *memory)
{
    for (struct rdl__memory_segment **at = &memory->segments; *at != NULL; at = &(*at)->next) {
        struct rdl__memory_segment *segment = *at;
        struct rdl__block *first = segment->first;
        if (!first->is_free || is_split(first))
            continue;
        unlist_locked(memory, first);
        recycle_locked(memory, first);
        *at = segment->next;
        memory->n_segments--;
        return segment;
    }
    return NULL;
}
