/*
 * NumPy's .npy headers: a Python dictionary of three keys, read strictly.
 */
#include "cli/npy.h"

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* bf16 has no code of its own in NumPy; its packages store it as two raw bytes. */
static const struct {
    const char *code;
    enum rdl_dtype dtype;
} codes[] = {
    {"f4", RDL_F32}, {"f8", RDL_F64}, {"f2", RDL_F16},  {"V2", RDL_BF16}, {"i1", RDL_I8},
    {"i2", RDL_I16}, {"i4", RDL_I32}, {"i8", RDL_I64},  {"u1", RDL_U8},   {"u2", RDL_U16},
    {"u4", RDL_U32}, {"u8", RDL_U64}, {"b1", RDL_BOOL},
};
#define CODE_COUNT (sizeof codes / sizeof codes[0])

enum rdl_status npy_read_size(const unsigned char *prefix, size_t *out_text_offset,
                              size_t *out_size_bytes, struct rdl_error *error)
{
    if (memcmp(prefix, magic, sizeof magic) != 0)
        return cli_fail(error, RDL_ERR_MODEL, "not a .npy file");
    unsigned major = prefix[6];
    size_t size = prefix[8] | (size_t)prefix[9] << 8;
    size_t offset = 10;
    if (major == 2 || major == 3) {
        size |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
        offset = 12;
    } else if (major != 1) {
        return cli_fail(error, RDL_ERR_MODEL, ".npy version %u is not known", major);
    }
    if (size > NPY_MAX_HEADER_BYTES - offset)
        return cli_fail(error, RDL_ERR_MODEL, "header of %zu bytes is too large", size);
    *out_text_offset = offset;
    *out_size_bytes = offset + size;
    return RDL_OK;
}

/* ---- the dictionary -------------------------------------------------------------------------- */

struct reader {
    const char *at, *end;
    struct rdl_error *error;
};

static enum rdl_status malformed(struct reader *reader, const char *expected)
{
    return cli_fail(reader->error, RDL_ERR_MODEL, ".npy header: expected %s", expected);
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n'))
        reader->at++;
}

/* Takes the character if it is next. */
static bool take(struct reader *reader, char wanted)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != wanted)
        return false;
    reader->at++;
    return true;
}

static bool take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(reader);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
        return false;
    reader->at += length;
    return true;
}

/* Reads a quoted string without escapes into out, [room] with its terminating zero. */
static enum rdl_status read_string(struct reader *reader, char *out, size_t room)
{
    skip_blanks(reader);
    if (reader->at == reader->end || (*reader->at != '\'' && *reader->at != '"'))
        return malformed(reader, "a string");
    char quote = *reader->at++;
    size_t length = 0;
    while (reader->at < reader->end && *reader->at != quote) {
        if (length + 1 >= room || *reader->at == '\\' || *reader->at == '\0')
            return malformed(reader, "a short plain string");
        out[length++] = *reader->at++;
    }
    if (reader->at == reader->end)
        return malformed(reader, "the end of a string");
    reader->at++;
    out[length] = '\0';
    return RDL_OK;
}

static enum rdl_status read_dtype(struct reader *reader, enum rdl_dtype *out)
{
    char code[32];
    if (take(reader, '['))
        return cli_fail(reader->error, RDL_ERR_UNSUPPORTED, "structured dtypes are not read");
    CLI_TRY(read_string(reader, code, sizeof code));
    if (code[0] == '>' && strcmp(code + 1, "i1") != 0 && strcmp(code + 1, "u1") != 0)
        return cli_fail(reader->error, RDL_ERR_UNSUPPORTED, "big-endian dtype '%s' is not read",
                        code);
    if (strchr("<>|=", code[0]) != NULL) {
        for (size_t i = 0; i < CODE_COUNT; i++) {
            if (strcmp(code + 1, codes[i].code) == 0) {
                *out = codes[i].dtype;
                return RDL_OK;
            }
        }
    }
    return cli_fail(reader->error, RDL_ERR_UNSUPPORTED, "dtype '%s' is not read", code);
}

static enum rdl_status read_dimension(struct reader *reader, int64_t *out)
{
    skip_blanks(reader);
    int64_t value = 0;
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        int64_t digit = *reader->at++ - '0';
        if (value > (INT64_MAX - digit) / 10)
            return cli_fail(reader->error, RDL_ERR_OVERFLOW, "a dimension does not fit");
        value = value * 10 + digit;
    }
    if (reader->at == start)
        return malformed(reader, "a dimension");
    *out = value;
    return RDL_OK;
}

static enum rdl_status read_shape(struct reader *reader, struct npy_header *out)
{
    if (!take(reader, '('))
        return malformed(reader, "a shape");
    out->rank = 0;
    while (!take(reader, ')')) {
        if (out->rank == RDL_MAX_RANK)
            return cli_fail(reader->error, RDL_ERR_SHAPE, "more than %d dimensions", RDL_MAX_RANK);
        CLI_TRY(read_dimension(reader, &out->dims[out->rank++]));
        if (!take(reader, ',')) {
            /* A tuple of one has its comma; "(3)" would be a number. */
            if (out->rank == 1 || !take(reader, ')'))
                return malformed(reader, "',' or ')'");
            break;
        }
    }
    return RDL_OK;
}

static enum rdl_status read_flag(struct reader *reader, bool *out)
{
    *out = take_word(reader, "True");
    if (!*out && !take_word(reader, "False"))
        return malformed(reader, "True or False");
    return RDL_OK;
}

static enum rdl_status count_bytes(struct npy_header *header, struct rdl_error *error)
{
    size_t bytes = rdl_dtype_size(header->dtype);
    header->data_bytes = 0;
    for (int32_t i = 0; i < header->rank; i++)
        if (header->dims[i] == 0)
            return RDL_OK;
    for (int32_t i = 0; i < header->rank; i++)
        if (__builtin_mul_overflow(bytes, (size_t)header->dims[i], &bytes))
            return cli_fail(error, RDL_ERR_OVERFLOW, "the size of the array does not fit");
    header->data_bytes = bytes;
    return RDL_OK;
}

enum rdl_status npy_read_header(const char *text, size_t size_bytes, struct npy_header *out,
                                struct rdl_error *error)
{
    struct reader reader = {text, text + size_bytes, error};
    bool have_dtype = false, have_order = false, have_shape = false;
    *out = (struct npy_header){.dtype = RDL_DTYPE_NONE};
    if (!take(&reader, '{'))
        return malformed(&reader, "'{'");
    while (!take(&reader, '}')) {
        char key[32];
        CLI_TRY(read_string(&reader, key, sizeof key));
        if (!take(&reader, ':'))
            return malformed(&reader, "':'");
        if (strcmp(key, "descr") == 0 && !have_dtype) {
            CLI_TRY(read_dtype(&reader, &out->dtype));
            have_dtype = true;
        } else if (strcmp(key, "fortran_order") == 0 && !have_order) {
            CLI_TRY(read_flag(&reader, &out->fortran_order));
            have_order = true;
        } else if (strcmp(key, "shape") == 0 && !have_shape) {
            CLI_TRY(read_shape(&reader, out));
            have_shape = true;
        } else {
            return malformed(&reader, "descr, fortran_order and shape once each");
        }
        if (!take(&reader, ',')) {
            if (!take(&reader, '}'))
                return malformed(&reader, "',' or '}'");
            break;
        }
    }
    skip_blanks(&reader);
    if (reader.at != reader.end)
        return malformed(&reader, "nothing after '}'");
    if (!have_dtype || !have_order || !have_shape)
        return malformed(&reader, "descr, fortran_order and shape");
    return count_bytes(out, error);
}

/* ---- writing --------------------------------------------------------------------------------- */

enum rdl_status npy_write_header(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                                 unsigned char *out, size_t *out_size_bytes,
                                 struct rdl_error *error)
{
    const char *code = NULL;
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (codes[i].dtype == dtype)
            code = codes[i].code;
    if (code == NULL)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "dtype %s cannot be written as .npy",
                        rdl_dtype_name(dtype));
    char shape[RDL_MAX_RANK * 21 + 1] = "";
    size_t length = 0;
    for (int32_t i = 0; i < rank; i++)
        length += (size_t)snprintf(shape + length, sizeof shape - length, "%" PRId64 ",%s", dims[i],
                                   i + 1 < rank ? " " : "");
    /* One byte has no order. */
    char order = rdl_dtype_size(dtype) == 1 || dtype == RDL_BF16 ? '|' : '<';
    char text[NPY_HEADER_ROOM];
    int written =
        snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                 order, code, shape);
    /* 10 bytes before the text, a newline after it, blanks between up to a multiple of 64. */
    size_t total = (10 + (size_t)written + 1 + 63) / 64 * 64;
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    out[8] = (unsigned char)((total - 10) & 0xff);
    out[9] = (unsigned char)((total - 10) >> 8);
    memcpy(out + 10, text, (size_t)written);
    memset(out + 10 + written, ' ', total - 10 - (size_t)written - 1);
    out[total - 1] = '\n';
    *out_size_bytes = total;
    return RDL_OK;
}
