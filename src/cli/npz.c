/*
 * .npz archives by libzip. Every size that the file states is checked before memory is asked for.
 */
#include "cli/npz.h"

#include "cli/cli.h"
#include "cli/npy.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

static const char suffix[] = ".npy";
#define SUFFIX_LENGTH (sizeof suffix - 1)

static void free_data(void *data, void *user)
{
    (void)user;
    free(data);
}

/* Reads exactly size_bytes. */
static enum rdl_status read_all(zip_file_t *file, void *out, size_t size_bytes,
                                struct rdl_error *error)
{
    unsigned char *bytes = out;
    while (size_bytes > 0) {
        zip_int64_t got = zip_fread(file, bytes, size_bytes);
        if (got < 0)
            return cli_fail(error, RDL_ERR_IO, "%s", zip_file_strerror(file));
        if (got == 0)
            return cli_fail(error, RDL_ERR_MODEL, "the array is cut short");
        bytes += got;
        size_bytes -= (size_t)got;
    }
    return RDL_OK;
}

/* Nothing is left; the read that finds the end also checks the sum. */
static enum rdl_status read_end(zip_file_t *file, struct rdl_error *error)
{
    unsigned char byte;
    zip_int64_t got = zip_fread(file, &byte, 1);
    if (got < 0)
        return cli_fail(error, RDL_ERR_IO, "%s", zip_file_strerror(file));
    if (got > 0)
        return cli_fail(error, RDL_ERR_MODEL, "the array is longer than the archive says");
    return RDL_OK;
}

static enum rdl_status read_header(zip_file_t *file, struct npy_header *out, size_t *out_size_bytes,
                                   struct rdl_error *error)
{
    unsigned char prefix[NPY_PREFIX_BYTES];
    size_t offset = 0;
    CLI_TRY(read_all(file, prefix, sizeof prefix, error));
    CLI_TRY(npy_read_size(prefix, &offset, out_size_bytes, error));
    char *text = malloc(NPY_MAX_HEADER_BYTES);
    if (text == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    /* Version 1.0 begins its text within the prefix. */
    size_t early = sizeof prefix - offset, length = *out_size_bytes - offset;
    memcpy(text, prefix + offset, early);
    enum rdl_status status =
        length < early ? cli_fail(error, RDL_ERR_MODEL, ".npy header of %zu bytes", length)
                       : read_all(file, text + early, length - early, error);
    if (status == RDL_OK)
        status = npy_read_header(text, length, out, error);
    free(text);
    return status;
}

/* A tensor over the array's bytes; Fortran order becomes strides. */
static enum rdl_status wrap(const struct npy_header *header, void *data, struct rdl_tensor **out,
                            struct rdl_error *error)
{
    int64_t strides[RDL_MAX_RANK] = {0};
    int64_t stride = 1;
    for (int32_t i = 0; i < header->rank; i++) {
        strides[i] = stride;
        stride *= header->dims[i] > 0 ? header->dims[i] : 1;
    }
    return rdl_tensor_wrap(header->dtype, header->rank, header->dims,
                           header->fortran_order ? strides : NULL, data, header->data_bytes,
                           free_data, NULL, out, error);
}

static enum rdl_status read_array(zip_file_t *file, zip_uint64_t size_bytes,
                                  struct rdl_tensor **out, struct rdl_error *error)
{
    struct npy_header header;
    size_t header_bytes = 0;
    CLI_TRY(read_header(file, &header, &header_bytes, error));
    if (size_bytes < header_bytes || size_bytes - header_bytes != header.data_bytes)
        return cli_fail(
            error, RDL_ERR_MODEL, "the shape needs %zu bytes, the array has %llu",
            header.data_bytes,
            (unsigned long long)(size_bytes < header_bytes ? 0 : size_bytes - header_bytes));
    if (header.data_bytes > SIZE_MAX - 64)
        return cli_fail(error, RDL_ERR_OVERFLOW, "the size of the array does not fit");
    void *data = aligned_alloc(64, header.data_bytes / 64 * 64 + 64);
    if (data == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "no memory for %zu bytes", header.data_bytes);
    enum rdl_status status = read_all(file, data, header.data_bytes, error);
    if (status == RDL_OK)
        status = read_end(file, error);
    if (status == RDL_OK)
        status = wrap(&header, data, out, error);
    if (status != RDL_OK)
        free(data);
    return status;
}

static enum rdl_status read_entry(zip_t *archive, zip_uint64_t index, struct npz *npz,
                                  struct rdl_error *error)
{
    zip_stat_t entry;
    if (zip_stat_index(archive, index, 0, &entry) != 0)
        return cli_fail(error, RDL_ERR_IO, "%s", zip_strerror(archive));
    size_t length = strlen(entry.name);
    if (length <= SUFFIX_LENGTH || strcmp(entry.name + length - SUFFIX_LENGTH, suffix) != 0)
        return cli_fail(error, RDL_ERR_MODEL, "'%s' is not an array (.npy)", entry.name);
    char *name = strndup(entry.name, length - SUFFIX_LENGTH);
    if (name == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    enum rdl_status status = RDL_OK;
    for (size_t i = 0; i < npz->count; i++)
        if (strcmp(npz->arrays[i].name, name) == 0)
            status = cli_fail(error, RDL_ERR_MODEL, "'%s' is there twice", name);
    zip_file_t *file = NULL;
    struct rdl_tensor *tensor = NULL;
    if (status == RDL_OK) {
        struct rdl_error cause = {.message = ""};
        file = zip_fopen_index(archive, index, 0);
        status = file == NULL ? cli_fail(&cause, RDL_ERR_IO, "%s", zip_strerror(archive))
                              : read_array(file, entry.size, &tensor, &cause);
        if (status != RDL_OK)
            cli_note(error, status, "'%s': %s", name, cause.message);
    }
    if (file != NULL)
        (void)zip_fclose(file);
    if (status != RDL_OK) {
        rdl_tensor_release(tensor);
        free(name);
        return status;
    }
    npz->arrays[npz->count++] = (struct npz_array){name, tensor};
    return RDL_OK;
}

/* The message that libzip has for an error code. */
static enum rdl_status fail_zip(int code, struct rdl_error *error)
{
    zip_error_t words;
    zip_error_init_with_code(&words, code);
    cli_note(error, RDL_ERR_IO, "%s", zip_error_strerror(&words));
    zip_error_fini(&words);
    return RDL_ERR_IO;
}

enum rdl_status npz_read(const char *path, struct npz *out, struct rdl_error *error)
{
    *out = (struct npz){0};
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (archive == NULL)
        return fail_zip(code, error);
    zip_uint64_t count = (zip_uint64_t)zip_get_num_entries(archive, 0);
    enum rdl_status status = RDL_OK;
    out->arrays = calloc(count > 0 ? count : 1, sizeof *out->arrays);
    if (out->arrays == NULL)
        status = cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    for (zip_uint64_t i = 0; i < count && status == RDL_OK; i++)
        status = read_entry(archive, i, out, error);
    zip_discard(archive);
    if (status != RDL_OK)
        npz_fini(out);
    return status;
}

void npz_fini(struct npz *npz)
{
    for (size_t i = 0; i < npz->count; i++) {
        free(npz->arrays[i].name);
        rdl_tensor_release(npz->arrays[i].tensor);
    }
    free(npz->arrays);
    *npz = (struct npz){0};
}

/* ---- writing --------------------------------------------------------------------------------- */

/* One entry: header and data in one block, which libzip frees. */
static enum rdl_status add_array(zip_t *archive, const char *name, const struct rdl_tensor *tensor,
                                 struct rdl_error *error)
{
    unsigned char header[NPY_HEADER_ROOM];
    size_t header_bytes = 0;
    size_t data_bytes = rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor));
    CLI_TRY(npy_write_header(rdl_tensor_dtype(tensor), rdl_tensor_rank(tensor),
                             rdl_tensor_dims(tensor), header, &header_bytes, error));
    size_t entry_bytes = strlen(name) + sizeof suffix;
    char *entry = malloc(entry_bytes);
    unsigned char *block = malloc(header_bytes + data_bytes);
    zip_source_t *source = NULL;
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    if (entry == NULL || block == NULL) {
        cli_note(error, status, "out of memory");
        goto fail;
    }
    memcpy(entry, name, entry_bytes - sizeof suffix);
    memcpy(entry + entry_bytes - sizeof suffix, suffix, sizeof suffix);
    memcpy(block, header, header_bytes);
    if (data_bytes > 0)
        memcpy(block + header_bytes, rdl_tensor_data(tensor), data_bytes);
    source = zip_source_buffer(archive, block, header_bytes + data_bytes, 1);
    zip_int64_t index = -1;
    if (source != NULL) {
        block = NULL;
        /* The source owns the block, and the archive then the source. */
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        index = zip_file_add(archive, entry, source, ZIP_FL_ENC_UTF_8);
    }
    if (index < 0 || zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) != 0) {
        status = cli_fail(error, RDL_ERR_IO, "'%s': %s", name, zip_strerror(archive));
        if (index < 0)
            zip_source_free(source);
        goto fail;
    }
    status = RDL_OK;
fail:
    free(entry);
    free(block);
    return status;
}

enum rdl_status npz_write(const char *path, const char *const *names,
                          struct rdl_tensor *const *tensors, size_t count, struct rdl_error *error)
{
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (archive == NULL)
        return fail_zip(code, error);
    enum rdl_status status = RDL_OK;
    for (size_t i = 0; i < count && status == RDL_OK; i++)
        status = add_array(archive, names[i], tensors[i], error);
    /* libzip writes a new file beside the old one and renames it. */
    if (status == RDL_OK && zip_close(archive) == 0)
        return RDL_OK;
    if (status == RDL_OK)
        status = cli_fail(error, RDL_ERR_IO, "%s", zip_strerror(archive));
    zip_discard(archive);
    return status;
}
