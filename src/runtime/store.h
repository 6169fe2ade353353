/*
 * The store: segments of a device's memory, cut into blocks, and the free ones among them.
 *
 * Blocks of a segment are chained by address (before, after). Free blocks lie in lists by size class;
 * a freed block is joined with free neighbours, so no two neighbours are free. Descriptors come from
 * chunks that live as long as the device's memory.
 *
 * All functions are called with the memory lock held, but those that say otherwise.
 */
#ifndef RDL_RUNTIME_STORE_H
#define RDL_RUNTIME_STORE_H

#include "runtime/memory.h"

struct rdl__memory_segment {
    struct rdl__memory_segment *next;
    struct rdl__block *first; /* by address */
    char *address;
    size_t size_bytes;
};

/** Bytes that a request occupies: rounded up, never 0; SIZE_MAX if that does not fit. No lock. */
size_t rdl__store_round(size_t size_bytes);

/** The smallest free block of at least size_bytes (rounded), cut to it; NULL if there is none, or no
 * descriptor for the rest (rdl__store_need_descriptors). */
struct rdl__block *rdl__store_take_locked(struct rdl__memory *memory, size_t size_bytes)
    RDL_REQUIRES(memory->lock);

/** Puts a block back and joins it with its neighbours. */
void rdl__store_put_locked(struct rdl__memory *memory, struct rdl__block *block)
    RDL_REQUIRES(memory->lock);

/** Adds a segment that the backend gave, as one free block. Takes a descriptor. */
void rdl__store_add_locked(struct rdl__memory *memory, struct rdl__memory_segment *segment,
                           char *address, size_t size_bytes) RDL_REQUIRES(memory->lock);

/** Takes off a segment that is wholly free; NULL if there is none. */
struct rdl__memory_segment *rdl__store_detach_locked(struct rdl__memory *memory)
    RDL_REQUIRES(memory->lock);

/** Makes sure that at least two descriptors are spare: true. Called without the lock; false if there is
 * no memory. Others may take them before the caller locks: check again under the lock. */
bool rdl__store_need_descriptors(struct rdl__memory *memory);
bool rdl__store_has_descriptors_locked(const struct rdl__memory *memory) RDL_REQUIRES(memory->lock);

/** Frees the chunks; no block is in use. No lock. */
void rdl__store_free_chunks(struct rdl__memory *memory);

#endif
