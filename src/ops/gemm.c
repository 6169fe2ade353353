/*
 * Matrix products: Gemm, MatMul, and MatMulBias, which a fusion makes. f32 runs on the packed product:
 * a constant second operand is packed once a program, another one at each run.
 */
#include "ops/matmul.h"

#include <inttypes.h>

/* What prepare leaves: weight 0 is packed B, weight 1 the bias row. */
struct state {
    bool packed;          /* B is in weight 0 */
    bool bias;            /* Gemm: beta * C, as a row [n], is in weight 1 */
    int64_t matrix_elems; /* floats of one packed matrix */
};

/* The product C[i] = A[i] B[i] of two inputs as the kernels want it, in elements. */
struct plan {
    int64_t m, n, k;
    int64_t a_row, a_col; /* strides of A */
    int64_t b_row, b_col;
    int64_t b_matrices; /* matrices that B holds, one after another */
    float alpha;
    struct rdl__k_gemm_batch batch; /* rank 0: one matrix */
};

/* Binds packed B: the weight, or a temporary that a step of its own fills. */
static enum rdl_status bind_packed(const struct rdl__lower *lower, struct plan *plan,
                                   struct rdl__operand *operand)
{
    const struct state *state = lower->state;
    size_t count, floats, bytes;
    if (!rdl__k_gemm_packed_count(lower->isa, plan->k, plan->n, &count) ||
        !rdl__mul_size(count, (size_t)plan->b_matrices, &floats) ||
        !rdl__mul_size(floats, sizeof(float), &bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "packed operand is too large");
    for (int32_t i = 0; i < plan->batch.rank; i++) /* from elements of B to those of packed B */
        plan->batch.b_stride[i] = plan->batch.b_stride[i] /
                                  (plan->k * plan->n > 0 ? plan->k * plan->n : 1) * (int64_t)count;
    if (state != NULL && state->packed) {
        *operand = RDL__WEIGHT(0);
        return RDL_OK;
    }
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *operand = RDL__TEMP_READ(temp);
    const struct rdl__k_gemm_pack_params params = {.k = plan->k,
                                                   .n = plan->n,
                                                   .row_stride = plan->b_row,
                                                   .col_stride = plan->b_col,
                                                   .matrices = plan->b_matrices,
                                                   .matrix_stride = plan->k * plan->n,
                                                   .panel_cols =
                                                       rdl__k_gemm_blocks(lower->isa).cols,
                                                   .alpha = plan->alpha};
    const struct rdl__operand bind[] = {RDL__IN(1), RDL__TEMP_WRITE(temp)};
    return RDL__OP_STEP(lower, rdl__k_gemm_pack_f32, params, rdl__k_gemm_pack_tiles(&params), bind);
}

/* Binds A with adjacent elements in its rows: as it is, or transposed into a temporary. */
static enum rdl_status bind_rows(const struct rdl__lower *lower, const struct plan *plan,
                                 struct rdl__operand *operand)
{
    *operand = RDL__IN(0);
    if (plan->a_col == 1)
        return RDL_OK;
    const size_t bytes = (size_t)plan->m * (size_t)plan->k * sizeof(float);
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *operand = RDL__TEMP_READ(temp);
    struct rdl__k_move move = {.walk = {.rank = 2,
                                        .dims = {plan->m, plan->k},
                                        .stride = {{plan->a_row, plan->a_col}, {plan->k, 1}}}};
    return rdl__op_move(lower, &move, RDL_F32, RDL__IN(0), RDL__TEMP_WRITE(temp));
}

/* The f32 product with a bias whose rows lie bias_row elements apart. */
static enum rdl_status lower_packed(const struct rdl__lower *lower, struct plan *plan,
                                    struct rdl__operand bias, int64_t bias_row)
{
    struct rdl__operand a, b;
    RDL_TRY(bind_packed(lower, plan, &b));
    RDL_TRY(bind_rows(lower, plan, &a));
    struct rdl__k_gemm params = {.m = plan->m,
                                 .n = plan->n,
                                 .k = plan->k,
                                 .a_row_stride = plan->k,
                                 .c_row_stride = plan->n,
                                 .bias_row_stride = bias_row,
                                 .batch = plan->batch,
                                 .act = rdl__op_act(lower->node)};
    const size_t tiles = rdl__k_gemm_plan(lower->isa, &params);
    const struct rdl__operand bind[] = {a, b, bias, RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__op_f32(lower)->gemm, params, tiles, bind);
}

/* Every other dtype, by the reference; bias strides are of broadcast C. */
static enum rdl_status lower_reference(const struct rdl__lower *lower, const struct plan *plan,
                                       float beta, struct rdl__operand bias, int64_t bias_row,
                                       int64_t bias_col)
{
    const struct rdl__k_matmul params = {.dtype = lower->in[0].dtype,
                                         .m = plan->m,
                                         .n = plan->n,
                                         .k = plan->k,
                                         .a_row = plan->a_row,
                                         .a_col = plan->a_col,
                                         .b_row = plan->b_row,
                                         .b_col = plan->b_col,
                                         .bias_row = bias_row,
                                         .bias_col = bias_col,
                                         .alpha = plan->alpha,
                                         .beta = beta,
                                         .batch = plan->batch};
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), bias, RDL__OUT(0)};
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_matmul_ref, params, rdl__k_matmul_ref_tiles(&params), bind));
    return rdl__op_lower_act(lower);
}

/* Packs `matrices` matrices [k, n] of constant B into weight 0. */
static enum rdl_status pack_constant(struct rdl__prepare *prepare, struct state *state,
                                     const struct plan *plan)
{
    size_t count, floats, bytes;
    if (!rdl__k_gemm_packed_count(prepare->isa, plan->k, plan->n, &count) ||
        !rdl__mul_size(count, (size_t)plan->b_matrices, &floats) ||
        !rdl__mul_size(floats, sizeof(float), &bytes))
        return rdl__fail(prepare->error, RDL_ERR_OVERFLOW, "packed operand is too large");
    float *packed = rdl__prepare_weight(prepare, 0, bytes > 0 ? bytes : sizeof(float));
    if (packed == NULL)
        return rdl__fail_memory(prepare->error, "packed operand", bytes);
    const float *b = prepare->in[1].data;
    for (int64_t i = 0; i < plan->b_matrices; i++)
        rdl__k_gemm_pack(prepare->isa, packed + (size_t)i * count, b + i * plan->k * plan->n,
                         plan->k, plan->n, plan->b_row, plan->b_col, plan->alpha);
    state->packed = true;
    state->matrix_elems = (int64_t)count;
    prepare->absorbed |= 1u << 1;
    return RDL_OK;
}

static struct state *new_state(struct rdl__prepare *prepare)
{
    struct state *state = RDL__ARENA_NEW(prepare->arena, struct state);
    prepare->state = state;
    return state;
}

static bool is_constant_f32(const struct rdl__prepare *prepare, uint32_t i)
{
    return i < prepare->node->n_inputs && prepare->in[i].data != NULL &&
           prepare->in[i].dtype == RDL_F32;
}

/* ------------------------------------------------------------------------------------------ Gemm */

static enum rdl_status check_gemm(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"alpha", RDL__ATTR_FLOAT, false},
                                                  {"beta", RDL__ATTR_FLOAT, false},
                                                  {"transA", RDL__ATTR_INT, false},
                                                  {"transB", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_gemm(const struct rdl__infer *infer)
{
    const struct rdl__desc *a = &infer->in[0], *b = &infer->in[1];
    if (!rdl__k_matmul_takes(a->dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    RDL_TRY(rdl__op_rank(infer, 0, 2, 2));
    RDL_TRY(rdl__op_rank(infer, 1, 2, 2));
    const bool ta = rdl__attr_int(infer->node, "transA", 0) != 0;
    const bool tb = rdl__attr_int(infer->node, "transB", 0) != 0;
    const int64_t m = a->shape.dims[ta], k = a->shape.dims[!ta];
    const int64_t n = b->shape.dims[!tb], kb = b->shape.dims[tb];
    if (k != kb)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "inner dimensions differ: A has %" PRId64 ", B has %" PRId64, k, kb);
    RDL_TRY(rdl__op_out(infer, 0, a->dtype, 2, (const int64_t[]){m, n}));
    if (rdl__op_has(infer->node, 2)) {
        struct rdl__shape joined;
        RDL_TRY(rdl__op_same_dtype(infer, 2));
        RDL_TRY(
            rdl__shape_broadcast(&infer->out[0].shape, &infer->in[2].shape, &joined, infer->error));
        if (!rdl__shape_equal(&joined, &infer->out[0].shape)) {
            char text[RDL__SHAPE_TEXT_BYTES];
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "input 2 (C): %s does not broadcast to [%" PRId64 ", %" PRId64 "]",
                             rdl__shape_text(&infer->in[2].shape, text, sizeof text), m, n);
        }
    }
    const float alpha = rdl__attr_float(infer->node, "alpha", 1.0f);
    const float beta = rdl__attr_float(infer->node, "beta", 1.0f);
    if (a->dtype != RDL_F32 && a->dtype != RDL_F64 && (alpha != 1.0f || beta != 1.0f))
        return rdl__fail(infer->error, RDL_ERR_UNSUPPORTED, "alpha and beta of %s must be 1",
                         rdl_dtype_name(a->dtype));
    return RDL_OK;
}

static struct plan plan_gemm(const struct rdl__node *node, int64_t m, int64_t n, int64_t k)
{
    const bool ta = rdl__attr_int(node, "transA", 0) != 0;
    const bool tb = rdl__attr_int(node, "transB", 0) != 0;
    return (struct plan){.m = m,
                         .n = n,
                         .k = k,
                         .a_row = ta ? 1 : k,
                         .a_col = ta ? m : 1,
                         .b_row = tb ? 1 : n,
                         .b_col = tb ? k : 1,
                         .b_matrices = 1,
                         .alpha = rdl__attr_float(node, "alpha", 1.0f)};
}

/* A constant C that is one row for all rows of the result. */
static enum rdl_status prepare_bias(struct rdl__prepare *prepare, struct state *state, int64_t n)
{
    const struct rdl__desc *c = &prepare->in[2];
    const float beta = rdl__attr_float(prepare->node, "beta", 1.0f);
    const int64_t count = (int64_t)rdl__shape_count(&c->shape);
    const bool row = c->shape.rank > 0 && c->shape.dims[c->shape.rank - 1] == n && count == n;
    if (c->shape.rank > 2 || !(row || count == 1) || n <= 0)
        return RDL_OK;
    float *bias = rdl__prepare_weight(prepare, 1, (size_t)n * sizeof(float));
    if (bias == NULL)
        return rdl__fail_memory(prepare->error, "bias", (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        bias[i] = beta * ((const float *)c->data)[row ? i : 0];
    state->bias = true;
    prepare->absorbed |= 1u << 2;
    return RDL_OK;
}

static enum rdl_status prepare_gemm(struct rdl__prepare *prepare)
{
    if (!is_constant_f32(prepare, 1) || prepare->in[1].shape.rank != 2)
        return RDL_OK;
    struct state *state = new_state(prepare);
    if (state == NULL)
        return rdl__fail_memory(prepare->error, "Gemm", sizeof *state);
    const bool tb = rdl__attr_int(prepare->node, "transB", 0) != 0;
    const int64_t *dims = prepare->in[1].shape.dims;
    const struct plan plan = plan_gemm(prepare->node, 0, dims[!tb], dims[tb]);
    RDL_TRY(pack_constant(prepare, state, &plan));
    return is_constant_f32(prepare, 2) ? prepare_bias(prepare, state, plan.n) : RDL_OK;
}

/* beta * C broadcast into the output, which the product is then added to. */
static enum rdl_status lower_beta(const struct rdl__lower *lower, float beta)
{
    const struct rdl__shape scalar = {0};
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, sizeof beta, &temp));
    RDL_TRY(rdl__op_store(lower, &beta, sizeof beta, RDL__TEMP_WRITE(temp)));
    struct rdl__k_binary params = {.op = RDL__K_BINARY_MUL, .dtype = RDL_F32};
    const size_t tiles =
        rdl__k_binary_plan(&params, &lower->in[2].shape, &scalar, &lower->out[0].shape);
    const struct rdl__operand bind[] = {RDL__IN(2), RDL__TEMP_READ(temp), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__op_f32(lower)->binary, params, tiles, bind);
}

static enum rdl_status lower_gemm(const struct rdl__lower *lower)
{
    const struct state *state = lower->state;
    const bool ta = rdl__attr_int(lower->node, "transA", 0) != 0;
    const int64_t *out = lower->out[0].shape.dims;
    struct plan plan = plan_gemm(lower->node, out[0], out[1], lower->in[0].shape.dims[!ta]);
    const float beta = rdl__attr_float(lower->node, "beta", 1.0f);
    if (!rdl__op_has(lower->node, 2)) {
        if (lower->in[0].dtype != RDL_F32)
            return lower_reference(lower, &plan, 0.0f, (struct rdl__operand){0}, 0, 0);
        return lower_packed(lower, &plan, (struct rdl__operand){0}, 0);
    }
    const struct rdl__shape *c = &lower->in[2].shape;
    const int64_t rows = c->rank == 2 ? c->dims[0] : 1;
    const int64_t cols = c->rank > 0 ? c->dims[c->rank - 1] : 1;
    const int64_t bias_row = rows == 1 ? 0 : cols, bias_col = cols == 1 ? 0 : 1;
    if (lower->in[0].dtype != RDL_F32)
        return lower_reference(lower, &plan, beta, RDL__IN(2), bias_row, bias_col);
    if (state != NULL && state->bias)
        return lower_packed(lower, &plan, RDL__WEIGHT(1), 0);
    if (beta == 1.0f && cols == plan.n)
        return lower_packed(lower, &plan, RDL__IN(2), bias_row);
    RDL_TRY(lower_beta(lower, beta));
    struct rdl__operand sum = RDL__OUT(0);
    sum.written = false;
    return lower_packed(lower, &plan, sum, plan.n);
}

static double flop_gemm(const struct rdl__node *node, const struct rdl__desc *in,
                        const struct rdl__desc *out)
{
    const bool ta = rdl__attr_int(node, "transA", 0) != 0;
    return 2.0 * (double)rdl__shape_count(&out[0].shape) * (double)in[0].shape.dims[!ta];
}

#define GEMM_OP(since_, least)                                                                     \
    RDL__OPERATOR(Gemm, since_, least, 3, 1, 1, .flags = RDL__OP_FUSES, .check = check_gemm,       \
                  .infer = infer_gemm, .prepare = prepare_gemm, .lower = lower_gemm,               \
                  .flop = flop_gemm);

/* Gemm@7 (9: more dtypes): C is required. Gemm@11 (13: more dtypes): C is optional. */
GEMM_OP(7, 3)
GEMM_OP(11, 2)

/* ---------------------------------------------------------------------------------------- MatMul */

/* Matrix dims of an operand: a vector is a row if it is A, a column if it is B. */
static void matrix_dims(const struct rdl__shape *shape, bool is_b, int64_t *rows, int64_t *cols)
{
    const int32_t rank = shape->rank;
    *rows = rank >= 2 ? shape->dims[rank - 2] : is_b ? shape->dims[0] : 1;
    *cols = rank >= 2 ? shape->dims[rank - 1] : is_b ? 1 : shape->dims[0];
}

/* The dims before the last two. */
static struct rdl__shape batch_dims(const struct rdl__shape *shape)
{
    struct rdl__shape batch;
    rdl__shape_set(&batch, shape->rank > 2 ? shape->rank - 2 : 0, shape->dims);
    return batch;
}

enum rdl_status rdl__matmul_out(const struct rdl__infer *infer, uint32_t second,
                                enum rdl_dtype dtype)
{
    const struct rdl__desc *a = &infer->in[0], *b = &infer->in[second];
    RDL_TRY(rdl__op_rank(infer, 0, 1, RDL_MAX_RANK));
    RDL_TRY(rdl__op_rank(infer, second, 1, RDL_MAX_RANK));
    int64_t m, k, kb, n;
    matrix_dims(&a->shape, false, &m, &k);
    matrix_dims(&b->shape, true, &kb, &n);
    if (k != kb) {
        char ta[RDL__SHAPE_TEXT_BYTES], tb[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "inner dimensions differ: %s by %s",
                         rdl__shape_text(&a->shape, ta, sizeof ta),
                         rdl__shape_text(&b->shape, tb, sizeof tb));
    }
    const struct rdl__shape batch_a = batch_dims(&a->shape), batch_b = batch_dims(&b->shape);
    struct rdl__shape out;
    RDL_TRY(rdl__shape_broadcast(&batch_a, &batch_b, &out, infer->error));
    if (a->shape.rank >= 2)
        out.dims[out.rank++] = m;
    if (b->shape.rank >= 2)
        out.dims[out.rank++] = n;
    return rdl__op_out(infer, 0, dtype, out.rank, out.dims);
}

static enum rdl_status infer_matmul(const struct rdl__infer *infer)
{
    if (!rdl__k_matmul_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    return rdl__matmul_out(infer, 1, infer->in[0].dtype);
}

/* MatMulBias: the bias is one row. */
static enum rdl_status infer_matmul_bias(const struct rdl__infer *infer)
{
    RDL_TRY(infer_matmul(infer));
    RDL_TRY(rdl__op_same_dtype(infer, 2));
    RDL_TRY(rdl__op_rank(infer, 1, 2, RDL_MAX_RANK));
    RDL_TRY(rdl__op_rank(infer, 2, 1, 1));
    const int64_t n = infer->in[1].shape.dims[infer->in[1].shape.rank - 1];
    if (infer->in[2].shape.dims[0] != n)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 2 (bias): %" PRId64 " elements, expected %" PRId64,
                         infer->in[2].shape.dims[0], n);
    return RDL_OK;
}

static enum rdl_status prepare_matmul(struct rdl__prepare *prepare)
{
    const struct rdl__shape *shape = &prepare->in[1].shape;
    if (!is_constant_f32(prepare, 1) || shape->rank < 1)
        return RDL_OK;
    struct state *state = new_state(prepare);
    if (state == NULL)
        return rdl__fail_memory(prepare->error, "MatMul", sizeof *state);
    struct plan plan = {.b_matrices = 1, .alpha = 1.0f, .b_col = 1};
    matrix_dims(shape, true, &plan.k, &plan.n);
    plan.b_row = plan.n;
    if (shape->rank > 2)
        plan.b_matrices = rdl__shape_product(shape, 0, shape->rank - 2);
    return pack_constant(prepare, state, &plan);
}

/* Strides of the batch dims of an operand, by matrices of `size` elements. */
static void batch_strides(const struct rdl__k_gemm_batch *batch, const struct rdl__shape *shape,
                          int64_t size, int64_t *stride)
{
    struct rdl__k_walk walk = {.rank = batch->rank};
    rdl__k_walk_broadcast(&walk, 0, shape);
    for (int32_t i = 0; i < batch->rank; i++)
        stride[i] = walk.stride[0][i] * size;
}

struct rdl__matmul_dims rdl__matmul_dims(const struct rdl__shape *a, const struct rdl__shape *b)
{
    const struct rdl__shape batch_a = batch_dims(a), batch_b = batch_dims(b);
    struct rdl__matmul_dims dims = {0};
    struct rdl__shape joined;
    matrix_dims(a, false, &dims.m, &dims.k);
    matrix_dims(b, true, &dims.k, &dims.n);
    (void)rdl__shape_broadcast(&batch_a, &batch_b, &joined, NULL); /* fits: see infer */
    dims.batch.rank = joined.rank;
    dims.batch.count = (int64_t)rdl__shape_count(&joined);
    dims.batch.c_matrix = dims.m * dims.n;
    for (int32_t i = 0; i < joined.rank; i++)
        dims.batch.dims[i] = joined.dims[i];
    batch_strides(&dims.batch, &batch_a, dims.m * dims.k, dims.batch.a_stride);
    batch_strides(&dims.batch, &batch_b, dims.k * dims.n, dims.batch.b_stride);
    return dims;
}

static struct plan plan_matmul(const struct rdl__lower *lower)
{
    const struct rdl__shape *a = &lower->in[0].shape, *b = &lower->in[1].shape;
    const struct rdl__shape batch_a = batch_dims(a), batch_b = batch_dims(b);
    const struct rdl__matmul_dims dims = rdl__matmul_dims(a, b);
    struct plan plan = {.m = dims.m,
                        .n = dims.n,
                        .k = dims.k,
                        .a_row = dims.k,
                        .a_col = 1,
                        .b_row = dims.n,
                        .b_col = 1,
                        .b_matrices = (int64_t)rdl__shape_count(&batch_b),
                        .alpha = 1.0f};
    if (plan.b_matrices == 1) /* one B for all: the matrices of A are one tall one */
        plan.m *= (int64_t)rdl__shape_count(&batch_a);
    else
        plan.batch = dims.batch;
    return plan;
}

static enum rdl_status lower_matmul(const struct rdl__lower *lower)
{
    struct plan plan = plan_matmul(lower);
    const bool has_bias = rdl__op_has(lower->node, 2);
    const struct rdl__operand bias = has_bias ? RDL__IN(2) : (struct rdl__operand){0};
    if (lower->in[0].dtype != RDL_F32)
        return lower_reference(lower, &plan, 1.0f, bias, 0, 1);
    return lower_packed(lower, &plan, bias, 0);
}

static double flop_matmul(const struct rdl__node *node, const struct rdl__desc *in,
                          const struct rdl__desc *out)
{
    (void)node;
    const struct rdl__shape *a = &in[0].shape;
    return 2.0 * (double)rdl__shape_count(&out[0].shape) * (double)a->dims[a->rank - 1];
}

/* MatMul@1 (9, 13: more dtypes). */
RDL__OPERATOR(MatMul, 1, 2, 2, 1, 1, .flags = RDL__OP_FUSES, .infer = infer_matmul,
              .prepare = prepare_matmul, .lower = lower_matmul, .flop = flop_matmul);

/* MatMul, then a row added to every row; what a fusion makes of MatMul and Add. */
RDL__INTERNAL_OPERATOR(MatMulBias, 3, 3, 1, 1, .flags = RDL__OP_FUSES, .infer = infer_matmul_bias,
                       .prepare = prepare_matmul, .lower = lower_matmul, .flop = flop_matmul);
