/*
 * GridSample, AffineGrid, RoiAlign, MaxRoiPool and NonMaxSuppression from node to numbers, worked out by
 * hand.
 */
#include "op_driver.h"

static const float image[6] = {0, 1, 2, 3, 4, 5}; /* two rows of three */

static void grid_sample(struct op_case *c, const char *mode, const char *padding, const float *grid,
                        int points)
{
    op_begin(c, "GridSample", 20);
    op_text(c, "mode", mode);
    op_text(c, "padding_mode", padding);
    op_int(c, "align_corners", 1);
    op_input(c, RDL_F32, image, 4, 1, 1, 2, 3);
    op_input(c, RDL_F32, grid, 4, 1, 1, points, 2);
}

static void grid_sample_reads_where_the_grid_says(void **state)
{
    (void)state;
    /* x, y: a corner, the middle, half a pixel outside on the left, far outside, no number. */
    const float grid[10] = {-1, -1, 0, 0, -1.5f, -1, 0, 1e30f, NAN, -1};
    static const struct {
        const char *mode, *padding;
        float want[5];
    } cases[] = {
        {"linear", "zeros", {0, 2.5f, 0, 0, 0}},
        {"linear", "border", {0, 2.5f, 0, 4, 0}},
        {"nearest", "border", {0, 1, 0, 4, 0}}, /* halves go to even */
        {"linear", "reflection", {0, 2.5f, 0.5f, 1, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct op_case c;
        const bool mirrors = strcmp(cases[i].padding, "reflection") == 0;
        grid_sample(&c, cases[i].mode, cases[i].padding, grid, 5);
        op_run_both(&c);
        op_expect_dims(&c, 0, 4, 1, 1, 1, 5);
        test_close(cases[i].want, c.data[0], mirrors ? 3 : 5, 0, 1e-6, cases[i].padding);
        op_end(&c);
    }
}

static void grid_sample_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct op_case c;
    grid_sample(&c, "bilinear", "zeros", image, 1); /* the name before 20 */
    op_fails(&c, RDL_ERR_MODEL, "mode \"bilinear\"");
    grid_sample(&c, "linear", "wrap", image, 1);
    op_fails(&c, RDL_ERR_MODEL, "padding_mode \"wrap\"");
    op_begin(&c, "GridSample", 16);
    op_input(&c, RDL_F32, image, 4, 1, 1, 2, 3);
    op_input(&c, RDL_F32, image, 4, 2, 1, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "grid [2, 1, 1, 2] does not fit");
    op_begin(&c, "GridSample", 16);
    op_input(&c, RDL_I32, image, 4, 1, 1, 2, 3);
    op_input(&c, RDL_I32, image, 4, 1, 1, 1, 2);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype i32");
}

static void affine_grid(struct op_case *c, const float *theta, int n, const int64_t *size,
                        int align)
{
    op_begin(c, "AffineGrid", 20);
    op_int(c, "align_corners", align);
    op_input(c, RDL_F32, theta, 3, 1, n, n + 1);
    op_input(c, RDL_I64, size, 1, n + 2);
}

static void affine_grid_is_theta_times_places(void **state)
{
    (void)state;
    /* x' = 2 x + 10 y + 100, y' = x - y. */
    const float theta[6] = {2, 10, 100, 1, -1, 0};
    const int64_t size[4] = {1, 7, 2, 4};
    struct op_case c;
    affine_grid(&c, theta, 2, size, 0); /* x is -0.75, -0.25, 0.25, 0.75; y is -0.5, 0.5 */
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 1, 2, 4, 2);
    const float want[4] = {93.5f, -0.25f, 94.5f, 0.25f};
    test_close(want, c.data[0], 4, 1e-6, 1e-6, "edges");
    test_close((const float[]){106.5f, 0.25f}, (float *)c.data[0] + 14, 2, 1e-6, 1e-6, "edges");
    op_end(&c);
    affine_grid(&c, theta, 2, size, 1); /* x is -1, -1/3, 1/3, 1; y is -1, 1 */
    op_run_both(&c);
    test_close((const float[]){88, 0}, c.data[0], 2, 1e-6, 1e-6, "corners");
    test_close((const float[]){112, 0}, (float *)c.data[0] + 14, 2, 1e-6, 1e-6, "corners");
    op_end(&c);
    /* Three dimensions: x, y and z are told apart. */
    const float deep[12] = {1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 100, 0};
    const int64_t cube[5] = {1, 1, 2, 2, 2};
    affine_grid(&c, deep, 3, cube, 1);
    op_run_both(&c);
    op_expect_dims(&c, 0, 5, 1, 2, 2, 2, 3);
    test_close((const float[]){1, -10, -100}, (float *)c.data[0] + 3, 3, 0, 0, "x");
    test_close((const float[]){-1, -10, 100}, (float *)c.data[0] + 12, 3, 0, 0, "z");
    op_end(&c);
    affine_grid(&c, theta, 2, cube, 1);
    c.in[1].shape.dims[0] = 5;
    op_fails(&c, RDL_ERR_SHAPE, "theta [1, 2, 3] does not fit a size of 5 numbers");
}

static void max_roi_pool_takes_the_largest_of_bins(void **state)
{
    (void)state;
    /* Halved and rounded: columns 1 to 5, rows 0 to 3; the second lies outside. */
    const float rois[10] = {0, 1, 0, 9, 5, 0, 20, 20, 30, 30}, far[5] = {1, 0, 0, 1, 1};
    float x[24];
    for (int i = 0; i < 24; i++)
        x[i] = (float)i - 30; /* negative: nothing may begin at zero */
    struct op_case c;
    for (int i = 0; i < 3; i++) {
        op_begin(&c, "MaxRoiPool", 1);
        op_ints(&c, "pooled_shape", 2, (int64_t)2, (int64_t)(i == 2 ? 0 : 3));
        op_float(&c, "spatial_scale", 0.5f);
        op_input(&c, RDL_F32, x, 4, 1, 1, 4, 6);
        op_input(&c, RDL_F32, i == 0 ? rois : far, 2, i == 0 ? 2 : 1, 5);
        if (i == 0) {
            op_run_both(&c);
            op_expect_dims(&c, 0, 4, 2, 1, 2, 3);
            const float want[12] = {-22, -20, -19, -10, -8, -7};
            test_same_bits(want, c.data[0], 12, "bins");
            op_end(&c);
        } else {
            op_fails(&c, i == 1 ? RDL_ERR_RUNTIME : RDL_ERR_MODEL, i == 1 ? "" : "pooled_shape");
        }
    }
}

static void roi_align(struct op_case *c, int64_t opset, const float *roi, const int64_t *batch)
{
    op_begin(c, "RoiAlign", opset);
    op_int(c, "sampling_ratio", 1);
    op_input(c, RDL_F32, image, 4, 1, 1, 2, 3);
    op_input(c, RDL_F32, roi, 2, 1, 4);
    op_input(c, RDL_I64, batch, 1, 1);
}

static void roi_align_samples_the_middle_of_bins(void **state)
{
    (void)state;
    struct op_case c;
    const float roi[4] = {0, 0, 2, 1}, bad[4] = {0, 0, INFINITY, NAN};
    const int64_t batch = 0, none = 1;
    roi_align(&c, 10, roi, &batch); /* the middle is (1, 0.5) */
    op_run_both(&c);
    assert_true(((float *)c.data[0])[0] == 2.5f);
    op_end(&c);
    roi_align(&c, 16, roi, &batch); /* (0.5, 0) */
    op_run_both(&c);
    assert_true(((float *)c.data[0])[0] == 0.5f);
    op_end(&c);
    roi_align(&c, 16, roi, &none);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    roi_align(&c, 16, bad, &batch);
    c.n_attrs = 0;
    op_fails(&c, RDL_ERR_RUNTIME, "");
    roi_align(&c, 16, roi, &batch);
    op_text(&c, "mode", "sum");
    op_fails(&c, RDL_ERR_MODEL, "mode \"sum\"");
    roi_align(&c, 16, roi, &batch);
    op_int(&c, "output_height", -1);
    op_fails(&c, RDL_ERR_SHAPE, "negative");
}

static const float boxes[12] = {0, 0, 2, 2, 2, 2.2f, 0, 0, 5, 5, 6, 6};
static const float scores[3] = {0.5f, 0.5f, 0.9f};

static void nms(struct op_case *c, const int64_t *most, const float *iou, const float *score)
{
    op_begin(c, "NonMaxSuppression", 11);
    op_input(c, RDL_F32, boxes, 3, 1, 3, 4);
    op_input(c, RDL_F32, scores, 3, 1, 1, 3);
    op_input(c, RDL_I64, most, 0);
    op_input(c, RDL_F32, iou, 0);
    op_input(c, RDL_F32, score, 0);
}

static void nms_keeps_the_best_of_what_overlaps(void **state)
{
    (void)state;
    struct op_case c;
    const int64_t most = 5, one = 1;
    const float half = 0.5f, never = 1.0f, above = 0.6f;
    nms(&c, &most, &half, NULL); /* of the same scores the lower index comes first */
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 2, 3);
    assert_memory_equal(c.data[0], ((int64_t[]){0, 0, 2, 0, 0, 0}), 48);
    op_end(&c);
    nms(&c, &most, &never, NULL);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 3, 3);
    op_end(&c);
    nms(&c, &one, &never, NULL);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 1, 3);
    op_end(&c);
    nms(&c, &most, &never, &above);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 1, 3);
    op_end(&c);
    nms(&c, NULL, &half, NULL); /* without a number there are none */
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 0, 3);
    op_end(&c);
    nms(&c, &most, &half, NULL);
    c.in[1].shape.dims[2] = 2;
    op_fails(&c, RDL_ERR_SHAPE, "do not fit scores");
}

/* Boxes at random against the definition: of all that are left take the best, drop what it overlaps. */
static void nms_agrees_with_its_definition(void **state)
{
    (void)state;
    enum { BOXES = 700, CLASSES = 2 };
    static float some[BOXES * 4], marks[CLASSES * BOXES];
    static int64_t want[CLASSES * BOXES][3];
    const int64_t most = BOXES;
    const float third = 0.3f;
    uint64_t seed = 21;
    int64_t found = 0;
    for (int i = 0; i < BOXES; i++)
        for (int k = 0; k < 2; k++) {
            some[i * 4 + k] = 10 * test_unit(&seed);
            some[i * 4 + 2 + k] = some[i * 4 + k] + 2 + test_unit(&seed);
        }
    for (int i = 0; i < CLASSES * BOXES; i++)
        marks[i] = (float)test_between(&seed, 0, 200); /* with ties */
    for (int c = 0; c < CLASSES; c++) {
        bool gone[BOXES] = {false};
        for (;;) {
            int best = -1;
            for (int i = 0; i < BOXES; i++)
                if (!gone[i] && (best < 0 || marks[c * BOXES + i] > marks[c * BOXES + best]))
                    best = i;
            if (best < 0)
                break;
            const float *b = some + (ptrdiff_t)best * 4;
            memcpy(want[found++], ((int64_t[]){0, c, best}), sizeof want[0]);
            for (int i = 0; i < BOXES; i++) {
                const float *a = some + (ptrdiff_t)i * 4;
                const float h = fminf(a[2], b[2]) - fmaxf(a[0], b[0]);
                const float w = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
                const float both = h > 0 && w > 0 ? h * w : 0;
                const float all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
                gone[i] = gone[i] || i == best || both / (all - both) > third;
            }
        }
    }
    struct op_case c;
    for (int stops = 0; stops < 2; stops++) {
        op_begin(&c, "NonMaxSuppression", 11);
        op_input(&c, RDL_F32, some, 3, 1, BOXES, 4);
        op_input(&c, RDL_F32, marks, 3, 1, CLASSES, BOXES);
        op_input(&c, RDL_I64, &most, 0);
        op_input(&c, RDL_F32, &third, 0);
        c.stop_at = stops ? 2 : 0;
        if (stops) {
            op_fails(&c, RDL_ERR_CANCELLED, "stopped");
            break;
        }
        op_run_both(&c);
        op_expect_dims(&c, 0, 2, (int)found, 3);
        assert_memory_equal(want, c.data[0], (size_t)found * sizeof want[0]);
        op_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_sample_reads_where_the_grid_says),
        cmocka_unit_test(grid_sample_refuses_what_does_not_fit),
        cmocka_unit_test(affine_grid_is_theta_times_places),
        cmocka_unit_test(max_roi_pool_takes_the_largest_of_bins),
        cmocka_unit_test(roi_align_samples_the_middle_of_bins),
        cmocka_unit_test(nms_keeps_the_best_of_what_overlaps),
        cmocka_unit_test(nms_agrees_with_its_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
