/*
 * Recurrent layers on the matrix product: the state of a tile's sequences times the packed weights is
 * added to the projection of the input, then one pass over the gates makes the new state.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_RECURRENT_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_RECURRENT_INC_H

#include "kernels/cpu/template/block.inc.h"
#include "kernels/cpu/template/math.inc.h"
#include "kernels/recurrent.h"

static ALWAYS_INLINE vf cell_activate(const struct rdl__k_cell_act act, vf x)
{
    const vf a = vf_set1(act.a), b = vf_set1(act.b), zero = vf_set1(0.0f), one = vf_set1(1.0f);
    switch (act.kind) {
    case RDL__K_CELL_ACT_SIGMOID:
        return one / (one + vf_exp(-x));
    case RDL__K_CELL_ACT_TANH:
        return vf_tanh(x);
    case RDL__K_CELL_ACT_RELU:
        return vf_max(zero, x);
    case RDL__K_CELL_ACT_AFFINE:
        return a * x + b;
    case RDL__K_CELL_ACT_LEAKY_RELU:
        return vf_select(x < zero, a * x, x);
    case RDL__K_CELL_ACT_THRESHOLDED_RELU:
        return vf_select(x <= a, zero, x);
    case RDL__K_CELL_ACT_SCALED_TANH:
        return a * vf_tanh(b * x);
    case RDL__K_CELL_ACT_HARD_SIGMOID:
        return vf_min(one, vf_max(zero, a * x + b));
    case RDL__K_CELL_ACT_SOFTSIGN:
        return x / (one + (vf)((vi)x & 0x7fffffff));
    default: /* rdl__k_recurrent_f32_takes no others */
        return x;
    }
}

/* The functions of one direction's gates, and what else they look at. */
struct cell {
    struct rdl__k_cell_act act[3];
    float clip;
    bool input_forget;
    const float *peep; /* [3, hidden] or NULL */
    int64_t hidden;
};

/* What ONNX takes if nothing is said: then all of it is known when this is compiled. */
static const struct cell lstm_usual = {
    {{RDL__K_CELL_ACT_SIGMOID, 0, 0}, {RDL__K_CELL_ACT_TANH, 0, 0}, {RDL__K_CELL_ACT_TANH, 0, 0}},
    0,
    false,
    NULL,
    0};

static inline bool cell_is(const struct cell *cell, enum rdl__k_cell_act_kind f,
                           enum rdl__k_cell_act_kind g)
{
    return cell->act[0].kind == f && cell->act[1].kind == g && cell->clip == __builtin_inff();
}

static ALWAYS_INLINE vf cell_gate(const bool usual, const struct cell *cell, int which, vf x)
{
    if (usual)
        return cell_activate(lstm_usual.act[which], x);
    x = vf_min(vf_set1(cell->clip), vf_max(vf_set1(-cell->clip), x));
    return cell_activate(cell->act[which], x);
}

/* One vector of one sequence; `usual` is a constant of the caller. y may be NULL. */
static ALWAYS_INLINE void lstm_vector(const bool usual, const struct cell *cell, const float *gates,
                                      int64_t j, int64_t lanes, float *h, float *c, float *y)
{
    const int64_t n = cell->hidden;
#define LSTM_LOAD(from) (lanes == VF_LANES ? vf_load(from) : vf_load_first((from), lanes))
    const float *peep = usual ? NULL : cell->peep;
    const vf old = LSTM_LOAD(c + j);
    vf i = LSTM_LOAD(gates + j), f = LSTM_LOAD(gates + 2 * n + j);
    if (peep != NULL) {
        i = i + LSTM_LOAD(peep + j) * old;
        f = f + LSTM_LOAD(peep + 2 * n + j) * old;
    }
    i = cell_gate(usual, cell, 0, i);
    f = !usual && cell->input_forget ? vf_set1(1.0f) - i : cell_gate(usual, cell, 0, f);
    const vf g = cell_gate(usual, cell, 1, LSTM_LOAD(gates + 3 * n + j));
    const vf fresh = vf_fma(f, old, i * g);
    vf o = LSTM_LOAD(gates + n + j);
    if (peep != NULL)
        o = o + LSTM_LOAD(peep + n + j) * fresh;
#undef LSTM_LOAD
    const vf out = cell_gate(usual, cell, 0, o) *
                   cell_activate(usual ? lstm_usual.act[2] : cell->act[2], fresh);
    vf_store_first(c + j, fresh, lanes);
    vf_store_first(h + j, out, lanes);
    if (y != NULL)
        vf_store_first(y + j, out, lanes);
}

static ALWAYS_INLINE void lstm_run(const bool usual, const struct cell *cell, const float *gates,
                                   float *h, float *c, float *y)
{
    int64_t j = 0;
    for (; j + VF_LANES <= cell->hidden; j += VF_LANES)
        lstm_vector(usual, cell, gates, j, VF_LANES, h, c, y);
    if (j < cell->hidden)
        lstm_vector(usual, cell, gates, j, cell->hidden - j, h, c, y);
}

static void lstm_usual_row(const struct cell *cell, const float *gates, float *h, float *c,
                           float *y)
{
    lstm_run(true, cell, gates, h, c, y);
}

static void lstm_any_row(const struct cell *cell, const float *gates, float *h, float *c, float *y)
{
    lstm_run(false, cell, gates, h, c, y);
}

static void lstm_row(const struct cell *cell, const float *gates, float *h, float *c, float *y)
{
    const bool usual = cell_is(cell, RDL__K_CELL_ACT_SIGMOID, RDL__K_CELL_ACT_TANH) &&
                       cell->act[2].kind == RDL__K_CELL_ACT_TANH && !cell->input_forget &&
                       cell->peep == NULL;
    (usual ? lstm_usual_row : lstm_any_row)(cell, gates, h, c, y);
}

/* to[0, n) = gate(from), in one pass. */
static ALWAYS_INLINE void gate_run(const bool usual, const struct cell *cell, int which,
                                   const float *from, int64_t n, float *to)
{
    for (int64_t j = 0; j < n; j += VF_LANES) {
        const int64_t lanes = n - j < VF_LANES ? n - j : VF_LANES;
        vf_store_first(to + j, cell_gate(usual, cell, which, vf_load_first(from + j, lanes)),
                       lanes);
    }
}

static void gate_row(const struct cell *cell, int which, const float *from, int64_t n, float *to)
{
    if (cell_is(cell, RDL__K_CELL_ACT_SIGMOID, RDL__K_CELL_ACT_TANH))
        gate_run(true, cell, which, from, n, to);
    else
        gate_run(false, cell, which, from, n, to);
}

/* h = (1 - z) * fresh + z * h */
static void gru_mix(const float *z, const float *fresh, int64_t n, float *h)
{
    for (int64_t j = 0; j < n; j += VF_LANES) {
        const int64_t lanes = n - j < VF_LANES ? n - j : VF_LANES;
        const vf keep = vf_load_first(z + j, lanes);
        const vf old = vf_load_first(h + j, lanes), new = vf_load_first(fresh + j, lanes);
        vf_store_first(h + j, vf_fma(keep, old, (vf_set1(1.0f) - keep) * new), lanes);
    }
}

/* to = r * from + add, or r * from */
static void gru_reset(const float *r, const float *from, const float *add, int64_t n, float *to)
{
    for (int64_t j = 0; j < n; j += VF_LANES) {
        const int64_t lanes = n - j < VF_LANES ? n - j : VF_LANES;
        vf v = vf_load_first(r + j, lanes) * vf_load_first(from + j, lanes);
        if (add != NULL)
            v = v + vf_load_first(add + j, lanes);
        vf_store_first(to + j, v, lanes);
    }
}

/* The sequences of a tile at one step. */
struct recurrent_tile {
    const struct rdl__k_recurrent *p;
    const struct rdl__kernel_call *call;
    struct cell cell;
    int64_t direction, row, rows; /* sequences [row, row + rows) */
    const int32_t *lens;          /* of the tile's sequences, or NULL */
    float *h, *c;                 /* states of the first */
    float *gates;                 /* scratch [rows, gates, hidden] */
    float *state;                 /* scratch [rows, hidden] */
};

static inline int64_t tile_length(const struct recurrent_tile *t, int64_t r)
{
    return t->lens != NULL ? t->lens[r] : t->p->steps;
}

/* c [rows, cols] += a [rows, hidden] times a packed matrix, or init + that. */
static void recurrent_product(const struct recurrent_tile *t, const float *a, int64_t a_row,
                              const float *packed, int64_t gates, const float *init,
                              int64_t init_row, float *c, int64_t c_row)
{
    static const struct rdl__k_act none = {RDL__K_ACT_NONE, 0.0f, 0.0f};
    const int64_t n = t->p->hidden;
    const struct product product = {.a = a,
                                    .a_row = a_row,
                                    .b = packed,
                                    .b_row = PANEL_COLS,
                                    .b_panel = n * PANEL_COLS,
                                    .c = c,
                                    .c_row = c_row,
                                    .init = init,
                                    .init_row = init_row,
                                    .act = &none,
                                    .rows = t->rows,
                                    .cols = gates * n,
                                    .depth = n};
    product_run(&product);
}

/* Floats of a packed matrix of `gates` gates. */
static inline int64_t recurrent_floats(int64_t gates, int64_t hidden)
{
    return (gates * hidden + PANEL_COLS - 1) / PANEL_COLS * PANEL_COLS * hidden;
}

/* The gates' sums begin as the projection of the input at step s. */
static void recurrent_inputs(const struct recurrent_tile *t, int64_t s)
{
    const struct rdl__k_recurrent *p = t->p;
    const int64_t width = rdl__k_cell_gates(p->cell) * p->hidden;
    for (int64_t r = 0; r < t->rows; r++) {
        const int64_t time = rdl__k_recurrent_time(p->reverse[t->direction], s, tile_length(t, r));
        const int64_t at = time * p->x_step + (t->row + r) * p->x_row;
        memcpy(t->gates + r * width,
               (const float *)t->call->bind[RDL__K_RECURRENT_X] +
                   (at * p->directions + t->direction) * width,
               (size_t)width * sizeof(float));
    }
}

/* The hidden gate's sums and the new states of GRU; its other gates stand in `gates`. */
static void gru_step(const struct recurrent_tile *t, int64_t s, const float *packed)
{
    const struct rdl__k_recurrent *p = t->p;
    const int64_t n = p->hidden;
    const float *bias = t->call->bind[RDL__K_RECURRENT_B];
    for (int64_t r = 0; r < t->rows; r++) {
        float *gates = t->gates + r * 3 * n;
        gate_row(&t->cell, 0, gates, 2 * n, gates);
        if (!p->linear_before_reset)
            gru_reset(gates + n, t->h + r * p->h_row, NULL, n, t->state + r * n);
    }
    if (p->linear_before_reset)
        recurrent_product(t, t->h, p->h_row, packed, 1,
                          bias != NULL ? bias + t->direction * 6 * n + 5 * n : NULL, 0, t->state,
                          n);
    else
        recurrent_product(t, t->state, n, packed, 1, t->gates + 2 * n, 3 * n, t->gates + 2 * n,
                          3 * n);
    for (int64_t r = 0; r < t->rows; r++) {
        float *gates = t->gates + r * 3 * n, *hidden = gates + 2 * n;
        if (s >= tile_length(t, r))
            continue;
        if (p->linear_before_reset)
            gru_reset(gates + n, t->state + r * n, hidden, n, hidden);
        gate_row(&t->cell, 1, hidden, n, hidden);
        gru_mix(gates, hidden, n, t->h + r * p->h_row);
    }
}

/* Where y of sequence r at step s lies; NULL if nobody asks. */
static float *recurrent_y(const struct recurrent_tile *t, int64_t s, int64_t r)
{
    const struct rdl__k_recurrent *p = t->p;
    float *y = t->call->bind[RDL__K_RECURRENT_Y];
    const int64_t time = rdl__k_recurrent_time(p->reverse[t->direction], s, tile_length(t, r));
    return y == NULL
               ? NULL
               : y + t->direction * p->y_direction + time * p->y_step + (t->row + r) * p->y_row;
}

static void recurrent_step(const struct recurrent_tile *t, int64_t s)
{
    const struct rdl__k_recurrent *p = t->p;
    const int64_t n = p->hidden, gates = rdl__k_cell_gates(p->cell), width = gates * n;
    const bool gru = p->cell == RDL__K_CELL_GRU;
    const int64_t first = gru ? 2 : gates;
    const float *packed = t->call->bind[RDL__K_RECURRENT_R];
    packed += t->direction * (recurrent_floats(first, n) + (gru ? recurrent_floats(1, n) : 0));
    recurrent_inputs(t, s);
    recurrent_product(t, t->h, p->h_row, packed, first, t->gates, width, t->gates, width);
    if (gru)
        gru_step(t, s, packed + recurrent_floats(2, n));
    for (int64_t r = 0; r < t->rows; r++) {
        float *h = t->h + r * p->h_row, *y = recurrent_y(t, s, r);
        const bool runs = s < tile_length(t, r);
        if (runs && p->cell == RDL__K_CELL_LSTM)
            lstm_row(&t->cell, t->gates + r * width, h, t->c + r * p->h_row, y);
        else if (runs && !gru)
            gate_row(&t->cell, 0, t->gates + r * width, n, h);
        if (y != NULL && !runs)
            memset(y, 0, (size_t)n * sizeof *y);
        else if (y != NULL && p->cell != RDL__K_CELL_LSTM)
            memcpy(y, h, (size_t)n * sizeof *y);
    }
}

/* The initial states. */
static void recurrent_begin(const struct recurrent_tile *t)
{
    const struct rdl__k_recurrent *p = t->p;
    const int64_t at = t->direction * p->h_direction + t->row * p->h_row;
    for (int which = 0; which < 2; which++) {
        const float *from = t->call->bind[RDL__K_RECURRENT_H0 + which];
        float *to = which == 0 ? t->h : t->c;
        for (int64_t r = 0; to != NULL && r < t->rows; r++) {
            if (from != NULL)
                memcpy(to + r * p->h_row, from + at + r * p->h_row, (size_t)p->hidden * sizeof *to);
            else
                memset(to + r * p->h_row, 0, (size_t)p->hidden * sizeof *to);
        }
    }
}

static struct recurrent_tile recurrent_tile(const struct rdl__kernel_call *call, int64_t tile)
{
    const struct rdl__k_recurrent *p = call->params;
    const int64_t direction = tile / p->row_tiles, row = tile % p->row_tiles * p->tile_rows;
    const int64_t at = direction * p->h_direction + row * p->h_row;
    const int32_t *lens = call->bind[RDL__K_RECURRENT_LENS];
    const float *peep = call->bind[RDL__K_RECURRENT_P];
    float *c = call->bind[RDL__K_RECURRENT_C];
    struct recurrent_tile t = {
        .p = p,
        .call = call,
        .cell = {.clip = p->clip,
                 .input_forget = p->input_forget,
                 .peep = peep != NULL ? peep + direction * 3 * p->hidden : NULL,
                 .hidden = p->hidden},
        .direction = direction,
        .row = row,
        .rows = p->batch - row < p->tile_rows ? p->batch - row : p->tile_rows,
        .lens = lens != NULL ? lens + row : NULL,
        .h = (float *)call->bind[RDL__K_RECURRENT_H] + at,
        .c = c != NULL ? c + at : NULL,
        .gates = call->scratch};
    memcpy(t.cell.act, p->act[direction], sizeof t.cell.act);
    t.state = t.gates + t.rows * rdl__k_cell_gates(p->cell) * p->hidden;
    return t;
}

enum rdl_status RDL_ISA(rdl__k_recurrent_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_recurrent *p = call->params;
    for (size_t i = call->tile_begin; i < call->tile_end; i++) {
        const struct recurrent_tile t = recurrent_tile(call, (int64_t)i);
        for (int64_t r = 0; r < t.rows; r++)
            if (tile_length(&t, r) < 0 || tile_length(&t, r) > p->steps)
                return RDL_ERR_RUNTIME;
        if (p->begin == 0)
            recurrent_begin(&t);
        for (int64_t s = p->begin; s < p->end; s++)
            recurrent_step(&t, s);
    }
    return RDL_OK;
}

#endif
