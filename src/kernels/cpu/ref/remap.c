/*
 * Copying along tables. No state; any thread.
 *
 * A row is one pass of the last dimension. Rows that show the same row of the source as the one before
 * are copied from it.
 */
#include "kernels/remap.h"

#include "kernels/move.h"

#include <string.h>

#define TILE_ELEMS 16384

/* The analyser does not know that 1 <= rank <= RDL_MAX_RANK.
 * NOLINTBEGIN(clang-analyzer-security.ArrayBound) */

size_t rdl__k_remap_plan(struct rdl__k_remap *params)
{
    params->count = 1;
    for (int32_t d = 0; d < params->rank; d++)
        params->count *= params->dims[d];
    /* Whole rows where they are short, so that few rows are begun twice. */
    const int64_t row = params->dims[params->rank - 1];
    params->tile_elems = row > 0 && row < TILE_ELEMS ? TILE_ELEMS / row * row : TILE_ELEMS;
    return (size_t)((params->count + params->tile_elems - 1) / params->tile_elems);
}

/* Elements `place` to `place + n` of a row by pieces. */
static void row_of_pieces(const struct rdl__k_remap *p, const char *src, char *out, int64_t place,
                          int64_t n, const void *fill)
{
    const int64_t *piece = p->data + p->last_at;
    for (; n > 0; piece += 3) {
        if (place >= piece[0]) {
            place -= piece[0];
            continue;
        }
        int64_t length = piece[0] - place;
        length = length < n ? length : n;
        if (piece[1] == RDL__K_REMAP_FILL)
            rdl__k_move_run(p->elem_bytes, fill, 0, out, 1, length);
        else
            rdl__k_move_run(p->elem_bytes, src + (piece[1] + place * piece[2]) * p->elem_bytes,
                            piece[2], out, 1, length);
        out += length * p->elem_bytes;
        n -= length;
        place = 0;
    }
}

/* Bytes are repeated in the loop for any factor: gcc 13 does not get through the unrolled ones. */
#define ROW_OF_TABLE(bits)                                                                         \
    static void row_of_table_##bits(const int64_t *table, const void *vs, void *vd, int64_t n,     \
                                    const void *fill)                                              \
    {                                                                                              \
        const uint##bits##_t *s = vs, *none = fill;                                                \
        uint##bits##_t *d = vd;                                                                    \
        for (int64_t i = 0; i < n; i++)                                                            \
            d[i] = *(table[i] < 0 ? none : s + table[i]);                                          \
    }                                                                                              \
    static inline void repeat_by_##bits(const uint##bits##_t *s, uint##bits##_t *d, int64_t n,     \
                                        int by)                                                    \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            for (int k = 0; k < by; k++)                                                           \
                d[i * by + k] = s[i];                                                              \
    }                                                                                              \
    static void row_of_repeat_##bits(const void *vs, void *vd, int64_t place, int64_t n, int by)   \
    {                                                                                              \
        const uint##bits##_t *s = vs;                                                              \
        uint##bits##_t *d = vd;                                                                    \
        for (; n > 0 && place % by != 0; n--)                                                      \
            *d++ = s[place++ / by];                                                                \
        const int64_t whole = n / by;                                                              \
        s += place / by;                                                                           \
        if ((bits) > 8 && by == 2)                                                                 \
            repeat_by_##bits(s, d, whole, 2);                                                      \
        else if ((bits) > 8 && by == 4)                                                            \
            repeat_by_##bits(s, d, whole, 4);                                                      \
        else if ((bits) > 8 && by == 8)                                                            \
            repeat_by_##bits(s, d, whole, 8);                                                      \
        else                                                                                       \
            repeat_by_##bits(s, d, whole, by);                                                     \
        for (int64_t i = whole * by; i < n; i++)                                                   \
            d[i] = s[whole];                                                                       \
    }
ROW_OF_TABLE(8)
ROW_OF_TABLE(16)
ROW_OF_TABLE(32)
ROW_OF_TABLE(64)

#define BY_SIZE(bytes, name, ...)                                                                  \
    do {                                                                                           \
        if ((bytes) == 1)                                                                          \
            name##_8(__VA_ARGS__);                                                                 \
        else if ((bytes) == 2)                                                                     \
            name##_16(__VA_ARGS__);                                                                \
        else if ((bytes) == 4)                                                                     \
            name##_32(__VA_ARGS__);                                                                \
        else                                                                                       \
            name##_64(__VA_ARGS__);                                                                \
    } while (0)

static void row_part(const struct rdl__k_remap *p, const char *src, char *out, int64_t place,
                     int64_t n, const void *fill)
{
    if (p->rows == RDL__K_REMAP_PIECES)
        row_of_pieces(p, src, out, place, n, fill);
    else if (p->rows == RDL__K_REMAP_TABLE)
        BY_SIZE(p->elem_bytes, row_of_table, p->data + p->last_at + place, src, out, n, fill);
    else
        BY_SIZE(p->elem_bytes, row_of_repeat, src, out, place, n, p->repeat);
}

/* Where the source's row for these outer indices begins, in elements; or the fill. */
static int64_t row_start(const struct rdl__k_remap *p, const int64_t *index)
{
    int64_t start = 0;
    for (int32_t d = 0; d < p->rank - 1; d++) {
        if (p->table_at[d] < 0) {
            start += index[d] * p->stride[d];
            continue;
        }
        const int64_t at = p->data[p->table_at[d] + index[d]];
        if (at == RDL__K_REMAP_FILL)
            return RDL__K_REMAP_FILL;
        start += at;
    }
    return start;
}

static void next_row(const struct rdl__k_remap *p, int64_t *index)
{
    for (int32_t d = p->rank - 2; d >= 0; d--) {
        if (++index[d] < p->dims[d])
            return;
        index[d] = 0;
    }
}

enum rdl_status rdl__k_remap(const struct rdl__kernel_call *call)
{
    const struct rdl__k_remap *p = call->params;
    const char *src = call->bind[0];
    const void *fill = call->bind[2] != NULL ? call->bind[2] : p->fill;
    const int64_t row = p->dims[p->rank - 1];
    int64_t at = (int64_t)call->tile_begin * p->tile_elems, end = call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    char *out = (char *)call->bind[1] + at * p->elem_bytes;
    int64_t index[RDL_MAX_RANK], place = at % row, left = at / row;
    for (int32_t d = p->rank - 2; d >= 0; d--) {
        index[d] = left % p->dims[d];
        left /= p->dims[d];
    }
    int64_t last = RDL__K_REMAP_FILL - 1; /* start of the row before, if that was written whole */
    while (at < end) {
        const int64_t n = row - place < end - at ? row - place : end - at;
        const int64_t start = row_start(p, index);
        if (start == last)
            memcpy(out, out - row * p->elem_bytes, (size_t)(n * p->elem_bytes));
        else if (start == RDL__K_REMAP_FILL)
            rdl__k_move_run(p->elem_bytes, fill, 0, out, 1, n);
        else
            row_part(p, src + start * p->elem_bytes, out, place, n, fill);
        last = n == row ? start : RDL__K_REMAP_FILL - 1;
        at += n;
        out += n * p->elem_bytes;
        place = 0;
        next_row(p, index);
    }
    return RDL_OK;
}

/* NOLINTEND(clang-analyzer-security.ArrayBound) */
