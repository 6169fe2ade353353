/*
 * Inputs of a model: shapes, given arrays and random values.
 */
#include "cli/inputs.h"

#include "cli/cli.h"
#include "cli/elements.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shapes of the command line -------------------------------------------------------------- */

static enum rdl_status parse_dims(const char *text, struct rdl_shape *out, struct rdl_error *error)
{
    out->rank = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, "x");
        char number[32];
        if (out->rank == RDL_MAX_RANK)
            return cli_fail(error, RDL_ERR_SHAPE, "more than %d dimensions", RDL_MAX_RANK);
        if (length >= sizeof number)
            return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not a dimension", text);
        memcpy(number, text, length);
        number[length] = '\0';
        CLI_TRY(cli_parse_number(number, 0, INT64_MAX, &out->dims[out->rank++], error));
        text += length;
        if (*text == '\0')
            return RDL_OK;
        text++;
        if (*text == '\0')
            return cli_fail(error, RDL_ERR_ARGUMENT, "a dimension is missing after 'x'");
    }
    return RDL_OK;
}

enum rdl_status named_shapes_add(struct named_shapes *shapes, const char *text,
                                 struct rdl_error *error)
{
    /* Names may hold '='; dimensions do not. */
    const char *equals = strrchr(text, '=');
    struct named_shape added = {0};
    if (equals == NULL || equals == text)
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not NAME=64x512", text);
    CLI_TRY(parse_dims(equals + 1, &added.shape, error));
    struct named_shape *items = realloc(shapes->items, (shapes->count + 1) * sizeof *shapes->items);
    if (items != NULL) {
        shapes->items = items;
        added.name = strndup(text, (size_t)(equals - text));
    }
    if (added.name == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    shapes->items[shapes->count++] = added;
    return RDL_OK;
}

static void named_shapes_fini(struct named_shapes *shapes)
{
    for (size_t i = 0; i < shapes->count; i++)
        free(shapes->items[i].name);
    free(shapes->items);
    *shapes = (struct named_shapes){0};
}

/* ---- elements of the command line ------------------------------------------------------------ */

enum rdl_status named_sets_add(struct named_sets *sets, const char *text, struct rdl_error *error)
{
    /* Names may hold '='; elements do not. */
    const char *equals = strrchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0')
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not NAME=V or NAME=V,V,...", text);
    struct named_set *items = realloc(sets->items, (sets->count + 1) * sizeof *sets->items);
    if (items == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    sets->items = items;
    struct named_set added = {strndup(text, (size_t)(equals - text)), equals + 1, 1};
    if (added.name == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    for (const char *at = added.elements; (at = strchr(at, ',')) != NULL; at++)
        added.count++;
    sets->items[sets->count++] = added;
    return RDL_OK;
}

static const struct named_set *find_set(const struct named_sets *sets, const char *name)
{
    for (size_t i = 0; i < sets->count; i++)
        if (strcmp(sets->items[i].name, name) == 0)
            return &sets->items[i];
    return NULL;
}

/* Fills a tensor: with the elements, or with the one that there is. */
static enum rdl_status fill_set(struct rdl_tensor *tensor, const struct named_set *set,
                                struct rdl_error *error)
{
    const size_t count = rdl_tensor_count(tensor);
    const size_t size = rdl_dtype_size(rdl_tensor_dtype(tensor));
    unsigned char *out = rdl_tensor_data(tensor), element[ELEMENT_BYTES] = {0};
    const char *at = set->elements;
    if (set->count != 1 && set->count != count)
        return cli_fail(error, RDL_ERR_SHAPE, "'%s' has %zu elements, --set gives %zu", set->name,
                        count, set->count);
    for (size_t i = 0; i < count; i++) {
        const size_t length = strcspn(at, ",");
        if (i == 0 || set->count > 1) {
            struct rdl_error cause;
            enum rdl_status status =
                element_parse(rdl_tensor_dtype(tensor), at, length, element, &cause);
            if (status != RDL_OK)
                return cli_fail(error, status, "--set %s: %s", set->name, cause.message);
            at += length + (at[length] == ',');
        }
        memcpy(out + i * size, element, size);
    }
    return RDL_OK;
}

void inputs_wish_fini(struct inputs_wish *wish)
{
    for (size_t i = 0; i < wish->sets.count; i++)
        free(wish->sets.items[i].name);
    free(wish->sets.items);
    named_shapes_fini(&wish->shapes);
    *wish = (struct inputs_wish){0};
}

/* ---- random values --------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1), a multiple of 2^-(bits - 1): exact in every type with that many bits. */
static double next_unit(uint64_t *state, unsigned bits)
{
    uint64_t whole = next_random(state) >> (64 - bits);
    double half = (double)(UINT64_C(1) << (bits - 1));
    return ((double)whole - half) / half;
}

/* Writes size_bytes of a small integer; the machine is little-endian, as .npy files here are. */
static void put_integer(unsigned char *out, uint64_t value, size_t size_bytes)
{
    memcpy(out, &value, size_bytes);
}

static void fill_random(struct rdl_tensor *tensor, uint64_t seed)
{
    enum rdl_dtype dtype = rdl_tensor_dtype(tensor);
    size_t size = rdl_dtype_size(dtype);
    size_t count = rdl_tensor_count(tensor);
    unsigned char *out = rdl_tensor_data(tensor);
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++, out += size) {
        switch (dtype) {
        case RDL_F32:
            memcpy(out, &(float){(float)next_unit(&state, 24)}, size);
            break;
        case RDL_F64:
            memcpy(out, &(double){next_unit(&state, 53)}, size);
            break;
        case RDL_F16:
            put_integer(out, element_half(next_unit(&state, 11)), size);
            break;
        case RDL_BF16:
            put_integer(out, element_bfloat((float)next_unit(&state, 8)), size);
            break;
        case RDL_BOOL:
            put_integer(out, next_random(&state) >> 63, size);
            break;
        default:
            put_integer(out, next_random(&state) % 10, size);
            break;
        }
    }
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static const struct rdl_port *find_input(const struct rdl_model_info *info, const char *name)
{
    for (size_t i = 0; i < rdl_model_info_input_count(info); i++) {
        const struct rdl_port *port = rdl_model_info_input(info, i);
        if (strcmp(port->name, name) == 0)
            return port;
    }
    return NULL;
}

static enum rdl_status no_such_input(const struct rdl_model_info *info, const char *name,
                                     struct rdl_error *error)
{
    char list[512] = "";
    size_t length = 0;
    for (size_t i = 0; i < rdl_model_info_input_count(info) && length < sizeof list; i++) {
        int more = snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? ", " : "",
                            rdl_model_info_input(info, i)->name);
        length += more > 0 ? (size_t)more : 0;
    }
    return cli_fail(error, RDL_ERR_NOT_FOUND, "the model has no input '%s'; it has %s", name,
                    list[0] != '\0' ? list : "none");
}

static bool is_given(const struct npz *given, const char *name)
{
    for (size_t i = 0; given != NULL && i < given->count; i++)
        if (strcmp(given->arrays[i].name, name) == 0)
            return true;
    return false;
}

/* Every array, shape and element is for an input of the model, and an array stands alone. */
static enum rdl_status check_names(const struct rdl_model_info *info, const struct npz *given,
                                   const struct inputs_wish *wish, struct rdl_error *error)
{
    size_t count = given != NULL ? given->count : 0;
    for (size_t i = 0; i < count; i++)
        if (find_input(info, given->arrays[i].name) == NULL)
            return no_such_input(info, given->arrays[i].name, error);
    for (size_t i = 0; i < wish->shapes.count; i++) {
        const char *name = wish->shapes.items[i].name;
        if (find_input(info, name) == NULL)
            return no_such_input(info, name, error);
        if (is_given(given, name))
            return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' has both an array and a shape", name);
    }
    for (size_t i = 0; i < wish->sets.count; i++) {
        const char *name = wish->sets.items[i].name;
        if (find_input(info, name) == NULL)
            return no_such_input(info, name, error);
        if (is_given(given, name))
            return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' has both an array and elements", name);
    }
    return RDL_OK;
}

void describe_dims(const struct rdl_port *port, char *out, size_t room)
{
    size_t length = (size_t)snprintf(out, room, "[%s", port->rank < 0 ? "..." : "");
    for (int32_t i = 0; i < port->rank && length < room; i++) {
        int more;
        if (port->dims[i] >= 0)
            more = snprintf(out + length, room - length, "%s%" PRId64, i > 0 ? ", " : "",
                            port->dims[i]);
        else
            more = snprintf(out + length, room - length, "%s%s", i > 0 ? ", " : "",
                            port->dim_names[i] != NULL ? port->dim_names[i] : "?");
        length += more > 0 ? (size_t)more : 0;
    }
    if (length < room)
        (void)snprintf(out + length, room - length, "]");
}

static enum rdl_status check_shape(const struct rdl_port *port, const struct rdl_shape *shape,
                                   struct rdl_error *error)
{
    bool fits = port->rank < 0 || port->rank == shape->rank;
    for (int32_t i = 0; fits && i < port->rank; i++)
        fits = port->dims[i] < 0 || port->dims[i] == shape->dims[i];
    if (fits)
        return RDL_OK;
    char wanted[512];
    describe_dims(port, wanted, sizeof wanted);
    return cli_fail(error, RDL_ERR_SHAPE, "the shape of '%s' is %s", port->name, wanted);
}

static enum rdl_status choose_shape(const struct rdl_port *port, const struct inputs_wish *wish,
                                    struct rdl_shape *out, struct rdl_error *error)
{
    const struct named_set *set = find_set(&wish->sets, port->name);
    for (size_t i = 0; i < wish->shapes.count; i++) {
        if (strcmp(wish->shapes.items[i].name, port->name) == 0) {
            *out = wish->shapes.items[i].shape;
            return check_shape(port, out, error);
        }
    }
    /* As many elements as there are say the shape of a vector; of a rank that is free, too. */
    if (set != NULL && (port->rank < 0 || (port->rank == 1 && port->dims[0] < 0))) {
        *out = (struct rdl_shape){.rank = port->rank == 1 || set->count > 1,
                                  .dims = {(int64_t)set->count}};
        return RDL_OK;
    }
    if (port->rank < 0)
        return cli_fail(error, RDL_ERR_SHAPE,
                        "the model leaves the rank of '%s' free: --shape %s=...", port->name,
                        port->name);
    out->rank = port->rank;
    for (int32_t i = 0; i < port->rank; i++) {
        out->dims[i] = port->dims[i] < 0 ? 1 : port->dims[i];
        if (port->dims[i] < 0 && i > 0) {
            char wanted[512];
            describe_dims(port, wanted, sizeof wanted);
            return cli_fail(error, RDL_ERR_SHAPE,
                            "'%s' is %s, with free dimensions: --shape %s=...", port->name, wanted,
                            port->name);
        }
    }
    return RDL_OK;
}

static enum rdl_status make_tensor(const struct rdl_port *port, const struct inputs_wish *wish,
                                   uint64_t seed, struct rdl_tensor **out, struct rdl_error *error)
{
    const struct named_set *set = find_set(&wish->sets, port->name);
    struct rdl_shape shape;
    if (port->kind != RDL_VALUE_TENSOR)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "'%s' is not a tensor: no random values",
                        port->name);
    if (port->dtype == RDL_STRING || port->dtype == RDL_DTYPE_NONE)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "'%s' has dtype %s: no random values",
                        port->name, rdl_dtype_name(port->dtype));
    CLI_TRY(choose_shape(port, wish, &shape, error));
    CLI_TRY(rdl_tensor_new(port->dtype, shape.rank, shape.dims, out, error));
    if (set == NULL) {
        fill_random(*out, seed);
        return RDL_OK;
    }
    const enum rdl_status status = fill_set(*out, set, error);
    if (status != RDL_OK)
        rdl_tensor_release(*out);
    return status;
}

static enum rdl_status make_input(const struct rdl_port *port, const struct npz *given,
                                  const struct inputs_wish *wish, uint64_t seed,
                                  struct rdl_value **out, struct rdl_error *error)
{
    for (size_t i = 0; given != NULL && i < given->count; i++)
        if (strcmp(given->arrays[i].name, port->name) == 0)
            return rdl_value_from_tensor(given->arrays[i].tensor, out, error);
    struct rdl_tensor *tensor = NULL;
    CLI_TRY(make_tensor(port, wish, seed, &tensor, error));
    enum rdl_status status = rdl_value_from_tensor(tensor, out, error);
    rdl_tensor_release(tensor);
    return status;
}

enum rdl_status inputs_make(const struct rdl_model_info *info, const struct npz *given,
                            const struct inputs_wish *wish, uint64_t seed, struct rdl_value **out,
                            struct rdl_error *error)
{
    size_t count = rdl_model_info_input_count(info);
    memset(out, 0, count * sizeof *out);
    enum rdl_status status = check_names(info, given, wish, error);
    /* One stream of numbers for each seed and input. */
    uint64_t state = seed;
    for (size_t i = 0; i < count && status == RDL_OK; i++)
        status = make_input(rdl_model_info_input(info, i), given, wish, next_random(&state),
                            &out[i], error);
    if (status != RDL_OK)
        values_release(out, count);
    return status;
}

void values_release(struct rdl_value **values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rdl_value_release(values[i]);
        values[i] = NULL;
    }
}
