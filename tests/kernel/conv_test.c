/*
 * Convolution and pooling: the kernels of every instruction set and the reference against the chain of
 * single operations that conv.h promises, bit for bit. --bench measures shapes of PP-OCR.
 */
#include "kernel_test.h"

#include "bench.h"
#include "kernels/kernels.h"

#define CASES 150

static int64_t volume(const int64_t d[3])
{
    return d[0] * d[1] * d[2];
}

/* A window of up to n dimensions that has an output. */
static struct rdl__k_window random_window(uint64_t *seed, int n)
{
    struct rdl__k_window w;
    for (int d = 0; d < 3; d++) {
        w.in[d] = w.out[d] = w.kernel[d] = w.stride[d] = w.dilation[d] = 1;
        w.pad[d] = 0;
        if (d < 3 - n)
            continue;
        w.kernel[d] = test_between(seed, 1, 4);
        w.stride[d] = test_between(seed, 1, 3);
        w.dilation[d] = test_between(seed, 1, 2);
        w.pad[d] = test_between(seed, 0, 3);
        const int64_t span = (w.kernel[d] - 1) * w.dilation[d] + 1;
        w.in[d] = test_between(seed, 1, d == 2 ? 40 : 9);
        if (w.in[d] + w.pad[d] < span)
            w.in[d] = span - w.pad[d] > 0 ? span - w.pad[d] : 1;
        const int64_t behind = test_between(seed, 0, 2);
        w.out[d] = (w.in[d] + w.pad[d] + behind - span) / w.stride[d] + 1;
    }
    return w;
}

struct conv {
    struct rdl__k_conv p;
    float *x, *w, *bias, *y, *want;
    int64_t channels, depth, in, out; /* output channels; weights of one; elements of planes */
};

static void conv_make(struct conv *c, uint64_t *seed)
{
    c->channels = c->p.groups * c->p.out_channels;
    c->depth = c->p.in_channels * volume(c->p.window.kernel);
    c->in = volume(c->p.window.in);
    c->out = volume(c->p.window.out);
    c->x = test_random(seed, c->p.batch * c->p.groups * c->p.in_channels * c->in, test_unit);
    c->w = test_random(seed, c->channels * c->depth, test_unit);
    c->bias = test_random(seed, c->channels, test_unit);
    c->y = test_floats(c->p.batch * c->channels * c->out);
    c->want = test_floats(c->p.batch * c->channels * c->out);
}

static void conv_drop(struct conv *c)
{
    test_floats_release(c->x);
    test_floats_release(c->w);
    test_floats_release(c->bias);
    test_floats_release(c->y);
    test_floats_release(c->want);
}

/* The input under kernel place k (flat) of output place o (flat), 0 outside. */
static float input_at(const struct rdl__k_window *w, const float *plane, int64_t o, int64_t k)
{
    int64_t at = 0, unit = 1;
    for (int d = 2; d >= 0; d--) {
        const int64_t i =
            o % w->out[d] * w->stride[d] - w->pad[d] + k % w->kernel[d] * w->dilation[d];
        if (i < 0 || i >= w->in[d])
            return 0.0f;
        at += i * unit;
        unit *= w->in[d];
        o /= w->out[d];
        k /= w->kernel[d];
    }
    return plane[at];
}

static void conv_expect(struct conv *c, bool fused)
{
    const struct rdl__k_conv *p = &c->p;
    const int64_t places = volume(p->window.kernel);
    for (int64_t i = 0; i < p->batch * c->channels * c->out; i++) {
        const int64_t channel = i / c->out % c->channels, image = i / c->out / c->channels;
        const float *x =
            c->x + (image * p->groups + channel / p->out_channels) * p->in_channels * c->in;
        float sum = c->bias[channel];
        for (int64_t k = 0; k < c->depth; k++) {
            const float value =
                input_at(&p->window, x + k / places * c->in, i % c->out, k % places);
            const float weight = c->w[channel * c->depth + k];
            sum = fused ? fmaf(weight, value, sum) : weight * value + sum;
        }
        c->want[i] = p->act.kind == RDL__K_ACT_RELU && sum < 0.0f ? 0.0f : sum;
    }
}

static void conv_check(struct conv *c, rdl__kernel_fn fn, const float *weights, size_t tiles,
                       size_t scratch, const char *what)
{
    void *bind[] = {c->x, (void *)(uintptr_t)weights, c->bias, c->y};
    const int64_t count = c->p.batch * c->channels * c->out;
    assert_true(tiles > 0);
    memset(c->y, 0xff, (size_t)count * sizeof *c->y);
    assert_int_equal(RDL_OK, test_run(fn, &c->p, bind, tiles, scratch));
    test_same_bits(c->want, c->y, count, what);
    memset(c->y, 0xff, (size_t)count * sizeof *c->y);
    assert_int_equal(RDL_OK, test_run_split(fn, &c->p, bind, tiles, scratch));
    test_same_bits(c->want, c->y, count, what);
}

static void conv_reference_is_the_chain(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < CASES; i++) {
        struct conv c = {.p = {.window = random_window(&seed, 1 + i % 3),
                               .batch = 1 + i % 2,
                               .groups = 1 + i % 3,
                               .in_channels = test_between(&seed, 1, 4),
                               .out_channels = test_between(&seed, 1, 4),
                               .dtype = RDL_F32}};
        conv_make(&c, &seed);
        conv_expect(&c, false);
        conv_check(&c, rdl__k_conv_ref, c.w, rdl__k_conv_ref_plan(&c.p), 0, "reference");
        conv_drop(&c);
    }
}

static void conv_packed_check(struct conv *c, enum rdl__isa isa)
{
    char what[96];
    (void)snprintf(what, sizeof what, "%s packed, kernel %dx%dx%d, %d -> %d in %d groups",
                   rdl__isa_name(isa), (int)c->p.window.kernel[0], (int)c->p.window.kernel[1],
                   (int)c->p.window.kernel[2], (int)c->p.in_channels, (int)c->p.out_channels,
                   (int)c->p.groups);
    float *packed = test_floats(c->channels * c->depth);
    const struct rdl__k_conv_pack_params pack = {isa, c->p.groups, c->p.out_channels, c->depth};
    void *bind[] = {c->w, packed};
    assert_int_equal(RDL_OK,
                     test_run_split(rdl__k_conv_pack_f32, &pack, bind, (size_t)c->p.groups, 0));
    size_t scratch = 0;
    const size_t tiles = rdl__k_conv_plan(isa, &c->p, &scratch);
    conv_expect(c, isa != RDL__ISA_PORTABLE);
    conv_check(c, rdl__k_f32_of(isa)->conv, packed, tiles, scratch, what);
    test_floats_release(packed);
}

static void conv_packed_on(enum rdl__isa isa)
{
    uint64_t seed = 7;
    for (int i = 0; i < CASES; i++) {
        struct conv c = {.p = {.window = random_window(&seed, 1 + i % 3),
                               .batch = 1 + i % 2,
                               .groups = 1 + i % 3,
                               .in_channels = test_between(&seed, 1, 5),
                               .out_channels = test_between(&seed, 1, 30),
                               .act = {i % 2 == 0 ? RDL__K_ACT_RELU : RDL__K_ACT_NONE, 0, 0}}};
        conv_make(&c, &seed);
        conv_packed_check(&c, isa);
        conv_drop(&c);
    }
}

static void conv_packed_is_the_chain(void **state)
{
    (void)state;
    test_each_isa(conv_packed_on);
}

/* Kernels of one place, read in place; channels and columns past the size of a tile. */
static void conv_pointwise_on(enum rdl__isa isa)
{
    uint64_t seed = 8;
    static const int64_t shapes[][4] = {
        {1, 8, 16, 24},    {3, 1, 1, 1},    {5, 7, 130, 9},
        {13, 17, 230, 33}, {1, 1, 40, 250}, {30, 41, 3, 2},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct conv c = {.p = {.window = {.in = {1, shapes[i][0], shapes[i][1]},
                                          .out = {1, shapes[i][0], shapes[i][1]},
                                          .kernel = {1, 1, 1},
                                          .stride = {1, 1, 1},
                                          .dilation = {1, 1, 1}},
                               .batch = 2,
                               .groups = 1,
                               .in_channels = shapes[i][3],
                               .out_channels = shapes[i][2],
                               .act = {RDL__K_ACT_RELU, 0, 0}}};
        conv_make(&c, &seed);
        conv_packed_check(&c, isa);
        conv_drop(&c);
    }
}

static void conv_pointwise_is_the_chain(void **state)
{
    (void)state;
    test_each_isa(conv_pointwise_on);
}

/* Batch, channels in and out, in height and width, kernel height and width, stride, padding. */
static struct conv conv_of(const int64_t s[9])
{
    struct conv c = {.p = {.window = {.in = {1, s[3], s[4]},
                                      .out = {1, 1, 1},
                                      .kernel = {1, s[5], s[6]},
                                      .stride = {1, s[7], s[7]},
                                      .dilation = {1, 1, 1},
                                      .pad = {0, s[5] > 1 ? s[8] : 0, s[8]}},
                           .batch = s[0],
                           .groups = 1,
                           .in_channels = s[1],
                           .out_channels = s[2],
                           .act = {RDL__K_ACT_RELU, 0, 0}}};
    struct rdl__k_window *w = &c.p.window;
    for (int d = 1; d < 3; d++)
        w->out[d] = (w->in[d] + 2 * w->pad[d] - w->kernel[d]) / w->stride[d] + 1;
    return c;
}

/* The shapes are of one form, with every instruction set. */
static void conv_form_on(enum rdl__isa isa, enum rdl__k_conv_form form, const int64_t (*shapes)[9],
                         size_t count)
{
    uint64_t seed = 12;
    for (size_t i = 0; i < count; i++) {
        struct conv c = conv_of(shapes[i]);
        conv_make(&c, &seed);
        conv_packed_check(&c, isa);
        assert_int_equal(form, c.p.form);
        conv_drop(&c);
    }
}

/* Rows that slide: deeper than a pass, more channels than a tile, more rows than a tile holds, rows
 * too wide or too deep for one, columns past the last vector, strides. */
static void conv_slide_on(enum rdl__isa isa)
{
    static const int64_t shapes[][9] = {
        {2, 70, 7, 4, 47, 3, 3, 1, 1},  {1, 3, 100, 9, 64, 3, 3, 2, 1},
        {1, 2, 6, 90, 240, 5, 5, 1, 2}, {1, 600, 3, 1, 250, 1, 5, 1, 0},
        {1, 40, 20, 5, 95, 3, 3, 3, 0}, {1, 1, 1, 3, 5000, 1, 9, 1, 4},
    };
    conv_form_on(isa, RDL__K_CONV_SLIDE, shapes, sizeof shapes / sizeof *shapes);
}

static void conv_slide_is_the_chain(void **state)
{
    (void)state;
    test_each_isa(conv_slide_on);
}

/* Few places: one, of one image and of some; two and three in padded copies; windows far apart; more
 * images than a tile takes. */
static void conv_few_on(enum rdl__isa isa)
{
    static const int64_t shapes[][9] = {
        {1, 50, 200, 1, 1, 1, 1, 1, 0},  {2, 9, 64, 1, 1, 1, 3, 1, 1},
        {1, 16, 25, 1, 2, 1, 3, 1, 1},   {1, 1, 130, 1, 100, 1, 50, 25, 0},
        {1, 6, 13, 1, 3, 1, 3, 1, 1},    {2, 8, 100, 4, 4, 4, 4, 1, 0},
        {2, 2500, 12, 1, 1, 7, 7, 1, 3},
    };
    conv_form_on(isa, RDL__K_CONV_FEW, shapes, sizeof shapes / sizeof *shapes);
}

static void conv_few_is_the_chain(void **state)
{
    (void)state;
    test_each_isa(conv_few_on);
}

/* Few places of many images: one each, rows of two, three and four, windows far apart, several rows;
 * panels that end within an image; more channels than a tile, and more images. */
static void conv_many_on(enum rdl__isa isa)
{
    static const int64_t shapes[][9] = {
        {100, 50, 200, 1, 1, 1, 1, 1, 0},   {65, 6, 13, 1, 2, 1, 3, 1, 1},
        {70, 3, 20, 1, 3, 1, 3, 1, 1},      {31, 12, 128, 1, 4, 1, 3, 1, 1},
        {31, 1, 258, 1, 150, 1, 50, 25, 0}, {40, 200, 30, 3, 4, 5, 5, 1, 1},
        {1000, 120, 20, 2, 3, 2, 2, 1, 0},  {50, 1300, 30, 1, 4, 1, 3, 2, 1},
    };
    /* Blocks of the portable kernels are as high as their vectors are wide: they lose nothing by few. */
    const bool portable = isa == RDL__ISA_PORTABLE;
    conv_form_on(isa, portable ? RDL__K_CONV_FEW : RDL__K_CONV_MANY, shapes,
                 sizeof shapes / sizeof *shapes);
}

static void conv_many_is_the_chain(void **state)
{
    (void)state;
    test_each_isa(conv_many_on);
}

static void conv_depthwise_on(enum rdl__isa isa)
{
    uint64_t seed = 9;
    for (int i = 0; i < CASES; i++) {
        struct conv c = {.p = {.window = random_window(&seed, 1 + i % 2),
                               .batch = 1 + i % 2,
                               .groups = test_between(&seed, 1, 6),
                               .in_channels = 1,
                               .out_channels = 1 + i % 3,
                               .act = {i % 2 == 0 ? RDL__K_ACT_RELU : RDL__K_ACT_NONE, 0, 0}}};
        if (i % 10 == 0) { /* more rows than a strip */
            c.p.window.in[1] += 200;
            c.p.window.out[1] += 200 / c.p.window.stride[1];
        }
        conv_make(&c, &seed);
        conv_expect(&c, isa != RDL__ISA_PORTABLE);
        assert_true(rdl__k_depthwise_takes(&c.p));
        size_t scratch = 0;
        const size_t tiles = rdl__k_depthwise_plan(&c.p, &scratch);
        conv_check(&c, rdl__k_f32_of(isa)->depthwise, c.w, tiles, scratch, rdl__isa_name(isa));
        conv_drop(&c);
    }
}

static void conv_depthwise_is_the_chain(void **state)
{
    (void)state;
    test_each_isa(conv_depthwise_on);
}

/* ---------------------------------------------------------------------------------------- pooling */

/* The largest value or the mean under output place o, from the definition. */
static float pool_expect(const struct rdl__k_pool *p, const float *plane, int64_t o)
{
    const struct rdl__k_window *w = &p->window;
    float most = -INFINITY;
    double sum = 0.0;
    int64_t inside = 0, padded = 0;
    for (int64_t k = 0; k < volume(w->kernel); k++) {
        int64_t at = 0, unit = 1, places = o, kernel = k;
        bool in = true, within = true;
        for (int d = 2; d >= 0; d--) {
            const int64_t i = places % w->out[d] * w->stride[d] - w->pad[d] +
                              kernel % w->kernel[d] * w->dilation[d];
            in = in && i >= 0 && i < w->in[d];
            within = within && i < w->in[d] + p->pad_end[d];
            at += i * unit;
            unit *= w->in[d];
            places /= w->out[d];
            kernel /= w->kernel[d];
        }
        padded += within;
        inside += in;
        if (in) {
            most = plane[at] > most ? plane[at] : most;
            sum += (double)plane[at];
        }
    }
    if (p->kind == RDL__K_POOL_MAX)
        return most;
    const int64_t n = p->count_include_pad ? padded : inside;
    return n > 0 ? (float)(sum / (double)n) : 0.0f;
}

static void pool_check(uint64_t *seed, int i, rdl__kernel_fn fast)
{
    struct rdl__k_pool p = {.kind =
                                fast != NULL || i % 2 == 0 ? RDL__K_POOL_MAX : RDL__K_POOL_AVERAGE,
                            .dtype = RDL_F32,
                            .window = random_window(seed, 1 + i % (fast != NULL ? 2 : 3)),
                            .planes = test_between(seed, 1, 5),
                            .count_include_pad = i % 4 == 1};
    const int64_t in = volume(p.window.in), out = volume(p.window.out);
    float *x = test_random(seed, p.planes * in, i % 3 == 0 ? test_edgy : test_unit);
    float *want = test_floats(p.planes * out), *got = test_floats(p.planes * out);
    for (int64_t o = 0; o < p.planes * out; o++)
        want[o] = pool_expect(&p, x + o / out * in, o % out);
    void *bind[] = {x, got, NULL};
    size_t scratch = 0;
    const size_t tiles =
        fast != NULL ? rdl__k_pool_f32_plan(&p, &scratch) : rdl__k_pool_ref_plan(&p);
    const rdl__kernel_fn fn = fast != NULL ? fast : rdl__k_pool_ref;
    assert_true(fast == NULL || rdl__k_pool_f32_takes(&p));
    assert_int_equal(RDL_OK, test_run(fn, &p, bind, tiles, scratch));
    test_same_bits(want, got, p.planes * out, "pool");
    memset(got, 0xff, (size_t)(p.planes * out) * sizeof *got);
    assert_int_equal(RDL_OK, test_run_split(fn, &p, bind, tiles, scratch));
    test_same_bits(want, got, p.planes * out, "pool, tiles one by one");
    test_floats_release(x);
    test_floats_release(want);
    test_floats_release(got);
}

static void pool_reference_is_the_definition(void **state)
{
    (void)state;
    uint64_t seed = 10;
    for (int i = 0; i < CASES; i++)
        pool_check(&seed, i, NULL);
}

static void pool_on(enum rdl__isa isa)
{
    uint64_t seed = 11;
    for (int i = 0; i < CASES; i++)
        pool_check(&seed, i, rdl__k_f32_of(isa)->pool);
}

static void pool_vectors_are_the_definition(void **state)
{
    (void)state;
    test_each_isa(pool_on);
}

static void pool_indices_name_the_largest(void **state)
{
    (void)state;
    float x[2 * 3 * 4], y[4];
    int64_t indices[4];
    for (int i = 0; i < 24; i++)
        x[i] = (float)(i * 7 % 24);
    struct rdl__k_pool p = {.kind = RDL__K_POOL_MAX,
                            .dtype = RDL_F32,
                            .window = {.in = {1, 3, 4},
                                       .out = {1, 1, 2},
                                       .kernel = {1, 3, 2},
                                       .stride = {1, 1, 2},
                                       .dilation = {1, 1, 1}},
                            .planes = 2,
                            .n_spatial = 2};
    void *bind[] = {x, y, indices};
    assert_int_equal(RDL_OK, test_run(rdl__k_pool_ref, &p, bind, rdl__k_pool_ref_plan(&p), 0));
    for (int i = 0; i < 4; i++)
        assert_true(x[indices[i]] == y[i]);
    p.column_major = true;
    int64_t columns[4];
    bind[2] = columns;
    assert_int_equal(RDL_OK, test_run(rdl__k_pool_ref, &p, bind, rdl__k_pool_ref_plan(&p), 0));
    for (int i = 0; i < 4; i++) {
        const int64_t plane = indices[i] / 12, at = indices[i] % 12;
        assert_int_equal(plane * 12 + at % 4 * 3 + at / 4, columns[i]);
    }
}

/* ------------------------------------------------------------------------------------------ bench */

struct bench_conv {
    struct conv c;
    float *packed;
    rdl__kernel_fn fn;
    size_t tiles, scratch_bytes;
    void *scratch;
};

static void bench_call(void *user)
{
    struct bench_conv *b = user;
    void *bind[] = {b->c.x, b->packed, b->c.bias, b->c.y};
    const struct rdl__kernel_call call = {&b->c.p, bind, 0, b->tiles, b->scratch};
    (void)b->fn(&call);
}

/* in channels, out channels, groups, height, width, kernel, stride */
static void bench_one(const int64_t s[7])
{
    uint64_t seed = 1;
    const enum rdl__isa isa = rdl__isa_best();
    struct bench_conv b = {.c.p = {.window = {.in = {1, s[3], s[4]},
                                              .kernel = {1, s[5], s[5]},
                                              .stride = {1, s[6], s[6]},
                                              .dilation = {1, 1, 1},
                                              .pad = {0, s[5] / 2, s[5] / 2}},
                                   .batch = 1,
                                   .groups = s[2],
                                   .in_channels = s[0] / s[2],
                                   .out_channels = s[1] / s[2],
                                   .act = {RDL__K_ACT_HARD_SWISH, 1, 0}}};
    struct rdl__k_window *w = &b.c.p.window;
    for (int d = 0; d < 3; d++)
        w->out[d] = (w->in[d] + 2 * w->pad[d] - w->kernel[d]) / w->stride[d] + 1;
    conv_make(&b.c, &seed);
    b.packed = test_floats(b.c.channels * b.c.depth);
    if (rdl__k_depthwise_takes(&b.c.p)) {
        memcpy(b.packed, b.c.w, (size_t)(b.c.channels * b.c.depth) * sizeof *b.packed);
        b.fn = rdl__k_f32_of(isa)->depthwise;
        b.tiles = rdl__k_depthwise_plan(&b.c.p, &b.scratch_bytes);
    } else {
        rdl__k_conv_pack(isa, b.packed, b.c.w, s[2], b.c.p.out_channels, b.c.depth);
        b.fn = rdl__k_f32_of(isa)->conv;
        b.tiles = rdl__k_conv_plan(isa, &b.c.p, &b.scratch_bytes);
    }
    b.scratch = aligned_alloc(64, (b.scratch_bytes + 127) / 64 * 64);
    char name[64];
    (void)snprintf(name, sizeof name, "conv %dx%d/%d %d->%d%s on %dx%d", (int)s[5], (int)s[5],
                   (int)s[6], (int)s[0], (int)s[1], s[2] > 1 ? " depthwise" : "", (int)s[3],
                   (int)s[4]);
    bench_line(name, 2.0 * (double)(b.c.channels * b.c.out * b.c.depth), bench_call, &b);
    free(b.scratch);
    test_floats_release(b.packed);
    conv_drop(&b.c);
}

static int bench(void)
{
    static const int64_t shapes[][7] = {
        {3, 8, 1, 48, 192, 3, 2},   {8, 8, 1, 24, 96, 1, 1},    {8, 8, 8, 24, 96, 3, 2},
        {8, 24, 1, 12, 96, 1, 1},   {24, 24, 24, 12, 96, 3, 1}, {24, 88, 1, 6, 96, 1, 1},
        {88, 24, 1, 6, 96, 1, 1},   {40, 40, 40, 6, 96, 5, 1},  {200, 48, 1, 3, 96, 1, 1},
        {8, 2, 1, 1, 1, 1, 1},      {200, 50, 1, 1, 1, 1, 1},   {50, 200, 1, 1, 1, 1, 1},
        {64, 64, 1, 56, 56, 3, 1},  {64, 64, 64, 56, 56, 3, 1}, {256, 64, 1, 56, 56, 1, 1},
        {64, 256, 1, 56, 56, 1, 1}, {512, 512, 1, 7, 7, 3, 1},  {16, 16, 1, 160, 160, 1, 1},
    };
    bench_head();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        bench_one(shapes[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_reference_is_the_chain),
        cmocka_unit_test(conv_packed_is_the_chain),
        cmocka_unit_test(conv_pointwise_is_the_chain),
        cmocka_unit_test(conv_slide_is_the_chain),
        cmocka_unit_test(conv_few_is_the_chain),
        cmocka_unit_test(conv_many_is_the_chain),
        cmocka_unit_test(conv_depthwise_is_the_chain),
        cmocka_unit_test(pool_reference_is_the_definition),
        cmocka_unit_test(pool_vectors_are_the_definition),
        cmocka_unit_test(pool_indices_name_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
