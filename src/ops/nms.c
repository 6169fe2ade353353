/*
 * NonMaxSuppression. Its result's shape is found by computing it, so infer does that and lower stores what
 * infer has found.
 */
#include "kernels/nms.h"
#include "base/mem.h"
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

/* Pairs of boxes between two looks for a stop. */
#define LOOK_PAIRS 16384

static enum rdl_status check(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"center_point_box", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_inputs(const struct rdl__infer *infer)
{
    const struct rdl__shape *boxes = &infer->in[0].shape, *scores = &infer->in[1].shape;
    RDL_TRY(rdl__op_rank(infer, 0, 3, 3));
    RDL_TRY(rdl__op_rank(infer, 1, 3, 3));
    if (boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] ||
        boxes->dims[1] != scores->dims[2]) {
        char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "boxes %s do not fit scores %s",
                         rdl__shape_text(boxes, a, sizeof a), rdl__shape_text(scores, b, sizeof b));
    }
    for (uint32_t i = 0; i < infer->node->n_inputs; i++) {
        if (!rdl__op_has(infer->node, i))
            continue;
        if (infer->in[i].dtype != (i == 2 ? RDL_I64 : RDL_F32))
            return rdl__op_bad_dtype(infer, i);
        if (i >= 2 && rdl__shape_count(&infer->in[i].shape) != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 " is no scalar", i);
    }
    return RDL_OK;
}

/* The search, and what it has found: rows of batch, class, box. */
struct search {
    const struct rdl__infer *infer;
    const float *boxes, *scores; /* [batches, boxes, 4], [batches, classes, boxes] */
    int64_t batches, classes, n_boxes;
    bool centers;
    int64_t most; /* boxes of a class */
    float overlap;
    const float *least;     /* score; NULL: any */
    int64_t *heap, *chosen; /* [n_boxes] each */
    int64_t (*rows)[3];
    int64_t found, room;
    int64_t pairs; /* since the last look for a stop */
};

static const void *element(const struct rdl__infer *infer, uint32_t i)
{
    return rdl__op_has(infer->node, i) ? infer->in[i].data : NULL;
}

static enum rdl_status no_memory(const struct search *s, size_t bytes)
{
    return rdl__fail_memory(s->infer->error, "boxes", bytes);
}

/* Appends a row; the rows grow to twice their room. */
static enum rdl_status add_row(struct search *s, int64_t line, int64_t box)
{
    if (s->found == s->room) {
        const int64_t room = s->room > 0 ? 2 * s->room : 64;
        const size_t bytes = (size_t)room * sizeof *s->rows;
        int64_t (*rows)[3] = rdl__alloc(bytes);
        if (rows == NULL)
            return no_memory(s, bytes);
        if (s->found > 0)
            memcpy(rows, s->rows, (size_t)s->found * sizeof *rows);
        rdl__free(s->rows);
        s->rows = rows;
        s->room = room;
    }
    int64_t *row = s->rows[s->found++];
    row[0] = line / s->classes;
    row[1] = line % s->classes;
    row[2] = box;
    return RDL_OK;
}

/* Whether a box overlaps none of the chosen ones. */
static bool is_free(struct search *s, const float *boxes, int64_t box, int64_t chosen)
{
    bool free = true;
    int64_t k = 0;
    for (; k < chosen && free; k++)
        free =
            !rdl__k_nms_overlap(s->centers, boxes + box * 4, boxes + s->chosen[k] * 4, s->overlap);
    s->pairs += k + 1;
    return free;
}

/* Finds the boxes of one class of one image. */
static enum rdl_status search_line(struct search *s, int64_t line)
{
    const float *boxes = s->boxes + line / s->classes * s->n_boxes * 4;
    const float *scores = s->scores + line * s->n_boxes;
    int64_t left = rdl__k_nms_candidates(scores, s->n_boxes, s->least, s->heap), chosen = 0;
    s->pairs += s->n_boxes;
    for (; left > 0 && chosen < s->most; left--) {
        if (s->pairs > LOOK_PAIRS) {
            RDL_TRY(rdl__op_stop(s->infer));
            s->pairs = 0;
        }
        const int64_t box = rdl__k_nms_take(scores, s->heap, left);
        if (!is_free(s, boxes, box, chosen))
            continue;
        s->chosen[chosen++] = box;
        RDL_TRY(add_row(s, line, box));
    }
    return RDL_OK;
}

/* Finds all, and keeps the rows in the effort's arena. */
static enum rdl_status search_all(struct search *s)
{
    const size_t bytes = ((size_t)s->n_boxes + 1) * sizeof *s->heap;
    s->heap = rdl__alloc_zeroed(2, bytes);
    if (s->heap == NULL)
        return no_memory(s, 2 * bytes);
    s->chosen = s->heap + s->n_boxes;
    for (int64_t line = 0; s->most > 0 && line < s->batches * s->classes; line++)
        RDL_TRY(search_line(s, line));
    struct rdl__effort *effort = s->infer->effort;
    const size_t size = (size_t)s->found * sizeof *s->rows;
    void *kept = rdl__arena_alloc_aligned(effort->arena, sizeof(int64_t), size + 1);
    if (kept == NULL)
        return no_memory(s, size);
    if (size > 0)
        memcpy(kept, s->rows, size);
    effort->kept = kept;
    return RDL_OK;
}

static enum rdl_status infer(const struct rdl__infer *infer)
{
    RDL_TRY(check_inputs(infer));
    const int64_t *most = element(infer, 2);
    const float *overlap = element(infer, 3);
    struct search s = {.infer = infer,
                       .boxes = infer->in[0].data,
                       .scores = infer->in[1].data,
                       .batches = infer->in[0].shape.dims[0],
                       .classes = infer->in[1].shape.dims[1],
                       .n_boxes = infer->in[0].shape.dims[1],
                       .centers = rdl__attr_int(infer->node, "center_point_box", 0) != 0,
                       .most = most != NULL ? *most : 0,
                       .overlap = overlap != NULL ? *overlap : 0,
                       .least = element(infer, 4)};
    const enum rdl_status status = search_all(&s);
    rdl__free(s.rows);
    rdl__free(s.heap);
    RDL_TRY(status);
    return rdl__op_out(infer, 0, RDL_I64, 2, (const int64_t[2]){s.found, 3});
}

static enum rdl_status lower(const struct rdl__lower *lower)
{
    return rdl__op_store_ints(lower, lower->kept, (int64_t)rdl__shape_count(&lower->out[0].shape),
                              RDL__OUT(0));
}

/* NonMaxSuppression@10 (11: clearer words). */
RDL__OPERATOR(NonMaxSuppression, 10, 2, 5, 1, 1, .value_inputs = 0x1f, .flags = RDL__OP_COUNTS,
              .check = check, .infer = infer, .lower = lower);
