/*
 * NumPy's .npz archives: named arrays, read into tensors and written from them.
 */
#ifndef RADDLE_CLI_NPZ_H
#define RADDLE_CLI_NPZ_H

#include "raddle/tensor.h"

/** A named array. */
struct npz_array {
    char *name;                /* without ".npy"; owned */
    struct rdl_tensor *tensor; /* one reference */
};

/** Arrays in the order of the archive. Zeroed: empty. */
struct npz {
    struct npz_array *arrays; /* [count] */
    size_t count;
};

/**
 * Reads all arrays of an archive.
 * @return RDL_ERR_IO (file or archive cannot be read), RDL_ERR_MODEL (malformed array, or a name
 *         twice), RDL_ERR_UNSUPPORTED (dtype), RDL_ERR_SHAPE, RDL_ERR_OVERFLOW, RDL_ERR_NO_MEMORY
 * Owns: on success *out is given back by npz_fini; on failure it is empty.
 */
enum rdl_status npz_read(const char *path, struct npz *out, struct rdl_error *error);

/** Gives names and tensors back and empties *npz. */
void npz_fini(struct npz *npz);

/**
 * Writes arrays, host memory in C order, as an archive that replaces the file at path only when it
 * is complete.
 * @param names    [count]
 * @param tensors  [count] borrowed
 * @return RDL_ERR_IO, RDL_ERR_UNSUPPORTED (dtype), RDL_ERR_NO_MEMORY
 */
enum rdl_status npz_write(const char *path, const char *const *names,
                          struct rdl_tensor *const *tensors, size_t count, struct rdl_error *error);

#endif
