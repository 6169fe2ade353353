/*
 * Shapes: a rank and its dimensions, and the arithmetic on them.
 */
#ifndef RDL_TENSOR_SHAPE_H
#define RDL_TENSOR_SHAPE_H

#include "base/status.h"
#include "raddle/tensor.h"

/** A concrete shape. Dimensions past rank are zero. */
struct rdl__shape {
    int32_t rank;
    int32_t reserved; /* zero */
    int64_t dims[RDL_MAX_RANK];
};

/** Copies rank and dims and zeroes the rest; the caller checked them. dims may be NULL at rank 0. */
void rdl__shape_set(struct rdl__shape *shape, int32_t rank, const int64_t *dims);

/**
 * Checks rank and dims as a caller or a file gave them.
 * @return RDL_ERR_SHAPE (rank outside 0..RDL_MAX_RANK, negative dimension), RDL_ERR_OVERFLOW (number
 *         of elements times 16 does not fit into int64_t)
 */
enum rdl_status rdl__shape_check(int32_t rank, const int64_t *dims, struct rdl_error *error);

static inline bool rdl__shape_equal(const struct rdl__shape *a, const struct rdl__shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int32_t i = 0; i < a->rank; i++) /* faster than memcmp for the ranks that occur */
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

/** Number of elements of a checked shape. */
size_t rdl__shape_count(const struct rdl__shape *shape);
/** Product of dims [begin, end) of a checked shape; 1 if the range is empty. */
int64_t rdl__shape_product(const struct rdl__shape *shape, int32_t begin, int32_t end);
/** Strides of C order, in elements. */
void rdl__shape_strides(const struct rdl__shape *shape, int64_t strides[RDL_MAX_RANK]);

/**
 * The shape of a and b broadcast together, numpy rules (ONNX: multidirectional broadcasting).
 * @return RDL_ERR_SHAPE naming both shapes; RDL_ERR_OVERFLOW
 */
enum rdl_status rdl__shape_broadcast(const struct rdl__shape *a, const struct rdl__shape *b,
                                     struct rdl__shape *out, struct rdl_error *error);

/** "[2, 3, 4]" into out, for messages; cut if too long. Returns out. */
char *rdl__shape_text(const struct rdl__shape *shape, char *out, size_t size_bytes);
/** Bytes that hold any shape's text. */
#define RDL__SHAPE_TEXT_BYTES (RDL_MAX_RANK * 22 + 4)

#endif
