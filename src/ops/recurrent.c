/*
 * LSTM, GRU and RNN. f32 with the usual activations runs on the packed matrix product: one product
 * projects the inputs of all steps, then calls of the recurrent kernel take the steps. Constant weights
 * are packed once a program, others at each run. The rest runs on the reference.
 */
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

/* Inputs, in ONNX's order. */
enum { IN_X, IN_W, IN_R, IN_B, IN_LENS, IN_H, IN_C, IN_P };
/* Weights that prepare leaves. */
enum { WEIGHT_W, WEIGHT_BIAS, WEIGHT_R };

struct state {
    bool has[3]; /* by weight */
};

/* ---------------------------------------------------------------------------------- attributes */

static enum rdl__k_cell cell_of(const struct rdl__node *node)
{
    return strcmp(node->op_type, "LSTM") == 0  ? RDL__K_CELL_LSTM
           : strcmp(node->op_type, "GRU") == 0 ? RDL__K_CELL_GRU
                                               : RDL__K_CELL_RNN;
}

/* Activations of a direction. */
static int acts_of(enum rdl__k_cell cell)
{
    return cell == RDL__K_CELL_LSTM ? 3 : cell == RDL__K_CELL_GRU ? 2 : 1;
}

/* 1: forward, 2: reverse, 3: both; 0: not known. */
static int directions_of(const struct rdl__node *node)
{
    static const char *const names[] = {"forward", "reverse", "bidirectional"};
    const char *text = rdl__attr_text(node, "direction", "forward");
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return i + 1;
    return 0;
}

static bool same_word(const struct rdl__string *text, const char *name)
{
    for (size_t i = 0; i < text->size; i++)
        if ((text->bytes[i] | 0x20) != (name[i] | 0x20) || name[i] == '\0')
            return false;
    return name[text->size] == '\0';
}

/* An activation by its name in any case, with its defaults; false if there is none. */
static bool find_act(const struct rdl__string *text, struct rdl__k_cell_act *act, int *parameters)
{
#define FIND_ACT(name, word, n, da, db)                                                            \
    if (same_word(text, word)) {                                                                   \
        *act = (struct rdl__k_cell_act){RDL__K_CELL_ACT_##name, da, db};                           \
        *parameters = (n);                                                                         \
        return true;                                                                               \
    }
    RDL__K_CELL_ACT_LIST(FIND_ACT)
#undef FIND_ACT
    return false;
}

/* The next value of a list of floats, if it has one. */
static void take_float(const struct rdl__attr *list, size_t *next, float *value)
{
    if (list != NULL && *next < list->count)
        *value = list->floats[(*next)++];
}

/* Reads the activations of all directions. Alpha and beta are consumed in order by those that take
 * them. @return the text that is no activation; NULL: none */
static const struct rdl__string *read_acts(const struct rdl__node *node, int directions,
                                           struct rdl__k_cell_act acts[2][3])
{
    static const struct rdl__string usual[] = {{"Sigmoid", 7}, {"Tanh", 4}, {"Tanh", 4}};
    const enum rdl__k_cell cell = cell_of(node);
    const int n = acts_of(cell);
    const struct rdl__attr *given = rdl__attr_find(node, "activations");
    const struct rdl__attr *alpha = rdl__attr_find(node, "activation_alpha");
    const struct rdl__attr *beta = rdl__attr_find(node, "activation_beta");
    size_t next_alpha = 0, next_beta = 0;
    for (int i = 0; i < directions * n; i++) {
        const struct rdl__string *text =
            given != NULL ? &given->strings[i] : &usual[cell == RDL__K_CELL_RNN ? 1 : i % n];
        struct rdl__k_cell_act *act = &acts[i / n][i % n];
        int parameters;
        if (!find_act(text, act, &parameters))
            return text;
        if (parameters > 0)
            take_float(alpha, &next_alpha, &act->a);
        if (parameters > 1)
            take_float(beta, &next_beta, &act->b);
    }
    return NULL;
}

static enum rdl_status check_acts(const struct rdl__node *node, int directions,
                                  struct rdl_error *error)
{
    const struct rdl__attr *given = rdl__attr_find(node, "activations");
    const size_t expected = (size_t)directions * (size_t)acts_of(cell_of(node));
    if (given != NULL && given->count != expected)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: activations has %zu values, expected %zu",
                         RDL__NODE_TEXT(node), given->count, expected);
    struct rdl__k_cell_act acts[2][3];
    const struct rdl__string *unknown = read_acts(node, directions, acts);
    if (unknown != NULL)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: activation \"%s\" is not known",
                         RDL__NODE_TEXT(node), RDL__NAME_TEXT(unknown->bytes));
    return RDL_OK;
}

/* Which of the attributes a cell and a version have. */
static bool has_attr(const struct rdl__node *node, const char *name)
{
    const enum rdl__k_cell cell = cell_of(node);
    if (strcmp(name, "input_forget") == 0)
        return cell == RDL__K_CELL_LSTM;
    if (strcmp(name, "linear_before_reset") == 0)
        return cell == RDL__K_CELL_GRU;
    return strcmp(name, "layout") != 0 || node->op->since >= 14;
}

static enum rdl_status check(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule all[] = {
        {"activation_alpha", RDL__ATTR_FLOATS, false}, {"activation_beta", RDL__ATTR_FLOATS, false},
        {"activations", RDL__ATTR_STRINGS, false},     {"clip", RDL__ATTR_FLOAT, false},
        {"direction", RDL__ATTR_STRING, false},        {"hidden_size", RDL__ATTR_INT, false},
        {"input_forget", RDL__ATTR_INT, false},        {"layout", RDL__ATTR_INT, false},
        {"linear_before_reset", RDL__ATTR_INT, false},
    };
    struct rdl__attr_rule rules[sizeof all / sizeof *all];
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (has_attr(node, all[i].name))
            rules[n++] = all[i];
    RDL_TRY(rdl__attr_check(node, rules, n, error));
    const int directions = directions_of(node);
    if (directions == 0)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: direction \"%s\" is not known",
                         RDL__NODE_TEXT(node),
                         RDL__NAME_TEXT(rdl__attr_text(node, "direction", "")));
    const int64_t layout = rdl__attr_int(node, "layout", 0);
    if (layout != 0 && layout != 1)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: layout is %" PRId64 ", expected 0 or 1",
                         RDL__NODE_TEXT(node), layout);
    const float clip = rdl__attr_float(node, "clip", 0.0f);
    if (!(clip >= 0.0f))
        return rdl__fail(error, RDL_ERR_MODEL, "%s: clip is %g, expected at least 0",
                         RDL__NODE_TEXT(node), (double)clip);
    return check_acts(node, directions == 3 ? 2 : 1, error);
}

/* ---------------------------------------------------------------------------------------- shapes */

/* What a node's attributes and the shapes of X and R make of it; R has three dimensions. */
static struct rdl__k_recurrent describe(const struct rdl__node *node, const struct rdl__shape *x,
                                        const struct rdl__shape *r, enum rdl_dtype dtype)
{
    const int which = directions_of(node);
    const bool rows_first = rdl__attr_int(node, "layout", 0) != 0;
    const float clip = rdl__attr_float(node, "clip", 0.0f);
    struct rdl__k_recurrent p = {
        .cell = cell_of(node),
        .dtype = dtype,
        .steps = x->dims[rows_first],
        .batch = x->dims[!rows_first],
        .directions = which == 3 ? 2 : 1,
        .input = x->dims[2],
        .hidden = r->dims[2],
        .reverse = {which == 2, true},
        .linear_before_reset = rdl__attr_int(node, "linear_before_reset", 0) != 0,
        .input_forget = rdl__attr_int(node, "input_forget", 0) != 0,
        .clip = clip > 0.0f ? clip : __builtin_inff(), /* 0, the exporters' word for none */
    };
    (void)read_acts(node, (int)p.directions, p.act); /* known: see check */
    p.x_step = rows_first ? 1 : p.batch;
    p.x_row = rows_first ? p.steps : 1;
    return p;
}

/* The strides of outputs and states, whose sizes infer has checked. */
static void set_strides(struct rdl__k_recurrent *p, bool rows_first)
{
    const int64_t n = p->hidden, row = p->directions * n;
    p->y_step = rows_first ? row : row * p->batch;
    p->y_row = rows_first ? row * p->steps : n;
    p->y_direction = rows_first ? n : n * p->batch;
    p->h_row = rows_first ? row : n;
    p->h_direction = rows_first ? n : n * p->batch;
}

static enum rdl_status expect(const struct rdl__infer *infer, uint32_t i, int32_t rank,
                              const int64_t *dims)
{
    struct rdl__shape want;
    if (!rdl__op_has(infer->node, i))
        return RDL_OK;
    if (i != IN_LENS)
        RDL_TRY(rdl__op_same_dtype(infer, i));
    rdl__shape_set(&want, rank, dims);
    if (rdl__shape_equal(&want, &infer->in[i].shape))
        return RDL_OK;
    char is[RDL__SHAPE_TEXT_BYTES], expected[RDL__SHAPE_TEXT_BYTES];
    return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 ": shape %s, expected %s", i,
                     rdl__shape_text(&infer->in[i].shape, is, sizeof is),
                     rdl__shape_text(&want, expected, sizeof expected));
}

static enum rdl_status expect_inputs(const struct rdl__infer *infer,
                                     const struct rdl__k_recurrent *p)
{
    const int64_t d = p->directions, n = p->hidden;
    int64_t all, bias, peep;
    if (!rdl__mul_dim(rdl__k_cell_gates(p->cell), n, &all) || !rdl__mul_dim(2, all, &bias) ||
        !rdl__mul_dim(3, n, &peep))
        return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "hidden size is too large");
    const bool rows_first = rdl__attr_int(infer->node, "layout", 0) != 0;
    const int64_t first[] = {p->batch, d, n}, second[] = {d, p->batch, n};
    const int64_t *states = rows_first ? first : second;
    RDL_TRY(expect(infer, IN_W, 3, (const int64_t[]){d, all, p->input}));
    RDL_TRY(expect(infer, IN_R, 3, (const int64_t[]){d, all, n}));
    RDL_TRY(expect(infer, IN_B, 2, (const int64_t[]){d, bias}));
    if (rdl__op_has(infer->node, IN_LENS) && infer->in[IN_LENS].dtype != RDL_I32)
        return rdl__op_bad_dtype(infer, IN_LENS);
    RDL_TRY(expect(infer, IN_LENS, 1, (const int64_t[]){p->batch}));
    RDL_TRY(expect(infer, IN_H, 3, states));
    RDL_TRY(expect(infer, IN_C, 3, states));
    return expect(infer, IN_P, 2, (const int64_t[]){d, peep});
}

static bool wants(const struct rdl__node *node, uint32_t i)
{
    return i < node->n_outputs && node->outputs[i] != RDL__NO_VALUE;
}

static enum rdl_status infer(const struct rdl__infer *infer)
{
    const enum rdl_dtype dtype = infer->in[IN_X].dtype;
    if (dtype != RDL_F32 && dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, IN_X);
    RDL_TRY(rdl__op_rank(infer, IN_X, 3, 3));
    RDL_TRY(rdl__op_rank(infer, IN_R, 3, 3));
    const struct rdl__k_recurrent p =
        describe(infer->node, &infer->in[IN_X].shape, &infer->in[IN_R].shape, dtype);
    RDL_TRY(expect_inputs(infer, &p));
    const int64_t size = rdl__attr_int(infer->node, "hidden_size", p.hidden);
    if (size != p.hidden)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "hidden_size is %" PRId64 ", the weights have %" PRId64, size, p.hidden);
    const bool rows_first = rdl__attr_int(infer->node, "layout", 0) != 0;
    const int64_t d = p.directions, n = p.hidden;
    if (wants(infer->node, 0))
        RDL_TRY(rdl__op_out(infer, 0, dtype, 4,
                            rows_first ? (const int64_t[]){p.batch, p.steps, d, n}
                                       : (const int64_t[]){p.steps, d, p.batch, n}));
    for (uint32_t i = 1; i < 3; i++)
        if (wants(infer->node, i))
            RDL_TRY(rdl__op_out(infer, i, dtype, 3,
                                rows_first ? (const int64_t[]){p.batch, d, n}
                                           : (const int64_t[]){d, p.batch, n}));
    return RDL_OK;
}

/* --------------------------------------------------------------------------------------- weights */

static bool is_constant_f32(const struct rdl__prepare *prepare, uint32_t i, int32_t rank)
{
    return rdl__op_has(prepare->node, i) && prepare->in[i].data != NULL &&
           prepare->in[i].dtype == RDL_F32 && prepare->in[i].shape.rank == rank &&
           rdl__shape_count(&prepare->in[i].shape) > 0;
}

static enum rdl_status too_large(struct rdl_error *error)
{
    return rdl__fail(error, RDL_ERR_OVERFLOW, "packed weights are too large");
}

/* Room for weight k of `floats`. */
static enum rdl_status new_weight(struct rdl__prepare *prepare, struct state *state, uint32_t k,
                                  size_t floats, float **weight)
{
    size_t bytes;
    if (!rdl__mul_size(floats, sizeof(float), &bytes))
        return too_large(prepare->error);
    *weight = rdl__prepare_weight(prepare, k, bytes);
    if (*weight == NULL)
        return rdl__fail_memory(prepare->error, "packed weights", bytes);
    state->has[k] = true;
    return RDL_OK;
}

/* All directions of W side by side: [input, directions * gates * hidden]. */
static enum rdl_status pack_w(struct rdl__prepare *prepare, struct state *state)
{
    const int64_t *dims = prepare->in[IN_W].shape.dims;
    const int64_t cols = dims[0] * dims[1];
    size_t floats;
    float *packed;
    if (!rdl__k_gemm_packed_count(prepare->isa, dims[2], cols, &floats))
        return too_large(prepare->error);
    RDL_TRY(new_weight(prepare, state, WEIGHT_W, floats, &packed));
    rdl__k_gemm_pack(prepare->isa, packed, prepare->in[IN_W].data, dims[2], cols, 1, dims[2], 1.0f);
    prepare->absorbed |= 1u << IN_W;
    return RDL_OK;
}

static enum rdl_status pack_r(struct rdl__prepare *prepare, struct state *state)
{
    const int64_t *dims = prepare->in[IN_R].shape.dims;
    const enum rdl__k_cell cell = cell_of(prepare->node);
    struct rdl__k_recurrent_part parts[2];
    int n;
    size_t one, floats;
    float *packed;
    if (dims[1] / rdl__k_cell_gates(cell) != dims[2] || dims[1] % rdl__k_cell_gates(cell) != 0)
        return RDL_OK; /* infer says so */
    if (!rdl__k_recurrent_parts(prepare->isa, cell, dims[2], parts, &n, &one) ||
        !rdl__mul_size(one, (size_t)dims[0], &floats))
        return too_large(prepare->error);
    RDL_TRY(new_weight(prepare, state, WEIGHT_R, floats, &packed));
    const float *r = prepare->in[IN_R].data;
    for (int64_t d = 0; d < dims[0]; d++)
        for (int i = 0; i < n; i++)
            rdl__k_gemm_pack(prepare->isa, packed + (size_t)d * one + parts[i].offset,
                             r + (d * dims[1] + parts[i].first * dims[2]) * dims[2], dims[2],
                             parts[i].gates * dims[2], 1, dims[2], 1.0f);
    prepare->absorbed |= 1u << IN_R;
    return RDL_OK;
}

static struct rdl__k_recurrent_bias describe_bias(const struct rdl__node *node, int64_t directions,
                                                  int64_t hidden)
{
    return (struct rdl__k_recurrent_bias){.directions = directions,
                                          .gates = rdl__k_cell_gates(cell_of(node)),
                                          .hidden = hidden,
                                          .linear_before_reset =
                                              rdl__attr_int(node, "linear_before_reset", 0) != 0};
}

static enum rdl_status sum_bias(struct rdl__prepare *prepare, struct state *state)
{
    const int64_t *dims = prepare->in[IN_B].shape.dims;
    const int64_t halves = 2 * rdl__k_cell_gates(cell_of(prepare->node));
    if (dims[1] % halves != 0)
        return RDL_OK; /* infer says so */
    const struct rdl__k_recurrent_bias params =
        describe_bias(prepare->node, dims[0], dims[1] / halves);
    float *bias;
    RDL_TRY(new_weight(prepare, state, WEIGHT_BIAS, (size_t)(dims[0] * dims[1] / 2), &bias));
    void *bind[] = {(void *)(uintptr_t)prepare->in[IN_B].data, bias};
    const struct rdl__kernel_call call = {.params = &params, .bind = bind, .tile_end = 1};
    RDL_TRY(rdl__k_recurrent_bias_f32(&call));
    if (!params.linear_before_reset) /* else the kernel reads a part of it */
        prepare->absorbed |= 1u << IN_B;
    return RDL_OK;
}

static enum rdl_status prepare(struct rdl__prepare *prepare)
{
    struct rdl__k_recurrent p = {.directions = directions_of(prepare->node) == 3 ? 2 : 1,
                                 .dtype = RDL_F32};
    (void)read_acts(prepare->node, (int)p.directions, p.act);
    if (!rdl__k_recurrent_f32_takes(&p))
        return RDL_OK;
    struct state *state = RDL__ARENA_NEW(prepare->arena, struct state);
    if (state == NULL)
        return rdl__fail_memory(prepare->error, prepare->node->op_type, sizeof *state);
    prepare->state = state;
    if (is_constant_f32(prepare, IN_W, 3))
        RDL_TRY(pack_w(prepare, state));
    if (is_constant_f32(prepare, IN_R, 3))
        RDL_TRY(pack_r(prepare, state));
    if (is_constant_f32(prepare, IN_B, 2))
        RDL_TRY(sum_bias(prepare, state));
    return RDL_OK;
}

/* ----------------------------------------------------------------------------------------- steps */

static bool has_weight(const struct rdl__lower *lower, uint32_t k)
{
    const struct state *state = lower->state;
    return state != NULL && state->has[k];
}

/* A temporary of `floats`, as an operand to write. */
static enum rdl_status new_temp(const struct rdl__lower *lower, size_t count, enum rdl_dtype dtype,
                                struct rdl__operand *operand)
{
    size_t bytes;
    uint32_t temp;
    if (!rdl__mul_size(count, rdl_dtype_size(dtype), &bytes))
        return too_large(lower->error);
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *operand = RDL__TEMP_WRITE(temp);
    return RDL_OK;
}

/* Packs `matrices` transposed matrices [cols, rows] of an input, `stride` elements apart. */
static enum rdl_status pack_at_run(const struct rdl__lower *lower, struct rdl__operand from,
                                   int64_t rows, int64_t cols, struct rdl__operand to)
{
    const struct rdl__k_gemm_pack_params params = {.k = rows,
                                                   .n = cols,
                                                   .row_stride = 1,
                                                   .col_stride = rows,
                                                   .matrices = 1,
                                                   .panel_cols =
                                                       rdl__k_gemm_blocks(lower->isa).cols,
                                                   .alpha = 1.0f};
    const struct rdl__operand bind[] = {from, to};
    return RDL__OP_STEP(lower, rdl__k_gemm_pack_f32, params, rdl__k_gemm_pack_tiles(&params), bind);
}

static enum rdl_status bind_w(const struct rdl__lower *lower, const struct rdl__k_recurrent *p,
                              int64_t cols, struct rdl__operand *w)
{
    *w = RDL__WEIGHT(WEIGHT_W);
    if (has_weight(lower, WEIGHT_W))
        return RDL_OK;
    size_t floats;
    if (!rdl__k_gemm_packed_count(lower->isa, p->input, cols, &floats))
        return too_large(lower->error);
    RDL_TRY(new_temp(lower, floats, RDL_F32, w));
    if (p->input > 0)
        RDL_TRY(pack_at_run(lower, RDL__IN(IN_W), p->input, cols, *w));
    w->written = false;
    return RDL_OK;
}

static enum rdl_status bind_bias(const struct rdl__lower *lower, const struct rdl__k_recurrent *p,
                                 int64_t cols, struct rdl__operand *bias)
{
    *bias = (struct rdl__operand){0};
    if (!rdl__op_has(lower->node, IN_B))
        return RDL_OK;
    *bias = RDL__WEIGHT(WEIGHT_BIAS);
    if (has_weight(lower, WEIGHT_BIAS))
        return RDL_OK;
    RDL_TRY(new_temp(lower, (size_t)cols, RDL_F32, bias));
    const struct rdl__k_recurrent_bias params =
        describe_bias(lower->node, p->directions, p->hidden);
    const struct rdl__operand bind[] = {RDL__IN(IN_B), *bias};
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_recurrent_bias_f32, params, 1, bind));
    bias->written = false;
    return RDL_OK;
}

static enum rdl_status bind_r(const struct rdl__lower *lower, const struct rdl__k_recurrent *p,
                              struct rdl__operand *r)
{
    *r = RDL__WEIGHT(WEIGHT_R);
    if (has_weight(lower, WEIGHT_R))
        return RDL_OK;
    struct rdl__k_recurrent_part parts[2];
    int n;
    size_t one, floats;
    if (!rdl__k_recurrent_parts(lower->isa, p->cell, p->hidden, parts, &n, &one) ||
        !rdl__mul_size(one, (size_t)p->directions, &floats))
        return too_large(lower->error);
    RDL_TRY(new_temp(lower, floats, RDL_F32, r));
    const int64_t gate = p->hidden * p->hidden, all = rdl__k_cell_gates(p->cell) * gate;
    for (int64_t d = 0; d < p->directions; d++)
        for (int i = 0; i < n; i++) {
            struct rdl__operand from = RDL__IN(IN_R), to = *r;
            from.offset_bytes = (size_t)(d * all + parts[i].first * gate) * sizeof(float);
            to.offset_bytes = ((size_t)d * one + parts[i].offset) * sizeof(float);
            RDL_TRY(pack_at_run(lower, from, p->hidden, parts[i].gates * p->hidden, to));
        }
    r->written = false;
    return RDL_OK;
}

/* The projection of the inputs of all steps. */
static enum rdl_status project(const struct rdl__lower *lower, const struct rdl__k_recurrent *p,
                               struct rdl__operand *projected)
{
    const int64_t cols = p->directions * rdl__k_cell_gates(p->cell) * p->hidden;
    const int64_t rows = p->steps * p->batch;
    struct rdl__operand w, bias;
    size_t floats;
    if (!rdl__mul_size((size_t)cols, (size_t)rows, &floats))
        return too_large(lower->error);
    RDL_TRY(new_temp(lower, floats, RDL_F32, projected));
    if (rows > 0) {
        RDL_TRY(bind_w(lower, p, cols, &w));
        RDL_TRY(bind_bias(lower, p, cols, &bias));
        struct rdl__k_gemm params = {
            .m = rows, .n = cols, .k = p->input, .a_row_stride = p->input, .c_row_stride = cols};
        const size_t tiles = rdl__k_gemm_plan(lower->isa, &params);
        const struct rdl__operand bind[] = {RDL__IN(IN_X), w, bias, *projected};
        RDL_TRY(RDL__OP_STEP(lower, rdl__op_f32(lower)->gemm, params, tiles, bind));
    }
    projected->written = false;
    return RDL_OK;
}

/* Optional inputs, and the outputs; states nobody asks for lie in temporaries. */
static enum rdl_status bind_rest(const struct rdl__lower *lower, const struct rdl__k_recurrent *p,
                                 struct rdl__step_spec *spec)
{
    static const uint32_t inputs[] = {IN_LENS, IN_H, IN_C, IN_P};
    for (int i = 0; i < 4; i++)
        if (rdl__op_has(lower->node, inputs[i]))
            spec->bind[RDL__K_RECURRENT_LENS + i] = RDL__IN(inputs[i]);
    if (wants(lower->node, 0))
        spec->bind[RDL__K_RECURRENT_Y] = RDL__OUT(0);
    const size_t states = (size_t)(p->directions * p->batch * p->hidden);
    for (uint32_t i = 0; i < (p->cell == RDL__K_CELL_LSTM ? 2 : 1); i++) {
        struct rdl__operand *state = &spec->bind[RDL__K_RECURRENT_H + i];
        if (wants(lower->node, 1 + i))
            *state = RDL__OUT(1 + i);
        else
            RDL_TRY(new_temp(lower, states, p->dtype, state));
    }
    return RDL_OK;
}

static enum rdl_status lower(const struct rdl__lower *lower)
{
    struct rdl__k_recurrent p = describe(lower->node, &lower->in[IN_X].shape,
                                         &lower->in[IN_R].shape, lower->in[IN_X].dtype);
    set_strides(&p, rdl__attr_int(lower->node, "layout", 0) != 0);
    struct rdl__step_spec spec = {.fn = rdl__k_recurrent_ref,
                                  .params = &p,
                                  .params_bytes = sizeof p,
                                  .n_bind = RDL__K_RECURRENT_BINDINGS,
                                  .bind = {RDL__IN(IN_X), RDL__IN(IN_W), RDL__IN(IN_R)}};
    const bool fast = rdl__k_recurrent_f32_takes(&p);
    if (rdl__op_has(lower->node, IN_B) && (!fast || p.linear_before_reset))
        spec.bind[RDL__K_RECURRENT_B] = RDL__IN(IN_B);
    if (fast) {
        spec.fn = rdl__op_f32(lower)->recurrent;
        spec.bind[RDL__K_RECURRENT_W] = (struct rdl__operand){0};
        RDL_TRY(project(lower, &p, &spec.bind[RDL__K_RECURRENT_X]));
        RDL_TRY(bind_r(lower, &p, &spec.bind[RDL__K_RECURRENT_R]));
    }
    RDL_TRY(bind_rest(lower, &p, &spec));
    spec.tiles = rdl__k_recurrent_plan(&p, fast ? rdl__k_recurrent_f32_rows(lower->isa) : 1,
                                       &spec.scratch_bytes);
    if (spec.tiles == 0)
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "the layer is too large");
    do { /* once even without a step: the states are the initial ones */
        p.end = p.steps - p.begin < p.call_steps ? p.steps : p.begin + p.call_steps;
        RDL_TRY(rdl__lower_step(lower, &spec));
        p.begin = p.end;
    } while (p.begin < p.steps);
    return RDL_OK;
}

/* Of all time steps, as if no sequence were shorter. */
static double flop(const struct rdl__node *node, const struct rdl__desc *in,
                   const struct rdl__desc *out)
{
    (void)node;
    (void)out;
    const int64_t *x = in[IN_X].shape.dims;
    return 2.0 * (double)x[0] * (double)x[1] *
           ((double)rdl__shape_count(&in[IN_W].shape) + (double)rdl__shape_count(&in[IN_R].shape));
}

/* NAME@7, and @14 with layout (22: more dtypes). */
#define RECURRENT_OP(name_, since_, inputs, outputs)                                               \
    RDL__OPERATOR(name_, since_, 3, inputs, 0, outputs, .check = check, .infer = infer,            \
                  .prepare = prepare, .lower = lower, .flop = flop);
RECURRENT_OP(LSTM, 7, 8, 3)
RECURRENT_OP(LSTM, 14, 8, 3)
RECURRENT_OP(GRU, 7, 6, 2)
RECURRENT_OP(GRU, 14, 6, 2)
RECURRENT_OP(RNN, 7, 6, 2)
RECURRENT_OP(RNN, 14, 6, 2)
