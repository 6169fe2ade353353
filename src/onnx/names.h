/*
 * A map from names to value indices: a hash table that only grows.
 *
 * Threading: one user.
 */
#ifndef RDL_ONNX_NAMES_H
#define RDL_ONNX_NAMES_H

#include "base/arena.h"
#include "onnx/wire.h"

#include <stdbool.h>

struct rdl__names_slot;

struct rdl__names {
    struct rdl__arena *arena; /* of the slots */
    struct rdl__names_slot *slots;
    size_t n, cap; /* cap is zero or a power of two */
    uint64_t seed;
};

/** Makes an empty map whose memory comes from arena. */
void rdl__names_init(struct rdl__names *names, struct rdl__arena *arena);

/** The index of name, or -1. */
int32_t rdl__names_get(const struct rdl__names *names, struct rdl__span name);

/** Enters a name that is not there; its bytes must outlive the map. False if there is no memory. */
bool rdl__names_put(struct rdl__names *names, struct rdl__span name, int32_t index);

#endif
