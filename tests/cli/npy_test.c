/*
 * .npy headers: what NumPy writes is read, and everything else is refused with its cause.
 */
#include "cli/npy.h"
#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rdl_error error;
static struct npy_header header;

static enum rdl_status read_text(const char *text)
{
    /* A copy of exact size: a read beyond it is seen by ASan. */
    size_t size = strlen(text);
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    error.message[0] = '\0';
    enum rdl_status status = npy_read_header(copy, size, &header, &error);
    free(copy);
    return status;
}

static void header_plain_read(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{'descr': '<f4', 'fortran_order': False, 'shape': (64, 512), }    \n"), RDL_OK);
    assert_int_equal(header.dtype, RDL_F32);
    assert_false(header.fortran_order);
    assert_int_equal(header.rank, 2);
    assert_int_equal(header.dims[0], 64);
    assert_int_equal(header.dims[1], 512);
    assert_int_equal(header.data_bytes, 64 * 512 * 4);
}

static void header_variants_read(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"shape\":(3,),\"fortran_order\":True,\"descr\":\"|i1\"}"),
                     RDL_OK);
    assert_int_equal(header.dtype, RDL_I8);
    assert_true(header.fortran_order);
    assert_int_equal(header.data_bytes, 3);
    assert_int_equal(read_text("{'descr': '|b1', 'fortran_order': False, 'shape': (), }"), RDL_OK);
    assert_int_equal(header.rank, 0);
    assert_int_equal(header.data_bytes, 1);
    assert_int_equal(
        read_text("{'descr': '<i8', 'fortran_order': False, 'shape': (0, 9223372036854775807), }"),
        RDL_OK);
    assert_int_equal(header.data_bytes, 0);
}

static void header_malformed_refused(void **state)
{
    (void)state;
    const char *texts[] = {
        "",
        "{",
        "}",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2",
        "{'descr': '<f4",
        "{'descr' '<f4'}",
        "{'descr\\n': '<f4'}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
        "{'a name that is longer than any key of such a header is': 1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (read_text(texts[i]) != RDL_ERR_MODEL)
            fail_msg("taken: %s", texts[i]);
        assert_non_null(strstr(error.message, "expected"));
    }
}

static void header_dtype_unknown_refused(void **state)
{
    (void)state;
    const char *codes[] = {"'>f4'", "'<c8'", "'|O'",   "'<U3'",
                           "'|S3'", "'f4'",  "'<f16'", "[('a', '<f4')]"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "{'descr': %s, 'fortran_order': False, 'shape': (1,)}",
                       codes[i]);
        if (read_text(text) != RDL_ERR_UNSUPPORTED)
            fail_msg("taken: %s", text);
        assert_non_null(strstr(error.message, "not read"));
    }
}

static void header_size_overflow_refused(void **state)
{
    (void)state;
    assert_int_equal(read_text("{'descr': '<f4', 'fortran_order': False, "
                               "'shape': (4294967296, 4294967296)}"),
                     RDL_ERR_OVERFLOW);
    assert_int_equal(read_text("{'descr': '<f4', 'fortran_order': False, "
                               "'shape': (99999999999999999999,)}"),
                     RDL_ERR_OVERFLOW);
    assert_int_equal(read_text("{'descr': '<f4', 'fortran_order': False, "
                               "'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}"),
                     RDL_ERR_SHAPE);
}

static void size_each_version_read(void **state)
{
    (void)state;
    size_t offset = 0, size = 0;
    unsigned char first[NPY_PREFIX_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y',
                                             1,    0,   118, 0,   '{', '\''};
    assert_int_equal(npy_read_size(first, &offset, &size, &error), RDL_OK);
    assert_int_equal(offset, 10);
    assert_int_equal(size, 128);
    unsigned char third[NPY_PREFIX_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y', 3, 0, 116, 1, 0, 0};
    assert_int_equal(npy_read_size(third, &offset, &size, &error), RDL_OK);
    assert_int_equal(offset, 12);
    assert_int_equal(size, 12 + 256 + 116);
}

static void size_foreign_refused(void **state)
{
    (void)state;
    size_t offset = 0, size = 0;
    unsigned char magic[NPY_PREFIX_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'X',
                                             1,    0,   118, 0,   '{', '\''};
    unsigned char version[NPY_PREFIX_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y', 4, 0, 118, 0, 0, 0};
    unsigned char huge[NPY_PREFIX_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y',
                                            2,    0,   255, 255, 255, 255};
    assert_int_equal(npy_read_size(magic, &offset, &size, &error), RDL_ERR_MODEL);
    assert_int_equal(npy_read_size(version, &offset, &size, &error), RDL_ERR_MODEL);
    assert_int_equal(npy_read_size(huge, &offset, &size, &error), RDL_ERR_MODEL);
}

static void write_every_dtype_read_back(void **state)
{
    (void)state;
    const enum rdl_dtype dtypes[] = {RDL_F32, RDL_F64, RDL_F16, RDL_BF16, RDL_I8,  RDL_I16, RDL_I32,
                                     RDL_I64, RDL_U8,  RDL_U16, RDL_U32,  RDL_U64, RDL_BOOL};
    const int64_t dims[RDL_MAX_RANK] = {INT64_MAX, 0, 3, 1, 7, 1, 1, 2};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        for (int32_t rank = 0; rank <= RDL_MAX_RANK; rank++) {
            unsigned char out[NPY_HEADER_ROOM];
            size_t size = 0, offset = 0, stated = 0;
            const int64_t *from = rank == RDL_MAX_RANK ? dims : dims + 1;
            assert_int_equal(npy_write_header(dtypes[i], rank, from, out, &size, &error), RDL_OK);
            assert_int_equal(size % 64, 0);
            assert_int_equal(npy_read_size(out, &offset, &stated, &error), RDL_OK);
            assert_int_equal(stated, size);
            assert_int_equal(
                npy_read_header((const char *)out + offset, size - offset, &header, &error),
                RDL_OK);
            assert_int_equal(header.dtype, dtypes[i]);
            assert_int_equal(header.rank, rank);
            assert_memory_equal(header.dims, from, (size_t)rank * sizeof *from);
        }
    }
}

static void write_string_refused(void **state)
{
    (void)state;
    unsigned char out[NPY_HEADER_ROOM];
    size_t size = 0;
    assert_int_equal(npy_write_header(RDL_STRING, 0, NULL, out, &size, &error),
                     RDL_ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_plain_read),
        cmocka_unit_test(header_variants_read),
        cmocka_unit_test(header_malformed_refused),
        cmocka_unit_test(header_dtype_unknown_refused),
        cmocka_unit_test(header_size_overflow_refused),
        cmocka_unit_test(size_each_version_read),
        cmocka_unit_test(size_foreign_refused),
        cmocka_unit_test(write_every_dtype_read_back),
        cmocka_unit_test(write_string_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
