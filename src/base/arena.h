/*
 * Arena: memory that is asked for piece by piece and given back all at once.
 *
 * Graphs, programs and plans live in arenas. An arena may carry a limit, so that a hostile file is
 * stopped by a message and not by the machine.
 *
 * Threading: one user at a time; read-only use of the memory by many.
 */
#ifndef RDL_BASE_ARENA_H
#define RDL_BASE_ARENA_H

#include <stddef.h>

struct rdl__arena_block;

struct rdl__arena {
    struct rdl__arena_block *blocks; /* newest first */
    size_t used_bytes;               /* bytes handed out, padding included */
    size_t reserved_bytes;           /* bytes of all blocks */
    size_t limit_bytes;              /* reserved_bytes never passes this; SIZE_MAX: no limit */
};

/** Makes an empty arena; allocates nothing. */
void rdl__arena_init(struct rdl__arena *arena, size_t limit_bytes);
/** Frees everything that came from the arena. Harmless on an empty arena; may be called twice. */
void rdl__arena_fini(struct rdl__arena *arena);

/** size bytes, uninitialised, aligned for any C type; NULL if there are none (memory or limit). */
void *rdl__arena_alloc(struct rdl__arena *arena, size_t size_bytes);
/** As rdl__arena_alloc at a multiple of align, a power of two of at most 4096. */
void *rdl__arena_alloc_aligned(struct rdl__arena *arena, size_t align, size_t size_bytes);
/** count * size zeroed bytes; NULL if there are none or the product overflows. */
void *rdl__arena_zeroed(struct rdl__arena *arena, size_t count, size_t size_bytes);
/** A zero-terminated copy of length bytes; NULL if there is no memory. */
char *rdl__arena_text(struct rdl__arena *arena, const char *bytes, size_t length);

/** Typed forms: one zeroed object, an array of zeroed objects. */
#define RDL__ARENA_NEW(arena, type) ((type *)rdl__arena_zeroed((arena), 1, sizeof(type)))
#define RDL__ARENA_ARRAY(arena, type, count)                                                       \
    ((type *)rdl__arena_zeroed((arena), (count), sizeof(type)))

#endif
