/*
 * Einsum: operands are joined two at a time, from the first on. A pair of f32 whose labels are those of
 * a batch of matrix products goes to the packed product, past moves where strides do not fit; all else
 * goes to the kernel of plain sums. A label that one operand alone has, and that is summed, is summed
 * before.
 */
#include "kernels/einsum.h"
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

/* Most operands of an equation. */
#define TERMS 16
/* Labels: the letters, capitals first as they are sorted, then the dimensions of an ellipsis, the
 * last one last. A set of labels is a word of bits. */
#define LETTERS 52
#define LABELS (LETTERS + RDL_MAX_RANK)
#define BIT(label) ((uint64_t)1 << (label))

/* ------------------------------------------------------------------------------------- equations */

/* Labels of one operand as they are written. */
struct term {
    int32_t n;        /* letters */
    int32_t ellipsis; /* letters before it; -1: there is none */
    uint8_t letters[RDL_MAX_RANK];
};

struct equation {
    uint32_t n;
    struct term in[TERMS];
    struct term out;
    bool has_out;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int32_t label_of(char c)
{
    return c >= 'a' ? c - 'a' + 26 : c - 'A';
}

/* Reads one term up to ',', "->" or the end; NULL if it is none. */
static const char *read_term(const char *text, struct term *term)
{
    *term = (struct term){.ellipsis = -1};
    for (; *text != '\0' && *text != ',' && *text != '-'; text++) {
        if (*text == ' ')
            continue;
        if (strncmp(text, "...", 3) == 0 && term->ellipsis < 0) {
            term->ellipsis = term->n;
            text += 2;
        } else if (is_letter(*text) && term->n < RDL_MAX_RANK) {
            term->letters[term->n++] = (uint8_t)label_of(*text);
        } else {
            return NULL;
        }
    }
    return text;
}

/* Reads an equation; false if it is none. */
static bool read_equation(const char *text, struct equation *e)
{
    *e = (struct equation){0};
    for (;; text++) {
        if (e->n == TERMS)
            return false;
        text = read_term(text, &e->in[e->n]);
        e->n++;
        if (text == NULL)
            return false;
        if (*text != ',')
            break;
    }
    if (*text == '\0')
        return true;
    if (strncmp(text, "->", 2) != 0)
        return false;
    e->has_out = true;
    text = read_term(text + 2, &e->out);
    return text != NULL && *text == '\0';
}

static uint64_t letters_of(const struct term *term)
{
    uint64_t set = 0;
    for (int32_t i = 0; i < term->n; i++)
        set |= BIT(term->letters[i]);
    return set;
}

static enum rdl_status check(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"equation", RDL__ATTR_STRING, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const char *text = rdl__attr_text(node, "equation", "");
    struct equation e;
    if (node->n_inputs > TERMS)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                         "%s: %" PRIu32 " operands, at most %d are supported", RDL__NODE_TEXT(node),
                         node->n_inputs, TERMS);
    if (!read_equation(text, &e))
        return rdl__fail(error, RDL_ERR_MODEL, "%s: equation \"%s\" cannot be read",
                         RDL__NODE_TEXT(node), RDL__NAME_TEXT(text));
    if (e.n != node->n_inputs)
        return rdl__fail(error, RDL_ERR_MODEL,
                         "%s: equation \"%s\" has %" PRIu32 " operands, the node has %" PRIu32,
                         RDL__NODE_TEXT(node), RDL__NAME_TEXT(text), e.n, node->n_inputs);
    uint64_t known = 0;
    for (uint32_t i = 0; i < e.n; i++)
        known |= letters_of(&e.in[i]);
    const uint64_t out = letters_of(&e.out);
    if ((out & ~known) != 0 || __builtin_popcountll(out) != e.out.n)
        return rdl__fail(
            error, RDL_ERR_MODEL,
            "%s: equation \"%s\": the output has a label twice, or one that no operand "
            "has",
            RDL__NODE_TEXT(node), RDL__NAME_TEXT(text));
    return RDL_OK;
}

/* ---------------------------------------------------------------------------------------- shapes */

/* An operand: the labels that it has, and how far its elements lie apart along each. */
struct side {
    uint64_t labels;
    int64_t stride[LABELS]; /* 0 where it is broadcast */
    struct rdl__operand from;
};

/* All operands and the size of each label. */
struct sum {
    enum rdl_dtype dtype;
    int64_t size[LABELS];
    uint32_t n;
    struct side in[TERMS];
    int32_t out_rank;
    uint8_t out[RDL_MAX_RANK]; /* labels of the output in order */
    struct rdl_error *error;
};

/* The size of a label: all operands have the same, or 1 under an ellipsis. */
static enum rdl_status set_size(struct sum *sum, uint32_t i, int32_t label, int64_t size)
{
    int64_t *known = &sum->size[label];
    if (*known < 0 || (*known == 1 && label >= LETTERS))
        *known = size;
    if (*known == size || (size == 1 && label >= LETTERS))
        return RDL_OK;
    return rdl__fail(sum->error, RDL_ERR_SHAPE,
                     "input %" PRIu32 ": a dimension is %" PRId64
                     ", another of its label is %" PRId64,
                     i, size, *known);
}

/* Enters one operand; `hidden` grows to the number of dimensions under its ellipsis. */
static enum rdl_status enter_side(struct sum *sum, uint32_t i, const struct term *term,
                                  const struct rdl__shape *x, int32_t *hidden)
{
    struct side *side = &sum->in[i];
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(x, strides);
    const int32_t under = term->ellipsis < 0 ? 0 : x->rank - term->n;
    if (under < 0 || under + term->n != x->rank)
        return rdl__fail(sum->error, RDL_ERR_SHAPE,
                         "input %" PRIu32 ": rank %" PRId32 ", the equation has %" PRId32 " labels",
                         i, x->rank, term->n);
    *hidden = under > *hidden ? under : *hidden;
    side->from = RDL__IN(i);
    for (int32_t d = 0; d < x->rank; d++) {
        const int32_t in = d - (term->ellipsis >= 0 ? term->ellipsis : x->rank);
        const int32_t label = in < 0       ? term->letters[d]
                              : in < under ? LABELS - under + in
                                           : term->letters[d - under];
        RDL_TRY(set_size(sum, i, label, x->dims[d]));
        side->labels |= BIT(label);
        side->stride[label] += x->dims[d] == 1 ? 0 : strides[d];
    }
    return RDL_OK;
}

/* Appends the dimensions of the ellipsis. */
static void add_hidden(struct sum *sum, int32_t hidden)
{
    for (int32_t d = 0; d < hidden; d++)
        sum->out[sum->out_rank++] = (uint8_t)(LABELS - hidden + d);
}

/* The labels of the output: as written, or the ellipsis and what occurs once, sorted. */
static enum rdl_status order_out(struct sum *sum, const struct equation *e, int32_t hidden)
{
    const int32_t shown = e->has_out && e->out.ellipsis < 0 ? 0 : hidden;
    int32_t times[LABELS] = {0};
    if (e->has_out && e->out.n + shown > RDL_MAX_RANK)
        return rdl__fail(sum->error, RDL_ERR_UNSUPPORTED, "the output has rank %" PRId32,
                         e->out.n + shown);
    if (e->has_out) {
        for (int32_t i = 0; i <= e->out.n; i++) {
            if (i == e->out.ellipsis)
                add_hidden(sum, shown);
            if (i < e->out.n)
                sum->out[sum->out_rank++] = e->out.letters[i];
        }
        return RDL_OK;
    }
    add_hidden(sum, shown);
    for (uint32_t i = 0; i < e->n; i++)
        for (int32_t k = 0; k < e->in[i].n; k++)
            times[e->in[i].letters[k]]++;
    for (int32_t label = 0; label < LETTERS; label++) {
        if (times[label] != 1)
            continue;
        if (sum->out_rank == RDL_MAX_RANK)
            return rdl__fail(sum->error, RDL_ERR_UNSUPPORTED, "the output has more than %d labels",
                             RDL_MAX_RANK);
        sum->out[sum->out_rank++] = (uint8_t)label;
    }
    return RDL_OK;
}

static enum rdl_status read_sum(const struct rdl__node *node, const struct rdl__desc *in,
                                struct sum *sum, struct rdl_error *error)
{
    struct equation e;
    int32_t hidden = 0;
    (void)read_equation(rdl__attr_text(node, "equation", ""), &e); /* can be read: see check */
    *sum = (struct sum){.dtype = in[0].dtype, .n = e.n, .error = error};
    for (int32_t label = 0; label < LABELS; label++)
        sum->size[label] = -1;
    for (uint32_t i = 0; i < e.n; i++)
        RDL_TRY(enter_side(sum, i, &e.in[i], &in[i].shape, &hidden));
    return order_out(sum, &e, hidden);
}

static enum rdl_status infer(const struct rdl__infer *infer)
{
    struct sum sum;
    int64_t dims[RDL_MAX_RANK];
    if (!rdl__k_einsum_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    for (uint32_t i = 1; i < infer->node->n_inputs; i++)
        RDL_TRY(rdl__op_same_dtype(infer, i));
    RDL_TRY(read_sum(infer->node, infer->in, &sum, infer->error));
    for (int32_t d = 0; d < sum.out_rank; d++)
        dims[d] = sum.size[sum.out[d]];
    return rdl__op_out(infer, 0, sum.dtype, sum.out_rank, dims);
}

/* -------------------------------------------------------------------------------- lists of labels */

/* The analyser does not know that the labels of a list differ, so that none has more than LABELS.
 * NOLINTBEGIN(clang-analyzer-security.ArrayBound) */

/* Labels in order, the last the fastest. */
struct list {
    int32_t n;
    uint8_t label[LABELS];
};

/* The labels of `set` in the order of the output, then the others in the order of labels. */
static struct list list_of(const struct sum *sum, uint64_t set)
{
    struct list list = {0};
    for (int32_t d = 0; d < sum->out_rank; d++)
        if ((set & BIT(sum->out[d])) != 0) {
            list.label[list.n++] = sum->out[d];
            set &= ~BIT(sum->out[d]);
        }
    for (int32_t label = 0; label < LABELS; label++)
        if ((set & BIT(label)) != 0)
            list.label[list.n++] = (uint8_t)label;
    return list;
}

static void append_list(struct list *list, const struct list *more)
{
    memcpy(list->label + list->n, more->label, (size_t)more->n);
    list->n += more->n;
}

static uint64_t set_of(const struct list *list)
{
    uint64_t set = 0;
    for (int32_t i = 0; i < list->n; i++)
        set |= BIT(list->label[i]);
    return set;
}

/* Elements that the labels span; false if that overflows. */
static bool count_of(const struct sum *sum, const struct list *list, int64_t *count)
{
    *count = 1;
    for (int32_t i = 0; i < list->n; i++)
        if (!rdl__mul_dim(*count, sum->size[list->label[i]], count))
            return false;
    return true;
}

/* Gives a side the labels of a list, in C order. */
static void set_c_order(const struct sum *sum, struct side *side, const struct list *list)
{
    int64_t stride = 1;
    side->labels = 0;
    for (int32_t i = list->n - 1; i >= 0; i--) {
        const int32_t label = list->label[i];
        side->labels |= BIT(label);
        side->stride[label] = sum->size[label] == 1 ? 0 : stride;
        stride *= sum->size[label];
    }
}

/* Whether the labels of a list lie in a side as one dimension: then its stride. */
static bool joined(const struct sum *sum, const struct side *side, const struct list *list,
                   int64_t *stride)
{
    int64_t next = -1;
    *stride = 1;
    for (int32_t i = list->n - 1; i >= 0; i--) {
        const int32_t label = list->label[i];
        if (sum->size[label] == 1)
            continue;
        if (next < 0)
            *stride = side->stride[label];
        else if (side->stride[label] != next)
            return false;
        next = side->stride[label] * sum->size[label];
    }
    return true;
}

static enum rdl_status too_large(const struct rdl__lower *lower)
{
    return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "an intermediate result is too large");
}

/* Makes `side` a temporary with the labels of a list in C order; *to is what writes it. */
static enum rdl_status new_side(const struct rdl__lower *lower, const struct sum *sum,
                                const struct list *list, struct side *side, struct rdl__operand *to)
{
    int64_t count;
    size_t bytes;
    uint32_t temp;
    if (!count_of(sum, list, &count) ||
        !rdl__mul_size((size_t)count, rdl_dtype_size(sum->dtype), &bytes))
        return too_large(lower);
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *side = (struct side){.from = RDL__TEMP_READ(temp)};
    set_c_order(sum, side, list);
    *to = RDL__TEMP_WRITE(temp);
    return RDL_OK;
}

/* Adds the step that copies a side in the order of a list. */
static enum rdl_status move(const struct rdl__lower *lower, const struct sum *sum,
                            const struct side *side, const struct list *list,
                            struct rdl__operand to)
{
    struct rdl__k_move params = {.walk.rank = list->n};
    int64_t stride = 1;
    for (int32_t i = list->n - 1; i >= 0; i--) {
        params.walk.dims[i] = sum->size[list->label[i]];
        params.walk.stride[0][i] = side->stride[list->label[i]];
        params.walk.stride[1][i] = stride;
        stride *= params.walk.dims[i];
    }
    return rdl__op_move(lower, &params, sum->dtype, side->from, to);
}

/* Copies a side into C order of a list; does nothing if it lies so. */
static enum rdl_status arrange(const struct rdl__lower *lower, const struct sum *sum,
                               struct side *side, const struct list *list)
{
    int64_t stride;
    struct rdl__operand to;
    const struct side from = *side;
    if (list->n > RDL_MAX_RANK)
        return rdl__fail(lower->error, RDL_ERR_UNSUPPORTED,
                         "an intermediate result has rank %" PRId32, list->n);
    if (joined(sum, side, list, &stride) && stride == 1)
        return RDL_OK;
    RDL_TRY(new_side(lower, sum, list, side, &to));
    return move(lower, sum, &from, list, to);
}

/* --------------------------------------------------------------------------------------- products */

/* The labels of a batch of matrix products. */
struct product {
    struct list batch, m, n, k;
    int64_t batch_count, m_count, n_count, k_count;
};

/* Adds the steps that pack B, [batch, k, n]. */
static enum rdl_status pack(const struct rdl__lower *lower, const struct sum *sum,
                            const struct product *p, struct side *b, size_t *matrix,
                            struct rdl__operand *packed)
{
    size_t floats, bytes;
    uint32_t temp;
    struct rdl__k_gemm_pack_params params = {.k = p->k_count,
                                             .n = p->n_count,
                                             .matrices = p->batch_count,
                                             .panel_cols = rdl__k_gemm_blocks(lower->isa).cols,
                                             .alpha = 1.0f};
    if (!rdl__k_gemm_packed_count(lower->isa, params.k, params.n, matrix) ||
        !rdl__mul_size(*matrix, (size_t)params.matrices, &floats) ||
        !rdl__mul_size(floats, sizeof(float), &bytes))
        return too_large(lower);
    if (!joined(sum, b, &p->batch, &params.matrix_stride) ||
        !joined(sum, b, &p->k, &params.row_stride) || !joined(sum, b, &p->n, &params.col_stride)) {
        struct list order = p->batch;
        append_list(&order, &p->k);
        append_list(&order, &p->n);
        RDL_TRY(arrange(lower, sum, b, &order));
        params.matrix_stride = params.k * params.n;
        params.row_stride = params.n;
        params.col_stride = 1;
    }
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *packed = RDL__TEMP_READ(temp);
    const struct rdl__operand bind[] = {b->from, RDL__TEMP_WRITE(temp)};
    return RDL__OP_STEP(lower, rdl__k_gemm_pack_f32, params, rdl__k_gemm_pack_tiles(&params), bind);
}

/* Binds A, [batch, m, k], as the product reads it: rows of adjacent elements, all the same distance
 * apart. */
static enum rdl_status bind_rows(const struct rdl__lower *lower, const struct sum *sum,
                                 const struct product *p, struct side *a, struct rdl__k_gemm *gemm)
{
    int64_t step;
    if (p->batch.n <= RDL__K_GEMM_BATCH_RANK && joined(sum, a, &p->m, &gemm->a_row_stride) &&
        joined(sum, a, &p->k, &step) && (step == 1 || p->k_count == 1)) {
        gemm->a_row_stride = p->m_count == 1 ? p->k_count : gemm->a_row_stride;
        return RDL_OK;
    }
    struct list order = p->batch;
    append_list(&order, &p->m);
    append_list(&order, &p->k);
    gemm->a_row_stride = p->k_count;
    return arrange(lower, sum, a, &order);
}

/* The batch of matrices: each label one dimension, or all of them one if there are many and A lies in
 * order. */
static void set_batch(const struct sum *sum, const struct product *p, const struct side *a,
                      size_t b_matrix, struct rdl__k_gemm_batch *batch)
{
    const bool many = p->batch.n > RDL__K_GEMM_BATCH_RANK;
    int64_t below = (int64_t)b_matrix;
    *batch = (struct rdl__k_gemm_batch){.rank = p->batch_count == 1 ? 0
                                                : many              ? 1
                                                                    : p->batch.n,
                                        .count = p->batch_count,
                                        .c_matrix = p->m_count * p->n_count,
                                        .dims = {p->batch_count},
                                        .a_stride = {p->m_count * p->k_count},
                                        .b_stride = {below}};
    for (int32_t i = p->batch.n - 1; i >= 0 && !many; i--) {
        batch->dims[i] = sum->size[p->batch.label[i]];
        batch->a_stride[i] = a->stride[p->batch.label[i]];
        batch->b_stride[i] = below;
        below *= batch->dims[i];
    }
}

/* Adds the steps of a batch of f32 products, whose result lies in the order batch, m, n in `to`. */
static enum rdl_status multiply(const struct rdl__lower *lower, const struct sum *sum,
                                const struct product *p, struct side *a, struct side *b,
                                struct rdl__operand to)
{
    size_t matrix;
    struct rdl__k_gemm gemm = {
        .m = p->m_count, .n = p->n_count, .k = p->k_count, .c_row_stride = p->n_count};
    struct rdl__operand bind[] = {{0}, {0}, {0}, to};
    RDL_TRY(pack(lower, sum, p, b, &matrix, &bind[1]));
    RDL_TRY(bind_rows(lower, sum, p, a, &gemm));
    set_batch(sum, p, a, matrix, &gemm.batch);
    bind[0] = a->from;
    const size_t tiles = rdl__k_gemm_plan(lower->isa, &gemm);
    return RDL__OP_STEP(lower, rdl__op_f32(lower)->gemm, gemm, tiles, bind);
}

/* Brings the summed labels into the order in which they lie in a. */
static void sort_summed(struct list *k, const struct side *a)
{
    for (int32_t i = 1; i < k->n; i++)
        for (int32_t j = i; j > 0 && a->stride[k->label[j]] > a->stride[k->label[j - 1]]; j--) {
            const uint8_t label = k->label[j];
            k->label[j] = k->label[j - 1];
            k->label[j - 1] = label;
        }
}

/* The product whose labels those of a and b are if `keep` remain; false if a size overflows. */
static bool find_product(const struct sum *sum, const struct side *a, const struct side *b,
                         uint64_t keep, struct product *p)
{
    const uint64_t both = a->labels & b->labels;
    p->batch = list_of(sum, both & keep);
    p->m = list_of(sum, a->labels & ~both & keep);
    p->n = list_of(sum, b->labels & ~both & keep);
    p->k = list_of(sum, both & ~keep);
    sort_summed(&p->k, a);
    return count_of(sum, &p->batch, &p->batch_count) && count_of(sum, &p->m, &p->m_count) &&
           count_of(sum, &p->n, &p->n_count) && count_of(sum, &p->k, &p->k_count);
}

/* --------------------------------------------------------------------------------------- lowering */

/* Adds the plain sum of a and b (NULL: of a alone) over all labels that are not in `order`, whose C
 * order the result has. */
static enum rdl_status add_up(const struct rdl__lower *lower, const struct sum *sum,
                              const struct side *a, const struct side *b, const struct list *order,
                              struct rdl__operand to)
{
    struct rdl__k_einsum params = {.dtype = sum->dtype, .n_kept = order->n};
    const struct side *const sides[2] = {a, b};
    const uint64_t labels = a->labels | (b != NULL ? b->labels : 0);
    const struct list summed = list_of(sum, labels & ~set_of(order));
    params.n_summed = summed.n;
    for (int32_t d = 0; d < order->n; d++)
        params.kept[d] = sum->size[order->label[d]];
    for (int32_t d = 0; d < summed.n; d++)
        params.summed[d] = sum->size[summed.label[d]];
    for (int i = 0; i < 2 && sides[i] != NULL; i++) {
        for (int32_t d = 0; d < order->n; d++)
            params.kept_stride[i][d] = sides[i]->stride[order->label[d]];
        for (int32_t d = 0; d < summed.n; d++)
            params.summed_stride[i][d] = sides[i]->stride[summed.label[d]];
    }
    const struct rdl__operand bind[] = {a->from, b != NULL ? b->from : (struct rdl__operand){0},
                                        to};
    const size_t tiles = rdl__k_einsum_plan(&params);
    return RDL__OP_STEP(lower, rdl__k_einsum, params, tiles, bind);
}

/* Sums a over the labels that neither `keep` nor b has. */
static enum rdl_status drop_lone(const struct rdl__lower *lower, const struct sum *sum,
                                 struct side *a, const struct side *b, uint64_t keep)
{
    const uint64_t left = a->labels & (keep | b->labels);
    if (left == a->labels)
        return RDL_OK;
    const struct list order = list_of(sum, left);
    const struct side whole = *a;
    struct rdl__operand to;
    RDL_TRY(new_side(lower, sum, &order, a, &to));
    return add_up(lower, sum, &whole, NULL, &order, to);
}

/* Joins b into a; the result keeps the labels of `keep`, in an order of its own. */
static enum rdl_status join(const struct rdl__lower *lower, const struct sum *sum, struct side *a,
                            struct side *b, uint64_t keep, const struct list *out)
{
    struct product p;
    struct side result = {0};
    struct rdl__operand to = RDL__OUT(0);
    const bool fast = sum->dtype == RDL_F32;
    if (fast) {
        RDL_TRY(drop_lone(lower, sum, a, b, keep));
        RDL_TRY(drop_lone(lower, sum, b, a, keep));
    }
    if (!find_product(sum, a, b, keep, &p))
        return too_large(lower);
    struct list order = p.batch;
    append_list(&order, &p.m);
    append_list(&order, &p.n);
    if (!fast && out != NULL)
        order = *out;
    if (order.n > RDL_MAX_RANK)
        return rdl__fail(lower->error, RDL_ERR_UNSUPPORTED,
                         "an intermediate result has rank %" PRId32, order.n);
    if (out == NULL || memcmp(order.label, out->label, (size_t)order.n) != 0)
        RDL_TRY(new_side(lower, sum, &order, &result, &to));
    RDL_TRY(fast ? multiply(lower, sum, &p, a, b, to) : add_up(lower, sum, a, b, &order, to));
    *a = result;
    return result.from.kind == RDL__OPERAND_NONE || out == NULL
               ? RDL_OK
               : move(lower, sum, a, out, RDL__OUT(0));
}

/* Whether a label that is summed has no elements: then all sums are zero. */
static bool is_empty(const struct sum *sum)
{
    for (int32_t label = 0; label < LABELS; label++)
        if (sum->size[label] == 0)
            return true;
    return false;
}

static enum rdl_status lower(const struct rdl__lower *lower)
{
    struct sum sum;
    RDL_TRY(read_sum(lower->node, lower->in, &sum, lower->error));
    struct list out = {.n = sum.out_rank};
    memcpy(out.label, sum.out, sizeof sum.out);
    if (is_empty(&sum)) {
        struct rdl__k_fill fill = {.elem_bytes = (int32_t)rdl_dtype_size(sum.dtype)};
        const size_t tiles =
            rdl__k_fill_plan(&fill, (int64_t)rdl__shape_count(&lower->out[0].shape));
        const struct rdl__operand bind[] = {RDL__OUT(0)};
        return RDL__OP_STEP(lower, rdl__k_fill, fill, tiles, bind);
    }
    if (sum.n == 1 && sum.in[0].labels == set_of(&out))
        return move(lower, &sum, &sum.in[0], &out, RDL__OUT(0));
    if (sum.n == 1)
        return add_up(lower, &sum, &sum.in[0], NULL, &out, RDL__OUT(0));
    for (uint32_t i = 1; i < sum.n; i++) {
        uint64_t keep = set_of(&out);
        for (uint32_t later = i + 1; later < sum.n; later++)
            keep |= sum.in[later].labels;
        RDL_TRY(join(lower, &sum, &sum.in[0], &sum.in[i], keep, i + 1 == sum.n ? &out : NULL));
    }
    return RDL_OK;
}

/* NOLINTEND(clang-analyzer-security.ArrayBound) */

static double flop(const struct rdl__node *node, const struct rdl__desc *in,
                   const struct rdl__desc *out)
{
    struct sum sum;
    double count = 2.0;
    (void)out;
    if (node->n_inputs != 2 || read_sum(node, in, &sum, NULL) != RDL_OK)
        return 0;
    for (int32_t label = 0; label < LABELS; label++)
        count *= sum.size[label] < 0 ? 1.0 : (double)sum.size[label];
    return count;
}

/* Einsum@12. */
RDL__OPERATOR(Einsum, 12, 1, RDL__VARIADIC, 1, 1, .check = check, .infer = infer, .lower = lower,
              .flop = flop);
