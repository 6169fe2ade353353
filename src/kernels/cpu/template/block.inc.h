/*
 * The register block of the matrix product: mr rows by nv vectors of sums, held in registers while k
 * runs. gemm.inc.h and conv.inc.h are built on it.
 *
 * B lies in panels of two vectors; a block of an odd number of vectors begins or ends in the middle of
 * one. Vectors of nothing but a panel's padding are not computed.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_BLOCK_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_BLOCK_INC_H

#include "kernels/cpu/template/act.inc.h"
#include "kernels/cpu/template/split.h"

#define PANEL_COLS (2 * VF_LANES)

/* Rows of B that a block asks for ahead of their use: wide blocks pass by more of B than the
 * processor's own prefetch follows. */
#define PREFETCH_ROWS 16

typedef vf block_sums[GEMM_MR][ACT_ROW];

/* Calls step(r, v) for each sum. */
#define BLOCK_EACH(mr, nv)                                                                         \
    UNROLL for (int r = 0; r < (mr); r++) UNROLL for (int v = 0; v < (nv); v++)

static ALWAYS_INLINE void block_begin(const int mr, const int nv, const struct gemm_block *k,
                                      const float *init, block_sums acc)
{
    if (init == NULL) {
        BLOCK_EACH(mr, nv) acc[r][v] = vf_set1(0.0f);
    } else if (k->init_splat) {
        BLOCK_EACH(mr, nv) acc[r][v] = vf_set1(init[r]);
    } else if (k->lanes == VF_LANES) {
        BLOCK_EACH(mr, nv) acc[r][v] = vf_load(init + r * k->init_row + v * VF_LANES);
    } else {
        BLOCK_EACH(mr, nv - 1) acc[r][v] = vf_load(init + r * k->init_row + v * VF_LANES);
        init += (nv - 1) * VF_LANES;
        UNROLL for (int r = 0; r < mr; r++) acc[r][nv - 1] =
            vf_load_first(init + r * k->init_row, k->lanes);
    }
}

static ALWAYS_INLINE void block_end(const int mr, const int nv, const struct gemm_block *k,
                                    float *c, block_sums acc)
{
    act_apply(&k->act, mr, nv, acc);
    /* Row by row: rows may lie so that their lines displace each other. */
    if (k->lanes == VF_LANES) {
        BLOCK_EACH(mr, nv) vf_store(c + r * k->c_row + v * VF_LANES, acc[r][v]);
    } else {
        BLOCK_EACH(mr, nv - 1) vf_store(c + r * k->c_row + v * VF_LANES, acc[r][v]);
        c += (nv - 1) * VF_LANES;
        UNROLL for (int r = 0; r < mr; r++)
            vf_store_first(c + r * k->c_row, acc[r][nv - 1], k->lanes);
    }
}

/* One step of k. The smaller side waits in registers while the larger one passes. */
static ALWAYS_INLINE void block_step(const int mr, const int nv, const struct gemm_block *k,
                                     const float *a, const float *b, block_sums acc)
{
    if (nv <= mr) {
        vf bv[GEMM_MOST_VECTORS];
        UNROLL for (int v = 0; v < nv; v++) bv[v] =
            vf_load(b + v / 2 * k->b_panel + v % 2 * k->b_second);
        UNROLL for (int r = 0; r < mr; r++)
        {
            const vf av = vf_set1(a[r * k->a_row]);
            UNROLL for (int v = 0; v < nv; v++) acc[r][v] = vf_fma(av, bv[v], acc[r][v]);
        }
    } else {
        vf av[GEMM_MR];
        UNROLL for (int r = 0; r < mr; r++) av[r] = vf_set1(a[r * k->a_row]);
        UNROLL for (int v = 0; v < nv; v++)
        {
            vf bv = vf_load(b + v / 2 * k->b_panel + v % 2 * k->b_second);
            if (mr > 1)
                bv = vf_register(bv);
            UNROLL for (int r = 0; r < mr; r++) acc[r][v] = vf_fma(av[r], bv, acc[r][v]);
        }
    }
}

/* mr and nv are constants of each caller, so that all loops but those over blocks and k unroll. */
static ALWAYS_INLINE void block_run(const int mr, const int nv, const struct gemm_block *k,
                                    const float *a, const float *b, const float *init, float *c)
{
    for (int64_t left = k->count; left > 0; left--) {
        block_sums acc;
        block_begin(mr, nv, k, init, acc);
        const float *a_at = a, *b_at = b;
        for (int64_t i = k->depth; i > 0; i--) {
            if (GEMM_PREFETCH(mr, nv)) {
                UNROLL for (int v = 0; v < nv; v += VF_LINE) __builtin_prefetch(
                    b_at + PREFETCH_ROWS * k->b_row + v / 2 * k->b_panel + v % 2 * k->b_second);
            }
            block_step(mr, nv, k, a_at, b_at, acc);
            a_at += k->a_step;
            b_at += k->b_row;
        }
        block_end(mr, nv, k, c, acc);
        a += k->a_block;
        c += mr * k->c_row;
        if (init != NULL)
            init += mr * k->init_row;
    }
}

/* X(mr, nv): the blocks that exist, up to gemm_vectors(mr) wide. */
#define BLOCK_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define BLOCK_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6)
#define BLOCK_3(X) X(3, 1) X(3, 2) X(3, 3) X(3, 4)
#define BLOCK_4(X) X(4, 1) X(4, 2) X(4, 3)
#define BLOCK_HIGH(X, mr) X(mr, 1) X(mr, 2)
#if GEMM_MR >= 6
#define BLOCK_5_TO_6(X) BLOCK_HIGH(X, 5) BLOCK_HIGH(X, 6)
#else
#define BLOCK_5_TO_6(X)
#endif
#if GEMM_MR >= 12
#define BLOCK_7_TO_12(X)                                                                           \
    BLOCK_HIGH(X, 7)                                                                               \
    BLOCK_HIGH(X, 8) BLOCK_HIGH(X, 9) BLOCK_HIGH(X, 10) BLOCK_HIGH(X, 11) BLOCK_HIGH(X, 12)
#else
#define BLOCK_7_TO_12(X)
#endif
#define BLOCK_LIST(X) BLOCK_1(X) BLOCK_2(X) BLOCK_3(X) BLOCK_4(X) BLOCK_5_TO_6(X) BLOCK_7_TO_12(X)

typedef void (*block_fn)(const struct gemm_block *k, const float *a, const float *b,
                         const float *init, float *c);

#define BLOCK_DEFINE(mr, nv)                                                                       \
    static void block_##mr##x##nv(const struct gemm_block *k, const float *a, const float *b,      \
                                  const float *init, float *c)                                     \
    {                                                                                              \
        block_run(mr, nv, k, a, b, init, c);                                                       \
    }
BLOCK_LIST(BLOCK_DEFINE)
#undef BLOCK_DEFINE

#define BLOCK_ENTRY(mr, nv) [mr][nv] = block_##mr##x##nv,
static const block_fn blocks[GEMM_MR + 1][GEMM_MOST_VECTORS + 1] = {BLOCK_LIST(BLOCK_ENTRY)};
#undef BLOCK_ENTRY

/*
 * One product of `rows` rows by `cols` columns by `depth`, all of it: blocks in an order that keeps
 * a panel's slice near the units while the rows pass by. With packed rows, element (r, i) of a block
 * of mr rows that begins at row s lies at a[s * depth + i * mr + r]; with rows in place (r, i) of
 * the matrix at a[r * a_row + i].
 */
struct product {
    const float *a;
    int64_t a_row;
    bool packed;
    const float *b;
    int64_t b_row, b_panel;
    float *c;
    int64_t c_row;
    const float *init; /* NULL: zeros */
    int64_t init_row;
    bool init_splat;
    const struct rdl__k_act *act;
    int64_t rows, cols, depth;
};

/* `count` blocks of mr rows from row r on; vectors [begin, end); depth [d, d + depth). */
static void product_blocks(const struct product *p, int64_t r, int64_t mr, int64_t count,
                           int64_t begin, int64_t end, int64_t d, int64_t depth)
{
    const bool first = d == 0;
    struct gemm_block k = {
        .a_row = p->packed ? 1 : p->a_row,
        .a_step = p->packed ? mr : 1,
        .a_block = mr * (p->packed ? p->depth : p->a_row),
        .b_row = p->b_row,
        .b_panel = p->b_panel,
        .c_row = p->c_row,
        .init_row = first ? p->init_row : p->c_row,
        .init_splat = first && p->init_splat,
        .depth = depth,
        .count = count,
        .act = {RDL__K_ACT_NONE, 0.0f, 0.0f},
    };
    if (d + depth == p->depth)
        k.act = *p->act;
    const float *a = p->a + (p->packed ? r * p->depth + d * mr : r * p->a_row + d);
    const float *init = first ? p->init : p->c;
    if (init != NULL)
        init += r * k.init_row;
    int64_t width = gemm_vectors(mr);
    for (int64_t v = begin; v < end; v += width) {
        const int64_t left = end - v;
        /* Two blocks of middling width keep the units busier than a whole and a narrow one. */
        width = left <= width ? left : left < 2 * width ? (left + 1) / 2 : width;
        const int64_t col = v * VF_LANES, lanes = p->cols - col - (width - 1) * VF_LANES;
        const bool odd = v % 2 != 0;
        k.lanes = lanes < VF_LANES ? lanes : VF_LANES;
        k.b_second = odd ? p->b_panel - VF_LANES : VF_LANES;
        blocks[mr][width](&k, a, p->b + v / 2 * p->b_panel + (odd ? VF_LANES : 0) + d * p->b_row,
                          init == NULL || k.init_splat ? init : init + col,
                          p->c + r * p->c_row + col);
    }
}

/* Vectors that blocks of two heights pass in turn: few, so that the second height finds them near,
 * and a multiple of both widths (12 of all of gemm_vectors but the first). */
static int64_t product_group(const struct gemm_split *s, int64_t vectors)
{
    if (s->more == 0 || s->even == 0)
        return vectors;
    const int width = gemm_vectors(s->base);
    return width == gemm_vectors(s->base + 1) ? width : 12;
}

static void product_run(const struct product *p)
{
    const struct gemm_split s = gemm_split(p->rows, GEMM_MR);
    const int64_t vectors = (p->cols + VF_LANES - 1) / VF_LANES;
    const int64_t group = product_group(&s, vectors);
    for (int64_t d = 0; d == 0 || d < p->depth; d += GEMM_DEPTH) {
        const int64_t depth = p->depth - d < GEMM_DEPTH ? p->depth - d : GEMM_DEPTH;
        for (int64_t v = 0; v < vectors; v += group) {
            const int64_t end = vectors - v < group ? vectors : v + group;
            if (s.more > 0)
                product_blocks(p, 0, s.base + 1, s.more, v, end, d, depth);
            product_blocks(p, s.more * (s.base + 1), s.base, s.even, v, end, d, depth);
        }
    }
}

#endif
