/*
 * Lowering lists and prepared weights; see lower.h, lowering.h and op.h. Lists grow by doubling inside
 * the arena: what they leave behind goes with it.
 */
#include "graph/lowering.h"

#include "base/mem.h"
#include "base/status.h"

#include <string.h>

void rdl__lowering_init(struct rdl__lowering *list, struct rdl__arena *arena)
{
    *list = (struct rdl__lowering){.arena = arena};
}

void rdl__lowering_begin(struct rdl__lowering *list, uint32_t node)
{
    list->node = node;
    list->first_temp = list->n_temps;
}

/* Room for one more element of size bytes in *items [count]; false if there is no memory. */
static bool reserve(struct rdl__arena *arena, void **items, uint32_t count, uint32_t *capacity,
                    size_t size)
{
    if (count < *capacity)
        return true;
    const uint32_t larger = *capacity > 0 ? *capacity * 2 : 32;
    void *fresh = rdl__arena_zeroed(arena, larger, size);
    if (fresh == NULL)
        return false;
    if (count > 0)
        memcpy(fresh, *items, count * size);
    *items = fresh;
    *capacity = larger;
    return true;
}

enum rdl_status rdl__lower_step(const struct rdl__lower *lower, const struct rdl__step_spec *spec)
{
    struct rdl__lowering *list = lower->list;
    RDL_ASSERT(spec->n_bind <= RDL__MAX_BINDINGS && spec->tiles > 0);
    void *steps = list->steps;
    void *params = rdl__arena_alloc(list->arena, spec->params_bytes);
    if (params == NULL ||
        !reserve(list->arena, &steps, list->n_steps, &list->cap_steps, sizeof *list->steps))
        return rdl__fail_memory(lower->error, "plan", spec->params_bytes);
    list->steps = steps;
    if (spec->params_bytes > 0)
        memcpy(params, spec->params, spec->params_bytes);
    struct rdl__lowered *step = &list->steps[list->n_steps++];
    *step =
        (struct rdl__lowered){.spec = *spec, .node = list->node, .first_temp = list->first_temp};
    step->spec.params = params;
    return RDL_OK;
}

enum rdl_status rdl__lower_alias(const struct rdl__lower *lower, uint32_t out, uint32_t in)
{
    struct rdl__lowering *list = lower->list;
    void *aliases = list->aliases;
    if (!reserve(list->arena, &aliases, list->n_aliases, &list->cap_aliases, sizeof *list->aliases))
        return rdl__fail_memory(lower->error, "plan", sizeof *list->aliases);
    list->aliases = aliases;
    list->aliases[list->n_aliases++] = (struct rdl__lowered_alias){list->node, out, in};
    return RDL_OK;
}

enum rdl_status rdl__lower_temp(const struct rdl__lower *lower, size_t size_bytes, uint32_t *index)
{
    struct rdl__lowering *list = lower->list;
    void *temps = list->temps;
    if (!reserve(list->arena, &temps, list->n_temps, &list->cap_temps, sizeof *list->temps))
        return rdl__fail_memory(lower->error, "plan", sizeof *list->temps);
    list->temps = temps;
    *index = list->n_temps - list->first_temp;
    list->temps[list->n_temps++] = size_bytes;
    return RDL_OK;
}

void *rdl__prepare_weight(struct rdl__prepare *prepare, uint32_t k, size_t size_bytes)
{
    void *data = rdl__arena_alloc_aligned(prepare->packed, RDL_ALIGN, size_bytes);
    if (data == NULL)
        return NULL;
    memset(data, 0, size_bytes);
    prepare->weights[k] = (struct rdl__weight){data, size_bytes};
    return data;
}
