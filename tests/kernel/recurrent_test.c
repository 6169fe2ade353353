/*
 * LSTM, GRU and RNN: against steps written out in double here, on every instruction set, with constant
 * and run-time weights; rows beside each other and alone; and nodes that must be refused.
 */
#include "op_driver.h"

#include "kernels/recurrent.h"

enum { MOST_GATES = 4, MOST_HIDDEN = 40 };

/* A layer with all its data, as ONNX lays them out (layout 0). */
struct layer {
    const char *type;
    int gates, steps, batch, input, hidden, directions;
    bool reverse; /* of the only direction */
    bool before_reset, input_forget, peepholes;
    double clip;
    const int32_t *lens;
    float *x, *w, *r, *b, *h0, *c0, *p;
    double *y, *h, *c; /* expected */
};

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double clipped(const struct layer *l, double x)
{
    return x < -l->clip ? -l->clip : x > l->clip ? l->clip : x;
}

static double dot(const float *weights, const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)weights[i] * v[i];
    return sum;
}

/* One step of one sequence; h and c are its states. */
static void expect_step(const struct layer *l, int d, const float *x, double *h, double *c)
{
    const int n = l->hidden, all = l->gates * n;
    double in[MOST_GATES * MOST_HIDDEN], rec[MOST_GATES * MOST_HIDDEN], old[MOST_HIDDEN];
    const float *wb = l->b + d * 2 * all, *rb = wb + all, *p = l->p + d * 3 * n;
    for (int j = 0; j < all; j++) {
        in[j] = (double)wb[j];
        for (int i = 0; i < l->input; i++)
            in[j] += (double)l->w[(d * all + j) * l->input + i] * (double)x[i];
        rec[j] = (double)rb[j] + dot(l->r + (d * all + j) * n, h, n);
    }
    memcpy(old, h, (size_t)n * sizeof *h);
    for (int j = 0; j < n; j++) {
        const double sum[4] = {in[j] + rec[j], l->gates > 1 ? in[n + j] + rec[n + j] : 0,
                               l->gates > 3 ? in[2 * n + j] + rec[2 * n + j] : 0,
                               l->gates > 3 ? in[3 * n + j] + rec[3 * n + j] : 0};
        if (l->gates == 1) {
            h[j] = tanh(clipped(l, sum[0]));
        } else if (l->gates == 3) {
            const double z = sigmoid(clipped(l, sum[0])), r = sigmoid(clipped(l, sum[1]));
            double hidden = in[2 * n + j] + r * rec[2 * n + j];
            if (!l->before_reset) { /* every element of the state is reset before the product */
                hidden = in[2 * n + j] + (double)rb[2 * n + j];
                for (int k = 0; k < n; k++)
                    hidden += (double)l->r[(d * all + 2 * n + j) * n + k] * old[k] *
                              sigmoid(clipped(l, in[n + k] + rec[n + k]));
            }
            h[j] = (1 - z) * tanh(clipped(l, hidden)) + z * old[j];
        } else {
            const double peep = l->peepholes ? 1 : 0;
            const double i = sigmoid(clipped(l, sum[0] + peep * (double)p[j] * c[j]));
            double f = sigmoid(clipped(l, sum[2] + peep * (double)p[2 * n + j] * c[j]));
            f = l->input_forget ? 1 - i : f;
            c[j] = f * c[j] + i * tanh(clipped(l, sum[3]));
            h[j] = sigmoid(clipped(l, sum[1] + peep * (double)p[n + j] * c[j])) * tanh(c[j]);
        }
    }
}

static void expect_layer(const struct layer *l)
{
    const int n = l->hidden;
    memset(l->y, 0, (size_t)(l->steps * l->directions * l->batch * n) * sizeof *l->y);
    for (int d = 0; d < l->directions; d++)
        for (int b = 0; b < l->batch; b++) {
            double *h = l->h + (d * l->batch + b) * n, *c = l->c + (d * l->batch + b) * n;
            const int length = l->lens != NULL ? l->lens[b] : l->steps;
            for (int j = 0; j < n; j++) {
                h[j] = (double)l->h0[(d * l->batch + b) * n + j];
                c[j] = (double)l->c0[(d * l->batch + b) * n + j];
            }
            for (int s = 0; s < length; s++) {
                const int t = d == 1 || l->reverse ? length - 1 - s : s;
                expect_step(l, d, l->x + (t * l->batch + b) * l->input, h, c);
                for (int j = 0; j < n; j++)
                    l->y[((t * l->directions + d) * l->batch + b) * n + j] = h[j];
            }
        }
}

static void layer_init(struct layer *l, uint64_t *seed)
{
    const int d = l->directions, n = l->hidden, all = l->gates * n;
    l->x = test_random(seed, l->steps * l->batch * l->input, test_unit);
    l->w = test_random(seed, d * all * l->input, test_unit);
    l->r = test_random(seed, d * all * n, test_unit);
    for (int i = 0; i < d * all * n; i++)
        l->r[i] *= 0.2f; /* else errors grow from step to step */
    l->b = test_random(seed, d * 2 * all, test_unit);
    l->h0 = test_random(seed, d * l->batch * n, test_unit);
    l->c0 = test_random(seed, d * l->batch * n, test_unit);
    l->p = test_random(seed, d * 3 * n, test_unit);
    const size_t state = (size_t)d * (size_t)l->batch * (size_t)n;
    l->y = calloc((size_t)l->steps * state, sizeof *l->y);
    l->h = calloc(state, sizeof *l->h);
    l->c = calloc(state, sizeof *l->c);
    assert_true(l->y != NULL && l->h != NULL && l->c != NULL);
    expect_layer(l);
}

static void layer_fini(const struct layer *l)
{
    float *floats[] = {l->x, l->w, l->r, l->b, l->h0, l->c0, l->p};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        test_floats_release(floats[i]);
    free(l->y);
    free(l->h);
    free(l->c);
}

/* Elements (i, j, k) of an expected [a, b, c, n] at (j, i, k), or as they are. */
static void expect_values(const double *want, const float *got, const int dims[3], int n,
                          const int to[3], const char *what)
{
    if (got == NULL) {
        fail_msg("%s is missing", what);
        return;
    }
    for (int i = 0; i < dims[0]; i++)
        for (int j = 0; j < dims[1]; j++)
            for (int k = 0; k < dims[2]; k++)
                for (int e = 0; e < n; e++) {
                    const double w = want[((i * dims[1] + j) * dims[2] + k) * n + e];
                    const double g = (double)got[i * to[0] + j * to[1] + k * to[2] + e];
                    if (!(fabs(w - g) <= 2e-5))
                        fail_msg("%s (%d, %d, %d, %d) is %.9g, expected %.9g", what, i, j, k, e, g,
                                 w);
                }
}

static void add_input(struct op_case *c, const float *data, bool wide, int32_t rank, int a, int b,
                      int d)
{
    const int64_t count = (int64_t)a * b * (rank > 2 ? d : 1);
    void *copy = rdl__arena_alloc(&c->arena, (size_t)count * sizeof(double) + 1);
    assert_non_null(copy);
    for (int64_t i = 0; i < count; i++) {
        if (wide)
            ((double *)copy)[i] = (double)data[i];
        else
            ((float *)copy)[i] = data[i];
    }
    op_input(c, wide ? RDL_F64 : RDL_F32, copy, rank, a, b, d);
}

/* [a, b, n] as [b, a, n] */
static float *swapped(struct op_case *c, const float *data, int a, int b, int n)
{
    float *to = rdl__arena_zeroed(&c->arena, (size_t)(a * b * n) + 1, sizeof *to);
    assert_non_null(to);
    for (int i = 0; i < a; i++)
        for (int j = 0; j < b; j++)
            memcpy(to + (j * a + i) * n, data + (i * b + j) * n, (size_t)n * sizeof *to);
    return to;
}

static void build(struct op_case *c, const struct layer *l, bool wide, bool rows_first)
{
    const int d = l->directions, n = l->hidden, all = l->gates * n;
    op_begin(c, l->type, 14);
    op_text(c, "direction", d == 2 ? "bidirectional" : l->reverse ? "reverse" : "forward");
    op_int(c, "hidden_size", n);
    op_int(c, "layout", rows_first);
    if (!isinf(l->clip))
        op_float(c, "clip", (float)l->clip);
    if (l->before_reset)
        op_int(c, "linear_before_reset", 1);
    if (l->input_forget)
        op_int(c, "input_forget", 1);
    const int first = rows_first ? l->batch : l->steps, second = rows_first ? l->steps : l->batch;
    const int sa = rows_first ? l->batch : d, sb = rows_first ? d : l->batch;
    add_input(c, rows_first ? swapped(c, l->x, l->steps, l->batch, l->input) : l->x, wide, 3, first,
              second, l->input);
    add_input(c, l->w, wide, 3, d, all, l->input);
    add_input(c, l->r, wide, 3, d, all, n);
    add_input(c, l->b, wide, 2, d, 2 * all, 0);
    op_input(c, RDL_I32, l->lens, 1, l->batch);
    add_input(c, rows_first ? swapped(c, l->h0, d, l->batch, n) : l->h0, wide, 3, sa, sb, n);
    c->n_outputs = 2;
    if (l->gates < 4)
        return;
    c->n_outputs = 3;
    add_input(c, rows_first ? swapped(c, l->c0, d, l->batch, n) : l->c0, wide, 3, sa, sb, n);
    if (l->peepholes)
        add_input(c, l->p, wide, 2, d, 3 * n, 0);
}

static void compare(const struct op_case *c, const struct layer *l, bool wide, bool rows_first)
{
    const int d = l->directions, b = l->batch, n = l->hidden;
    float *got[3] = {0};
    for (uint32_t i = 0; i < c->n_outputs; i++) {
        const size_t count = rdl__shape_count(&c->out[i].shape);
        got[i] = malloc(count * sizeof(float) + 1);
        assert_non_null(got[i]);
        for (size_t e = 0; e < count; e++)
            got[i][e] = wide ? (float)((double *)c->data[i])[e] : ((float *)c->data[i])[e];
    }
    const int y_dims[3] = {l->steps, d, b}, s_dims[3] = {1, d, b};
    const int y_to[2][3] = {{d * b * n, b * n, n}, {d * n, n, l->steps * d * n}};
    const int s_to[2][3] = {{0, b * n, n}, {0, n, d * n}};
    expect_values(l->y, got[0], y_dims, n, y_to[rows_first], "Y");
    expect_values(l->h, got[1], s_dims, n, s_to[rows_first], "Y_h");
    if (l->gates == 4)
        expect_values(l->c, got[2], s_dims, n, s_to[rows_first], "Y_c");
    for (int i = 0; i < 3; i++)
        free(got[i]);
}

/* f32 at every instruction set with constant and run-time weights, and f64; both layouts. */
static void run_layer(const struct layer *l)
{
    for (int layout = 0; layout < 2; layout++)
        for (int isa = RDL__ISA_PORTABLE; isa <= (int)rdl__isa_best() + 1; isa++) {
            const bool wide = isa > (int)rdl__isa_best();
            struct op_case c;
            build(&c, l, wide, layout != 0);
            if (!wide)
                c.isa = (enum rdl__isa)isa;
            op_run_both(&c);
            compare(&c, l, wide, layout != 0);
            op_end(&c);
        }
}

static void recurrent_is_the_definition(void **state)
{
    (void)state;
    static const int32_t lens[5] = {3, 0, 7, 1, 7};
    static const int sizes[][4] = {/* steps, batch, input, hidden */
                                   {1, 1, 3, 8},  {3, 1, 1, 40}, {7, 5, 5, 19},
                                   {2, 15, 4, 5}, {7, 5, 9, 16}, {130, 1, 2, 33}};
    static const char *const types[] = {"RNN", "GRU", "GRU", "LSTM", "LSTM"};
    static const int gates[] = {1, 3, 3, 4, 4};
    uint64_t seed = 77;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = 0; kind < 5; kind++)
            for (int way = 0; way < 3; way++) {
                struct layer l = {.type = types[kind],
                                  .gates = gates[kind],
                                  .steps = sizes[s][0],
                                  .batch = sizes[s][1],
                                  .input = sizes[s][2],
                                  .hidden = sizes[s][3],
                                  .directions = way == 2 ? 2 : 1,
                                  .reverse = way == 1,
                                  .before_reset = kind == 2,
                                  .peepholes = kind == 4,
                                  .input_forget = kind == 4 && way == 1,
                                  .clip = s == 2 && way != 0 ? 0.5 : INFINITY,
                                  .lens = sizes[s][0] == 7 && way != 1 ? lens : NULL};
                layer_init(&l, &seed);
                run_layer(&l);
                layer_fini(&l);
            }
}

static void recurrent_rows_do_not_see_their_batch(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int kind = 0; kind < 2; kind++) {
        struct layer l = {.type = kind == 0 ? "GRU" : "LSTM",
                          .gates = kind == 0 ? 3 : 4,
                          .steps = 3,
                          .batch = 14,
                          .input = 9,
                          .hidden = 37,
                          .directions = 1,
                          .clip = INFINITY};
        layer_init(&l, &seed);
        struct op_case all;
        build(&all, &l, false, true);
        op_run_both(&all);
        for (int row = 0; row < l.batch; row++) {
            struct layer one = l;
            struct op_case c;
            one.batch = 1;
            build(&c, &one, false, true);
            c.in[0].data = (const float *)all.in[0].data + row * l.steps * l.input;
            c.in[5].data = l.h0 + row * l.hidden;
            if (kind == 1)
                c.in[6].data = l.c0 + row * l.hidden;
            op_run_both(&c);
            const int size = l.steps * l.hidden;
            test_same_bits((float *)all.data[0] + row * size, c.data[0], size, l.type);
            op_end(&c);
        }
        op_end(&all);
        layer_fini(&l);
    }
}

/* An RNN of one step, input [x, ...], identity weights and no state: y = f(x). */
static void expect_act(const char *name, float alpha, float beta, double (*f)(double x))
{
    static const float x[9] = {-9, -2, -0.7f, -0.1f, 0, 0.2f, 0.6f, 3, 20};
    float w[81] = {0}, r[81] = {0};
    for (int i = 0; i < 9; i++)
        w[i * 9 + i] = 1;
    const struct rdl__string text = {name, strlen(name)};
    struct op_case c;
    op_begin(&c, "RNN", 7);
    c.attrs[c.n_attrs++] = (struct rdl__attr){
        .name = "activations", .type = RDL__ATTR_STRINGS, .count = 1, .strings = &text};
    c.attrs[c.n_attrs++] = (struct rdl__attr){
        .name = "activation_alpha", .type = RDL__ATTR_FLOATS, .count = 1, .floats = &alpha};
    c.attrs[c.n_attrs++] = (struct rdl__attr){
        .name = "activation_beta", .type = RDL__ATTR_FLOATS, .count = 1, .floats = &beta};
    op_input(&c, RDL_F32, x, 3, 1, 1, 9);
    op_input(&c, RDL_F32, w, 3, 1, 9, 9);
    op_input(&c, RDL_F32, r, 3, 1, 9, 9);
    op_run_both(&c);
    for (int i = 0; i < 9; i++) {
        const double want = f((double)x[i]), got = (double)((float *)c.data[0])[i];
        if (!(fabs(want - got) <= 3e-7 * fabs(want) + 1e-7))
            fail_msg("%s(%g) is %.9g, expected %.9g", name, (double)x[i], got, want);
    }
    op_end(&c);
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}
static double affine(double x)
{
    return 0.25 * x + 0.5;
}
static double leaky(double x)
{
    return x < 0 ? 0.25 * x : x;
}
static double thresholded(double x)
{
    return x > 0.25 ? x : 0;
}
static double scaled_tanh(double x)
{
    return 0.25 * tanh(0.5 * x);
}
static double hard_sigmoid(double x)
{
    return fmin(1, fmax(0, 0.25 * x + 0.5));
}
static double elu(double x)
{
    return x < 0 ? 0.25 * (exp(x) - 1) : x;
}
static double softsign(double x)
{
    return x / (1 + fabs(x));
}
static double softplus(double x)
{
    return log(1 + exp(x));
}

static void recurrent_activations_are_onnx(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double (*f)(double x);
    } acts[] = {{"Sigmoid", sigmoid},
                {"tanh", tanh},
                {"Relu", relu},
                {"Affine", affine},
                {"LeakyRelu", leaky},
                {"ThresholdedRelu", thresholded},
                {"ScaledTanh", scaled_tanh},
                {"HardSigmoid", hard_sigmoid},
                {"Elu", elu},
                {"Softsign", softsign},
                {"SOFTPLUS", softplus}};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        expect_act(acts[i].name, 0.25f, 0.5f, acts[i].f);
}

/* A case of two steps, batch 3, input 2, hidden 4. */
static void small_case(struct op_case *c, const char *type, int gates)
{
    static const float zeros[512];
    op_begin(c, type, 14);
    op_input(c, RDL_F32, zeros, 3, 2, 3, 2);
    op_input(c, RDL_F32, zeros, 3, 1, gates * 4, 2);
    op_input(c, RDL_F32, zeros, 3, 1, gates * 4, 4);
    op_input(c, RDL_F32, NULL, 0);
}

static void recurrent_without_steps_keeps_the_state(void **state)
{
    (void)state;
    static const float h0[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct op_case c;
    small_case(&c, "GRU", 3);
    c.in[0].shape.dims[0] = 0;
    op_input(&c, RDL_I32, NULL, 0);
    op_input(&c, RDL_F32, h0, 3, 1, 3, 4);
    c.n_outputs = 2;
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 0, 1, 3, 4);
    assert_memory_equal(c.data[1], h0, sizeof h0);
    op_end(&c);
}

static void bad_recurrent_nodes_are_refused(void **state)
{
    (void)state;
    static const float zeros[64];
    static const int32_t lens[3] = {1, 3, 2}, negative[3] = {1, 2, -1};
    struct op_case c;
    small_case(&c, "LSTM", 4);
    op_text(&c, "direction", "backward");
    op_fails(&c, RDL_ERR_MODEL, "direction \"backward\" is not known");
    small_case(&c, "LSTM", 4);
    op_int(&c, "layout", 2);
    op_fails(&c, RDL_ERR_MODEL, "layout is 2");
    small_case(&c, "LSTM", 4);
    op_float(&c, "clip", -1.0f);
    op_fails(&c, RDL_ERR_MODEL, "clip is -1");
    small_case(&c, "LSTM", 4);
    op_int(&c, "linear_before_reset", 1);
    op_fails(&c, RDL_ERR_MODEL, "\"linear_before_reset\" is not known");
    small_case(&c, "GRU", 3);
    c.opset = 7;
    op_int(&c, "layout", 1);
    op_fails(&c, RDL_ERR_MODEL, "\"layout\" is not known");
    static const struct rdl__string words[2] = {{"Tanhh", 5}, {"Tanh", 4}};
    const struct rdl__attr acts = {
        .name = "activations", .type = RDL__ATTR_STRINGS, .count = 2, .strings = words};
    small_case(&c, "GRU", 3);
    c.attrs[c.n_attrs++] = acts;
    op_fails(&c, RDL_ERR_MODEL, "activation \"Tanhh\" is not known");
    small_case(&c, "LSTM", 4);
    c.attrs[c.n_attrs++] = acts;
    op_fails(&c, RDL_ERR_MODEL, "activations has 2 values, expected 3");
    small_case(&c, "LSTM", 4);
    op_int(&c, "hidden_size", 5);
    op_fails(&c, RDL_ERR_SHAPE, "hidden_size is 5, the weights have 4");
    small_case(&c, "LSTM", 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 1: shape [1, 12, 2], expected [1, 16, 2]");
    small_case(&c, "LSTM", 4);
    op_text(&c, "direction", "bidirectional");
    op_fails(&c, RDL_ERR_SHAPE, "expected [2, 16, 2]");
    small_case(&c, "RNN", 1);
    op_input(&c, RDL_F32, zeros, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 4: dtype f32 is not supported");
    small_case(&c, "RNN", 1);
    c.in[0].dtype = RDL_F16;
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype f16 is not supported");
    small_case(&c, "RNN", 1);
    c.in[2].dtype = RDL_F64;
    op_fails(&c, RDL_ERR_SHAPE, "input 2 is f64, input 0 is f32");
    small_case(&c, "RNN", 1);
    c.in[0].shape.rank = 2;
    op_fails(&c, RDL_ERR_SHAPE, "rank 2");
    small_case(&c, "RNN", 1);
    op_input(&c, RDL_I32, lens, 1, 3);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    small_case(&c, "RNN", 1);
    op_input(&c, RDL_I32, negative, 1, 3);
    op_fails(&c, RDL_ERR_RUNTIME, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recurrent_is_the_definition),
        cmocka_unit_test(recurrent_rows_do_not_see_their_batch),
        cmocka_unit_test(recurrent_activations_are_onnx),
        cmocka_unit_test(recurrent_without_steps_keeps_the_state),
        cmocka_unit_test(bad_recurrent_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
