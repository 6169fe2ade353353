/*
 * Operators from node to numbers: each is run with run-time inputs and with constants, and compared
 * with plain loops or with values worked out by hand; and nodes that must be refused.
 */
#include "op_driver.h"

/* -------------------------------------------------------------------------------------- registry */

static void registry_is_sorted_and_whole(void **state)
{
    (void)state;
    const struct rdl__op *last = NULL, *op;
    for (size_t i = 0; (op = rdl__op_at(i)) != NULL; i++) {
        const bool has_subgraphs = strcmp(op->name, "If") == 0 || strcmp(op->name, "Loop") == 0 ||
                                   strcmp(op->name, "Scan") == 0;
        assert_int_equal(has_subgraphs, op->infer == NULL); /* the model runs these */
        assert_int_equal(has_subgraphs, op->lower == NULL);
        assert_true(op->min_inputs <= op->max_inputs && op->min_outputs <= op->max_outputs);
        if (last != NULL) {
            const int order = strcmp(last->name, op->name);
            assert_true(order < 0 || (order == 0 && last->since < op->since));
        }
        assert_ptr_equal(op, rdl__op_find(op->domain, op->name, op->since));
        last = op;
    }
    assert_non_null(last);
}

static void registry_finds_the_version_that_holds(void **state)
{
    (void)state;
    assert_int_equal(1, rdl__op_find("", "Softmax", 12)->since);
    assert_int_equal(13, rdl__op_find("ai.onnx", "Softmax", 26)->since);
    assert_int_equal(10, rdl__op_find("", "Slice", 12)->since);
    assert_null(rdl__op_find("", "HardSwish", 13));
    assert_null(rdl__op_find("", "MatMulBias", 26));
    assert_non_null(rdl__op_find("raddle", "MatMulBias", 1));
    assert_null(rdl__op_find("", "", 26));
    assert_null(rdl__op_find("", "Zzz", 26));
}

/* -------------------------------------------------------------------------------------- products */

/* Gemm of every form against a plain loop in double. */
static void gemm_case(uint64_t *seed, bool ta, bool tb, float alpha, float beta, int c_form)
{
    enum { M = 7, K = 19, N = 21 };
    static const int c_dims[][3] = {{0, 0, 0}, {1, N, 0}, {2, 1, N}, {2, M, 1},
                                    {2, M, N}, {0, 0, 0}, {1, 1, 0}, {2, 1, 1}};
    float a[M * K], b[K * N], bias[M * N], want[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = test_unit(seed);
    for (int i = 0; i < K * N; i++)
        b[i] = test_unit(seed);
    for (int i = 0; i < M * N; i++)
        bias[i] = test_unit(seed);
    const int *dims = c_dims[c_form];
    const int rows = dims[0] == 2 ? dims[1] : 1;
    const int cols = dims[0] == 2 ? dims[2] : dims[0] == 1 ? dims[1] : 1;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum +=
                    (double)a[ta ? k * M + i : i * K + k] * (double)b[tb ? j * K + k : k * N + j];
            sum *= (double)alpha;
            if (c_form > 0)
                sum +=
                    (double)beta * (double)bias[(rows == 1 ? 0 : i * cols) + (cols == 1 ? 0 : j)];
            want[i * N + j] = (float)(sum < 0 ? 0 : sum);
        }
    struct op_case c;
    op_begin(&c, "Gemm", 13);
    op_int(&c, "transA", ta);
    op_int(&c, "transB", tb);
    op_float(&c, "alpha", alpha);
    op_float(&c, "beta", beta);
    op_input(&c, RDL_F32, a, 2, ta ? K : M, ta ? M : K);
    op_input(&c, RDL_F32, b, 2, tb ? N : K, tb ? K : N);
    if (c_form > 0)
        op_input(&c, RDL_F32, bias, dims[0], dims[1], dims[2]);
    c.activation.kind = RDL__ACT_RELU;
    char what[64];
    (void)snprintf(what, sizeof what, "Gemm ta %d tb %d C form %d", ta, tb, c_form);
    assert_int_equal(RDL_OK, op_run(&c));
    test_close(want, c.data[0], M * N, 1e-5, 1e-5, what);
    c.constants = 6;
    assert_int_equal(RDL_OK, op_run(&c));
    test_close(want, c.data[0], M * N, 1e-5, 1e-5, what);
    op_end(&c);
}

static void gemm_every_form_is_the_product(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int form = 0; form < 8; form++)
        for (int trans = 0; trans < 4; trans++) {
            gemm_case(&seed, trans & 1, trans & 2, 1.0f, 1.0f, form);
            gemm_case(&seed, trans & 1, trans & 2, -0.5f, 0.25f, form);
        }
}

static void gemm_other_dtypes_run(void **state)
{
    (void)state;
    const double a[2] = {1.5, 2}, b[2] = {4, -8}, bias[1] = {1};
    struct op_case c;
    op_begin(&c, "Gemm", 7);
    op_input(&c, RDL_F64, a, 2, 1, 2);
    op_input(&c, RDL_F64, b, 2, 2, 1);
    op_input(&c, RDL_F64, bias, 1, 1);
    c.activation = (struct rdl__activation){RDL__ACT_CLIP, -5.0f, 5.0f};
    op_run_both(&c);
    assert_true(((double *)c.data[0])[0] == -5.0);
    op_end(&c);
    const int32_t x[4] = {1, 2, 3, 4};
    op_begin(&c, "Gemm", 11);
    op_input(&c, RDL_I32, x, 2, 2, 2);
    op_input(&c, RDL_I32, x, 2, 2, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int32_t[]){7, 10, 15, 22}), 16);
    op_end(&c);
}

static void matmul_case(uint64_t *seed, int ra, const int *da, int rb, const int *db, int rank,
                        const int *dims)
{
    enum { MOST = 4000 };
    static float a[MOST], b[MOST], want[MOST];
    for (int i = 0; i < MOST; i++) {
        a[i] = test_unit(seed);
        b[i] = test_unit(seed);
    }
    struct op_case c;
    op_begin(&c, "MatMul", 13);
    op_input(&c, RDL_F32, a, 0);
    op_input(&c, RDL_F32, b, 0);
    for (int i = 0; i < ra; i++)
        c.in[0].shape.dims[i] = da[i];
    for (int i = 0; i < rb; i++)
        c.in[1].shape.dims[i] = db[i];
    c.in[0].shape.rank = ra;
    c.in[1].shape.rank = rb;
    op_run_both(&c);
    assert_int_equal(rank, c.out[0].shape.rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(dims[i], c.out[0].shape.dims[i]);
    /* Both as matrices under the output's batch. */
    const int m = ra > 1 ? da[ra - 2] : 1, k = da[ra - 1], n = rb > 1 ? db[rb - 1] : 1;
    const int out_batch = rank - (ra > 1) - (rb > 1);
    int matrices = 1;
    for (int i = 0; i < out_batch; i++)
        matrices *= dims[i];
    for (int q = 0; q < matrices; q++) {
        int left = q, at = 0, bt = 0, au = 1, bu = 1;
        for (int d = out_batch - 1; d >= 0; d--) {
            const int index = left % dims[d];
            left /= dims[d];
            const int ad = d - (out_batch - (ra - 2)), bd = d - (out_batch - (rb - 2));
            if (ad >= 0) {
                at += da[ad] == 1 ? 0 : index * au;
                au *= da[ad];
            }
            if (bd >= 0) {
                bt += db[bd] == 1 ? 0 : index * bu;
                bu *= db[bd];
            }
        }
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (int e = 0; e < k; e++)
                    sum += (double)a[at * m * k + i * k + e] * (double)b[bt * k * n + e * n + j];
                want[(q * m + i) * n + j] = (float)sum;
            }
    }
    test_close(want, c.data[0], (int64_t)matrices * m * n, 1e-5, 1e-5, "MatMul");
    op_end(&c);
}

static void matmul_broadcasts_batches(void **state)
{
    (void)state;
    uint64_t seed = 2;
#define DIMS(...) (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (const int[]){__VA_ARGS__}
    matmul_case(&seed, DIMS(5, 7), DIMS(7, 33), DIMS(5, 33));
    matmul_case(&seed, DIMS(7), DIMS(7, 33), DIMS(33));
    matmul_case(&seed, DIMS(5, 7), DIMS(7), DIMS(5));
    matmul_case(&seed, DIMS(2, 3, 5, 7), DIMS(7, 4), DIMS(2, 3, 5, 4));
    matmul_case(&seed, DIMS(2, 3, 5, 7), DIMS(7), DIMS(2, 3, 5));
    matmul_case(&seed, DIMS(2, 3, 5, 7), DIMS(2, 3, 7, 4), DIMS(2, 3, 5, 4));
    matmul_case(&seed, DIMS(2, 1, 5, 7), DIMS(3, 7, 4), DIMS(2, 3, 5, 4));
    matmul_case(&seed, DIMS(5, 7), DIMS(2, 3, 7, 20), DIMS(2, 3, 5, 20));
    matmul_case(&seed, DIMS(5, 7), DIMS(1, 1, 7, 20), DIMS(1, 1, 5, 20));
    matmul_case(&seed, DIMS(7), DIMS(3, 7, 20), DIMS(3, 20));
#undef DIMS
    const float a[4] = {1, 2, 3, 4}, b[4] = {1, -1, 1, 1}, bias[2] = {0.5f, -4};
    struct op_case c;
    op_begin(&c, "MatMulBias", 1);
    c.domain = "raddle";
    op_input(&c, RDL_F32, a, 3, 2, 1, 2);
    op_input(&c, RDL_F32, b, 2, 2, 2);
    op_input(&c, RDL_F32, bias, 1, 2);
    c.activation.kind = RDL__ACT_RELU;
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){3.5f, 0, 7.5f, 0}), 16);
    op_end(&c);
}

static void products_with_no_depth_are_the_bias(void **state)
{
    (void)state;
    const float none[1] = {NAN}, bias[3] = {1, 2, 3};
    struct op_case c;
    op_begin(&c, "Gemm", 13);
    op_input(&c, RDL_F32, none, 2, 2, 0);
    op_input(&c, RDL_F32, none, 2, 0, 3);
    op_input(&c, RDL_F32, bias, 1, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){1, 2, 3, 1, 2, 3}), 24);
    op_end(&c);
    op_begin(&c, "MatMul", 13);
    op_input(&c, RDL_F32, none, 2, 0, 2);
    op_input(&c, RDL_F32, bias, 2, 2, 1);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 0, 1);
    op_end(&c);
}

/* ------------------------------------------------------------------------------------ elementwise */

static void elementwise_operators_run(void **state)
{
    (void)state;
    const float x[4] = {-4, -1, 0.5f, 8}, row[2] = {2, -2}, low[1] = {-1}, high[1] = {1};
    struct op_case c;
    static const struct {
        const char *type;
        float want[4];
    } binary[] = {{"Add", {-2, -3, 2.5f, 6}}, {"Sub", {-6, 1, -1.5f, 10}},
                  {"Mul", {-8, 2, 1, -16}},   {"Div", {-2, 0.5f, 0.25f, -4}},
                  {"Max", {2, -1, 2, 8}},     {"Min", {-4, -2, 0.5f, -2}}};
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
        op_begin(&c, binary[i].type, 14);
        op_input(&c, RDL_F32, x, 2, 2, 2);
        op_input(&c, RDL_F32, row, 1, 2);
        op_run_both(&c);
        assert_memory_equal(c.data[0], binary[i].want, 16);
        op_end(&c);
    }
    op_begin(&c, "Max", 13); /* more inputs, each of another shape */
    op_input(&c, RDL_F32, low, 0);
    op_input(&c, RDL_F32, row, 1, 2);
    op_input(&c, RDL_F32, x, 2, 2, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){2, -1, 2, 8}), 16);
    op_end(&c);
    op_begin(&c, "Clip", 6);
    op_float(&c, "max", 1.0f);
    op_input(&c, RDL_F32, x, 1, 4);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){-4, -1, 0.5f, 1}), 16);
    op_end(&c);
    op_begin(&c, "Clip", 13);
    op_input(&c, RDL_F32, x, 1, 4);
    op_input(&c, RDL_F32, low, 0);
    op_input(&c, RDL_F32, high, 1, 1);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){-1, -1, 0.5f, 1}), 16);
    op_end(&c);
    op_begin(&c, "HardSigmoid", 6);
    op_input(&c, RDL_F32, x, 1, 4);
    op_run_both(&c);
    test_close((float[]){0, 0.3f, 0.6f, 1}, c.data[0], 4, 1e-6, 0, "HardSigmoid");
    op_end(&c);
    op_begin(&c, "HardSwish", 14);
    op_input(&c, RDL_F32, x, 1, 4);
    op_run_both(&c);
    test_close((float[]){0, -1 / 3.0f, 0.29166667f, 8}, c.data[0], 4, 1e-6, 1e-7, "HardSwish");
    op_end(&c);
    const int64_t a[2] = {6, 7}, zero[2] = {1, 0};
    op_begin(&c, "Div", 7);
    op_input(&c, RDL_I64, a, 1, 2);
    op_input(&c, RDL_I64, zero, 1, 2);
    assert_int_equal(RDL_ERR_RUNTIME, op_run(&c));
    op_end(&c);
}

static void cast_and_constant_run(void **state)
{
    (void)state;
    const float x[3] = {1.7f, -0.0f, 300};
    struct op_case c;
    op_begin(&c, "Cast", 13);
    op_int(&c, "to", RDL_U8);
    op_input(&c, RDL_F32, x, 1, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((uint8_t[]){1, 0, 255}), 3);
    c.attrs[0].i = RDL_F32;
    op_run_both(&c);
    assert_int_equal(1, c.aliases);
    op_end(&c);

    const int32_t elements[2] = {5, -6};
    const struct rdl__desc tensor = {RDL_I32, {.rank = 1, .dims = {2}}, elements};
    op_begin(&c, "Constant", 9);
    c.attrs[c.n_attrs++] =
        (struct rdl__attr){.name = "value", .type = RDL__ATTR_TENSOR, .tensor = &tensor};
    op_run_both(&c);
    op_expect_dims(&c, 0, 1, 2);
    assert_memory_equal(c.data[0], elements, 8);
    op_end(&c);
    op_begin(&c, "Constant", 13);
    op_ints(&c, "value_ints", 2, (int64_t)3, (int64_t)-4);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int64_t[]){3, -4}), 16);
    op_end(&c);
    op_begin(&c, "Constant", 13);
    op_float(&c, "value_float", 2.5f);
    op_run_both(&c);
    op_expect_dims(&c, 0, 0);
    assert_true(((float *)c.data[0])[0] == 2.5f);
    op_end(&c);
}

/* -------------------------------------------------------------------------------- layout and shape */

static void layout_operators_move_elements(void **state)
{
    (void)state;
    int16_t x[24];
    for (int i = 0; i < 24; i++)
        x[i] = (int16_t)i;
    struct op_case c;
    op_begin(&c, "Concat", 13);
    op_int(&c, "axis", -1);
    op_input(&c, RDL_I16, x, 2, 2, 2);
    op_input(&c, RDL_I16, x + 4, 2, 2, 0);
    op_input(&c, RDL_I16, x + 10, 2, 2, 1);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int16_t[]){0, 1, 10, 2, 3, 11}), 12);
    op_end(&c);

    op_begin(&c, "Transpose", 13);
    op_ints(&c, "perm", 3, (int64_t)2, (int64_t)0, (int64_t)1);
    op_input(&c, RDL_I16, x, 3, 2, 3, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 2, 2, 3);
    assert_memory_equal(c.data[0], ((int16_t[]){0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}), 24);
    op_end(&c);
    op_begin(&c, "Transpose", 1);
    op_ints(&c, "perm", 3, (int64_t)1, (int64_t)0, (int64_t)2);
    op_input(&c, RDL_I16, x, 3, 1, 3, 2);
    op_run_both(&c);
    assert_int_equal(1, c.aliases);
    op_end(&c);
    op_begin(&c, "Transpose", 1);
    op_input(&c, RDL_I16, x, 2, 2, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int16_t[]){0, 3, 1, 4, 2, 5}), 12);
    op_end(&c);

    const int64_t indices[2] = {-1, 0};
    op_begin(&c, "Gather", 13);
    op_int(&c, "axis", 1);
    op_input(&c, RDL_I16, x, 2, 2, 3);
    op_input(&c, RDL_I64, indices, 2, 1, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 2, 1, 2);
    assert_memory_equal(c.data[0], ((int16_t[]){2, 0, 5, 3}), 8);
    op_end(&c);
    const int32_t outside[1] = {3};
    op_begin(&c, "Gather", 13);
    op_input(&c, RDL_I16, x, 1, 3);
    op_input(&c, RDL_I32, outside, 0);
    assert_int_equal(RDL_ERR_RUNTIME, op_run(&c));
    op_end(&c);
}

static void slice_case(int n, const int64_t *starts, const int64_t *ends, const int64_t *axes,
                       const int64_t *steps, int rows, int cols, const float *want)
{
    static const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    struct op_case c;
    op_begin(&c, "Slice", 13);
    op_input(&c, RDL_F32, x, 2, 3, 4);
    op_input(&c, RDL_I64, starts, 1, n);
    op_input(&c, RDL_I64, ends, 1, n);
    op_input(&c, RDL_I64, axes, 1, n);
    op_input(&c, RDL_I64, steps, 1, n);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, rows, cols);
    if (rows * cols > 0)
        assert_memory_equal(c.data[0], want, (size_t)(rows * cols) * sizeof(float));
    op_end(&c);
}

static void slice_takes_any_bounds_and_steps(void **state)
{
    (void)state;
#define I(...) ((const int64_t[]){__VA_ARGS__})
#define F(...) ((const float[]){__VA_ARGS__})
    slice_case(2, I(1, 0), I(3, 3), I(0, 1), I(1, 2), 2, 2, F(4, 6, 8, 10));
    slice_case(1, I(-1), I(INT64_MIN), I(1), I(-1), 3, 4, F(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8));
    slice_case(1, I(INT64_MAX), I(INT64_MIN), I(-1), I(INT64_MIN), 3, 1, F(3, 7, 11));
    slice_case(1, I(INT64_MIN), I(INT64_MAX), I(0), I(INT64_MAX), 1, 4, F(0, 1, 2, 3));
    slice_case(1, I(2), I(1), I(0), I(1), 0, 4, NULL);
    slice_case(1, I(-10), I(INT64_MIN), I(0), I(-1), 0, 4, NULL);
    slice_case(1, I(0), I(-1), I(0), I(1), 2, 4, F(0, 1, 2, 3, 4, 5, 6, 7));
    slice_case(2, I(-2, 3), I(-4, 0), I(0, 1), I(-1, -2), 2, 2, F(7, 5, 3, 1));
    slice_case(0, I(0), I(0), I(0), I(1), 3, 4, F(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
#undef I
#undef F
    const float x[3] = {1, 2, 3};
    struct op_case c;
    op_begin(&c, "Slice", 9);
    op_ints(&c, "starts", 1, (int64_t)1);
    op_ints(&c, "ends", 1, (int64_t)100);
    op_input(&c, RDL_F32, x, 1, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){2, 3}), 8);
    op_end(&c);
}

static void reshape_case(int64_t opset, int zero, int n, const int64_t *shape, int32_t rank, int a,
                         int b)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    struct op_case c;
    op_begin(&c, "Reshape", opset);
    if (opset >= 14)
        op_int(&c, "allowzero", zero);
    op_input(&c, RDL_F32, x, 2, zero ? 0 : 2, 3);
    op_input(&c, RDL_I64, shape, 1, n);
    op_run_both(&c);
    op_expect_dims(&c, 0, rank, a, b);
    if (!zero) {
        assert_int_equal(1, c.aliases);
        assert_memory_equal(c.data[0], x, sizeof x);
    }
    op_end(&c);
}

static void shape_operators_give_shapes(void **state)
{
    (void)state;
#define I(...) ((const int64_t[]){__VA_ARGS__})
    reshape_case(5, 0, 2, I(3, 2), 2, 3, 2);
    reshape_case(5, 0, 2, I(0, -1), 2, 2, 3);
    reshape_case(14, 0, 1, I(-1), 1, 6, 0);
    reshape_case(14, 1, 2, I(3, 0), 2, 3, 0);
    reshape_case(14, 1, 2, I(0, 5), 2, 0, 5);
    const float x[6] = {1, 2, 3, 4, 5, 6};
    struct op_case c;
    for (int axis = -2; axis <= 2; axis++) {
        op_begin(&c, "Flatten", 13);
        op_int(&c, "axis", axis);
        op_input(&c, RDL_F32, x, 2, 2, 3);
        op_run_both(&c);
        const int at = axis < 0 ? axis + 2 : axis;
        op_expect_dims(&c, 0, 2, at == 0 ? 1 : at == 1 ? 2 : 6, at == 0 ? 6 : at == 1 ? 3 : 1);
        op_end(&c);
    }
    op_begin(&c, "Reshape", 13); /* an empty batch */
    op_input(&c, RDL_F32, x, 3, 0, 2, 3);
    op_input(&c, RDL_I64, I(0, -1), 1, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 0, 6);
    op_end(&c);
    op_begin(&c, "Squeeze", 13);
    op_input(&c, RDL_F32, x, 4, 1, 2, 1, 3);
    op_input(&c, RDL_I64, I(-2), 1, 1);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 1, 2, 3);
    op_end(&c);
    op_begin(&c, "Squeeze", 11);
    op_input(&c, RDL_F32, x, 4, 1, 2, 1, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 2, 3);
    op_end(&c);
    op_begin(&c, "Unsqueeze", 13);
    op_input(&c, RDL_F32, x, 1, 6);
    op_input(&c, RDL_I64, I(0, -1), 1, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 1, 6, 1);
    op_end(&c);
    op_begin(&c, "Unsqueeze", 11);
    op_ints(&c, "axes", 1, (int64_t)1);
    op_input(&c, RDL_F32, x, 1, 6);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 6, 1);
    op_end(&c);
    op_begin(&c, "Shape", 15);
    op_int(&c, "start", -2);
    op_input(&c, RDL_F32, x, 3, 1, 2, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], I(2, 3), 16);
    op_end(&c);
    op_begin(&c, "Size", 13);
    op_input(&c, RDL_F32, x, 3, 1, 2, 3);
    op_run_both(&c);
    assert_true(*(int64_t *)c.data[0] == 6);
    op_end(&c);
    op_begin(&c, "Identity", 1);
    op_input(&c, RDL_F32, x, 1, 6);
    op_run_both(&c);
    assert_int_equal(1, c.aliases);
    op_end(&c);
#undef I
}

/* ------------------------------------------------------------------------------------ what is bad */

static void bad_products_are_refused(void **state)
{
    (void)state;
    const float x[64] = {0};
    struct op_case c;
    op_begin(&c, "Gemm", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 2, 4, 3);
    op_fails(&c, RDL_ERR_SHAPE, "inner dimensions differ: A has 3, B has 4");
    op_begin(&c, "Gemm", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 2, 3, 4);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "do not broadcast");
    op_begin(&c, "Gemm", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 2, 3, 1);
    op_input(&c, RDL_F32, x, 2, 2, 4);
    op_fails(&c, RDL_ERR_SHAPE, "input 2 (C): [2, 4] does not broadcast to [2, 1]");
    op_begin(&c, "Gemm", 13);
    op_input(&c, RDL_F32, x, 3, 2, 3, 1);
    op_input(&c, RDL_F32, x, 2, 3, 4);
    op_fails(&c, RDL_ERR_SHAPE, "rank 3, expected 2");
    op_begin(&c, "MatMul", 13);
    op_input(&c, RDL_F32, x, 0);
    op_input(&c, RDL_F32, x, 2, 3, 4);
    op_fails(&c, RDL_ERR_SHAPE, "input 0: shape [] has rank 0");
    op_begin(&c, "MatMul", 13);
    op_input(&c, RDL_BOOL, x, 1, 3);
    op_input(&c, RDL_BOOL, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype bool is not supported");
    op_begin(&c, "MatMul", 13);
    op_input(&c, RDL_F32, x, 2, 0x40000000, 0);
    op_input(&c, RDL_F32, x, 2, 0, 0x40000000);
    c.in[0].shape.dims[0] = c.in[1].shape.dims[1] = (int64_t)1 << 40;
    op_fails(&c, RDL_ERR_OVERFLOW, "overflows");
}

static void bad_windows_are_refused(void **state)
{
    (void)state;
    const float x[64] = {0};
    struct op_case c;
    op_begin(&c, "Conv", 11);
    op_input(&c, RDL_F32, x, 4, 1, 3, 4, 4);
    op_input(&c, RDL_F32, x, 4, 2, 2, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "do not fit an input of 3 channels");
    op_begin(&c, "Conv", 11);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_input(&c, RDL_F32, x, 4, 1, 1, 5, 5);
    op_fails(&c, RDL_ERR_SHAPE, "a window of 5 does not fit into 4");
    op_begin(&c, "Conv", 11);
    op_int(&c, "group", 0);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_input(&c, RDL_F32, x, 4, 1, 1, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "group is 0");
    op_begin(&c, "Conv", 11);
    op_ints(&c, "strides", 2, (int64_t)1, (int64_t)0);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_input(&c, RDL_F32, x, 4, 1, 1, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "strides[1] is 0");
    op_begin(&c, "Conv", 11);
    op_ints(&c, "strides", 1, (int64_t)1);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_input(&c, RDL_F32, x, 4, 1, 1, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "strides has 1 values, expected 2");
    op_begin(&c, "Conv", 11);
    op_ints(&c, "dilations", 2, (int64_t)1 << 39, INT64_MAX);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_input(&c, RDL_F32, x, 4, 1, 1, 3, 3);
    op_fails(&c, RDL_ERR_MODEL, "dilations[1]");
    op_begin(&c, "Conv", 11);
    op_ints(&c, "pads", 4, (int64_t)1 << 40, (int64_t)1 << 40, (int64_t)1 << 40, (int64_t)1 << 40);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_input(&c, RDL_F32, x, 4, 1, 1, 1, 1);
    op_fails(&c, RDL_ERR_OVERFLOW, "overflows");
    op_begin(&c, "MaxPool", 11);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_fails(&c, RDL_ERR_MODEL, "\"kernel_shape\" is missing");
    op_begin(&c, "MaxPool", 11);
    op_ints(&c, "kernel_shape", 2, (int64_t)2, (int64_t)2);
    op_text(&c, "auto_pad", "SAME");
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_fails(&c, RDL_ERR_MODEL, "auto_pad \"SAME\" is not known");
    op_begin(&c, "AveragePool", 11);
    op_ints(&c, "kernel_shape", 2, (int64_t)2, (int64_t)2);
    op_input(&c, RDL_F32, x, 3, 1, 1, 4);
    op_fails(&c, RDL_ERR_SHAPE, "kernel_shape has 2 values, expected 1");
    op_begin(&c, "GlobalAveragePool", 1);
    op_input(&c, RDL_F32, x, 1, 4);
    op_fails(&c, RDL_ERR_SHAPE, "rank 1");
}

static void bad_shapes_are_refused(void **state)
{
    (void)state;
    const float x[64] = {0};
    struct op_case c;
#define I(...) ((const int64_t[]){__VA_ARGS__})
    static const struct {
        int n;
        int64_t shape[3];
        enum rdl_status status;
        const char *part;
    } reshapes[] = {
        {2, {4, 4, 0}, RDL_ERR_SHAPE, "[2, 3] cannot become [4, 4]"},
        {2, {-1, 4, 0}, RDL_ERR_SHAPE, "cannot become"},
        {2, {-1, -1, 0}, RDL_ERR_SHAPE, "two dimensions are -1"},
        {1, {-2, 0, 0}, RDL_ERR_SHAPE, "dimension 0 is -2"},
        {3, {3, 2, 0}, RDL_ERR_SHAPE, "no such dimension to copy"},
        {2, {INT64_MAX, INT64_MAX, 0}, RDL_ERR_OVERFLOW, "too large"},
    };
    for (size_t i = 0; i < sizeof reshapes / sizeof *reshapes; i++) {
        op_begin(&c, "Reshape", 13);
        op_input(&c, RDL_F32, x, 2, 2, 3);
        op_input(&c, RDL_I64, reshapes[i].shape, 1, reshapes[i].n);
        op_fails(&c, reshapes[i].status, reshapes[i].part);
    }
    op_begin(&c, "Reshape", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "dtype f32, expected i64 or i32");
    op_begin(&c, "Reshape", 13);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_I64, I(1, 1, 1, 1, 1, 1, 1, 1, 1), 1, 9);
    op_fails(&c, RDL_ERR_SHAPE, "9 elements, at most 8");
    op_begin(&c, "Slice", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0), 1, 1);
    op_input(&c, RDL_I64, I(1, 1), 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "differ in length");
    op_begin(&c, "Slice", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0), 1, 1);
    op_input(&c, RDL_I64, I(1), 1, 1);
    op_input(&c, RDL_I64, I(2), 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "axis 2 is outside rank 2");
    op_begin(&c, "Slice", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0, 0), 1, 2);
    op_input(&c, RDL_I64, I(1, 1), 1, 2);
    op_input(&c, RDL_I64, I(1, -1), 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "axis 1 is named twice");
    op_begin(&c, "Slice", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0), 1, 1);
    op_input(&c, RDL_I64, I(1), 1, 1);
    op_input(&c, RDL_I64, I(0), 1, 1);
    op_input(&c, RDL_I64, I(0), 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "step 0");
    op_begin(&c, "Transpose", 13);
    op_ints(&c, "perm", 2, (int64_t)0, (int64_t)0);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_SHAPE, "no permutation");
    op_begin(&c, "Concat", 13);
    op_int(&c, "axis", 0);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 2, 2, 4);
    op_fails(&c, RDL_ERR_SHAPE, "input 1: [2, 4] differs from [2, 3] beside axis 0");
    op_begin(&c, "Concat", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_MODEL, "\"axis\" is missing");
    op_begin(&c, "Squeeze", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0), 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "axis 0 is 2, only 1 can be dropped");
    op_begin(&c, "Unsqueeze", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0, 0), 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "axis 0 is named twice");
    op_begin(&c, "Unsqueeze", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, I(0, 1, 2, 3, 4, 5, 6), 1, 7);
    op_fails(&c, RDL_ERR_SHAPE, "more than 8 dimensions");
    op_begin(&c, "Softmax", 13);
    op_int(&c, "axis", 2);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_SHAPE, "axis 2 is outside rank 2");
#undef I
}

static void bad_attributes_are_refused(void **state)
{
    (void)state;
    const float x[64] = {0};
    struct op_case c;
    op_begin(&c, "Cast", 13);
    op_int(&c, "to", RDL_STRING);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "string");
    op_begin(&c, "Cast", 19);
    op_int(&c, "to", 17);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "to = 17");
    op_begin(&c, "Cast", 13);
    op_int(&c, "to", INT64_MIN);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "is not supported");
    op_begin(&c, "BatchNormalization", 15);
    op_int(&c, "training_mode", 1);
    op_input(&c, RDL_F32, x, 2, 1, 3);
    for (int i = 0; i < 4; i++)
        op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "training_mode");
    op_begin(&c, "BatchNormalization", 9);
    op_input(&c, RDL_F32, x, 2, 1, 3);
    for (int i = 0; i < 4; i++)
        op_input(&c, RDL_F32, x, 1, i == 2 ? 2 : 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 3: 2 elements, expected 3");
    op_begin(&c, "Clip", 13);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, x, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "input 1 (min) is no scalar");
    op_begin(&c, "Clip", 6);
    op_int(&c, "min", 1);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_MODEL, "\"min\"");
    op_begin(&c, "Add", 13);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F64, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 1 is f64, input 0 is f32");
    op_begin(&c, "Add", 13);
    op_input(&c, RDL_F16, x, 1, 3);
    op_input(&c, RDL_F16, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16 is not supported");
    op_begin(&c, "Constant", 13);
    op_fails(&c, RDL_ERR_MODEL, "expected one value");
    op_begin(&c, "Constant", 13);
    op_text(&c, "value_string", "a");
    op_fails(&c, RDL_ERR_UNSUPPORTED, "value_string");
    op_begin(&c, "Softmax", 13);
    op_int(&c, "axes", 1);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_MODEL, "\"axes\" is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_is_sorted_and_whole),
        cmocka_unit_test(registry_finds_the_version_that_holds),
        cmocka_unit_test(gemm_every_form_is_the_product),
        cmocka_unit_test(gemm_other_dtypes_run),
        cmocka_unit_test(matmul_broadcasts_batches),
        cmocka_unit_test(products_with_no_depth_are_the_bias),
        cmocka_unit_test(elementwise_operators_run),
        cmocka_unit_test(cast_and_constant_run),
        cmocka_unit_test(layout_operators_move_elements),
        cmocka_unit_test(slice_takes_any_bounds_and_steps),
        cmocka_unit_test(shape_operators_give_shapes),
        cmocka_unit_test(bad_products_are_refused),
        cmocka_unit_test(bad_windows_are_refused),
        cmocka_unit_test(bad_shapes_are_refused),
        cmocka_unit_test(bad_attributes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
