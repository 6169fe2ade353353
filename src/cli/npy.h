/*
 * NumPy's .npy format: reading and writing of headers, in memory.
 *
 * Source: the format's description, "numpy.lib.format", versions 1.0 to 3.0.
 */
#ifndef RADDLE_CLI_NPY_H
#define RADDLE_CLI_NPY_H

#include "raddle/tensor.h"

/** Bytes that npy_read_size needs. */
#define NPY_PREFIX_BYTES 12
/** Largest header that is read; what NumPy itself writes is far smaller. */
#define NPY_MAX_HEADER_BYTES 65536

/** What a header says. */
struct npy_header {
    enum rdl_dtype dtype;
    bool fortran_order; /* first index runs fastest */
    int32_t rank;
    int64_t dims[RDL_MAX_RANK];
    size_t data_bytes; /* bytes that follow the header */
};

/**
 * Size of the header, from the first NPY_PREFIX_BYTES of a file.
 * @param out_text_offset  where the dictionary's text begins
 * @param out_size_bytes   where the data begins
 * @return RDL_ERR_MODEL: not a .npy file, or a version or size that is not read
 */
enum rdl_status npy_read_size(const unsigned char *prefix, size_t *out_text_offset,
                              size_t *out_size_bytes, struct rdl_error *error);

/**
 * Reads the dictionary of a header, size_bytes at text.
 * @return RDL_ERR_MODEL (malformed), RDL_ERR_UNSUPPORTED (dtype), RDL_ERR_SHAPE (rank or a
 *         dimension), RDL_ERR_OVERFLOW
 */
enum rdl_status npy_read_header(const char *text, size_t size_bytes, struct npy_header *out,
                                struct rdl_error *error);

/**
 * Writes a header, C order; its size is a multiple of 64.
 * @param out  [NPY_HEADER_ROOM]
 * @return RDL_ERR_UNSUPPORTED (STRING)
 */
#define NPY_HEADER_ROOM 512
enum rdl_status npy_write_header(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                                 unsigned char *out, size_t *out_size_bytes,
                                 struct rdl_error *error);

#endif
