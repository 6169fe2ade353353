/*
 * Loop and Scan: the body's program, once an iteration, in a frame of its own. See deferred.h.
 *
 * What is carried from one iteration to the next is handed on by reference; what an iteration adds to a
 * scan output is kept until the last one, since only then is the output's size known, and then put in its
 * place. Source: ONNX Loop@1..25, Scan@9..25.
 */
#include "model/deferred.h"

#include "base/mem.h"
#include "base/status.h"
#include "kernels/move.h"

#include <inttypes.h>
#include <string.h>

/* What the iterations have added to one scan output. */
struct pieces {
    struct rdl__cell *cells; /* [n] */
    size_t n, capacity;
};

struct loop {
    struct rdl__frame *outer;
    const struct rdl__program_node *own;
    struct rdl__deferred *run;
    struct rdl__frame inner;
    uint32_t n_carried;        /* values handed from one iteration to the next */
    struct rdl__cell *carried; /* [n_carried] */
    uint32_t first_output;     /* of the body's outputs: the first that is carried */
    uint32_t n_pieces;         /* scan outputs */
    struct pieces *pieces;     /* [n_pieces] */
    int64_t done;              /* iterations */
};

static const struct rdl__node *node_of(const struct loop *loop)
{
    return &loop->own->node;
}

/* The outer cell of input i; NULL if it is absent. */
static struct rdl__cell *input(const struct loop *loop, uint32_t i)
{
    const int32_t value = i < loop->own->n_own_inputs ? node_of(loop)->inputs[i] : RDL__NO_VALUE;
    return value != RDL__NO_VALUE ? &loop->outer->cells[value] : NULL;
}

static int32_t body_input(const struct loop *loop, uint32_t i)
{
    return loop->own->body->inputs[i].value;
}

/* ------------------------------------------------------------------------------- begin and end */

/* Takes the carried values from the node's inputs, the first of which is `first`. */
static enum rdl_status begin(struct loop *loop, struct rdl__frame *outer,
                             const struct rdl__program_node *own, uint32_t first,
                             uint32_t n_carried, uint32_t first_output)
{
    *loop = (struct loop){.outer = outer,
                          .own = own,
                          .run = outer->run,
                          .n_carried = n_carried,
                          .first_output = first_output,
                          .n_pieces = own->node.n_outputs - n_carried};
    loop->carried = rdl__alloc_zeroed((size_t)n_carried + 1, sizeof *loop->carried);
    loop->pieces = rdl__alloc_zeroed((size_t)loop->n_pieces + 1, sizeof *loop->pieces);
    RDL_TRY(rdl__frame_init(&loop->inner, outer->run, own->body));
    if (loop->carried == NULL || loop->pieces == NULL)
        return rdl__fail_memory(loop->run->error, "run", n_carried * sizeof *loop->carried);
    for (uint32_t i = 0; i < n_carried; i++) {
        const struct rdl__cell *cell = input(loop, first + i);
        if (cell == NULL)
            return rdl__fail(loop->run->error, RDL_ERR_MODEL, "%s: input %" PRIu32 " is missing",
                             RDL__NODE_TEXT(node_of(loop)), first + i);
        loop->carried[i] = rdl__cell_share(cell);
    }
    return RDL_OK;
}

static void end(struct loop *loop)
{
    for (uint32_t i = 0; loop->carried != NULL && i < loop->n_carried; i++)
        rdl__cell_release(loop->run, &loop->carried[i]);
    for (uint32_t i = 0; loop->pieces != NULL && i < loop->n_pieces; i++) {
        for (size_t k = 0; k < loop->pieces[i].n; k++)
            rdl__cell_release(loop->run, &loop->pieces[i].cells[k]);
        rdl__free(loop->pieces[i].cells);
    }
    rdl__frame_fini(&loop->inner);
    rdl__free(loop->pieces);
    rdl__free(loop->carried);
}

/* --------------------------------------------------------------------------------- one iteration */

/* Shares what the body takes from outside. */
static void share_captures(struct loop *loop)
{
    const struct rdl__program *body = loop->own->body;
    for (uint32_t i = 0; i < body->n_captures; i++) {
        const int32_t value = node_of(loop)->inputs[loop->own->n_own_inputs + i];
        rdl__frame_share(&loop->inner, body->captures[i], &loop->outer->cells[value]);
    }
}

static enum rdl_status keep_piece(struct loop *loop, struct pieces *pieces,
                                  const struct rdl__cell *cell)
{
    if (pieces->n == pieces->capacity) {
        const size_t wider = pieces->capacity > 0 ? pieces->capacity * 2 : 8;
        struct rdl__cell *cells = rdl__alloc_zeroed(wider, sizeof *cells);
        if (cells == NULL)
            return rdl__fail_memory(loop->run->error, "run", wider * sizeof *cells);
        if (pieces->n > 0)
            memcpy(cells, pieces->cells, pieces->n * sizeof *cells);
        rdl__free(pieces->cells);
        pieces->cells = cells;
        pieces->capacity = wider;
    }
    const struct rdl__cell *first = &pieces->cells[0];
    if (pieces->n > 0 && (first->desc.dtype != cell->desc.dtype ||
                          !rdl__shape_equal(&first->desc.shape, &cell->desc.shape)))
        return rdl__fail(loop->run->error, RDL_ERR_RUNTIME,
                         "%s: iteration %" PRId64 " gives a scan output another shape",
                         RDL__NODE_TEXT(node_of(loop)), loop->done);
    pieces->cells[pieces->n++] = rdl__cell_share(cell);
    return RDL_OK;
}

/* Computes the body's outputs and hands them on; the body's inputs are in its frame but for what is
 * carried, whose first input is `first`. */
static enum rdl_status iterate(struct loop *loop, uint32_t first)
{
    const struct rdl__program *body = loop->own->body;
    RDL_TRY(rdl__deferred_check(loop->run));
    share_captures(loop);
    for (uint32_t i = 0; i < loop->n_carried; i++)
        rdl__frame_share(&loop->inner, body_input(loop, first + i), &loop->carried[i]);
    for (uint32_t k = 0; k < body->n_outputs; k++)
        RDL_TRY(rdl__frame_evaluate(&loop->inner, body->outputs[k].value));
    for (uint32_t i = 0; i < loop->n_carried; i++) {
        const int32_t value = body->outputs[loop->first_output + i].value;
        rdl__cell_release(loop->run, &loop->carried[i]);
        loop->carried[i] = rdl__cell_share(&loop->inner.cells[value]);
    }
    for (uint32_t i = 0; i < loop->n_pieces; i++) {
        const int32_t value = body->outputs[loop->first_output + loop->n_carried + i].value;
        if (node_of(loop)->outputs[loop->n_carried + i] != RDL__NO_VALUE)
            RDL_TRY(keep_piece(loop, &loop->pieces[i], &loop->inner.cells[value]));
    }
    loop->done++;
    return RDL_OK;
}

/* ---------------------------------------------------------------------------- slices and stacks */

/* Submits one copy of elements along a walk. */
static enum rdl_status move(struct loop *loop, struct rdl__k_move *params,
                            const struct rdl__cell *from, const struct rdl__cell *to)
{
    struct rdl__work *work = rdl__work_new();
    struct rdl__step *step = NULL;
    struct rdl__binding *bindings = NULL;
    struct rdl__k_move *blob = NULL;
    const size_t tiles = rdl__k_move_plan(params);
    if (work != NULL) {
        step = RDL__ARENA_NEW(&work->arena, struct rdl__step);
        bindings = RDL__ARENA_ARRAY(&work->arena, struct rdl__binding, 2);
        blob = rdl__arena_alloc_aligned(&work->arena, RDL_ALIGN, sizeof *blob);
    }
    if (step == NULL || bindings == NULL || blob == NULL) {
        if (work != NULL)
            rdl__work_free(work);
        return rdl__fail_memory(loop->run->error, "run", sizeof *blob);
    }
    *blob = *params;
    bindings[0] = (struct rdl__binding){.base = RDL__BASE_FIRST_PORT,
                                        .size_bytes = rdl__desc_bytes(&from->desc)};
    bindings[1] = (struct rdl__binding){.base = RDL__BASE_FIRST_PORT + 1,
                                        .written = true,
                                        .size_bytes = rdl__desc_bytes(&to->desc)};
    *step = (struct rdl__step){rdl__k_move, blob, tiles, 2, 0, UINT32_MAX};
    work->segment = (struct rdl__segment){.steps = step, .bindings = bindings, .n_steps = 1};
    void *bases[RDL__BASE_FIRST_PORT + 2] = {NULL};
    bases[RDL__BASE_FIRST_PORT] = from->address;
    bases[RDL__BASE_FIRST_PORT + 1] = to->address;
    return rdl__work_submit(loop->run, work, bases, RDL__BASE_FIRST_PORT + 2);
}

/* Drops dimension `axis`. */
static void drop_axis(struct rdl__shape *shape, int32_t axis)
{
    for (int32_t d = axis; d + 1 < shape->rank; d++)
        shape->dims[d] = shape->dims[d + 1];
    shape->dims[--shape->rank] = 0;
}

/* The walk between slice `index` along an axis of a whole (operand `whole_operand`) and the slice alone. */
static struct rdl__k_move slice_walk(const struct rdl__shape *whole, const struct rdl__shape *slice,
                                     enum rdl_dtype dtype, int32_t axis, int64_t index,
                                     int whole_operand)
{
    struct rdl__k_move params = {.elem_bytes = (int32_t)rdl_dtype_size(dtype)};
    int64_t strides[RDL_MAX_RANK];
    RDL_ASSERT(axis >= 0 && axis < whole->rank && slice->rank == whole->rank - 1);
    params.walk.rank = slice->rank;
    memcpy(params.walk.dims, slice->dims, sizeof params.walk.dims);
    rdl__shape_strides(slice, params.walk.stride[1 - whole_operand]);
    rdl__shape_strides(whole, strides);
    for (int32_t d = 0; d < slice->rank; d++)
        params.walk.stride[whole_operand][d] = strides[d < axis ? d : d + 1];
    *(whole_operand == 0 ? &params.src_offset : &params.dst_offset) = index * strides[axis];
    return params;
}

/* Slice `index` of a cell: a view along the first axis, a copy along another. */
static enum rdl_status take_slice(struct loop *loop, const struct rdl__cell *whole, int32_t axis,
                                  int64_t index, struct rdl__cell *out)
{
    struct rdl__desc desc = {.dtype = whole->desc.dtype, .shape = whole->desc.shape};
    drop_axis(&desc.shape, axis);
    if (axis == 0) {
        *out = rdl__cell_share(whole);
        out->desc = desc;
        out->address += (size_t)index * rdl__desc_bytes(&out->desc);
        return RDL_OK;
    }
    RDL_TRY(rdl__cell_new(loop->run, &desc, out));
    if (rdl__desc_bytes(&out->desc) == 0)
        return RDL_OK;
    struct rdl__k_move params =
        slice_walk(&whole->desc.shape, &desc.shape, desc.dtype, axis, index, 0);
    const enum rdl_status status = move(loop, &params, whole, out);
    if (status != RDL_OK)
        rdl__cell_release(loop->run, out);
    return status;
}

static enum rdl_status put_slice(struct loop *loop, const struct rdl__cell *whole, int32_t axis,
                                 int64_t index, const struct rdl__cell *piece)
{
    const size_t bytes = rdl__desc_bytes(&piece->desc);
    if (bytes == 0)
        return RDL_OK;
    if (axis == 0)
        return rdl__deferred_note(
            loop->run, loop->run->device->backend->copy(loop->run->lane->stream,
                                                        whole->address + (size_t)index * bytes,
                                                        piece->address, bytes));
    struct rdl__k_move params =
        slice_walk(&whole->desc.shape, &piece->desc.shape, piece->desc.dtype, axis, index, 1);
    return move(loop, &params, piece, whole);
}

/* The shape of a scan output along `axis`: of what the iterations gave, or declared if there were none. */
static enum rdl_status stack_desc(struct loop *loop, uint32_t i, int64_t axis,
                                  struct rdl__desc *out, int32_t *at)
{
    const struct pieces *pieces = &loop->pieces[i];
    const struct rdl__program_port *port =
        &loop->own->body->outputs[loop->first_output + loop->n_carried + i];
    struct rdl__shape piece = {.rank = port->rank > 0 ? port->rank : 0};
    out->dtype = port->dtype != RDL_DTYPE_NONE ? port->dtype : RDL_F32;
    for (int32_t d = 0; d < piece.rank; d++)
        piece.dims[d] = port->dims[d] > 0 ? port->dims[d] : 0;
    if (pieces->n > 0) {
        out->dtype = pieces->cells[0].desc.dtype;
        piece = pieces->cells[0].desc.shape;
    }
    const int32_t rank = piece.rank + 1;
    if (rank > RDL_MAX_RANK || axis < -(int64_t)rank || axis >= rank)
        return rdl__fail(loop->run->error, RDL_ERR_SHAPE,
                         "%s: a scan output of rank %" PRId32 " along axis %" PRId64,
                         RDL__NODE_TEXT(node_of(loop)), rank, axis);
    *at = (int32_t)(axis < 0 ? axis + rank : axis);
    int64_t dims[RDL_MAX_RANK];
    for (int32_t d = 0; d < *at; d++)
        dims[d] = piece.dims[d];
    dims[*at] = (int64_t)pieces->n;
    for (int32_t d = *at; d < piece.rank; d++)
        dims[d + 1] = piece.dims[d];
    const enum rdl_status status = rdl__shape_check(rank, dims, loop->run->error);
    if (status != RDL_OK)
        return rdl__fail_within(loop->run->error, status, "%s", RDL__NODE_TEXT(node_of(loop)));
    rdl__shape_set(&out->shape, rank, dims);
    return RDL_OK;
}

/* Puts the pieces of scan output i together, last first if asked for. */
static enum rdl_status stack(struct loop *loop, uint32_t i, int64_t axis, bool reverse,
                             struct rdl__cell *out)
{
    struct pieces *pieces = &loop->pieces[i];
    struct rdl__desc desc = {0};
    int32_t at;
    RDL_TRY(stack_desc(loop, i, axis, &desc, &at));
    RDL_TRY(rdl__cell_new(loop->run, &desc, out));
    for (size_t k = 0; k < pieces->n; k++) {
        const int64_t place = (int64_t)(reverse ? pieces->n - 1 - k : k);
        const enum rdl_status status = put_slice(loop, out, at, place, &pieces->cells[k]);
        if (status != RDL_OK) {
            rdl__cell_release(loop->run, out);
            return status;
        }
        rdl__cell_release(loop->run, &pieces->cells[k]);
    }
    return RDL_OK;
}

/* -------------------------------------------------------------------------------------- outputs */

static int64_t item(const struct loop *loop, const char *name, uint32_t i)
{
    size_t n;
    const int64_t *list = rdl__attr_ints(node_of(loop), name, &n);
    return list != NULL && i < n ? list[i] : 0;
}

/* Gives the node's outputs their values. */
static enum rdl_status deliver(struct loop *loop)
{
    const struct rdl__node *node = node_of(loop);
    for (uint32_t i = 0; i < loop->n_carried; i++)
        if (node->outputs[i] != RDL__NO_VALUE)
            rdl__frame_share(loop->outer, node->outputs[i], &loop->carried[i]);
    for (uint32_t i = 0; i < loop->n_pieces; i++) {
        const int32_t value = node->outputs[loop->n_carried + i];
        struct rdl__cell whole;
        if (value == RDL__NO_VALUE)
            continue;
        RDL_TRY(stack(loop, i, item(loop, "scan_output_axes", i),
                      item(loop, "scan_output_directions", i) != 0, &whole));
        rdl__frame_share(loop->outer, value, &whole);
        rdl__cell_release(loop->run, &whole);
    }
    return RDL_OK;
}

/* ----------------------------------------------------------------------------------------- Loop */

/* Reads an i64 or bool scalar input; `fallback` if it is absent. */
static enum rdl_status read_scalar(struct loop *loop, struct rdl__cell *cell, enum rdl_dtype dtype,
                                   int64_t fallback, int64_t *out)
{
    *out = fallback;
    if (cell == NULL)
        return RDL_OK;
    if (cell->desc.dtype != dtype || rdl__shape_count(&cell->desc.shape) != 1)
        return rdl__fail(loop->run->error, RDL_ERR_SHAPE, "%s: the %s is no single %s",
                         RDL__NODE_TEXT(node_of(loop)),
                         dtype == RDL_BOOL ? "condition" : "trip count", rdl_dtype_name(dtype));
    RDL_TRY(rdl__cell_read(loop->run, cell));
    *out = dtype == RDL_BOOL ? *(const uint8_t *)cell->desc.data != 0
                             : *(const int64_t *)cell->desc.data;
    return RDL_OK;
}

/* Gives the body a scalar input. */
static enum rdl_status give_scalar(struct loop *loop, uint32_t i, enum rdl_dtype dtype,
                                   const void *element)
{
    struct rdl__cell cell;
    RDL_TRY(rdl__cell_scalar(loop->run, dtype, element, &cell));
    rdl__frame_share(&loop->inner, body_input(loop, i), &cell);
    rdl__cell_release(loop->run, &cell);
    return RDL_OK;
}

static enum rdl_status run_iterations(struct loop *loop)
{
    const struct rdl__program *body = loop->own->body;
    int64_t most, go_on;
    RDL_TRY(read_scalar(loop, input(loop, 0), RDL_I64, INT64_MAX, &most));
    RDL_TRY(read_scalar(loop, input(loop, 1), RDL_BOOL, 1, &go_on));
    while (go_on && loop->done < most) {
        const uint8_t condition = 1;
        RDL_TRY(give_scalar(loop, 0, RDL_I64, &loop->done));
        RDL_TRY(give_scalar(loop, 1, RDL_BOOL, &condition));
        RDL_TRY(iterate(loop, 2));
        RDL_TRY(read_scalar(loop, &loop->inner.cells[body->outputs[0].value], RDL_BOOL, 1, &go_on));
        rdl__frame_clear(&loop->inner);
    }
    return deliver(loop);
}

static enum rdl_status run_loop(struct rdl__frame *frame, const struct rdl__program_node *own)
{
    struct loop loop;
    const uint32_t n_carried = own->n_own_inputs > 2 ? own->n_own_inputs - 2 : 0;
    enum rdl_status status = begin(&loop, frame, own, 2, n_carried, 1);
    if (status == RDL_OK)
        status = run_iterations(&loop);
    end(&loop);
    return status;
}

/* ----------------------------------------------------------------------------------------- Scan */

/* The axis of scan input i, and its length, which all of them share. */
static enum rdl_status scan_axis(struct loop *loop, uint32_t i, int32_t *axis, int64_t *length)
{
    const struct rdl__cell *cell = input(loop, loop->n_carried + i);
    const int64_t given = item(loop, "scan_input_axes", i);
    const int32_t rank = cell != NULL ? cell->desc.shape.rank : 0;
    if (given < -(int64_t)rank || given >= rank)
        return rdl__fail(loop->run->error, RDL_ERR_SHAPE,
                         "%s: axis %" PRId64 " is outside rank %" PRId32 " of scan input %" PRIu32,
                         RDL__NODE_TEXT(node_of(loop)), given, rank, i);
    *axis = (int32_t)(given < 0 ? given + rank : given);
    const int64_t mine = cell->desc.shape.dims[*axis];
    if (*length >= 0 && *length != mine)
        return rdl__fail(loop->run->error, RDL_ERR_SHAPE,
                         "%s: scan input %" PRIu32 " has %" PRId64
                         " slices, the first has %" PRId64,
                         RDL__NODE_TEXT(node_of(loop)), i, mine, *length);
    *length = mine;
    return RDL_OK;
}

static enum rdl_status give_slices(struct loop *loop, uint32_t n_scanned, int64_t length)
{
    for (uint32_t i = 0; i < n_scanned; i++) {
        int32_t axis;
        struct rdl__cell slice;
        RDL_TRY(scan_axis(loop, i, &axis, &length));
        const bool reverse = item(loop, "scan_input_directions", i) != 0;
        RDL_TRY(take_slice(loop, input(loop, loop->n_carried + i), axis,
                           reverse ? length - 1 - loop->done : loop->done, &slice));
        rdl__frame_share(&loop->inner, body_input(loop, loop->n_carried + i), &slice);
        rdl__cell_release(loop->run, &slice);
    }
    return RDL_OK;
}

static enum rdl_status run_slices(struct loop *loop, uint32_t n_scanned)
{
    int64_t length = -1;
    for (uint32_t i = 0; i < n_scanned; i++) {
        int32_t axis;
        RDL_TRY(scan_axis(loop, i, &axis, &length));
    }
    while (loop->done < length) {
        RDL_TRY(give_slices(loop, n_scanned, length));
        RDL_TRY(iterate(loop, 0));
        rdl__frame_clear(&loop->inner);
    }
    return deliver(loop);
}

static enum rdl_status run_scan(struct rdl__frame *frame, const struct rdl__program_node *own)
{
    struct loop loop;
    const uint32_t n_scanned = (uint32_t)rdl__attr_int(&own->node, "num_scan_inputs", 1);
    enum rdl_status status = begin(&loop, frame, own, 0, own->n_own_inputs - n_scanned, 0);
    if (status == RDL_OK)
        status = run_slices(&loop, n_scanned);
    end(&loop);
    return status;
}

enum rdl_status rdl__loop_run(struct rdl__frame *frame, const struct rdl__program_node *own)
{
    return strcmp(own->node.op_type, "Loop") == 0 ? run_loop(frame, own) : run_scan(frame, own);
}
