/*
 * Reference recurrent layers: one sequence at a time, straight from the definition; activations in
 * double. No state; any thread.
 */
#include "kernels/recurrent.h"

#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

static double activate(const struct rdl__k_cell_act *act, double x)
{
    const double a = (double)act->a, b = (double)act->b;
    switch (act->kind) {
    case RDL__K_CELL_ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case RDL__K_CELL_ACT_TANH:
        return tanh(x);
    case RDL__K_CELL_ACT_RELU:
        return 0.0 > x ? 0.0 : x;
    case RDL__K_CELL_ACT_AFFINE:
        return a * x + b;
    case RDL__K_CELL_ACT_LEAKY_RELU:
        return x < 0.0 ? a * x : x;
    case RDL__K_CELL_ACT_THRESHOLDED_RELU:
        return x > a || x != x ? x : 0.0;
    case RDL__K_CELL_ACT_SCALED_TANH:
        return a * tanh(b * x);
    case RDL__K_CELL_ACT_HARD_SIGMOID:
        x = a * x + b;
        x = 0.0 > x ? 0.0 : x;
        return 1.0 < x ? 1.0 : x;
    case RDL__K_CELL_ACT_ELU:
        return x < 0.0 ? a * expm1(x) : x;
    case RDL__K_CELL_ACT_SOFTSIGN:
        return x / (1.0 + fabs(x));
    case RDL__K_CELL_ACT_SOFTPLUS:
        return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
    return x;
}

static double clip(double x, double bound)
{
    return -bound > x ? -bound : bound < x ? bound : x;
}

/* Where one step of one sequence finds its data; elements of the kernel's dtype. */
struct place {
    int64_t direction, x, h, y;
};

static double gate(const struct rdl__k_recurrent *p, const struct place *at, int which, double x)
{
    return activate(&p->act[at->direction][which], clip(x, (double)p->clip));
}

#define CELL(dtype, type)                                                                          \
    /* sums[i] += weights [rows, cols] times v */                                                  \
    static void product_##dtype(type *sums, const type *weights, const type *v, int64_t rows,      \
                                int64_t cols)                                                      \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++)                                                         \
            for (int64_t j = 0; j < cols; j++)                                                     \
                sums[i] += weights[i * cols + j] * v[j];                                           \
    }                                                                                              \
    static void lstm_##dtype(const struct rdl__k_recurrent *p, void *const *bind,                  \
                             const struct place *at, const type *gates)                            \
    {                                                                                              \
        const int64_t n = p->hidden;                                                               \
        const type *peep = bind[RDL__K_RECURRENT_P];                                               \
        type *h = (type *)bind[RDL__K_RECURRENT_H] + at->h;                                        \
        type *c = (type *)bind[RDL__K_RECURRENT_C] + at->h;                                        \
        peep = peep != NULL ? peep + at->direction * 3 * n : NULL;                                 \
        for (int64_t j = 0; j < n; j++) {                                                          \
            const double old = (double)c[j];                                                       \
            const double to_i = peep != NULL ? (double)peep[j] * old : 0.0;                        \
            const double to_f = peep != NULL ? (double)peep[2 * n + j] * old : 0.0;                \
            const double i = gate(p, at, 0, (double)gates[j] + to_i);                              \
            const double f =                                                                       \
                p->input_forget ? 1.0 - i : gate(p, at, 0, (double)gates[2 * n + j] + to_f);       \
            const double fresh = f * old + i * gate(p, at, 1, (double)gates[3 * n + j]);           \
            const double to_o = peep != NULL ? (double)peep[n + j] * fresh : 0.0;                  \
            c[j] = (type)fresh;                                                                    \
            h[j] = (type)(gate(p, at, 0, (double)gates[n + j] + to_o) *                            \
                          activate(&p->act[at->direction][2], fresh));                             \
        }                                                                                          \
    }                                                                                              \
    static void gru_##dtype(const struct rdl__k_recurrent *p, void *const *bind,                   \
                            const struct place *at, type *gates)                                   \
    {                                                                                              \
        const int64_t n = p->hidden;                                                               \
        const type *weights = (const type *)bind[RDL__K_RECURRENT_R] + at->direction * 3 * n * n;  \
        const type *bias = bind[RDL__K_RECURRENT_B];                                               \
        type *h = (type *)bind[RDL__K_RECURRENT_H] + at->h, *state = gates + 3 * n;                \
        bias = bias != NULL ? bias + at->direction * 6 * n + 5 * n : NULL;                         \
        product_##dtype(gates, weights, h, 2 * n, n);                                              \
        for (int64_t j = 0; j < 2 * n; j++)                                                        \
            gates[j] = (type)gate(p, at, 0, (double)gates[j]);                                     \
        if (p->linear_before_reset) {                                                              \
            for (int64_t j = 0; j < n; j++)                                                        \
                state[j] = bias != NULL ? bias[j] : (type)0;                                       \
            product_##dtype(state, weights + 2 * n * n, h, n, n);                                  \
            for (int64_t j = 0; j < n; j++)                                                        \
                gates[2 * n + j] += gates[n + j] * state[j];                                       \
        } else {                                                                                   \
            for (int64_t j = 0; j < n; j++)                                                        \
                state[j] = gates[n + j] * h[j];                                                    \
            product_##dtype(gates + 2 * n, weights + 2 * n * n, state, n, n);                      \
        }                                                                                          \
        for (int64_t j = 0; j < n; j++) {                                                          \
            const double z = (double)gates[j];                                                     \
            const double fresh = gate(p, at, 1, (double)gates[2 * n + j]);                         \
            h[j] = (type)((1.0 - z) * fresh + z * (double)h[j]);                                   \
        }                                                                                          \
    }                                                                                              \
    static void step_##dtype(const struct rdl__k_recurrent *p, void *const *bind,                  \
                             const struct place *at, type *gates)                                  \
    {                                                                                              \
        const int64_t n = p->hidden, all = rdl__k_cell_gates(p->cell) * n;                         \
        const type *bias = bind[RDL__K_RECURRENT_B];                                               \
        const type *recurrent = bind[RDL__K_RECURRENT_R];                                          \
        type *h = (type *)bind[RDL__K_RECURRENT_H] + at->h;                                        \
        bias = bias != NULL ? bias + at->direction * 2 * all : NULL;                               \
        for (int64_t j = 0; j < all; j++) {                                                        \
            /* The state's bias of GRU's hidden gate may come before the reset: gru adds it. */    \
            const bool apart = p->linear_before_reset && j >= 2 * n;                               \
            gates[j] = bias == NULL ? (type)0 : apart ? bias[j] : bias[j] + bias[all + j];         \
        }                                                                                          \
        product_##dtype(gates,                                                                     \
                        (const type *)bind[RDL__K_RECURRENT_W] + at->direction * all * p->input,   \
                        (const type *)bind[RDL__K_RECURRENT_X] + at->x, all, p->input);            \
        if (p->cell == RDL__K_CELL_GRU) {                                                          \
            gru_##dtype(p, bind, at, gates);                                                       \
            return;                                                                                \
        }                                                                                          \
        product_##dtype(gates, recurrent + at->direction * all * n, h, all, n);                    \
        if (p->cell == RDL__K_CELL_LSTM)                                                           \
            lstm_##dtype(p, bind, at, gates);                                                      \
        else                                                                                       \
            for (int64_t j = 0; j < n; j++)                                                        \
                h[j] = (type)gate(p, at, 0, (double)gates[j]);                                     \
    }                                                                                              \
    static void begin_##dtype(const struct rdl__k_recurrent *p, void *const *bind, int64_t at)     \
    {                                                                                              \
        for (int which = 0; which < 2; which++) {                                                  \
            const type *from = bind[RDL__K_RECURRENT_H0 + which];                                  \
            type *to = bind[RDL__K_RECURRENT_H + which];                                           \
            for (int64_t j = 0; to != NULL && j < p->hidden; j++)                                  \
                to[at + j] = from != NULL ? from[at + j] : (type)0;                                \
        }                                                                                          \
    }                                                                                              \
    static void sequence_##dtype(const struct rdl__k_recurrent *p, void *const *bind,              \
                                 int64_t direction, int64_t row, int64_t length, void *scratch)    \
    {                                                                                              \
        struct place at = {.direction = direction,                                                 \
                           .h = direction * p->h_direction + row * p->h_row};                      \
        type *y = bind[RDL__K_RECURRENT_Y];                                                        \
        const type *h = (const type *)bind[RDL__K_RECURRENT_H] + at.h;                             \
        if (p->begin == 0)                                                                         \
            begin_##dtype(p, bind, at.h);                                                          \
        for (int64_t s = p->begin; s < p->end; s++) {                                              \
            const int64_t time = rdl__k_recurrent_time(p->reverse[direction], s, length);          \
            at.x = (time * p->x_step + row * p->x_row) * p->input;                                 \
            at.y = direction * p->y_direction + time * p->y_step + row * p->y_row;                 \
            if (s < length)                                                                        \
                step_##dtype(p, bind, &at, scratch);                                               \
            for (int64_t j = 0; y != NULL && j < p->hidden; j++)                                   \
                y[at.y + j] = s < length ? h[j] : (type)0;                                         \
        }                                                                                          \
    }
REF_FLOATS(CELL)

enum rdl_status rdl__k_recurrent_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_recurrent *p = call->params;
    const int32_t *lens = call->bind[RDL__K_RECURRENT_LENS];
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t direction = (int64_t)t / p->batch, row = (int64_t)t % p->batch;
        const int64_t length = lens != NULL ? lens[row] : p->steps;
        if (length < 0 || length > p->steps)
            return RDL_ERR_RUNTIME;
        if (p->dtype == RDL_F64)
            sequence_F64(p, call->bind, direction, row, length, call->scratch);
        else
            sequence_F32(p, call->bind, direction, row, length, call->scratch);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
