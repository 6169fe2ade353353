/*
 * Host memory. The allocator is written once, by rdl_configure before the library's first use, and
 * only read afterwards.
 */
#include "base/mem.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

static void *default_allocate(size_t size_bytes, size_t align_bytes, void *user)
{
    (void)user;
    if (align_bytes <= _Alignof(max_align_t))
        return malloc(size_bytes);
    size_t padded;
    if (!rdl__align_size(size_bytes, align_bytes, &padded))
        return NULL;
    return aligned_alloc(align_bytes, padded);
}

static void default_free(void *memory, void *user)
{
    (void)user;
    free(memory);
}

static struct rdl_allocator allocator = {default_allocate, default_free, NULL};

void rdl__mem_set_allocator(const struct rdl_allocator *chosen)
{
    allocator = *chosen;
}

void *rdl__alloc_aligned(size_t align, size_t size_bytes)
{
    return allocator.allocate(size_bytes > 0 ? size_bytes : 1, align, allocator.user);
}

void *rdl__alloc(size_t size_bytes)
{
    return rdl__alloc_aligned(_Alignof(max_align_t), size_bytes);
}

void *rdl__alloc_zeroed(size_t count, size_t size_bytes)
{
    size_t total;
    if (!rdl__mul_size(count, size_bytes, &total))
        return NULL;
    void *memory = rdl__alloc(total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

void rdl__free(void *memory)
{
    if (memory != NULL)
        allocator.free(memory, allocator.user);
}

char *rdl__strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = rdl__alloc(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}
