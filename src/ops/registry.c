/*
 * Looking operators up. The registry is a sorted constant table; see list.h.
 */
#include "ops/ops.h"

#include <string.h>

#define RDL__OP(name, since) &rdl__op_##name##_##since,
static const struct rdl__op *const registry[] = {
#include "ops/list.h"
};
#undef RDL__OP
#define COUNT (sizeof registry / sizeof *registry)

const struct rdl__op *rdl__op_find(const char *domain, const char *name, int64_t opset)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    /* The first entry whose name is not before `name`. */
    size_t low = 0, high = COUNT;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(registry[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct rdl__op *found = NULL;
    for (; low < COUNT && strcmp(registry[low]->name, name) == 0; low++)
        if (strcmp(registry[low]->domain, domain) == 0 && registry[low]->since <= opset)
            found = registry[low];
    return found;
}

const struct rdl__op *rdl__op_at(size_t index)
{
    return index < COUNT ? registry[index] : NULL;
}
