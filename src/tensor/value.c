/*
 * Values: tensor, sequence, optional. All counted; a value holds a reference to what it names.
 */
#include "tensor/tensor.h"

#include "base/mem.h"
#include "base/size.h"
#include "runtime/lifecycle.h"

static enum rdl_status new_value(enum rdl_value_kind kind, size_t count, struct rdl_value **out,
                                 struct rdl_error *error)
{
    size_t items_bytes;
    if (!rdl__mul_size(count, sizeof(struct rdl_value *), &items_bytes))
        return rdl__fail(error, RDL_ERR_OVERFLOW, "value: %zu items overflow the size", count);
    rdl__runtime_settle_config();
    struct rdl_value *value = rdl__alloc_zeroed(1, sizeof *value);
    if (value == NULL)
        return rdl__fail_memory(error, "value", sizeof *value);
    if (count > 0 && (value->items = rdl__alloc_zeroed(count, sizeof *value->items)) == NULL) {
        rdl__free(value);
        return rdl__fail_memory(error, "value", items_bytes);
    }
    rdl__store_relaxed(&value->references, 1); /* nobody else knows it yet */
    value->kind = kind;
    value->count = count;
    *out = value;
    return RDL_OK;
}

enum rdl_status rdl_value_from_tensor(struct rdl_tensor *tensor, struct rdl_value **out,
                                      struct rdl_error *error)
{
    if (out == NULL || tensor == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_value_from_tensor: %s is NULL",
                         out == NULL ? "out" : "tensor");
    *out = NULL;
    RDL_TRY(new_value(RDL_VALUE_TENSOR, 0, out, error));
    (*out)->tensor = rdl_tensor_retain(tensor);
    return RDL_OK;
}

enum rdl_status rdl_value_sequence(struct rdl_value *const *items, size_t count,
                                   struct rdl_value **out, struct rdl_error *error)
{
    if (out == NULL || (items == NULL && count > 0))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_value_sequence: %s is NULL",
                         out == NULL ? "out" : "items");
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        if (items[i] == NULL)
            return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_value_sequence: item %zu is NULL", i);
    RDL_TRY(new_value(RDL_VALUE_SEQUENCE, count, out, error));
    for (size_t i = 0; i < count; i++)
        (*out)->items[i] = rdl_value_retain(items[i]);
    return RDL_OK;
}

enum rdl_status rdl_value_optional(struct rdl_value *item, struct rdl_value **out,
                                   struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_value_optional: out is NULL");
    *out = NULL;
    RDL_TRY(new_value(RDL_VALUE_OPTIONAL, item != NULL ? 1 : 0, out, error));
    if (item != NULL)
        (*out)->items[0] = rdl_value_retain(item);
    return RDL_OK;
}

struct rdl_value *rdl_value_retain(struct rdl_value *value)
{
    rdl__add_relaxed(&value->references, 1); /* from a reference that the caller holds */
    return value;
}

/* Values nest as deep as the user nested them, so the walk uses a list and not the stack: a value that
 * has no reference left hands its memory on as the list's link. */
void rdl_value_release(struct rdl_value *value)
{
    struct rdl_value *list = NULL;
    for (;;) {
        if (value != NULL && rdl__sub_acq_rel(&value->references, 1) == 1) {
            if (value->kind == RDL_VALUE_TENSOR) {
                const bool embedded = value->is_embedded;
                rdl_tensor_release(value->tensor);
                if (!embedded) /* else it went, or goes, with the tensor's block */
                    rdl__free(value);
            } else {
                value->tensor = (struct rdl_tensor *)(void *)list;
                list = value;
            }
        }
        if (list == NULL)
            return;
        if (list->count > 0) {
            value = list->items[--list->count];
            continue;
        }
        struct rdl_value *next = (struct rdl_value *)(void *)list->tensor;
        rdl__free(list->items);
        rdl__free(list);
        list = next;
        value = NULL;
    }
}

enum rdl_value_kind rdl_value_get_kind(const struct rdl_value *value)
{
    return value->kind;
}

struct rdl_tensor *rdl_value_tensor(const struct rdl_value *value)
{
    return value->kind == RDL_VALUE_TENSOR ? value->tensor : NULL;
}

size_t rdl_value_count(const struct rdl_value *value)
{
    return value->count;
}

struct rdl_value *rdl_value_item(const struct rdl_value *value, size_t index)
{
    return index < value->count ? value->items[index] : NULL;
}
