/*
 * Operators that draw numbers: RandomNormal, RandomUniform, their Like forms, Bernoulli, Multinomial.
 *
 * With the attribute seed the stream's key is made of the seed alone, so that a node gives the same
 * numbers in every run, on every thread. Without it a step of its own draws a key in each run.
 */
#include "kernels/random.h"
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

static const struct rdl__attr_rule rules_normal[] = {{"dtype", RDL__ATTR_INT, false},
                                                     {"mean", RDL__ATTR_FLOAT, false},
                                                     {"scale", RDL__ATTR_FLOAT, false},
                                                     {"seed", RDL__ATTR_FLOAT, false},
                                                     {"shape", RDL__ATTR_INTS, true}};
static const struct rdl__attr_rule rules_uniform[] = {{"dtype", RDL__ATTR_INT, false},
                                                      {"high", RDL__ATTR_FLOAT, false},
                                                      {"low", RDL__ATTR_FLOAT, false},
                                                      {"seed", RDL__ATTR_FLOAT, false},
                                                      {"shape", RDL__ATTR_INTS, true}};

/* Fails unless the attribute dtype, if given, names a dtype that `takes` accepts. */
static enum rdl_status check_dtype(const struct rdl__node *node, bool (*takes)(enum rdl_dtype),
                                   struct rdl_error *error)
{
    const enum rdl_dtype dtype = rdl__op_dtype(node, "dtype", RDL_DTYPE_NONE);
    if (rdl__attr_find(node, "dtype") == NULL || takes(dtype))
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                     "%s: dtype = %" PRId64 ": dtype %s is not supported", RDL__NODE_TEXT(node),
                     rdl__attr_int(node, "dtype", 0), rdl_dtype_name(dtype));
}

static bool is_float(enum rdl_dtype dtype)
{
    return dtype == RDL_F32 || dtype == RDL_F64;
}

static bool is_number(enum rdl_dtype dtype)
{
    return dtype != RDL_DTYPE_NONE && dtype != RDL_STRING;
}

static bool is_index(enum rdl_dtype dtype)
{
    return dtype == RDL_I32 || dtype == RDL_I64;
}

/* Binds the stream's key: the seed's bits, or one that is drawn in each run. */
static enum rdl_status bind_key(const struct rdl__lower *lower, struct rdl__operand *key)
{
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, sizeof(uint64_t), &temp));
    *key = RDL__TEMP_READ(temp);
    if (rdl__attr_find(lower->node, "seed") == NULL) {
        const uint64_t none = 0;
        const struct rdl__operand bind[] = {RDL__TEMP_WRITE(temp)};
        return RDL__OP_STEP(lower, rdl__k_random_key, none, 1, bind);
    }
    const float seed = rdl__attr_float(lower->node, "seed", 0);
    uint64_t bits = 0;
    memcpy(&bits, &seed, sizeof seed);
    return rdl__op_store(lower, &bits, sizeof bits, RDL__TEMP_WRITE(temp));
}

/* --------------------------------------------------------------------------------------- filling */

static enum rdl_status check_normal(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(RDL__CHECK_ATTRS(node, rules_normal, error));
    return check_dtype(node, is_float, error);
}

static enum rdl_status check_uniform(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(RDL__CHECK_ATTRS(node, rules_uniform, error));
    return check_dtype(node, is_float, error);
}

/* The Like forms have all but the shape, which stands last. */
#define LIKE(rules) (rules), sizeof(rules) / sizeof *(rules) - 1

static enum rdl_status check_normal_like(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(rdl__attr_check(node, LIKE(rules_normal), error));
    return check_dtype(node, is_float, error);
}

static enum rdl_status check_uniform_like(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(rdl__attr_check(node, LIKE(rules_uniform), error));
    return check_dtype(node, is_float, error);
}

static enum rdl_status infer_shape(const struct rdl__infer *infer)
{
    size_t n;
    const int64_t *dims = rdl__attr_ints(infer->node, "shape", &n);
    if (n > RDL_MAX_RANK)
        return rdl__fail(infer->error, RDL_ERR_UNSUPPORTED, "shape has %zu dimensions", n);
    return rdl__op_out(infer, 0, rdl__op_dtype(infer->node, "dtype", RDL_F32), (int32_t)n, dims);
}

static enum rdl_status infer_like(const struct rdl__infer *infer)
{
    RDL_TRY(rdl__op_out_as_input(infer));
    infer->out[0].dtype = rdl__op_dtype(infer->node, "dtype", infer->in[0].dtype);
    return is_float(infer->out[0].dtype) ? RDL_OK : rdl__op_bad_dtype(infer, 0);
}

static enum rdl_status lower_fill(const struct rdl__lower *lower, bool normal, double a, double b)
{
    struct rdl__k_random_fill params = {
        .normal = normal, .dtype = lower->out[0].dtype, .a = a, .b = b};
    const size_t tiles =
        rdl__k_random_fill_plan(&params, (int64_t)rdl__shape_count(&lower->out[0].shape));
    struct rdl__operand bind[] = {{0}, RDL__OUT(0)};
    RDL_TRY(bind_key(lower, &bind[0]));
    return RDL__OP_STEP(lower, rdl__k_random_fill, params, tiles, bind);
}

static enum rdl_status lower_normal(const struct rdl__lower *lower)
{
    return lower_fill(lower, true, (double)rdl__attr_float(lower->node, "mean", 0.0f),
                      (double)rdl__attr_float(lower->node, "scale", 1.0f));
}

static enum rdl_status lower_uniform(const struct rdl__lower *lower)
{
    return lower_fill(lower, false, (double)rdl__attr_float(lower->node, "low", 0.0f),
                      (double)rdl__attr_float(lower->node, "high", 1.0f));
}

/* RandomNormal@1, RandomUniform@1 and their Like forms (22: more dtypes). */
RDL__OPERATOR(RandomNormal, 1, 0, 0, 1, 1, .flags = RDL__OP_RANDOM, .check = check_normal,
              .infer = infer_shape, .lower = lower_normal);
RDL__OPERATOR(RandomNormalLike, 1, 1, 1, 1, 1, .flags = RDL__OP_RANDOM, .check = check_normal_like,
              .infer = infer_like, .lower = lower_normal);
RDL__OPERATOR(RandomUniform, 1, 0, 0, 1, 1, .flags = RDL__OP_RANDOM, .check = check_uniform,
              .infer = infer_shape, .lower = lower_uniform);
RDL__OPERATOR(RandomUniformLike, 1, 1, 1, 1, 1, .flags = RDL__OP_RANDOM,
              .check = check_uniform_like, .infer = infer_like, .lower = lower_uniform);

/* ------------------------------------------------------------------------------------- Bernoulli */

static enum rdl_status check_bernoulli(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"dtype", RDL__ATTR_INT, false},
                                                  {"seed", RDL__ATTR_FLOAT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_dtype(node, is_number, error);
}

static enum rdl_status infer_bernoulli(const struct rdl__infer *infer)
{
    if (!is_float(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_out_as_input(infer));
    infer->out[0].dtype = rdl__op_dtype(infer->node, "dtype", infer->in[0].dtype);
    return RDL_OK;
}

/* Draws bytes, then casts them. */
static enum rdl_status lower_bernoulli(const struct rdl__lower *lower)
{
    const int64_t count = (int64_t)rdl__shape_count(&lower->out[0].shape);
    struct rdl__k_bernoulli params = {.dtype = lower->in[0].dtype};
    const size_t tiles = rdl__k_bernoulli_plan(&params, count);
    uint32_t bytes;
    RDL_TRY(rdl__lower_temp(lower, (size_t)count, &bytes));
    struct rdl__operand bind[] = {{0}, RDL__IN(0), RDL__TEMP_WRITE(bytes)};
    RDL_TRY(bind_key(lower, &bind[0]));
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_bernoulli, params, tiles, bind));
    struct rdl__k_cast cast = {.from = RDL_U8, .to = lower->out[0].dtype};
    const size_t cast_tiles = rdl__k_cast_plan(&cast, count);
    const struct rdl__operand cast_bind[] = {RDL__TEMP_READ(bytes), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_cast_ref, cast, cast_tiles, cast_bind);
}

/* Bernoulli@15 (22: more dtypes). */
RDL__OPERATOR(Bernoulli, 15, 1, 1, 1, 1, .flags = RDL__OP_RANDOM, .check = check_bernoulli,
              .infer = infer_bernoulli, .lower = lower_bernoulli);

/* ----------------------------------------------------------------------------------- Multinomial */

static enum rdl_status check_multinomial(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"dtype", RDL__ATTR_INT, false},
                                                  {"sample_size", RDL__ATTR_INT, false},
                                                  {"seed", RDL__ATTR_FLOAT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_dtype(node, is_index, error);
}

static enum rdl_status infer_multinomial(const struct rdl__infer *infer)
{
    if (!is_float(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 2, 2));
    const int64_t *x = infer->in[0].shape.dims;
    const int64_t dims[2] = {x[0], rdl__attr_int(infer->node, "sample_size", 1)};
    if (x[1] == 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 0: there are no classes");
    return rdl__op_out(infer, 0, rdl__op_dtype(infer->node, "dtype", RDL_I32), 2, dims);
}

static enum rdl_status lower_multinomial(const struct rdl__lower *lower)
{
    const int64_t *x = lower->in[0].shape.dims;
    struct rdl__k_multinomial params = {.dtype = lower->in[0].dtype,
                                        .wide = lower->out[0].dtype == RDL_I64,
                                        .batch = x[0],
                                        .classes = x[1],
                                        .samples = lower->out[0].shape.dims[1]};
    struct rdl__step_spec spec = {.fn = rdl__k_multinomial,
                                  .tiles = rdl__k_multinomial_plan(&params),
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .scratch_bytes = (size_t)x[1] * sizeof(double),
                                  .n_bind = 3,
                                  .bind = {{0}, RDL__IN(0), RDL__OUT(0)}};
    RDL_TRY(bind_key(lower, &spec.bind[0]));
    return rdl__lower_step(lower, &spec);
}

/* Multinomial@7 (22: more dtypes). */
RDL__OPERATOR(Multinomial, 7, 1, 1, 1, 1, .flags = RDL__OP_RANDOM, .check = check_multinomial,
              .infer = infer_multinomial, .lower = lower_multinomial);
