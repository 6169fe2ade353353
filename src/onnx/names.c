/*
 * Open addressing with linear probing, at most half full. The hash is seeded with an address of the
 * process, which changes from run to run: a file cannot be made so that its names collide. No order is
 * ever read out of the table, so answers do not depend on the seed.
 */
#include "onnx/names.h"

#include <string.h>

struct rdl__names_slot {
    struct rdl__span name; /* bytes NULL: free */
    uint64_t hash;
    int32_t index;
};

/* The last step of splitmix64: a bijection in which every bit of the input moves every bit. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t hash_name(uint64_t seed, struct rdl__span name)
{
    uint64_t hash = seed ^ name.size_bytes;
    for (size_t i = 0; i < name.size_bytes; i += 8) {
        const size_t left = name.size_bytes - i;
        uint64_t word = 0;
        memcpy(&word, name.bytes + i, left < 8 ? left : 8);
        hash = mix(hash ^ word);
    }
    return mix(hash + UINT64_C(0x9e3779b97f4a7c15));
}

void rdl__names_init(struct rdl__names *names, struct rdl__arena *arena)
{
    *names = (struct rdl__names){.arena = arena, .seed = mix((uint64_t)(uintptr_t)names)};
}

/* The slot that holds name, or the free one where it belongs. */
static struct rdl__names_slot *find_slot(const struct rdl__names *names, struct rdl__span name,
                                         uint64_t hash)
{
    for (size_t i = hash & (names->cap - 1);; i = (i + 1) & (names->cap - 1)) {
        struct rdl__names_slot *slot = &names->slots[i];
        if (slot->name.bytes == NULL)
            return slot;
        if (slot->hash == hash && slot->name.size_bytes == name.size_bytes &&
            memcmp(slot->name.bytes, name.bytes, name.size_bytes) == 0)
            return slot;
    }
}

int32_t rdl__names_get(const struct rdl__names *names, struct rdl__span name)
{
    if (names->cap == 0)
        return -1;
    const struct rdl__names_slot *slot = find_slot(names, name, hash_name(names->seed, name));
    return slot->name.bytes == NULL ? -1 : slot->index;
}

static bool widen(struct rdl__names *names)
{
    struct rdl__names wider = *names;
    wider.cap = names->cap == 0 ? 32 : names->cap * 2;
    wider.slots = RDL__ARENA_ARRAY(names->arena, struct rdl__names_slot, wider.cap);
    if (wider.slots == NULL)
        return false;
    for (size_t i = 0; i < names->cap; i++)
        if (names->slots[i].name.bytes != NULL)
            *find_slot(&wider, names->slots[i].name, names->slots[i].hash) = names->slots[i];
    *names = wider;
    return true;
}

bool rdl__names_put(struct rdl__names *names, struct rdl__span name, int32_t index)
{
    if (names->n >= names->cap / 2 && !widen(names))
        return false;
    const uint64_t hash = hash_name(names->seed, name);
    *find_slot(names, name, hash) = (struct rdl__names_slot){name, hash, index};
    names->n++;
    return true;
}
