/*
 * Arena: a list of blocks, each filled from its start. A request that does not fit the newest block
 * gets a new one, at least twice as large as the last up to a bound, so that many small requests cost
 * few allocations; a large request gets a block of its own size.
 */
#include "base/arena.h"

#include "base/mem.h"
#include "base/size.h"

#include <stdint.h>
#include <string.h>

struct rdl__arena_block {
    struct rdl__arena_block *next;
    size_t size_bytes; /* of the memory behind this header */
    size_t used_bytes;
};

/* Bytes before a block's memory; keeps it aligned to a cache line. */
#define BLOCK_HEADER RDL_ALIGN
#define FIRST_BLOCK 4096
#define LARGEST_STEP ((size_t)1 << 20)

_Static_assert(sizeof(struct rdl__arena_block) <= BLOCK_HEADER, "header fits");

void rdl__arena_init(struct rdl__arena *arena, size_t limit_bytes)
{
    *arena = (struct rdl__arena){.limit_bytes = limit_bytes};
}

void rdl__arena_fini(struct rdl__arena *arena)
{
    struct rdl__arena_block *block = arena->blocks;
    while (block != NULL) {
        struct rdl__arena_block *next = block->next;
        rdl__free(block);
        block = next;
    }
    rdl__arena_init(arena, arena->limit_bytes);
}

static struct rdl__arena_block *add_block(struct rdl__arena *arena, size_t need)
{
    size_t size = arena->blocks == NULL ? FIRST_BLOCK : arena->blocks->size_bytes * 2;
    if (size > LARGEST_STEP)
        size = LARGEST_STEP;
    const size_t room = arena->limit_bytes - arena->reserved_bytes;
    if (size > room)
        size = room;
    if (size < need)
        size = need;
    size_t total;
    if (size > room || !rdl__add_size(size, BLOCK_HEADER, &total))
        return NULL;
    struct rdl__arena_block *block = rdl__alloc_aligned(RDL_ALIGN, total);
    if (block == NULL)
        return NULL;
    *block = (struct rdl__arena_block){.next = arena->blocks, .size_bytes = size};
    arena->blocks = block;
    arena->reserved_bytes += size;
    return block;
}

/* Takes size bytes at align from block; NULL if it has no room for them. */
static void *take(struct rdl__arena *arena, struct rdl__arena_block *block, size_t align,
                  size_t size)
{
    const uintptr_t base = (uintptr_t)block + BLOCK_HEADER;
    const size_t at = (((base + block->used_bytes) + align - 1) & ~(uintptr_t)(align - 1)) - base;
    if (at > block->size_bytes || size > block->size_bytes - at)
        return NULL;
    arena->used_bytes += at + size - block->used_bytes;
    block->used_bytes = at + size;
    return (void *)(base + at);
}

void *rdl__arena_alloc_aligned(struct rdl__arena *arena, size_t align, size_t size_bytes)
{
    if (arena->blocks != NULL) {
        void *memory = take(arena, arena->blocks, align, size_bytes);
        if (memory != NULL)
            return memory;
    }
    size_t need = size_bytes;
    if (align > RDL_ALIGN && !rdl__add_size(need, align, &need))
        return NULL;
    struct rdl__arena_block *block = add_block(arena, need);
    return block == NULL ? NULL : take(arena, block, align, size_bytes);
}

void *rdl__arena_alloc(struct rdl__arena *arena, size_t size_bytes)
{
    return rdl__arena_alloc_aligned(arena, _Alignof(max_align_t), size_bytes);
}

void *rdl__arena_zeroed(struct rdl__arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    if (!rdl__mul_size(count, size_bytes, &total))
        return NULL;
    void *memory = rdl__arena_alloc(arena, total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

char *rdl__arena_text(struct rdl__arena *arena, const char *bytes, size_t length)
{
    size_t size;
    if (!rdl__add_size(length, 1, &size))
        return NULL;
    char *text = rdl__arena_alloc(arena, size);
    if (text == NULL)
        return NULL;
    if (length > 0)
        memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}
