/*
 * The register block of the matrix product: mr rows by np panels of two vectors, held in registers
 * while k runs. gemm.inc.h and conv.inc.h are built on it.
 *
 * A's rows are either in place (element (r, i) at a[r * a_row + i]) or packed (at a[i * mr + r]).
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_BLOCK_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_BLOCK_INC_H

#include "kernels/cpu/template/act.inc.h"
#include "kernels/cpu/template/split.h"

#define PANEL_COLS (2 * VF_LANES)
#define GEMM_NP 4 /* most panels of a block */

/* Depth of one pass over k: deep enough that loading and storing the sums costs little, and short
 * enough that a panel's slice and a tile's rows stay in the second-level cache. */
#define GEMM_KC 1024

enum block_init { INIT_ZERO, INIT_LOAD, INIT_SPLAT };

/* `count` blocks of the same panels, one below another. */
struct block {
    const float *a;
    ptrdiff_t a_row, a_block; /* floats between rows; between blocks */
    const float *b; /* vector v of panel p and depth i: b[p * b_panel + i * b_row + v * VF_LANES] */
    ptrdiff_t b_row, b_panel;
    float *c;
    ptrdiff_t c_row;
    const float *init; /* LOAD: the first sum of (r, j) is init[r * init_row + j]; SPLAT: init[r] */
    ptrdiff_t init_row;
    enum block_init init_kind;
    int64_t depth;
    int64_t cols; /* columns of C from c on, >= 1; those past np panels are another block's */
    int64_t count;
    const struct rdl__k_act *act;
};

typedef void (*block_fn)(const struct block *k);

/* Valid lanes of vector v. */
static inline int64_t block_lanes(int64_t cols, int v)
{
    const int64_t n = cols - v * VF_LANES;
    return n < 0 ? 0 : n > VF_LANES ? VF_LANES : n;
}

typedef vf block_sums[GEMM_MR][ACT_ROW];

static ALWAYS_INLINE void block_begin(const int mr, const int nv, const struct block *k,
                                      const float *init, const bool whole, block_sums acc)
{
    if (k->init_kind == INIT_ZERO) {
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) acc[r][v] =
            vf_set1(0.0f);
    } else if (k->init_kind == INIT_SPLAT) {
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) acc[r][v] =
            vf_set1(init[r]);
    } else if (whole) {
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) acc[r][v] =
            vf_load(init + r * k->init_row + v * VF_LANES);
    } else {
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++) acc[r][v] =
            vf_load_first(init + r * k->init_row + v * VF_LANES, block_lanes(k->cols, v));
    }
}

static ALWAYS_INLINE void block_end(const int mr, const int nv, const struct block *k, float *c,
                                    const bool whole, block_sums acc)
{
    act_apply(k->act, mr, nv, acc);
    if (whole) {
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++)
            vf_store(c + r * k->c_row + v * VF_LANES, acc[r][v]);
    } else {
        UNROLL for (int r = 0; r < mr; r++) UNROLL for (int v = 0; v < nv; v++)
            vf_store_first(c + r * k->c_row + v * VF_LANES, acc[r][v], block_lanes(k->cols, v));
    }
}

/* One step of k. The smaller side waits in registers while the larger one passes. */
static ALWAYS_INLINE void block_step(const int mr, const int np, const float *a, ptrdiff_t a_row,
                                     const float *b, ptrdiff_t b_panel, block_sums acc)
{
    if (np == 1) {
        const vf b0 = vf_load(b), b1 = vf_load(b + VF_LANES);
        UNROLL for (int r = 0; r < mr; r++)
        {
            const vf av = vf_set1(a[r * a_row]);
            acc[r][0] = vf_fma(av, b0, acc[r][0]);
            acc[r][1] = vf_fma(av, b1, acc[r][1]);
        }
    } else {
        vf av[GEMM_MR];
        UNROLL for (int r = 0; r < mr; r++) av[r] = vf_set1(a[r * a_row]);
        UNROLL for (int v = 0; v < 2 * np; v++)
        {
            const vf bv = vf_load(b + (v / 2) * b_panel + (v % 2) * VF_LANES);
            UNROLL for (int r = 0; r < mr; r++) acc[r][v] = vf_fma(av[r], bv, acc[r][v]);
        }
    }
}

/* mr, np and packed are constants of each caller, so that all loops but those over blocks and k
 * unroll. */
static ALWAYS_INLINE void block_run(const int mr, const int np, const bool packed,
                                    const struct block *k)
{
    const bool whole = k->cols >= (int64_t)np * PANEL_COLS;
    const ptrdiff_t a_row = packed ? 1 : k->a_row, a_step = packed ? mr : 1;
    const ptrdiff_t b_row = k->b_row, b_panel = k->b_panel;
    const ptrdiff_t init_block = k->init_kind == INIT_SPLAT ? mr : mr * k->init_row;
    const float *a_block = k->a, *init = k->init;
    float *c = k->c;
    for (int64_t left = k->count; left > 0; left--) {
        block_sums acc;
        block_begin(mr, 2 * np, k, init, whole, acc);
        const float *a = a_block, *b = k->b;
        for (int64_t i = k->depth; i > 0; i--) {
            block_step(mr, np, a, a_row, b, b_panel, acc);
            a += a_step;
            b += b_row;
        }
        block_end(mr, 2 * np, k, c, whole, acc);
        a_block += k->a_block;
        c += mr * k->c_row;
        init = init == NULL ? NULL : init + init_block;
    }
}

/* X(mr, np): the blocks that exist. */
#define BLOCK_SMALL(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(2, 1) X(3, 1) X(4, 1)
#if GEMM_NP_2 >= 3
#define BLOCK_NP_2(X) X(2, 2) X(2, 3)
#elif GEMM_NP_2 == 2
#define BLOCK_NP_2(X) X(2, 2)
#else
#define BLOCK_NP_2(X)
#endif
#if GEMM_NP_3 == 2
#define BLOCK_NP_3(X) X(3, 2)
#else
#define BLOCK_NP_3(X)
#endif
#if GEMM_MR >= 6
#define BLOCK_MR_6(X) X(5, 1) X(6, 1)
#else
#define BLOCK_MR_6(X)
#endif
#if GEMM_MR >= 12
#define BLOCK_MR_12(X) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1)
#else
#define BLOCK_MR_12(X)
#endif
#define BLOCK_LIST(X) BLOCK_SMALL(X) BLOCK_NP_2(X) BLOCK_NP_3(X) BLOCK_MR_6(X) BLOCK_MR_12(X)

#define BLOCK_DEFINE(mr, np)                                                                       \
    static void block_rows_##mr##x##np(const struct block *k)                                      \
    {                                                                                              \
        block_run(mr, np, false, k);                                                               \
    }                                                                                              \
    static void block_packed_##mr##x##np(const struct block *k)                                    \
    {                                                                                              \
        block_run(mr, np, true, k);                                                                \
    }
BLOCK_LIST(BLOCK_DEFINE)
#undef BLOCK_DEFINE

#define BLOCK_ROWS(mr, np) [mr][np] = block_rows_##mr##x##np,
#define BLOCK_PACKED(mr, np) [mr][np] = block_packed_##mr##x##np,
static const block_fn blocks_rows[GEMM_MR + 1][GEMM_NP + 1] = {BLOCK_LIST(BLOCK_ROWS)};
static const block_fn blocks_packed[GEMM_MR + 1][GEMM_NP + 1] = {BLOCK_LIST(BLOCK_PACKED)};
#undef BLOCK_ROWS
#undef BLOCK_PACKED

/* Panels side by side in a block of mr rows. */
static inline int block_panels(int64_t mr)
{
    static const int panels[] = {1, GEMM_NP_1, GEMM_NP_2, GEMM_NP_3};
    return mr <= 3 ? panels[mr] : 1;
}

/*
 * One product of `rows` rows by `cols` columns by `depth`, all of it: blocks in an order that keeps
 * a panel's slice near the units while the rows pass by. With packed rows, a block of mr rows that
 * begins at row r lies at a + r * depth_all; with rows in place at a + r * a_row.
 */
struct product {
    const float *a;
    ptrdiff_t a_row;
    bool packed;
    const float *b;
    ptrdiff_t b_row, b_panel;
    float *c;
    ptrdiff_t c_row;
    const float *init;
    ptrdiff_t init_row;
    enum block_init init_kind;
    const struct rdl__k_act *act;
    int64_t rows, cols, depth;
};

static const struct rdl__k_act act_none = {RDL__K_ACT_NONE, 0.0f, 0.0f};

/* `count` blocks of mr rows from row r on, np panels, of the pass over depth [d, d + depth). */
static void product_blocks(const struct product *p, int64_t r, int64_t mr, int64_t count,
                           int64_t panel, int64_t np, int64_t d, int64_t depth)
{
    if (count == 0)
        return;
    const bool last = d + depth == p->depth;
    const int64_t col = panel * PANEL_COLS;
    float *c = p->c + r * p->c_row + col;
    struct block k = {
        .a = p->packed ? p->a + r * p->depth + d * mr : p->a + r * p->a_row + d,
        .a_row = p->a_row,
        .a_block = p->packed ? mr * p->depth : mr * p->a_row,
        .b = p->b + panel * p->b_panel + d * p->b_row,
        .b_row = p->b_row,
        .b_panel = p->b_panel,
        .c = c,
        .c_row = p->c_row,
        .init = c,
        .init_row = p->c_row,
        .init_kind = INIT_LOAD,
        .depth = depth,
        .cols = p->cols - col,
        .count = count,
        .act = last ? p->act : &act_none,
    };
    if (d == 0) {
        k.init_kind = p->init_kind;
        k.init_row = p->init_row;
        k.init = p->init_kind == INIT_LOAD    ? p->init + r * p->init_row + col
                 : p->init_kind == INIT_SPLAT ? p->init + r
                                              : NULL;
    }
    (p->packed ? blocks_packed : blocks_rows)[mr][np](&k);
}

static void product_run(const struct product *p)
{
    if (p->rows <= GEMM_MR && p->cols <= PANEL_COLS && p->depth <= GEMM_KC) {
        product_blocks(p, 0, p->rows, 1, 0, 1, 0, p->depth); /* one block: the loops cost more */
        return;
    }
    const struct gemm_split s = gemm_split(p->rows, GEMM_MR, GEMM_FULL_MR);
    const int64_t panels = (p->cols + PANEL_COLS - 1) / PANEL_COLS;
    const int64_t last_np = block_panels(s.last), last_row = p->rows - s.last;
    for (int64_t d = 0; d == 0 || d < p->depth; d += GEMM_KC) {
        const int64_t depth = p->depth - d < GEMM_KC ? p->depth - d : GEMM_KC;
        for (int64_t panel = 0; panel < panels; panel++) {
            product_blocks(p, 0, s.base + 1, s.more, panel, 1, d, depth);
            product_blocks(p, s.more * (s.base + 1), s.base, s.even, panel, 1, d, depth);
        }
        if (s.last == 0)
            continue;
        for (int64_t panel = 0; panel < panels; panel += last_np) {
            const int64_t left = panels - panel;
            product_blocks(p, last_row, s.last, 1, panel, left < last_np ? left : last_np, d,
                           depth);
        }
    }
}

#endif
