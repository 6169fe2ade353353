/*
 * Shape arithmetic. No state; any thread.
 */
#include "tensor/shape.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes of the largest element; a shape is accepted only if this times its count fits. */
#define LARGEST_ELEMENT 16

void rdl__shape_set(struct rdl__shape *shape, int32_t rank, const int64_t *dims)
{
    *shape = (struct rdl__shape){.rank = rank};
    for (int32_t i = 0; i < rank; i++)
        shape->dims[i] = dims[i];
}

enum rdl_status rdl__shape_check(int32_t rank, const int64_t *dims, struct rdl_error *error)
{
    if (rank < 0 || rank > RDL_MAX_RANK)
        return rdl__fail(error, RDL_ERR_SHAPE, "rank %" PRId32 " is outside 0..%d", rank,
                         RDL_MAX_RANK);
    if (rank > 0 && dims == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "dims is NULL with rank %" PRId32, rank);
    int64_t bytes = LARGEST_ELEMENT;
    bool empty = false;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return rdl__fail(error, RDL_ERR_SHAPE,
                             "dimension %" PRId32 " is negative (%" PRId64 ")", i, dims[i]);
        empty = empty || dims[i] == 0;
    }
    /* Zeros do not excuse the others: strides and products of a part must fit as well. */
    for (int32_t i = 0; i < rank; i++)
        if (!rdl__mul_dim(bytes, dims[i] > 0 ? dims[i] : 1, &bytes))
            return rdl__fail(error, RDL_ERR_OVERFLOW,
                             "%s of dimension %" PRId32 " (%" PRId64 ") overflows the size",
                             empty ? "product" : "size", i, dims[i]);
    return RDL_OK;
}

int64_t rdl__shape_product(const struct rdl__shape *shape, int32_t begin, int32_t end)
{
    int64_t product = 1;
    for (int32_t i = begin; i < end; i++)
        product *= shape->dims[i];
    return product;
}

size_t rdl__shape_count(const struct rdl__shape *shape)
{
    return (size_t)rdl__shape_product(shape, 0, shape->rank);
}

void rdl__shape_strides(const struct rdl__shape *shape, int64_t strides[RDL_MAX_RANK])
{
    int64_t stride = 1;
    for (int32_t i = shape->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

enum rdl_status rdl__shape_broadcast(const struct rdl__shape *a, const struct rdl__shape *b,
                                     struct rdl__shape *out, struct rdl_error *error)
{
    const int32_t rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[RDL_MAX_RANK];
    for (int32_t i = 0; i < rank; i++) {
        const int32_t ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        const int64_t da = ia >= 0 ? a->dims[ia] : 1, db = ib >= 0 ? b->dims[ib] : 1;
        if (da != db && da != 1 && db != 1) {
            char ta[RDL__SHAPE_TEXT_BYTES], tb[RDL__SHAPE_TEXT_BYTES];
            return rdl__fail(error, RDL_ERR_SHAPE, "shapes %s and %s do not broadcast",
                             rdl__shape_text(a, ta, sizeof ta), rdl__shape_text(b, tb, sizeof tb));
        }
        dims[i] = da == 1 ? db : da;
    }
    RDL_TRY(rdl__shape_check(rank, dims, error));
    rdl__shape_set(out, rank, dims);
    return RDL_OK;
}

char *rdl__shape_text(const struct rdl__shape *shape, char *out, size_t size_bytes)
{
    size_t at = 0;
    for (int32_t i = 0; i <= shape->rank && at < size_bytes; i++) {
        int n;
        if (i == shape->rank)
            n = snprintf(out + at, size_bytes - at, "%s", shape->rank == 0 ? "[]" : "]");
        else
            n = snprintf(out + at, size_bytes - at, "%s%" PRId64, i == 0 ? "[" : ", ",
                         shape->dims[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    return out;
}
