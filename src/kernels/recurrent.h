/*
 * Recurrent layers: LSTM, GRU and RNN, f32 and f64.
 *
 * A call runs the steps [begin, end) of every sequence of its tiles; the state between calls lies in
 * h and c. A tile is a block of sequences in one direction, so that no step waits for another tile,
 * and a plan cuts long sequences into several calls to keep tiles short. A sequence's numbers do not
 * depend on those beside it.
 *
 * Clip bounds the gates' sums, not the cell's state before its activation h.
 *
 * Each gate is the chain bias, then weights times input, then weights times state. With lengths, a
 * sequence of length n takes its first n steps (the reverse direction begins at the last of them); its
 * outputs behind are zero and its final state is that after step n: the initial one if n is 0.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_RECURRENT_H
#define RDL_KERNELS_RECURRENT_H

#include "device/kernel.h"
#include "os/cpu.h"
#include "tensor/shape.h"

enum rdl__k_cell { RDL__K_CELL_RNN, RDL__K_CELL_GRU, RDL__K_CELL_LSTM };

/** Gates of a cell, in the order of the weights: LSTM input, output, forget, cell; GRU update, reset,
 * hidden. */
static inline int64_t rdl__k_cell_gates(enum rdl__k_cell cell)
{
    return cell == RDL__K_CELL_LSTM ? 4 : cell == RDL__K_CELL_GRU ? 3 : 1;
}

/* X(NAME, name in ONNX, number of parameters, default a, default b) */
#define RDL__K_CELL_ACT_LIST(X)                                                                    \
    X(SIGMOID, "Sigmoid", 0, 0.0f, 0.0f) /* 1 / (1 + exp(-x)) */                                   \
    X(TANH, "Tanh", 0, 0.0f, 0.0f)                                                                 \
    X(RELU, "Relu", 0, 0.0f, 0.0f)                                                                 \
    X(AFFINE, "Affine", 2, 1.0f, 0.0f)                    /* a x + b */                            \
    X(LEAKY_RELU, "LeakyRelu", 1, 0.01f, 0.0f)            /* x < 0 ? a x : x */                    \
    X(THRESHOLDED_RELU, "ThresholdedRelu", 1, 1.0f, 0.0f) /* x > a ? x : 0 */                      \
    X(SCALED_TANH, "ScaledTanh", 2, 1.0f, 1.0f)           /* a tanh(b x) */                        \
    X(HARD_SIGMOID, "HardSigmoid", 2, 0.2f, 0.5f)         /* clip(a x + b, 0, 1) */                \
    X(ELU, "Elu", 1, 1.0f, 0.0f)                          /* x < 0 ? a (exp(x) - 1) : x */         \
    X(SOFTSIGN, "Softsign", 0, 0.0f, 0.0f)                /* x / (1 + |x|) */                      \
    X(SOFTPLUS, "Softplus", 0, 0.0f, 0.0f)                /* log(1 + exp(x)) */

enum rdl__k_cell_act_kind {
#define RDL__K_CELL_ACT_ENUM(name, text, parameters, a, b) RDL__K_CELL_ACT_##name,
    RDL__K_CELL_ACT_LIST(RDL__K_CELL_ACT_ENUM)
#undef RDL__K_CELL_ACT_ENUM
};

struct rdl__k_cell_act {
    enum rdl__k_cell_act_kind kind;
    float a, b;
};

/** Bindings of the recurrent kernels, in order; NULL where the node has none. */
enum rdl__k_recurrent_bind {
    RDL__K_RECURRENT_X, /* reference: x; f32: its projection [sequence steps, directions, gates,
                              hidden], bias included (but for GRU's linear_before_reset, that of the
                              state in the hidden gate) */
    RDL__K_RECURRENT_W, /* reference: [directions, gates * hidden, input]; f32: NULL */
    RDL__K_RECURRENT_R, /* reference: [directions, gates * hidden, hidden]; f32: packed */
    RDL__K_RECURRENT_B, /* [directions, 2 * gates * hidden]; f32: with linear_before_reset only */
    RDL__K_RECURRENT_LENS, /* i32 [batch] */
    RDL__K_RECURRENT_H0,   /* initial states */
    RDL__K_RECURRENT_C0,
    RDL__K_RECURRENT_P, /* peepholes [directions, 3 * hidden]: input, output, forget */
    RDL__K_RECURRENT_Y, /* out: h after every step */
    RDL__K_RECURRENT_H, /* in and out: states; the first step sets them */
    RDL__K_RECURRENT_C,
    RDL__K_RECURRENT_BINDINGS
};

/** Strides in elements; those of h hold for initial_h, h, initial_c and c. */
struct rdl__k_recurrent {
    enum rdl__k_cell cell;
    enum rdl_dtype dtype; /* f32, f64 */
    int64_t steps, batch, directions, input, hidden;
    int64_t x_step, x_row; /* in vectors of x or of its projection */
    int64_t y_step, y_row, y_direction;
    int64_t h_row, h_direction;
    bool reverse[2];                  /* of each direction */
    bool linear_before_reset;         /* GRU */
    bool input_forget;                /* LSTM: the forget gate is 1 - the input gate */
    float clip;                       /* bound of the gates' sums; infinite: none */
    struct rdl__k_cell_act act[2][3]; /* f, g, h of each direction */
    int64_t begin, end;               /* steps of this call */
    /* Set by rdl__k_recurrent_plan. */
    int64_t tile_rows, row_tiles;
    int64_t call_steps; /* most steps of a call */
};

/** Chooses tiles of at most `rows` sequences and call_steps; returns the number of tiles. */
size_t rdl__k_recurrent_plan(struct rdl__k_recurrent *p, int64_t rows, size_t *scratch_bytes);

/** The time that step s of a sequence of `length` steps stands at. */
static inline int64_t rdl__k_recurrent_time(bool reverse, int64_t s, int64_t length)
{
    return reverse && s < length ? length - 1 - s : s;
}

/** Every activation and both dtypes; tiles of one row.
 * @return RDL_ERR_RUNTIME if a length is outside [0, steps]. Source: ONNX LSTM, GRU, RNN@7..22. */
enum rdl_status rdl__k_recurrent_ref(const struct rdl__kernel_call *call);

/** Whether the f32 kernels take its activations. */
bool rdl__k_recurrent_f32_takes(const struct rdl__k_recurrent *p);
/** Most rows of a tile that suit an instruction set. */
int64_t rdl__k_recurrent_f32_rows(enum rdl__isa isa);

/** The packed matrices of the recurrence weights of one direction: GRU has two (update and reset, and
 * hidden), the others one. Gates [first, first + gates). */
struct rdl__k_recurrent_part {
    int64_t first, gates;
    size_t offset; /* floats from the direction's first */
};
/** Fills parts, sets their number and the floats of a direction; false if a size overflows. */
bool rdl__k_recurrent_parts(enum rdl__isa isa, enum rdl__k_cell cell, int64_t hidden,
                            struct rdl__k_recurrent_part parts[2], int *n, size_t *floats);

enum rdl_status rdl__k_recurrent_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_recurrent_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_recurrent_f32_avx512(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_recurrent_bias_f32: the bias of the projection, which is the sum of both
 * halves of B, but for the last gate with linear_before_reset. Bindings: B, out [directions, gates *
 * hidden]. One tile. */
struct rdl__k_recurrent_bias {
    int64_t directions, gates, hidden;
    bool linear_before_reset;
};
enum rdl_status rdl__k_recurrent_bias_f32(const struct rdl__kernel_call *call);

#endif
