/*
 * The packed matrix product: against a chain of single operations bit for bit, against the reference
 * and double precision, and against itself for every batch and split. --bench measures it.
 */
#include "kernel_test.h"

#include "bench.h"
#include "kernels/kernels.h"

/* One product and the memory of its operands. */
struct product {
    struct rdl__k_gemm g;
    float *a, *b, *bias, *c, *packed;
    size_t tiles;
};

static void product_make(struct product *p, uint64_t *seed, enum rdl__isa isa, int64_t m, int64_t n,
                         int64_t k, float (*number)(uint64_t *))
{
    *p = (struct product){.g = {.m = m, .n = n, .k = k, .a_row_stride = k, .c_row_stride = n}};
    p->a = test_random(seed, m * k, number);
    p->b = test_random(seed, k * n, number);
    p->bias = test_random(seed, n, number);
    p->c = test_floats(m * n);
    size_t count = 0;
    assert_true(rdl__k_gemm_packed_count(isa, k, n, &count));
    p->packed = test_floats((int64_t)count);
    rdl__k_gemm_pack(isa, p->packed, p->b, k, n, n, 1, 1.0f);
    p->tiles = rdl__k_gemm_plan(isa, &p->g);
}

static void product_drop(struct product *p)
{
    test_floats_release(p->a);
    test_floats_release(p->b);
    test_floats_release(p->bias);
    test_floats_release(p->c);
    test_floats_release(p->packed);
}

static void product_run(struct product *p, enum rdl__isa isa, bool split)
{
    void *bind[] = {p->a, p->packed, p->bias, p->c};
    memset(p->c, 0xff, (size_t)(p->g.m * p->g.n) * sizeof *p->c);
    p->tiles = rdl__k_gemm_plan(isa, &p->g); /* of the shape and activation that it has by now */
    const rdl__kernel_fn fn = rdl__k_f32_of(isa)->gemm;
    assert_int_equal(RDL_OK, (split ? test_run_split : test_run)(fn, &p->g, bind, p->tiles, 0));
}

/* The chain that gemm.h promises. */
static float chain(const struct product *p, enum rdl__isa isa, int64_t i, int64_t j)
{
    float c = p->bias[j];
    for (int64_t d = 0; d < p->g.k; d++) {
        const float a = p->a[i * p->g.k + d], b = p->b[d * p->g.n + j];
        c = isa == RDL__ISA_PORTABLE ? a * b + c : fmaf(a, b, c);
    }
    return test_act(&p->g.act, c);
}

static void check_chain(struct product *p, enum rdl__isa isa)
{
    float *want = test_floats(p->g.m * p->g.n);
    for (int64_t i = 0; i < p->g.m; i++)
        for (int64_t j = 0; j < p->g.n; j++)
            want[i * p->g.n + j] = chain(p, isa, i, j);
    char what[96];
    (void)snprintf(what, sizeof what, "%s [%d,%d]x[%d,%d] act %d", rdl__isa_name(isa), (int)p->g.m,
                   (int)p->g.k, (int)p->g.k, (int)p->g.n, (int)p->g.act.kind);
    product_run(p, isa, false);
    test_same_bits(want, p->c, p->g.m * p->g.n, what);
    product_run(p, isa, true);
    test_same_bits(want, p->c, p->g.m * p->g.n, what);
    test_floats_release(want);
}

static void gemm_is_the_chain_on(enum rdl__isa isa)
{
    uint64_t seed = 20260701;
    static const int64_t ms[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 19, 25};
    static const int64_t ns[] = {1, 7, 8, 15, 16, 17, 31, 32, 33, 50, 100};
    static const int64_t ks[] = {0, 1, 2, 5, 64};
    for (size_t m = 0; m < sizeof ms / sizeof *ms; m++)
        for (size_t n = 0; n < sizeof ns / sizeof *ns; n++)
            for (size_t k = 0; k < sizeof ks / sizeof *ks; k++) {
                struct product p;
                product_make(&p, &seed, isa, ms[m], ns[n], ks[k], test_unit);
                p.g.act = test_acts[(m + n + k) % TEST_ACTS];
                check_chain(&p, isa);
                product_drop(&p);
            }
}

static void gemm_odd_shapes_are_the_chain(void **state)
{
    (void)state;
    test_each_isa(gemm_is_the_chain_on);
}

static void gemm_deep_on(enum rdl__isa isa)
{
    uint64_t seed = 5;
    struct product p;
    product_make(&p, &seed, isa, 7, 19, 2500, test_unit); /* several passes over k */
    p.g.act = test_acts[2];
    check_chain(&p, isa);
    product_drop(&p);
}

static void gemm_several_passes_over_k_are_the_chain(void **state)
{
    (void)state;
    test_each_isa(gemm_deep_on);
}

static void gemm_edges_on(enum rdl__isa isa)
{
    uint64_t seed = 77;
    for (size_t i = 0; i < TEST_ACTS; i++) {
        struct product p;
        product_make(&p, &seed, isa, 13, 37, 3, test_edgy);
        p.g.act = test_acts[i];
        check_chain(&p, isa);
        product_drop(&p);
    }
}

static void gemm_nan_inf_denormals_are_the_chain(void **state)
{
    (void)state;
    test_each_isa(gemm_edges_on);
}

static void gemm_batches_on(enum rdl__isa isa)
{
    enum { ROWS = 200, N = 45, K = 70 };
    uint64_t seed = 99;
    struct product p;
    product_make(&p, &seed, isa, ROWS, N, K, test_unit);
    product_run(&p, isa, false);
    float *want = test_floats(ROWS * N);
    memcpy(want, p.c, ROWS * N * sizeof *want);
    for (int64_t m = 1; m <= ROWS; m += m < 70 ? 1 : 13) {
        p.g.m = m;
        product_run(&p, isa, m % 2 == 0);
        test_same_bits(want, p.c, m * N, "rows of another batch");
    }
    product_drop(&p);
    test_floats_release(want);
}

static void gemm_row_is_the_same_in_every_batch(void **state)
{
    (void)state;
    test_each_isa(gemm_batches_on);
}

static void gemm_large_on(enum rdl__isa isa)
{
    uint64_t seed = 3;
    struct product p;
    product_make(&p, &seed, isa, 130, 300, 257, test_unit);
    assert_true(p.tiles > 2);
    product_run(&p, isa, false);
    float *whole = test_floats(p.g.m * p.g.n);
    memcpy(whole, p.c, (size_t)(p.g.m * p.g.n) * sizeof *whole);
    product_run(&p, isa, true);
    test_same_bits(whole, p.c, p.g.m * p.g.n, "tiles one by one");
    for (int64_t i = 0; i < p.g.m; i++)
        for (int64_t j = 0; j < p.g.n; j++) {
            double sum = (double)p.bias[j];
            for (int64_t d = 0; d < p.g.k; d++)
                sum += (double)p.a[i * p.g.k + d] * (double)p.b[d * p.g.n + j];
            assert_true(fabs((double)p.c[i * p.g.n + j] - sum) <= 1e-5 * fabs(sum) + 1e-4);
        }
    product_drop(&p);
    test_floats_release(whole);
}

static void gemm_tiles_agree_with_double_precision(void **state)
{
    (void)state;
    test_each_isa(gemm_large_on);
}

/* Batches with broadcasting, B packed at run time, C as its own bias, against the reference. */
static void gemm_batched_on(enum rdl__isa isa)
{
    enum { M = 5, N = 21, K = 9, A2 = 3, B3 = 2 };
    uint64_t seed = 11;
    const struct rdl__k_gemm_batch batch = {.rank = 2,
                                            .count = A2 * B3,
                                            .dims = {A2, B3},
                                            .a_stride = {M * K, 0},
                                            .b_stride = {0, K * N},
                                            .c_matrix = M * N};
    float *a = test_random(&seed, A2 * M * K, test_unit);
    float *b = test_random(&seed, B3 * K * N, test_unit);
    float *start = test_random(&seed, A2 * B3 * M * N, test_unit);
    float *want = test_floats(A2 * B3 * M * N), *got = test_floats(A2 * B3 * M * N);
    memcpy(want, start, A2 * B3 * M * N * sizeof *want);
    memcpy(got, start, A2 * B3 * M * N * sizeof *want);

    const struct rdl__k_matmul ref = {.dtype = RDL_F32,
                                      .m = M,
                                      .n = N,
                                      .k = K,
                                      .a_row = K,
                                      .a_col = 1,
                                      .b_row = N,
                                      .b_col = 1,
                                      .alpha = 0.5f,
                                      .beta = 0.0f,
                                      .batch = batch};
    void *ref_bind[] = {a, b, NULL, want};
    assert_int_equal(RDL_OK,
                     test_run(rdl__k_matmul_ref, &ref, ref_bind, rdl__k_matmul_ref_tiles(&ref), 0));
    for (int i = 0; i < A2 * B3 * M * N; i++)
        want[i] += start[i];

    size_t count = 0;
    assert_true(rdl__k_gemm_packed_count(isa, K, N, &count));
    float *packed = test_floats((int64_t)count * B3);
    const struct rdl__k_gemm_pack_params pack = {.k = K,
                                                 .n = N,
                                                 .row_stride = N,
                                                 .col_stride = 1,
                                                 .matrices = B3,
                                                 .matrix_stride = K * N,
                                                 .panel_cols = rdl__k_gemm_blocks(isa).cols,
                                                 .alpha = 0.5f};
    void *pack_bind[] = {b, packed};
    assert_int_equal(RDL_OK, test_run_split(rdl__k_gemm_pack_f32, &pack, pack_bind,
                                            rdl__k_gemm_pack_tiles(&pack), 0));
    struct rdl__k_gemm g = {.m = M,
                            .n = N,
                            .k = K,
                            .a_row_stride = K,
                            .c_row_stride = N,
                            .bias_row_stride = N,
                            .batch = batch};
    g.batch.b_stride[1] = (int64_t)count;
    const size_t tiles = rdl__k_gemm_plan(isa, &g);
    void *bind[] = {a, packed, got, got};
    assert_int_equal(RDL_OK, test_run_split(rdl__k_f32_of(isa)->gemm, &g, bind, tiles, 0));
    test_close(want, got, A2 * B3 * M * N, 1e-5, 1e-5, rdl__isa_name(isa));
    test_floats_release(a);
    test_floats_release(b);
    test_floats_release(start);
    test_floats_release(want);
    test_floats_release(got);
    test_floats_release(packed);
}

static void gemm_batched_product_is_the_reference(void **state)
{
    (void)state;
    test_each_isa(gemm_batched_on);
}

static void matmul_integers_wrap(void **state)
{
    (void)state;
    const int32_t a[4] = {INT32_MAX, 1, 2, 3}, b[4] = {2, 0, 1, 5};
    int32_t c[4];
    const struct rdl__k_matmul p = {.dtype = RDL_I32,
                                    .m = 2,
                                    .n = 2,
                                    .k = 2,
                                    .a_row = 2,
                                    .a_col = 1,
                                    .b_row = 2,
                                    .b_col = 1,
                                    .alpha = 1.0f,
                                    .beta = 1.0f};
    int32_t bias[2] = {10, -1};
    struct rdl__k_matmul biased = p;
    biased.bias_col = 1;
    void *bind[] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, bias, c};
    assert_int_equal(RDL_OK, test_run(rdl__k_matmul_ref, &biased, bind, 2, 0));
    assert_int_equal(-2 + 1 + 10, c[0]);
    assert_int_equal(5 - 1, c[1]);
    assert_int_equal(7 + 10, c[2]);
    assert_int_equal(15 - 1, c[3]);
}

static double bench_flops(const void *user)
{
    const struct product *p = user;
    return 2.0 * (double)p->g.m * (double)p->g.n * (double)p->g.k;
}

static void bench_call(void *user)
{
    struct product *p = user;
    void *bind[] = {p->a, p->packed, p->bias, p->c};
    const struct rdl__kernel_call call = {&p->g, bind, 0, p->tiles, NULL};
    (void)rdl__k_f32_of(rdl__isa_best())->gemm(&call);
}

/* Times it with the panels on lines of their own, where a model's weights lie. */
static void bench_aligned(const char *name, struct product *p)
{
    size_t count = 0;
    assert_true(rdl__k_gemm_packed_count(rdl__isa_best(), p->g.k, p->g.n, &count));
    const size_t bytes = count * sizeof(float);
    float *packed = p->packed, *aligned = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(aligned);
    memcpy(aligned, packed, bytes);
    p->packed = aligned;
    bench_line(name, bench_flops(p), bench_call, p);
    p->packed = packed;
    free(aligned);
}

/* Shapes whose line has `part` in its name, or all. */
static int bench(const char *part)
{
    static const int64_t shapes[][3] = {
        {64, 512, 256},   {1, 512, 256},   {8, 512, 256},   {64, 784, 512},     {8, 784, 512},
        {64, 1024, 1024}, {1, 1024, 1024}, {256, 256, 256}, {1024, 1024, 1024}, {1, 8, 8},
        {2, 512, 256},    {3, 512, 256},   {4, 512, 256},   {5, 512, 256},      {6, 512, 256},
        {7, 512, 256},    {9, 512, 256},   {12, 512, 256},  {16, 512, 256},     {64, 512, 10}};
    bench_head();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        uint64_t seed = 1;
        struct product p;
        char name[64];
        (void)snprintf(name, sizeof name, "gemm [%d,%d]x[%d,%d]", (int)shapes[i][0],
                       (int)shapes[i][1], (int)shapes[i][1], (int)shapes[i][2]);
        if (part != NULL && strstr(name, part) == NULL)
            continue;
        product_make(&p, &seed, rdl__isa_best(), shapes[i][0], shapes[i][2], shapes[i][1],
                     test_unit);
        p.g.act = test_acts[1];
        p.tiles = rdl__k_gemm_plan(rdl__isa_best(), &p.g);
        bench_aligned(name, &p);
        product_drop(&p);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench(argc > 2 ? argv[2] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_odd_shapes_are_the_chain),
        cmocka_unit_test(gemm_several_passes_over_k_are_the_chain),
        cmocka_unit_test(gemm_nan_inf_denormals_are_the_chain),
        cmocka_unit_test(gemm_row_is_the_same_in_every_batch),
        cmocka_unit_test(gemm_tiles_agree_with_double_precision),
        cmocka_unit_test(gemm_batched_product_is_the_reference),
        cmocka_unit_test(matmul_integers_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
