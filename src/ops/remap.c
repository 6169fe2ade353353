/*
 * See remap.h. Dimensions that are not changed join their neighbours, so that rows are long, and a row
 * that is cut out, mirrored or filled in long stretches is told by pieces and not by a table.
 */
#include "ops/remap.h"

#include "base/mem.h"
#include "kernels/remap.h"

#include <string.h>

int64_t *rdl__remap_table(struct rdl__remap *map, int32_t d, int64_t n)
{
    map->dims[d].table = rdl__alloc_zeroed((size_t)n, sizeof(int64_t));
    return map->dims[d].table;
}

void rdl__remap_fini(struct rdl__remap *map)
{
    for (int32_t d = 0; d < RDL_MAX_RANK; d++) {
        rdl__free(map->dims[d].table);
        map->dims[d].table = NULL;
    }
}

/* Drops tables that change nothing. */
static void drop_same(struct rdl__remap *map, const struct rdl__shape *in,
                      const struct rdl__shape *out)
{
    for (int32_t d = 0; d < out->rank; d++) {
        int64_t *table = map->dims[d].table;
        bool same = table != NULL && in->dims[d] == out->dims[d];
        for (int64_t i = 0; same && i < out->dims[d]; i++)
            same = table[i] == i;
        if (same) {
            rdl__free(table);
            map->dims[d].table = NULL;
        }
    }
}

/* The piece that begins at index i of a table of n. */
static struct rdl__k_remap_piece piece_at(const int64_t *table, int64_t i, int64_t n)
{
    struct rdl__k_remap_piece piece = {.length = 1, .start = table[i], .step = 1};
    if (i + 1 == n)
        return piece;
    if (table[i] == RDL__K_REMAP_FILL) {
        while (i + piece.length < n && table[i + piece.length] == RDL__K_REMAP_FILL)
            piece.length++;
        return piece;
    }
    const int64_t step = table[i + 1] - table[i];
    if (table[i + 1] == RDL__K_REMAP_FILL)
        return piece;
    piece.step = step;
    while (i + piece.length < n && table[i + piece.length] != RDL__K_REMAP_FILL &&
           table[i + piece.length] == table[i] + piece.length * step)
        piece.length++;
    return piece;
}

/* How often each source index stands in a row, if the same for all and in order; else 0. */
static int32_t repeat_of(const int64_t *table, int64_t n)
{
    int64_t by = 1;
    while (by < n && table[by] == table[0])
        by++;
    if (by < 2 || by > 64)
        return 0;
    for (int64_t i = 0; i < n; i++)
        if (table[i] != i / by)
            return 0;
    return (int32_t)by;
}

/* The blob while it is made. */
struct build {
    struct rdl__k_remap *blob;
    int64_t used;
};

static void add_dim(struct build *build, int64_t dim, int64_t stride, const int64_t *table)
{
    struct rdl__k_remap *blob = build->blob;
    const int32_t d = blob->rank++;
    blob->dims[d] = dim;
    blob->stride[d] = stride;
    blob->table_at[d] = -1;
    if (table == NULL)
        return;
    blob->table_at[d] = build->used;
    for (int64_t i = 0; i < dim; i++)
        blob->data[build->used++] = table[i] < 0 ? RDL__K_REMAP_FILL : table[i] * stride;
}

static void add_piece(struct build *build, int64_t length, int64_t start, int64_t step)
{
    int64_t *to = build->blob->data + build->used;
    to[0] = length;
    to[1] = start;
    to[2] = step;
    build->used += 3;
    build->blob->n_pieces++;
}

/* Whether the table's stretches can be told of rows of more than one element. */
static bool runs_forward(const int64_t *table, int64_t n)
{
    for (int64_t i = 0; i < n;) {
        const struct rdl__k_remap_piece piece = piece_at(table, i, n);
        if (piece.start != RDL__K_REMAP_FILL && piece.length > 1 && piece.step != 1)
            return false;
        i += piece.length;
    }
    return true;
}

/* The last dimension: `table` (NULL: the same) over runs of `inner` elements. */
static void add_last(struct build *build, const int64_t *table, int64_t n, int64_t inner)
{
    struct rdl__k_remap *blob = build->blob;
    blob->table_at[blob->rank] = -1;
    blob->dims[blob->rank++] = n * inner;
    blob->last_at = build->used;
    blob->rows = RDL__K_REMAP_PIECES;
    if (table == NULL) {
        add_piece(build, n * inner, 0, 1);
        return;
    }
    int64_t pieces = 0;
    for (int64_t i = 0; i < n; pieces++)
        i += piece_at(table, i, n).length;
    blob->repeat = inner == 1 ? repeat_of(table, n) : 0;
    if (blob->repeat > 0) {
        blob->rows = RDL__K_REMAP_REPEAT;
    } else if (inner == 1 && pieces > n / 8 && pieces > 3) {
        blob->rows = RDL__K_REMAP_TABLE;
        memcpy(blob->data + build->used, table, (size_t)n * sizeof *table);
        build->used += n;
    } else {
        for (int64_t i = 0; i < n;) {
            const struct rdl__k_remap_piece piece = piece_at(table, i, n);
            const bool fill = piece.start == RDL__K_REMAP_FILL;
            add_piece(build, piece.length * inner, fill ? piece.start : piece.start * inner,
                      piece.step);
            i += piece.length;
        }
    }
}

/* Enters all dimensions into the blob. */
static void build_dims(struct build *build, const struct rdl__remap *map,
                       const struct rdl__shape *in, const struct rdl__shape *out)
{
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(in, strides);
    int32_t last = out->rank - 1;
    int64_t inner = 1;
    while (last >= 0 && map->dims[last].table == NULL)
        inner *= out->dims[last--];
    const bool joined = inner == 1 || runs_forward(map->dims[last].table, out->dims[last]);
    for (int32_t d = 0; d < last + !joined; d++) {
        if (map->dims[d].table == NULL && d > 0 && map->dims[d - 1].table == NULL) {
            build->blob->dims[build->blob->rank - 1] *= out->dims[d];
            build->blob->stride[build->blob->rank - 1] = strides[d];
        } else {
            add_dim(build, out->dims[d], strides[d], map->dims[d].table);
        }
    }
    if (joined)
        add_last(build, map->dims[last].table, out->dims[last], inner);
    else
        add_last(build, NULL, 1, inner);
}

static enum rdl_status lower_changed(const struct rdl__lower *lower, const struct rdl__remap *map,
                                     struct rdl__operand fill, const void *fill_bytes)
{
    const struct rdl__shape *out = &lower->out[0].shape;
    size_t words = 3; /* pieces take at most three words an entry */
    for (int32_t d = 0; d < out->rank; d++)
        words += map->dims[d].table != NULL ? 3 * (size_t)out->dims[d] : 0;
    size_t bytes;
    if (!rdl__mul_size(words, sizeof(int64_t), &bytes) ||
        !rdl__add_size(bytes, sizeof(struct rdl__k_remap), &bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "the output is too large");
    struct build build = {.blob = rdl__alloc_zeroed(1, bytes)};
    if (build.blob == NULL)
        return rdl__fail_memory(lower->error, "tables", bytes);
    build.blob->elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype);
    if (fill_bytes != NULL)
        memcpy(build.blob->fill, fill_bytes, sizeof build.blob->fill);
    build_dims(&build, map, &lower->in[0].shape, out);
    const size_t tiles = rdl__k_remap_plan(build.blob);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0), fill};
    const enum rdl_status status =
        rdl__op_step(lower, rdl__k_remap, build.blob,
                     sizeof *build.blob + (size_t)build.used * sizeof(int64_t), tiles, 3, bind);
    rdl__free(build.blob);
    return status;
}

enum rdl_status rdl__remap_lower(const struct rdl__lower *lower, struct rdl__remap *map,
                                 struct rdl__operand fill, const void *fill_bytes)
{
    const struct rdl__shape *in = &lower->in[0].shape, *out = &lower->out[0].shape;
    drop_same(map, in, out);
    bool changed = false;
    for (int32_t d = 0; d < out->rank; d++)
        changed = changed || map->dims[d].table != NULL;
    enum rdl_status status = RDL_OK;
    if (lower->in[0].dtype == RDL_STRING)
        status = rdl__op_no_kernel(lower, RDL_STRING);
    else if (changed)
        status = lower_changed(lower, map, fill, fill_bytes);
    else
        status = rdl__lower_alias(lower, 0, 0);
    rdl__remap_fini(map);
    return status;
}
