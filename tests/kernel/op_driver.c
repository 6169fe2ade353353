/*
 * See op_driver.h.
 */
#include "op_driver.h"

void op_begin(struct op_case *c, const char *type, int64_t opset)
{
    *c = (struct op_case){
        .domain = "", .type = type, .opset = opset, .n_outputs = 1, .isa = rdl__isa_best()};
    rdl__arena_init(&c->arena, SIZE_MAX);
}

void op_end(struct op_case *c)
{
    rdl__arena_fini(&c->arena);
}

void op_input(struct op_case *c, enum rdl_dtype dtype, const void *data, int32_t rank, ...)
{
    struct rdl__desc *in = &c->in[c->n_inputs++];
    *in = (struct rdl__desc){.dtype = data != NULL ? dtype : RDL_DTYPE_NONE, .data = data};
    in->shape.rank = rank;
    va_list dims;
    va_start(dims, rank);
    for (int32_t d = 0; d < rank; d++)
        in->shape.dims[d] = va_arg(dims, int);
    va_end(dims);
}

static struct rdl__attr *add_attr(struct op_case *c, const char *name, enum rdl__attr_type type)
{
    c->attrs[c->n_attrs] = (struct rdl__attr){.name = name, .type = type};
    return &c->attrs[c->n_attrs++];
}

void op_int(struct op_case *c, const char *name, int64_t value)
{
    add_attr(c, name, RDL__ATTR_INT)->i = value;
}

void op_float(struct op_case *c, const char *name, float value)
{
    add_attr(c, name, RDL__ATTR_FLOAT)->f = value;
}

void op_text(struct op_case *c, const char *name, const char *value)
{
    add_attr(c, name, RDL__ATTR_STRING)->s = (struct rdl__string){value, strlen(value)};
}

void op_ints(struct op_case *c, const char *name, int n, ...)
{
    struct rdl__attr *attr = add_attr(c, name, RDL__ATTR_INTS);
    int64_t *ints = rdl__arena_zeroed(&c->arena, (size_t)n + 1, sizeof *ints);
    assert_non_null(ints);
    va_list values;
    va_start(values, n);
    for (int i = 0; i < n; i++)
        ints[i] = va_arg(values, int64_t);
    va_end(values);
    attr->count = (size_t)n;
    attr->ints = ints;
}

struct op_run {
    struct op_case *c;
    struct rdl__weight weights[RDL__MAX_WEIGHTS];
    struct rdl__lowering list;
    void *temps[16];
    uint32_t absorbed;
};

static void *op_memory(struct op_case *c, size_t bytes)
{
    void *memory = rdl__arena_alloc_aligned(&c->arena, 64, bytes + 1);
    assert_non_null(memory);
    memset(memory, 0xff, bytes);
    return memory;
}

static void *op_operand(const struct op_run *run, const struct rdl__operand *operand)
{
    char *base = NULL;
    if (operand->kind == RDL__OPERAND_INPUT) {
        assert_true((run->absorbed >> operand->index & 1) == 0); /* what prepare has dropped */
        base = (void *)(uintptr_t)run->c->in[operand->index].data;
    } else if (operand->kind == RDL__OPERAND_OUTPUT) {
        base = run->c->data[operand->index];
    } else if (operand->kind == RDL__OPERAND_WEIGHT) {
        base = run->weights[operand->index].data;
    } else if (operand->kind == RDL__OPERAND_TEMP) {
        base = run->temps[operand->index];
    }
    assert_true(operand->kind == RDL__OPERAND_NONE || base != NULL);
    return base != NULL ? base + operand->offset_bytes : NULL;
}

static enum rdl_status op_steps(struct op_run *run)
{
    for (uint32_t i = 0; i < run->list.n_temps; i++)
        run->temps[i] = op_memory(run->c, run->list.temps[i]);
    for (uint32_t i = 0; i < run->list.n_steps; i++) {
        const struct rdl__step_spec *spec = &run->list.steps[i].spec;
        void *bind[RDL__MAX_BINDINGS];
        for (uint32_t b = 0; b < spec->n_bind; b++)
            bind[b] = op_operand(run, &spec->bind[b]);
        RDL_TRY(test_run_split(spec->fn, spec->params, bind, spec->tiles, spec->scratch_bytes));
    }
    for (uint32_t i = 0; i < run->list.n_aliases; i++) {
        const struct rdl__lowered_alias *alias = &run->list.aliases[i];
        const struct rdl__desc *in = &run->c->in[alias->in];
        assert_int_equal(rdl__shape_count(&in->shape),
                         rdl__shape_count(&run->c->out[alias->out].shape));
        memcpy(run->c->data[alias->out], in->data,
               rdl__shape_count(&in->shape) * rdl_dtype_size(in->dtype));
    }
    run->c->steps = run->list.n_steps;
    run->c->aliases = run->list.n_aliases;
    return RDL_OK;
}

static enum rdl_status op_prepare(struct op_run *run, const struct rdl__node *node, void **state)
{
    struct op_case *c = run->c;
    struct rdl__desc known[OP_MOST] = {{0}};
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if ((c->constants >> i & 1) != 0)
            known[i] = c->in[i];
    struct rdl__prepare prepare = {.node = node,
                                   .in = known,
                                   .isa = c->isa,
                                   .arena = &c->arena,
                                   .packed = &c->arena,
                                   .weights = run->weights,
                                   .error = &c->error};
    if (c->constants != 0 && node->op->prepare != NULL)
        RDL_TRY(node->op->prepare(&prepare));
    run->absorbed = prepare.absorbed;
    *state = prepare.state;
    return RDL_OK;
}

static enum rdl_status op_stop(const void *user, struct rdl_error *error)
{
    struct op_case *c = (void *)(uintptr_t)user;
    return ++c->looks != c->stop_at ? RDL_OK : rdl__fail(error, RDL_ERR_CANCELLED, "stopped");
}

enum rdl_status op_run(struct op_case *c)
{
    int32_t inputs[OP_MOST], outputs[OP_MOST];
    const struct rdl__op *op = rdl__op_find(c->domain, c->type, c->opset);
    assert_non_null(op);
    for (int32_t i = 0; i < OP_MOST; i++) {
        inputs[i] = c->in[i].dtype == RDL_DTYPE_NONE ? RDL__NO_VALUE : i;
        outputs[i] = i;
    }
    const struct rdl__node node = {.op = op,
                                   .name = "n",
                                   .op_type = c->type,
                                   .domain = c->domain,
                                   .inputs = inputs,
                                   .outputs = outputs,
                                   .n_inputs = c->n_inputs,
                                   .n_outputs = c->n_outputs,
                                   .n_attrs = c->n_attrs,
                                   .attrs = c->attrs,
                                   .activation = c->activation};
    assert_true(c->n_inputs >= op->min_inputs && c->n_inputs <= op->max_inputs);
    if (op->check != NULL)
        RDL_TRY(op->check(&node, &c->error));
    struct op_run run = {.c = c};
    void *state = NULL;
    RDL_TRY(op_prepare(&run, &node, &state));
    memset(c->out, 0, sizeof c->out);
    struct rdl__effort effort = {.arena = &c->arena, .stop = op_stop, .user = c};
    c->looks = 0;
    const struct rdl__infer infer = {
        .node = &node, .in = c->in, .out = c->out, .effort = &effort, .error = &c->error};
    RDL_TRY(op->infer(&infer));
    size_t total = 0;
    for (uint32_t i = 0; i < c->n_outputs; i++) {
        const size_t count = rdl__shape_count(&c->out[i].shape);
        c->data[i] = op_memory(c, count * rdl_dtype_size(c->out[i].dtype));
        total += count;
    }
    rdl__lowering_init(&run.list, &c->arena);
    rdl__lowering_begin(&run.list, 0);
    const struct rdl__lower lower = {.node = &node,
                                     .in = c->in,
                                     .out = c->out,
                                     .state = state,
                                     .kept = effort.kept,
                                     .isa = c->isa,
                                     .list = &run.list,
                                     .error = &c->error};
    if (total > 0)
        RDL_TRY(op->lower(&lower));
    return op_steps(&run);
}

static void op_must_run(struct op_case *c)
{
    const enum rdl_status status = op_run(c);
    if (status != RDL_OK)
        fail_msg("%s@%d: %s: %s", c->type, (int)c->opset, rdl_status_text(status),
                 c->error.message);
}

void op_run_both(struct op_case *c)
{
    op_must_run(c);
    void *first[OP_MOST];
    memcpy(first, c->data, sizeof first);
    c->constants = ~1u;
    op_must_run(c);
    for (uint32_t i = 0; i < c->n_outputs; i++)
        assert_memory_equal(first[i], c->data[i],
                            rdl__shape_count(&c->out[i].shape) * rdl_dtype_size(c->out[i].dtype));
}

void op_fails(struct op_case *c, enum rdl_status status, const char *part)
{
    const enum rdl_status got = op_run(c);
    if (got != status)
        fail_msg("%s@%d gives \"%s\", expected \"%s\"", c->type, (int)c->opset,
                 rdl_status_text(got), rdl_status_text(status));
    if (strstr(c->error.message, part) == NULL)
        fail_msg("%s@%d says \"%s\", expected \"%s\"", c->type, (int)c->opset, c->error.message,
                 part);
    op_end(c);
}

void op_expect_dims(const struct op_case *c, uint32_t i, int32_t rank, ...)
{
    struct rdl__shape want = {.rank = rank};
    va_list dims;
    va_start(dims, rank);
    for (int32_t d = 0; d < rank; d++)
        want.dims[d] = va_arg(dims, int);
    va_end(dims);
    char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
    if (!rdl__shape_equal(&want, &c->out[i].shape))
        fail_msg("%s@%d: output %u is %s, expected %s", c->type, (int)c->opset, i,
                 rdl__shape_text(&c->out[i].shape, a, sizeof a),
                 rdl__shape_text(&want, b, sizeof b));
}
