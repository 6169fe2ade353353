/*
 * DLPack in and out: what is taken over, what is refused, and when the deleter runs.
 */
#include "support/cmocka.h"
#include "support/threads.h"

#include "raddle/raddle.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A producer's structure: its deleter counts, and tells on which thread it ran. */
struct foreign {
    struct rdl_dlpack dlpack;
    int64_t shape[2], strides[2];
    float data[6];
    unsigned deleted;
    pthread_t deleted_on;
};

static void delete_foreign(struct rdl_dlpack *self)
{
    struct foreign *foreign = self->manager_ctx;
    foreign->deleted++;
    foreign->deleted_on = pthread_self();
}

static void fill(struct foreign *foreign)
{
    *foreign = (struct foreign){.shape = {2, 3}, .strides = {3, 1}, .data = {0, 1, 2, 3, 4, 5}};
    foreign->dlpack = (struct rdl_dlpack){
        .version = {1, 0},
        .manager_ctx = foreign,
        .deleter = delete_foreign,
        .tensor = {.data = foreign->data,
                   .device_type = 1,
                   .ndim = 2,
                   .dtype_code = 2,
                   .dtype_bits = 32,
                   .dtype_lanes = 1,
                   .shape = foreign->shape,
                   .strides = foreign->strides},
    };
}

static void dlpack_in_uses_the_memory_and_deletes_once(void **state)
{
    (void)state;
    struct foreign foreign;
    struct rdl_tensor *tensor;
    fill(&foreign);
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_ptr_equal(rdl_tensor_data(tensor), foreign.data);
    assert_int_equal(rdl_tensor_dtype(tensor), RDL_F32);
    assert_int_equal(rdl_tensor_capacity_bytes(tensor), sizeof foreign.data);
    assert_memory_equal(rdl_tensor_dims(tensor), foreign.shape, sizeof foreign.shape);
    struct rdl_tensor *view;
    const int64_t dims[1] = {3};
    assert_int_equal(rdl_tensor_view(tensor, 1, dims, NULL, 3, &view, NULL), RDL_OK);
    rdl_tensor_release(tensor);
    assert_int_equal(foreign.deleted, 0); /* the view holds it */
    rdl_tensor_release(view);
    assert_int_equal(foreign.deleted, 1);
}

static void dlpack_in_takes_strides_offsets_and_newer_minors(void **state)
{
    (void)state;
    struct foreign foreign;
    struct rdl_tensor *tensor;
    fill(&foreign);
    foreign.dlpack.version.minor = 7;
    foreign.dlpack.tensor.byte_offset = 4;
    foreign.shape[0] = 1;
    foreign.shape[1] = 2;
    foreign.strides[1] = 2; /* elements 1 and 3 */
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_ptr_equal(rdl_tensor_data(tensor), &foreign.data[1]);
    assert_int_equal(rdl_tensor_capacity_bytes(tensor), 3 * sizeof(float));
    rdl_tensor_release(tensor);
    /* No strides: C order. No deleter: nothing to call. */
    fill(&foreign);
    foreign.dlpack.tensor.strides = NULL;
    foreign.dlpack.deleter = NULL;
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_strides(tensor)[0], 3);
    rdl_tensor_release(tensor);
    /* Nothing in it: no data needed. */
    fill(&foreign);
    foreign.shape[0] = 0;
    foreign.dlpack.tensor.data = NULL;
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_count(tensor), 0);
    rdl_tensor_release(tensor);
    assert_int_equal(foreign.deleted, 1);
}

static void dlpack_in_knows_every_dtype_that_both_have(void **state)
{
    (void)state;
    static const struct {
        enum rdl_dtype dtype;
        uint8_t code, bits;
    } cases[] = {{RDL_I8, 0, 8},   {RDL_I16, 0, 16}, {RDL_I32, 0, 32}, {RDL_I64, 0, 64},
                 {RDL_U8, 1, 8},   {RDL_U16, 1, 16}, {RDL_U32, 1, 32}, {RDL_U64, 1, 64},
                 {RDL_F16, 2, 16}, {RDL_F32, 2, 32}, {RDL_F64, 2, 64}, {RDL_BF16, 4, 16},
                 {RDL_BOOL, 6, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t dims[2] = {2, 3};
        struct rdl_tensor *tensor, *back;
        struct rdl_dlpack *dlpack;
        assert_int_equal(rdl_tensor_new(cases[i].dtype, 2, dims, &tensor, NULL), RDL_OK);
        assert_int_equal(rdl_tensor_to_dlpack(tensor, &dlpack, NULL), RDL_OK);
        assert_int_equal(dlpack->tensor.dtype_code, cases[i].code);
        assert_int_equal(dlpack->tensor.dtype_bits, cases[i].bits);
        assert_int_equal(dlpack->tensor.dtype_lanes, 1);
        assert_int_equal(rdl_tensor_from_dlpack(dlpack, &back, NULL), RDL_OK); /* and in again */
        assert_int_equal(rdl_tensor_dtype(back), cases[i].dtype);
        assert_ptr_equal(rdl_tensor_data(back), rdl_tensor_data(tensor));
        rdl_tensor_release(tensor);
        memset(rdl_tensor_data(back), 0, rdl_tensor_capacity_bytes(back)); /* still there */
        rdl_tensor_release(back);
    }
}

/* Refused, in these words, and the producer keeps what is his. */
#define REFUSED(change, expected, text)                                                            \
    do {                                                                                           \
        fill(&foreign);                                                                            \
        change;                                                                                    \
        assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, &error), (expected));    \
        assert_string_equal(error.message, (text));                                                \
        assert_null(tensor);                                                                       \
        assert_int_equal(foreign.deleted, 0);                                                      \
    } while (0)

static void dlpack_in_refuses_and_deletes_nothing(void **state)
{
    (void)state;
    struct foreign foreign;
    struct rdl_tensor *tensor;
    struct rdl_error error;
    struct rdl_dlpack_tensor *in = &foreign.dlpack.tensor;
    REFUSED(foreign.dlpack.version.major = 2, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: version 2.0, expected 1.x");
    REFUSED(foreign.dlpack.version.major = 0, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: version 0.0, expected 1.x");
    REFUSED(in->device_type = 2, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: device type 2, expected host memory (1)");
    REFUSED(in->dtype_code = 5, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: dtype code 5, 32 bits, 1 lanes");
    REFUSED(in->dtype_bits = 8, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: dtype code 2, 8 bits, 1 lanes");
    REFUSED(in->dtype_lanes = 4, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: dtype code 2, 32 bits, 4 lanes");
    REFUSED(foreign.strides[1] = -1, RDL_ERR_UNSUPPORTED,
            "rdl_tensor_from_dlpack: stride 1 is negative");
    REFUSED(in->ndim = 9, RDL_ERR_SHAPE, "rdl_tensor_from_dlpack: rank 9 is outside 0..8");
    REFUSED(in->ndim = -1, RDL_ERR_SHAPE, "rdl_tensor_from_dlpack: rank -1 is outside 0..8");
    REFUSED(foreign.shape[0] = -2, RDL_ERR_SHAPE,
            "rdl_tensor_from_dlpack: dimension 0 is negative (-2)");
    REFUSED(in->shape = NULL, RDL_ERR_ARGUMENT, "rdl_tensor_from_dlpack: dims is NULL with rank 2");
    REFUSED(foreign.shape[0] = INT64_MAX / 4, RDL_ERR_OVERFLOW,
            "rdl_tensor_from_dlpack: size of dimension 0 (2305843009213693951) overflows the size");
    REFUSED(foreign.strides[0] = INT64_MAX / 2, RDL_ERR_OVERFLOW,
            "rdl_tensor_from_dlpack: tensor: size overflows");
    REFUSED(foreign.strides[0] = INT64_MAX / 4, RDL_ERR_OVERFLOW,
            "rdl_tensor_from_dlpack: size overflows");
    REFUSED(in->byte_offset = 2, RDL_ERR_ARGUMENT,
            "rdl_tensor_from_dlpack: tensor: data is not aligned to 4 bytes");
    REFUSED(in->data = NULL, RDL_ERR_ARGUMENT, "rdl_tensor_from_dlpack: tensor: data is NULL");
    assert_int_equal(rdl_tensor_from_dlpack(NULL, &tensor, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_from_dlpack: dlpack is NULL");
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, NULL, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_from_dlpack: out is NULL");
}

static void dlpack_read_only_is_kept_both_ways(void **state)
{
    (void)state;
    struct foreign foreign;
    struct rdl_tensor *tensor, *view, *source;
    struct rdl_dlpack *out;
    struct rdl_error error;
    const int64_t dims[2] = {2, 3};
    fill(&foreign);
    foreign.dlpack.flags = RDL_DLPACK_READ_ONLY;
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_new(RDL_F32, 2, dims, &source, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_copy(source, tensor, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_copy: dst is read-only");
    assert_int_equal(rdl_tensor_copy(tensor, source, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_view(tensor, 2, dims, NULL, 0, &view, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_copy(source, view, NULL), RDL_ERR_ARGUMENT); /* views as well */
    assert_int_equal(rdl_tensor_to_dlpack(view, &out, NULL), RDL_OK);
    assert_int_equal(out->flags, RDL_DLPACK_READ_ONLY);
    out->deleter(out);
    assert_int_equal(rdl_tensor_to_dlpack(source, &out, NULL), RDL_OK);
    assert_int_equal(out->flags, 0);
    out->deleter(out);
    rdl_tensor_release(view);
    rdl_tensor_release(tensor);
    rdl_tensor_release(source);
    assert_int_equal(foreign.deleted, 1);
}

static void dlpack_out_lives_on_its_own(void **state)
{
    (void)state;
    const int64_t dims[2] = {2, 3}, turned[2] = {3, 2}, strides[2] = {1, 3};
    struct rdl_tensor *tensor, *view;
    struct rdl_dlpack *out;
    assert_int_equal(rdl_tensor_new(RDL_F32, 2, dims, &tensor, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_view(tensor, 2, turned, strides, 0, &view, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_to_dlpack(view, &out, NULL), RDL_OK);
    rdl_tensor_release(tensor);
    rdl_tensor_release(view);
    assert_int_equal(out->version.major, 1);
    assert_int_equal(out->tensor.device_type, 1);
    assert_int_equal(out->tensor.ndim, 2);
    assert_memory_equal(out->tensor.shape, turned, sizeof turned);
    assert_memory_equal(out->tensor.strides, strides, sizeof strides);
    memset((char *)out->tensor.data + out->tensor.byte_offset, 1, 24);
    out->deleter(out);
}

static void dlpack_out_refuses(void **state)
{
    (void)state;
    const int64_t dims[1] = {2};
    struct rdl_tensor *strings, *remote;
    struct rdl_dlpack *out;
    struct rdl_error error;
    struct rdl_device sim;
    struct rdl_buffer *buffer;
    assert_int_equal(rdl_tensor_new(RDL_STRING, 1, dims, &strings, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_to_dlpack(strings, &out, &error), RDL_ERR_UNSUPPORTED);
    assert_string_equal(error.message, "rdl_tensor_to_dlpack: string elements");
    assert_null(out);
    assert_int_equal(rdl_device_open("sim", NULL, &sim, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(sim, 64, NULL, &buffer, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_from_buffer(RDL_F32, 1, dims, buffer, 0, &remote, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_to_dlpack(remote, &out, &error), RDL_ERR_UNSUPPORTED);
    assert_string_equal(error.message, "rdl_tensor_to_dlpack: device memory");
    assert_int_equal(rdl_tensor_to_dlpack(NULL, &out, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_to_dlpack: tensor is NULL");
    assert_int_equal(rdl_tensor_to_dlpack(strings, NULL, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_tensor_to_dlpack: out is NULL");
    rdl_tensor_release(remote);
    rdl_buffer_release(buffer);
    rdl_tensor_release(strings);
}

static void *release_elsewhere(void *tensor)
{
    rdl_tensor_release(tensor);
    return NULL;
}

static void dlpack_deleter_runs_on_the_thread_that_ends_it(void **state)
{
    (void)state;
    struct foreign foreign;
    struct rdl_tensor *tensor;
    pthread_t thread;
    fill(&foreign);
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_int_equal(pthread_create(&thread, NULL, release_elsewhere, tensor), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(foreign.deleted, 1);
    assert_false(pthread_equal(foreign.deleted_on, pthread_self()));
}

static void dlpack_deleters_run_after_fork_and_shutdown(void **state)
{
    (void)state;
    struct foreign foreign;
    struct rdl_tensor *tensor;
    struct rdl_dlpack *out;
    fill(&foreign);
    assert_int_equal(rdl_tensor_from_dlpack(&foreign.dlpack, &tensor, NULL), RDL_OK);
    assert_int_equal(rdl_tensor_to_dlpack(tensor, &out, NULL), RDL_OK);
    const pid_t child = fork();
    if (child == 0) {
        if (rdl_shutdown(RDL_FOREVER, NULL) != RDL_OK)
            _exit(1);
        rdl_tensor_release(tensor);
        if (foreign.deleted != 0)
            _exit(2);
        out->deleter(out);
        _exit(foreign.deleted == 1 ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    out->deleter(out);
    rdl_tensor_release(tensor);
    assert_int_equal(foreign.deleted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dlpack_in_uses_the_memory_and_deletes_once),
        cmocka_unit_test(dlpack_in_takes_strides_offsets_and_newer_minors),
        cmocka_unit_test(dlpack_in_knows_every_dtype_that_both_have),
        cmocka_unit_test(dlpack_in_refuses_and_deletes_nothing),
        cmocka_unit_test(dlpack_read_only_is_kept_both_ways),
        cmocka_unit_test(dlpack_out_lives_on_its_own),
        cmocka_unit_test(dlpack_out_refuses),
        cmocka_unit_test(dlpack_deleter_runs_on_the_thread_that_ends_it),
        cmocka_unit_test(dlpack_deleters_run_after_fork_and_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
