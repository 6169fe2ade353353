/*
 * Host memory of the library: every allocation goes through the process's allocator, which the user
 * may replace once (rdl_configure) before the library's first use.
 *
 * Threading: the allocator functions may be called by any thread at the same time. Nothing in a
 * steady-state run calls these.
 */
#ifndef RDL_BASE_MEM_H
#define RDL_BASE_MEM_H

#include "raddle/config.h"

#include <stddef.h>

/** Smallest alignment that rdl__alloc_aligned users ask for: a cache line, an AVX-512 vector. */
#define RDL_ALIGN 64

/** size bytes, aligned for any C type, uninitialised; NULL if there are none. size 0 gives non-NULL. */
void *rdl__alloc(size_t size_bytes);
/** count * size zeroed bytes; NULL if there are none or the product overflows. */
void *rdl__alloc_zeroed(size_t count, size_t size_bytes);
/** size bytes at a multiple of align, a power of two >= RDL_ALIGN; NULL if there are none. */
void *rdl__alloc_aligned(size_t align, size_t size_bytes);
/** Frees memory of any of the functions above; NULL is allowed. */
void rdl__free(void *memory);
/** A copy of a zero-terminated string; NULL if there is no memory. */
char *rdl__strdup(const char *text);

/** Sets the allocator; only rdl_configure calls it, before anything was allocated. */
void rdl__mem_set_allocator(const struct rdl_allocator *chosen);

#endif
