/*
 * See window.h.
 */
#include "ops/window.h"

#include <inttypes.h>
#include <string.h>

/* Sizes beyond this make no sense in a window, and below it none of the sums here overflows. */
#define LARGEST ((int64_t)1 << 40)

enum auto_pad { PAD_EXPLICIT, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID };

static bool read_auto_pad(const struct rdl__node *node, enum auto_pad *pad)
{
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *text = rdl__attr_text(node, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            *pad = (enum auto_pad)i;
            return true;
        }
    return false;
}

/* Each value of an attribute of integers lies in [least, LARGEST]. */
static enum rdl_status check_ints(const struct rdl__node *node, const char *name, int64_t least,
                                  struct rdl_error *error)
{
    char text[RDL__NODE_TEXT_BYTES];
    size_t n;
    const int64_t *values = rdl__attr_ints(node, name, &n);
    for (size_t i = 0; i < n; i++)
        if (values[i] < least || values[i] > LARGEST)
            return rdl__fail(error, RDL_ERR_MODEL,
                             "%s: %s[%zu] is %" PRId64 ", expected at least %" PRId64,
                             rdl__node_text(node, text, sizeof text), name, i, values[i], least);
    return RDL_OK;
}

enum rdl_status rdl__window_check(const struct rdl__node *node, struct rdl_error *error)
{
    const int64_t group = rdl__attr_int(node, "group", 1);
    if (group < 1)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: group is %" PRId64, RDL__NODE_TEXT(node),
                         group);
    char text[RDL__NODE_TEXT_BYTES];
    enum auto_pad pad;
    if (!read_auto_pad(node, &pad))
        return rdl__fail(error, RDL_ERR_MODEL, "%s: auto_pad \"%s\" is not known",
                         rdl__node_text(node, text, sizeof text),
                         rdl__attr_text(node, "auto_pad", ""));
    RDL_TRY(check_ints(node, "kernel_shape", 1, error));
    RDL_TRY(check_ints(node, "strides", 1, error));
    RDL_TRY(check_ints(node, "dilations", 1, error));
    RDL_TRY(check_ints(node, "output_padding", 0, error));
    RDL_TRY(check_ints(node, "output_shape", 0, error));
    return check_ints(node, "pads", 0, error);
}

/* The attribute's values, of which there must be n; NULL if it is not given. */
static enum rdl_status read_ints(const struct rdl__node *node, const char *name, int32_t n,
                                 const int64_t **values, struct rdl_error *error)
{
    size_t count;
    *values = rdl__attr_ints(node, name, &count);
    if (*values == NULL || count == (size_t)n)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_SHAPE, "%s has %zu values, expected %" PRId32, name, count, n);
}

/* Elements that a kernel spans along d. */
static enum rdl_status read_span(const struct rdl__k_window *w, int d, int64_t *span,
                                 struct rdl_error *error)
{
    if (__builtin_mul_overflow(w->kernel[d] - 1, w->dilation[d], span) || *span > LARGEST ||
        w->in[d] > LARGEST)
        return rdl__fail(error, RDL_ERR_OVERFLOW,
                         "kernel of %" PRId64 ", dilated by %" PRId64 ", is too large",
                         w->kernel[d], w->dilation[d]);
    ++*span;
    return RDL_OK;
}

/* Output size and padding along one dimension, whose other numbers stand in *o already. */
static enum rdl_status place_dim(struct rdl__op_window *o, int d, enum auto_pad pad, bool ceil_mode,
                                 struct rdl_error *error)
{
    struct rdl__k_window *w = &o->window;
    const int64_t in = w->in[d], stride = w->stride[d];
    int64_t span; /* input elements that one output sees */
    RDL_TRY(read_span(w, d, &span, error));
    if (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER) {
        w->out[d] = (in + stride - 1) / stride;
        int64_t total = (w->out[d] - 1) * stride + span - in;
        total = total > 0 ? total : 0;
        w->pad[d] = pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
        o->pad_end[d] = total - w->pad[d];
        return RDL_OK;
    }
    if (pad == PAD_VALID)
        w->pad[d] = o->pad_end[d] = 0;
    const int64_t room = in + w->pad[d] + o->pad_end[d] - span;
    if (room < 0)
        return rdl__fail(error, RDL_ERR_SHAPE,
                         "a window of %" PRId64 " does not fit into %" PRId64
                         " elements padded by %" PRId64 " and %" PRId64,
                         span, in, w->pad[d], o->pad_end[d]);
    w->out[d] = (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
    /* A window that would begin behind the input is left out. */
    if (ceil_mode && (w->out[d] - 1) * stride >= in + w->pad[d])
        w->out[d]--;
    return RDL_OK;
}

/* All but output sizes and automatic padding. */
static enum rdl_status read_window(const struct rdl__node *node, const struct rdl__shape *x,
                                   const int64_t *kernel, struct rdl__op_window *out,
                                   struct rdl_error *error)
{
    const int32_t n = x->rank - 2;
    if (n < 1 || n > RDL__WINDOW_SPATIAL)
        return rdl__fail(error, n < 1 ? RDL_ERR_SHAPE : RDL_ERR_UNSUPPORTED,
                         "input 0: rank %" PRId32 ", supported are 3 to %d", x->rank,
                         RDL__WINDOW_SPATIAL + 2);
    const int64_t *sizes, *strides, *dilations, *pads;
    RDL_TRY(read_ints(node, "kernel_shape", n, &sizes, error));
    RDL_TRY(read_ints(node, "strides", n, &strides, error));
    RDL_TRY(read_ints(node, "dilations", n, &dilations, error));
    RDL_TRY(read_ints(node, "pads", 2 * n, &pads, error));
    if (kernel == NULL)
        kernel = sizes;
    *out = (struct rdl__op_window){.n_spatial = n};
    struct rdl__k_window *w = &out->window;
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++) {
        const int i = d - (RDL__WINDOW_SPATIAL - n); /* the node's dimension */
        w->in[d] = i < 0 ? 1 : x->dims[i + 2];
        w->kernel[d] = i < 0 ? 1 : kernel[i];
        w->stride[d] = i < 0 || strides == NULL ? 1 : strides[i];
        w->dilation[d] = i < 0 || dilations == NULL ? 1 : dilations[i];
        w->pad[d] = i < 0 || pads == NULL ? 0 : pads[i];
        out->pad_end[d] = i < 0 || pads == NULL ? 0 : pads[i + n];
        if (sizes != NULL && i >= 0 && sizes[i] != kernel[i])
            return rdl__fail(error, RDL_ERR_SHAPE,
                             "kernel_shape[%d] is %" PRId64 ", the weights have %" PRId64, i,
                             sizes[i], kernel[i]);
        if (w->kernel[d] < 1)
            return rdl__fail(error, RDL_ERR_SHAPE, "kernel has a dimension of %" PRId64,
                             w->kernel[d]);
    }
    return RDL_OK;
}

/* The padding attribute of dimension d, of which only the last n_spatial are the node's. */
static enum auto_pad pad_of(const struct rdl__node *node, const struct rdl__op_window *o, int d)
{
    enum auto_pad pad = PAD_EXPLICIT;
    (void)read_auto_pad(node, &pad); /* known: see check */
    return d < RDL__WINDOW_SPATIAL - o->n_spatial ? PAD_EXPLICIT : pad;
}

enum rdl_status rdl__window_read(const struct rdl__node *node, const struct rdl__shape *x,
                                 const int64_t *kernel, struct rdl__op_window *out,
                                 struct rdl_error *error)
{
    const bool ceil_mode = rdl__attr_int(node, "ceil_mode", 0) != 0;
    RDL_TRY(read_window(node, x, kernel, out, error));
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++)
        RDL_TRY(place_dim(out, d, pad_of(node, out, d), ceil_mode, error));
    return RDL_OK;
}

/* As place_dim, of a transposed window: `more` is the output padding, `size` the output size that the
 * node asks for, or -1. */
static enum rdl_status place_transposed(struct rdl__op_window *o, int d, enum auto_pad pad,
                                        int64_t more, int64_t size, struct rdl_error *error)
{
    struct rdl__k_window *w = &o->window;
    int64_t span, whole; /* the output without padding */
    RDL_TRY(read_span(w, d, &span, error));
    if (__builtin_mul_overflow(w->in[d] - 1, w->stride[d], &whole) || whole > LARGEST)
        return rdl__fail(error, RDL_ERR_OVERFLOW,
                         "%" PRId64 " elements at stride %" PRId64 " are too many", w->in[d],
                         w->stride[d]);
    whole += span + more;
    if (pad == PAD_VALID)
        w->pad[d] = o->pad_end[d] = 0;
    if (size < 0 && (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER))
        size = w->in[d] * w->stride[d];
    if (size >= 0) {
        const int64_t total = whole > size ? whole - size : 0;
        w->pad[d] = pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
        o->pad_end[d] = total - w->pad[d];
        w->out[d] = size;
        return RDL_OK;
    }
    w->out[d] = whole - w->pad[d] - o->pad_end[d];
    if (w->out[d] < 0)
        return rdl__fail(error, RDL_ERR_SHAPE,
                         "padding of %" PRId64 " and %" PRId64 " leaves nothing of %" PRId64
                         " elements",
                         w->pad[d], o->pad_end[d], whole);
    return RDL_OK;
}

enum rdl_status rdl__window_read_transposed(const struct rdl__node *node,
                                            const struct rdl__shape *x, const int64_t *kernel,
                                            struct rdl__op_window *out, struct rdl_error *error)
{
    const int64_t *more, *sizes;
    RDL_TRY(read_window(node, x, kernel, out, error));
    RDL_TRY(read_ints(node, "output_padding", out->n_spatial, &more, error));
    RDL_TRY(read_ints(node, "output_shape", out->n_spatial, &sizes, error));
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++) {
        const int i = d - (RDL__WINDOW_SPATIAL - out->n_spatial);
        RDL_TRY(place_transposed(out, d, pad_of(node, out, d), i < 0 || more == NULL ? 0 : more[i],
                                 i < 0 || sizes == NULL ? -1 : sizes[i], error));
    }
    return RDL_OK;
}

static bool slides(const struct rdl__k_window *w, int d)
{
    return w->in[d] != 1 || w->out[d] != 1 || w->kernel[d] != 1 || w->pad[d] != 0;
}

static void copy_dim(struct rdl__k_window *to, int t, const struct rdl__k_window *from, int f)
{
    to->in[t] = from->in[f];
    to->out[t] = from->out[f];
    to->kernel[t] = from->kernel[f];
    to->stride[t] = from->stride[f];
    to->dilation[t] = from->dilation[f];
    to->pad[t] = from->pad[f];
}

void rdl__window_squeeze(struct rdl__k_window *window)
{
    const struct rdl__k_window w = *window;
    int front = 0;
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++)
        if (!slides(&w, d))
            copy_dim(window, front++, &w, d);
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++)
        if (slides(&w, d))
            copy_dim(window, front++, &w, d);
}

enum rdl_status rdl__window_out(const struct rdl__infer *infer, uint32_t i, enum rdl_dtype dtype,
                                int64_t n, int64_t c, const struct rdl__op_window *window)
{
    int64_t dims[RDL__WINDOW_SPATIAL + 2] = {n, c};
    for (int32_t d = 0; d < window->n_spatial; d++)
        dims[d + 2] = window->window.out[d + RDL__WINDOW_SPATIAL - window->n_spatial];
    return rdl__op_out(infer, i, dtype, window->n_spatial + 2, dims);
}
