/*
 * Tensors: making, wrapping, views, copies, strings, and every refusal with its message.
 */
#include "support/cmocka.h"
#include "support/threads.h"

#include "raddle/raddle.h"

#include <string.h>

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})
/* Fails, says so in exactly these words, and gives nothing. */
#define REFUSED(call, expected, text)                                                              \
    do {                                                                                           \
        out = (struct rdl_tensor *)(void *)&error;                                                 \
        error = (struct rdl_error){.status = RDL_OK};                                              \
        assert_int_equal((call), (expected));                                                      \
        assert_int_equal(error.status, (expected));                                                \
        assert_string_equal(error.message, (text));                                                \
        assert_null(out);                                                                          \
    } while (0)

static struct rdl_tensor *make(enum rdl_dtype dtype, int32_t rank, const int64_t *dims)
{
    struct rdl_tensor *tensor;
    assert_int_equal(rdl_tensor_new(dtype, rank, dims, &tensor, NULL), RDL_OK);
    return tensor;
}

/* [rows, columns] of i32: 0, 1, 2, ... */
static struct rdl_tensor *counted(int64_t rows, int64_t columns)
{
    struct rdl_tensor *tensor = make(RDL_I32, 2, DIMS(rows, columns));
    int32_t *data = rdl_tensor_data(tensor);
    for (int32_t i = 0; i < (int32_t)(rows * columns); i++)
        data[i] = i;
    return tensor;
}

static struct rdl_tensor *view(struct rdl_tensor *src, int32_t rank, const int64_t *dims,
                               const int64_t *strides, size_t offset)
{
    struct rdl_tensor *tensor;
    assert_int_equal(rdl_tensor_view(src, rank, dims, strides, offset, &tensor, NULL), RDL_OK);
    return tensor;
}

static void dtypes_have_names_and_sizes(void **state)
{
    (void)state;
#define CHECK_DTYPE(name, value, text, size)                                                       \
    assert_int_equal(RDL_##name, value);                                                           \
    assert_string_equal(rdl_dtype_name(RDL_##name), text);                                         \
    assert_int_equal(rdl_dtype_size(RDL_##name), size);
    RDL_DTYPE_LIST(CHECK_DTYPE)
#undef CHECK_DTYPE
    assert_string_equal(rdl_dtype_name(RDL_DTYPE_NONE), "none");
    assert_int_equal(rdl_dtype_size(RDL_DTYPE_NONE), 0);
    assert_string_equal(rdl_dtype_name((enum rdl_dtype)14), "none");
    assert_int_equal(rdl_dtype_size((enum rdl_dtype)14), 0);
}

static void tensor_new_is_zeroed_aligned_and_in_c_order(void **state)
{
    (void)state;
    static const enum rdl_dtype dtypes[] = {
#define ITEM(name, value, text, size) RDL_##name,
        RDL_DTYPE_LIST(ITEM)
#undef ITEM
    };
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        struct rdl_tensor *tensor = make(dtypes[i], 3, DIMS(2, 3, 4));
        const unsigned char *data = rdl_tensor_data(tensor);
        assert_int_equal(rdl_tensor_dtype(tensor), dtypes[i]);
        assert_int_equal(rdl_tensor_rank(tensor), 3);
        assert_memory_equal(rdl_tensor_dims(tensor), DIMS(2, 3, 4), 3 * sizeof(int64_t));
        assert_memory_equal(rdl_tensor_strides(tensor), DIMS(12, 4, 1), 3 * sizeof(int64_t));
        assert_int_equal(rdl_tensor_count(tensor), 24);
        assert_int_equal(rdl_tensor_capacity_bytes(tensor), 24 * rdl_dtype_size(dtypes[i]));
        assert_true(rdl_tensor_is_host(tensor));
        assert_int_equal((uintptr_t)data % 64, 0);
        for (size_t k = 0; k < rdl_tensor_capacity_bytes(tensor); k++)
            assert_int_equal(data[k], 0);
        rdl_tensor_release(tensor);
    }
}

static void tensor_of_rank_0_and_of_the_largest_rank(void **state)
{
    (void)state;
    struct rdl_tensor *scalar = make(RDL_F64, 0, NULL);
    assert_int_equal(rdl_tensor_rank(scalar), 0);
    assert_int_equal(rdl_tensor_count(scalar), 1);
    assert_int_equal(rdl_tensor_capacity_bytes(scalar), 8);
    rdl_tensor_release(scalar);
    struct rdl_tensor *largest = make(RDL_U8, 8, DIMS(1, 2, 1, 2, 1, 2, 1, 2));
    assert_int_equal(rdl_tensor_count(largest), 16);
    rdl_tensor_release(largest);
    rdl_tensor_release(NULL);
}

static void tensor_without_elements_is_allowed(void **state)
{
    (void)state;
    struct rdl_tensor *empty = make(RDL_F32, 3, DIMS(4, 0, 3)), *out;
    assert_int_equal(rdl_tensor_count(empty), 0);
    assert_int_equal(rdl_tensor_capacity_bytes(empty), 0);
    struct rdl_tensor *other = make(RDL_F32, 3, DIMS(4, 0, 3));
    assert_int_equal(rdl_tensor_copy(empty, other, NULL), RDL_OK);
    struct rdl_tensor *part = view(empty, 1, DIMS(0), NULL, 0);
    rdl_tensor_release(part);
    rdl_tensor_release(other);
    rdl_tensor_release(empty);
    /* No element exists, so no memory need. */
    assert_int_equal(rdl_tensor_wrap(RDL_F32, 2, DIMS(0, 8), NULL, NULL, 0, NULL, NULL, &out, NULL),
                     RDL_OK);
    assert_null(rdl_tensor_data(out));
    rdl_tensor_release(out);
    struct rdl_tensor *strings = make(RDL_STRING, 1, DIMS(0));
    rdl_tensor_release(strings);
}

static void tensor_new_refuses(void **state)
{
    (void)state;
    struct rdl_tensor *out;
    struct rdl_error error;
    assert_int_equal(rdl_tensor_new(RDL_F32, 0, NULL, NULL, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "tensor: out is NULL");
    REFUSED(rdl_tensor_new(RDL_DTYPE_NONE, 0, NULL, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: unknown dtype 0");
    REFUSED(rdl_tensor_new((enum rdl_dtype)99, 0, NULL, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: unknown dtype 99");
    REFUSED(rdl_tensor_new(RDL_F32, -1, NULL, &out, &error), RDL_ERR_SHAPE,
            "tensor: rank -1 is outside 0..8");
    REFUSED(rdl_tensor_new(RDL_F32, 9, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), &out, &error),
            RDL_ERR_SHAPE, "tensor: rank 9 is outside 0..8");
    REFUSED(rdl_tensor_new(RDL_F32, 1, NULL, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: dims is NULL with rank 1");
    REFUSED(rdl_tensor_new(RDL_F32, 2, DIMS(2, -3), &out, &error), RDL_ERR_SHAPE,
            "tensor: dimension 1 is negative (-3)");
    REFUSED(rdl_tensor_new(RDL_F32, 2, DIMS(0, INT64_MIN), &out, &error), RDL_ERR_SHAPE,
            "tensor: dimension 1 is negative (-9223372036854775808)");
    REFUSED(rdl_tensor_new(RDL_F32, 2, DIMS(INT64_MAX / 16, 3), &out, &error), RDL_ERR_OVERFLOW,
            "tensor: size of dimension 1 (3) overflows the size");
    REFUSED(rdl_tensor_new(RDL_U8, 1, DIMS(INT64_MAX), &out, &error), RDL_ERR_OVERFLOW,
            "tensor: size of dimension 0 (9223372036854775807) overflows the size");
    /* A zero does not excuse the rest: strides would overflow. */
    REFUSED(rdl_tensor_new(RDL_U8, 3, DIMS(0, INT64_MAX / 16, 17), &out, &error), RDL_ERR_OVERFLOW,
            "tensor: product of dimension 2 (17) overflows the size");
    assert_int_equal(rdl_tensor_new(RDL_F32, -1, NULL, &out, NULL), RDL_ERR_SHAPE);
}

/* ---------------------------------------------------------------------------------------- wrapping */

struct freed {
    void *data;
    unsigned times;
};

static void note_freed(void *data, void *user)
{
    struct freed *freed = user;
    freed->data = data;
    freed->times++;
}

static void tensor_wrap_uses_and_gives_back_lent_memory(void **state)
{
    (void)state;
    float data[2][3] = {{1, 2, 3}, {4, 5, 6}};
    struct freed freed = {NULL, 0};
    struct rdl_tensor *tensor;
    assert_int_equal(rdl_tensor_wrap(RDL_F32, 2, DIMS(2, 3), NULL, data, sizeof data, note_freed,
                                     &freed, &tensor, NULL),
                     RDL_OK);
    assert_ptr_equal(rdl_tensor_data(tensor), data);
    assert_int_equal(rdl_tensor_capacity_bytes(tensor), sizeof data);
    assert_ptr_equal(rdl_tensor_retain(tensor), tensor);
    rdl_tensor_release(tensor);
    assert_int_equal(freed.times, 0);
    rdl_tensor_release(tensor);
    assert_int_equal(freed.times, 1);
    assert_ptr_equal(freed.data, data);
    /* Without a function the caller keeps it. */
    assert_int_equal(
        rdl_tensor_wrap(RDL_F32, 1, DIMS(6), NULL, data, sizeof data, NULL, NULL, &tensor, NULL),
        RDL_OK);
    rdl_tensor_release(tensor);
    assert_true(data[1][2] == 6);
}

static void tensor_wrap_takes_strides_that_fit(void **state)
{
    (void)state;
    int32_t data[12];
    struct rdl_tensor *tensor, *out;
    struct rdl_error error;
    /* Every second column of [3, 4]: the last element is the 11th. */
    assert_int_equal(rdl_tensor_wrap(RDL_I32, 2, DIMS(3, 2), DIMS(4, 2), data, 11 * sizeof *data,
                                     NULL, NULL, &tensor, NULL),
                     RDL_OK);
    assert_memory_equal(rdl_tensor_strides(tensor), DIMS(4, 2), 2 * sizeof(int64_t));
    rdl_tensor_release(tensor);
    REFUSED(rdl_tensor_wrap(RDL_I32, 2, DIMS(3, 2), DIMS(4, 2), data, 10 * sizeof *data, NULL, NULL,
                            &out, &error),
            RDL_ERR_BUFFER_SIZE, "tensor: shape and strides reach over 44 bytes of 40");
    /* Stride 0 repeats one element. */
    assert_int_equal(rdl_tensor_wrap(RDL_I32, 1, DIMS(1000), DIMS(0), data, sizeof *data, NULL,
                                     NULL, &tensor, NULL),
                     RDL_OK);
    rdl_tensor_release(tensor);
}

static void tensor_wrap_refuses_and_frees_nothing(void **state)
{
    (void)state;
    _Alignas(8) char data[64];
    struct freed freed = {NULL, 0};
    struct rdl_tensor *out;
    struct rdl_error error;
#define WRAP(dtype, rank, dims, strides, data, size)                                               \
    rdl_tensor_wrap(dtype, rank, dims, strides, data, size, note_freed, &freed, &out, &error)
    REFUSED(WRAP(RDL_F32, 1, DIMS(17), NULL, data, 64), RDL_ERR_BUFFER_SIZE,
            "tensor: shape and strides reach over 68 bytes of 64");
    REFUSED(WRAP(RDL_F32, 1, DIMS(4), NULL, NULL, 64), RDL_ERR_ARGUMENT, "tensor: data is NULL");
    REFUSED(WRAP(RDL_F64, 1, DIMS(4), NULL, data + 4, 60), RDL_ERR_ARGUMENT,
            "tensor: data is not aligned to 8 bytes");
    REFUSED(WRAP(RDL_STRING, 1, DIMS(1), NULL, data, 64), RDL_ERR_ARGUMENT,
            "tensor: string elements cannot be lent");
    REFUSED(WRAP(RDL_F32, 2, DIMS(2, 2), DIMS(2, -1), data, 64), RDL_ERR_ARGUMENT,
            "tensor: stride 1 is negative (-1)");
    REFUSED(WRAP(RDL_F32, 2, DIMS(3, 2), DIMS(INT64_MAX, 1), data, SIZE_MAX), RDL_ERR_OVERFLOW,
            "tensor: size overflows");
    REFUSED(WRAP(RDL_F32, 2, DIMS(2, 2), DIMS(INT64_MAX, 1), data, SIZE_MAX), RDL_ERR_OVERFLOW,
            "tensor: size overflows");
    REFUSED(WRAP(RDL_DTYPE_NONE, 1, DIMS(4), NULL, data, 64), RDL_ERR_ARGUMENT,
            "tensor: unknown dtype 0");
    REFUSED(WRAP(RDL_F32, 1, DIMS(-4), NULL, data, 64), RDL_ERR_SHAPE,
            "tensor: dimension 0 is negative (-4)");
#undef WRAP
    assert_int_equal(freed.times, 0);
}

/* ------------------------------------------------------------------------------------------- views */

static void tensor_view_shows_a_part_and_keeps_the_memory(void **state)
{
    (void)state;
    int32_t data[12];
    struct freed freed = {NULL, 0};
    struct rdl_tensor *owner;
    for (int32_t i = 0; i < 12; i++)
        data[i] = i;
    assert_int_equal(rdl_tensor_wrap(RDL_I32, 2, DIMS(3, 4), NULL, data, sizeof data, note_freed,
                                     &freed, &owner, NULL),
                     RDL_OK);
    struct rdl_tensor *rows = view(owner, 2, DIMS(2, 4), NULL, 4);
    struct rdl_tensor *column = view(rows, 1, DIMS(2), DIMS(4), 1); /* a view of a view */
    assert_ptr_equal(rdl_tensor_data(column), &data[5]);
    assert_int_equal(rdl_tensor_capacity_bytes(column), 7 * sizeof *data);
    rdl_tensor_release(owner);
    rdl_tensor_release(rows);
    assert_int_equal(freed.times, 0); /* the last view holds it still */
    struct rdl_tensor *copy = make(RDL_I32, 1, DIMS(2));
    assert_int_equal(rdl_tensor_copy(column, copy, NULL), RDL_OK);
    assert_memory_equal(rdl_tensor_data(copy), ((int32_t[]){5, 9}), 2 * sizeof(int32_t));
    rdl_tensor_release(column);
    assert_int_equal(freed.times, 1);
    rdl_tensor_release(copy);
}

static void tensor_view_refuses_what_lies_outside(void **state)
{
    (void)state;
    struct rdl_tensor *tensor = counted(3, 4), *out;
    struct rdl_error error;
    assert_int_equal(rdl_tensor_view(NULL, 0, NULL, NULL, 0, &out, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "tensor: src is NULL");
    REFUSED(rdl_tensor_view(tensor, 1, DIMS(12), NULL, 1, &out, &error), RDL_ERR_BUFFER_SIZE,
            "tensor: shape and strides reach over 48 bytes of 44");
    REFUSED(rdl_tensor_view(tensor, 1, DIMS(0), NULL, 13, &out, &error), RDL_ERR_BUFFER_SIZE,
            "tensor: offset lies behind the memory");
    REFUSED(rdl_tensor_view(tensor, 1, DIMS(1), NULL, SIZE_MAX / 2, &out, &error),
            RDL_ERR_BUFFER_SIZE, "tensor: offset lies behind the memory");
    REFUSED(rdl_tensor_view(tensor, 1, DIMS(1), DIMS(-1), 0, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: stride 0 is negative (-1)");
    REFUSED(rdl_tensor_view(tensor, 1, DIMS(-1), NULL, 0, &out, &error), RDL_ERR_SHAPE,
            "tensor: dimension 0 is negative (-1)");
    REFUSED(rdl_tensor_view(tensor, 2, DIMS(INT64_MAX / 16, 2), NULL, 0, &out, &error),
            RDL_ERR_OVERFLOW, "tensor: size of dimension 1 (2) overflows the size");
    struct rdl_tensor *end = view(tensor, 1, DIMS(0), NULL, 12); /* empty, at the very end */
    rdl_tensor_release(end);
    rdl_tensor_release(tensor);
}

static void tensor_from_buffer_views_device_memory(void **state)
{
    (void)state;
    struct rdl_device cpu, sim;
    struct rdl_buffer *host, *remote;
    struct rdl_tensor *tensor, *out, *copy;
    struct rdl_error error;
    assert_int_equal(rdl_device_open("cpu", NULL, &cpu, NULL), RDL_OK);
    assert_int_equal(rdl_device_open("sim", NULL, &sim, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(cpu, 64, NULL, &host, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(sim, 64, NULL, &remote, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_from_buffer(RDL_F32, 1, DIMS(8), host, 32, &tensor, NULL), RDL_OK);
    assert_ptr_equal(rdl_tensor_data(tensor), (char *)rdl_buffer_data(host) + 32);
    assert_true(rdl_tensor_is_host(tensor));
    REFUSED(rdl_tensor_from_buffer(RDL_F32, 1, DIMS(9), host, 32, &out, &error),
            RDL_ERR_BUFFER_SIZE, "tensor: shape and strides reach over 36 bytes of 32");
    REFUSED(rdl_tensor_from_buffer(RDL_F32, 1, DIMS(1), host, 65, &out, &error),
            RDL_ERR_BUFFER_SIZE, "tensor: offset lies behind the buffer");
    REFUSED(rdl_tensor_from_buffer(RDL_F32, 1, DIMS(1), host, 2, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: data is not aligned to 4 bytes");
    REFUSED(rdl_tensor_from_buffer(RDL_F32, 1, DIMS(1), NULL, 0, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: buffer is NULL");
    REFUSED(rdl_tensor_from_buffer(RDL_STRING, 1, DIMS(1), host, 0, &out, &error), RDL_ERR_ARGUMENT,
            "tensor: string elements cannot be lent");
    rdl_buffer_release(host); /* the tensor holds it */
    memset(rdl_tensor_data(tensor), 0, 32);
    /* Memory that the host cannot read is named, and not copied by the host. */
    assert_int_equal(rdl_tensor_from_buffer(RDL_F32, 1, DIMS(8), remote, 0, &copy, NULL), RDL_OK);
    assert_false(rdl_tensor_is_host(copy));
    assert_int_equal(rdl_tensor_copy(tensor, copy, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_copy: a tensor is not in host memory");
    assert_int_equal(rdl_tensor_copy(copy, tensor, NULL), RDL_ERR_ARGUMENT);
    rdl_tensor_release(copy);
    rdl_buffer_release(remote);
    rdl_tensor_release(tensor);
}

/* ------------------------------------------------------------------------------------------ copies */

/* Copies between all pairs of layouts of [3, 4] and compares element by element. */
static void tensor_copy_goes_between_any_strides(void **state)
{
    (void)state;
    static const struct {
        int64_t strides[2];
        size_t elems; /* of memory */
    } layouts[] = {{{4, 1}, 12}, {{1, 3}, 12}, {{8, 2}, 24}, {{5, 1}, 15}, {{1, 7}, 24}};
    enum { LAYOUTS = sizeof layouts / sizeof *layouts };
    for (size_t a = 0; a < LAYOUTS; a++)
        for (size_t b = 0; b < LAYOUTS; b++) {
            struct rdl_tensor *from = make(RDL_I64, 1, DIMS((int64_t)layouts[a].elems));
            struct rdl_tensor *to = make(RDL_I64, 1, DIMS((int64_t)layouts[b].elems));
            struct rdl_tensor *src = view(from, 2, DIMS(3, 4), layouts[a].strides, 0);
            struct rdl_tensor *dst = view(to, 2, DIMS(3, 4), layouts[b].strides, 0);
            int64_t *in = rdl_tensor_data(from), *out = rdl_tensor_data(to);
            for (size_t i = 0; i < layouts[a].elems; i++)
                in[i] = 1 + (int64_t)i;
            assert_int_equal(rdl_tensor_copy(src, dst, NULL), RDL_OK);
            size_t written = 0;
            for (size_t i = 0; i < layouts[b].elems; i++)
                written += out[i] != 0;
            assert_int_equal(written, 12); /* and nothing between the elements */
            for (int64_t r = 0; r < 3; r++)
                for (int64_t c = 0; c < 4; c++)
                    assert_int_equal(out[r * layouts[b].strides[0] + c * layouts[b].strides[1]],
                                     in[r * layouts[a].strides[0] + c * layouts[a].strides[1]]);
            rdl_tensor_release(src);
            rdl_tensor_release(dst);
            rdl_tensor_release(from);
            rdl_tensor_release(to);
        }
}

static void tensor_copy_of_scalars_and_broadcast_sources(void **state)
{
    (void)state;
    struct rdl_tensor *one = make(RDL_F32, 0, NULL), *other = make(RDL_F32, 0, NULL);
    *(float *)rdl_tensor_data(one) = 7;
    assert_int_equal(rdl_tensor_copy(one, other, NULL), RDL_OK);
    assert_true(*(float *)rdl_tensor_data(other) == 7);
    struct rdl_tensor *many = view(one, 2, DIMS(2, 3), DIMS(0, 0), 0);
    struct rdl_tensor *dst = make(RDL_F32, 2, DIMS(2, 3));
    assert_int_equal(rdl_tensor_copy(many, dst, NULL), RDL_OK);
    for (int i = 0; i < 6; i++)
        assert_true(((float *)rdl_tensor_data(dst))[i] == 7);
    rdl_tensor_release(many);
    rdl_tensor_release(dst);
    rdl_tensor_release(one);
    rdl_tensor_release(other);
}

static void tensor_copy_refuses(void **state)
{
    (void)state;
    struct rdl_tensor *a = counted(2, 3), *b = counted(3, 2);
    struct rdl_tensor *f = make(RDL_F32, 2, DIMS(2, 3));
    struct rdl_error error;
    assert_int_equal(rdl_tensor_copy(a, b, &error), RDL_ERR_SHAPE);
    assert_string_equal(error.message, "rdl_tensor_copy: i32 [2, 3] into i32 [3, 2]");
    assert_int_equal(rdl_tensor_copy(a, f, &error), RDL_ERR_SHAPE);
    assert_string_equal(error.message, "rdl_tensor_copy: i32 [2, 3] into f32 [2, 3]");
    assert_int_equal(rdl_tensor_copy(NULL, f, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_copy: a tensor is NULL");
    assert_int_equal(rdl_tensor_copy(f, NULL, NULL), RDL_ERR_ARGUMENT);
    rdl_tensor_release(a);
    rdl_tensor_release(b);
    rdl_tensor_release(f);
}

/* ----------------------------------------------------------------------------------------- strings */

static void assert_string_at(const struct rdl_tensor *tensor, size_t index, const char *bytes,
                             size_t size)
{
    const char *got;
    size_t got_size;
    assert_int_equal(rdl_tensor_get_string(tensor, index, &got, &got_size), RDL_OK);
    assert_int_equal(got_size, size);
    assert_non_null(got);
    assert_memory_equal(got, bytes, size);
}

static void strings_are_copied_in_and_hold_zeros(void **state)
{
    (void)state;
    struct rdl_tensor *tensor = make(RDL_STRING, 2, DIMS(2, 2));
    char text[] = "a\0b";
    assert_string_at(tensor, 3, "", 0);
    assert_int_equal(rdl_tensor_set_string(tensor, 1, text, 3), RDL_OK);
    text[0] = 'x';
    assert_string_at(tensor, 1, "a\0b", 3);
    assert_int_equal(rdl_tensor_set_string(tensor, 1, "longer than before", 18), RDL_OK);
    assert_string_at(tensor, 1, "longer than before", 18);
    assert_int_equal(rdl_tensor_set_string(tensor, 1, NULL, 0), RDL_OK);
    assert_string_at(tensor, 1, "", 0);
    const char *bytes;
    size_t size;
    assert_int_equal(rdl_tensor_get_string(tensor, 4, &bytes, &size), RDL_ERR_ARGUMENT);
    assert_int_equal(rdl_tensor_set_string(tensor, 4, "x", 1), RDL_ERR_ARGUMENT);
    struct rdl_tensor *numbers = counted(1, 1);
    assert_int_equal(rdl_tensor_get_string(numbers, 0, &bytes, &size), RDL_ERR_ARGUMENT);
    assert_int_equal(rdl_tensor_set_string(numbers, 0, "x", 1), RDL_ERR_ARGUMENT);
    rdl_tensor_release(numbers);
    rdl_tensor_release(tensor);
}

static void strings_are_copied_deeply_and_through_views(void **state)
{
    (void)state;
    struct rdl_tensor *tensor = make(RDL_STRING, 2, DIMS(2, 3));
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(rdl_tensor_set_string(tensor, i, &"abcdef"[i], 6 - i), RDL_OK);
    struct rdl_tensor *turned = view(tensor, 2, DIMS(3, 2), DIMS(1, 3), 0);
    assert_string_at(turned, 1, "def", 3); /* element [0, 1] of the transpose is [1, 0] */
    struct rdl_tensor *copy = make(RDL_STRING, 2, DIMS(3, 2));
    assert_int_equal(rdl_tensor_copy(turned, copy, NULL), RDL_OK);
    rdl_tensor_release(tensor);
    rdl_tensor_release(turned);
    assert_string_at(copy, 1, "def", 3);
    assert_string_at(copy, 5, "f", 1);
    assert_int_equal(rdl_tensor_copy(copy, copy, NULL), RDL_OK); /* onto itself */
    assert_string_at(copy, 1, "def", 3);
    rdl_tensor_release(copy);
}

/* ----------------------------------------------------------------------------------------- threads */

struct shared_tensor {
    struct rdl_tensor *tensor;
};

static void hold_and_view(unsigned index, void *shared)
{
    struct rdl_tensor *tensor = ((struct shared_tensor *)shared)->tensor;
    for (int i = 0; i < 2000; i++) {
        struct rdl_tensor *mine = rdl_tensor_retain(tensor), *part;
        CHECK(rdl_tensor_view(mine, 1, DIMS(4), NULL, (size_t)(index % 3) * 4, &part, NULL) ==
              RDL_OK);
        rdl_tensor_release(mine);
        CHECK(*(int32_t *)rdl_tensor_data(part) == (int32_t)(index % 3) * 4);
        rdl_tensor_release(part);
    }
    rdl_tensor_release(tensor); /* one reference was given to each thread */
}

static void tensor_references_are_counted_across_threads(void **state)
{
    (void)state;
    int32_t data[12];
    struct freed freed = {NULL, 0};
    struct shared_tensor shared;
    for (int32_t i = 0; i < 12; i++)
        data[i] = i;
    assert_int_equal(rdl_tensor_wrap(RDL_I32, 1, DIMS(12), NULL, data, sizeof data, note_freed,
                                     &freed, &shared.tensor, NULL),
                     RDL_OK);
    for (int i = 1; i < 6; i++)
        (void)rdl_tensor_retain(shared.tensor);
    assert_int_equal(test_run_threads(6, hold_and_view, &shared), 0);
    assert_int_equal(freed.times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_names_and_sizes),
        cmocka_unit_test(tensor_new_is_zeroed_aligned_and_in_c_order),
        cmocka_unit_test(tensor_of_rank_0_and_of_the_largest_rank),
        cmocka_unit_test(tensor_without_elements_is_allowed),
        cmocka_unit_test(tensor_new_refuses),
        cmocka_unit_test(tensor_wrap_uses_and_gives_back_lent_memory),
        cmocka_unit_test(tensor_wrap_takes_strides_that_fit),
        cmocka_unit_test(tensor_wrap_refuses_and_frees_nothing),
        cmocka_unit_test(tensor_view_shows_a_part_and_keeps_the_memory),
        cmocka_unit_test(tensor_view_refuses_what_lies_outside),
        cmocka_unit_test(tensor_from_buffer_views_device_memory),
        cmocka_unit_test(tensor_copy_goes_between_any_strides),
        cmocka_unit_test(tensor_copy_of_scalars_and_broadcast_sources),
        cmocka_unit_test(tensor_copy_refuses),
        cmocka_unit_test(strings_are_copied_in_and_hold_zeros),
        cmocka_unit_test(strings_are_copied_deeply_and_through_views),
        cmocka_unit_test(tensor_references_are_counted_across_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
