/*
 * Files of models: the model itself, and external data beside it.
 *
 * Threading: any; one user a mapping.
 */
#ifndef RDL_ONNX_FILE_H
#define RDL_ONNX_FILE_H

#include "base/status.h"

/** Work that may be stopped: polled between pieces of a long read. */
struct rdl__stop {
    bool (*poll)(void *user); /* true ends the work; NULL: never */
    void *user;
};

/**
 * Reads a whole regular file.
 *
 * @param limit_bytes  larger files are refused
 * @param out          receives the bytes, to be freed by rdl__free; NULL on failure
 * @return RDL_ERR_IO naming path and cause, RDL_ERR_NO_MEMORY, RDL_ERR_CANCELLED
 */
enum rdl_status rdl__file_read(const char *path, size_t limit_bytes, struct rdl__stop stop,
                               void **out, size_t *size_bytes, struct rdl_error *error);

/** A file mapped read-only. If another process cuts the file short while it is mapped, touching what
 * is gone raises SIGBUS: mapping is for files that nobody changes. */
struct rdl__file_map {
    const void *data;
    size_t size_bytes;
};

/** Maps a regular, non-empty file. @return RDL_ERR_IO naming path and cause */
enum rdl_status rdl__file_map_init(struct rdl__file_map *map, const char *path,
                                   struct rdl_error *error);
/** Unmaps; harmless on a zeroed map. */
void rdl__file_map_fini(struct rdl__file_map *map);

/** External data of a tensor: a part of a file in or below the model's folder. */
struct rdl__external {
    const char *folder;   /* the model's; NULL: none was given */
    const char *location; /* path from there */
    size_t offset_bytes;
    size_t size_bytes;
};

/**
 * Checks that the part exists, without reading it: before memory is asked for, so that a file that
 * claims too much costs nothing.
 *
 * The path is walked one folder at a time and no symbolic link is followed, so nothing can lead out of
 * the folder, also when links are changed meanwhile. (The folder itself may be reached by links.)
 *
 * @param fd  receives the open file, to be given to rdl__external_read, which closes it
 * @return RDL_ERR_MODEL (an absolute path, "..", an empty part, beyond the file's end), RDL_ERR_IO
 *         (missing, a link, not a regular file), each naming the location
 */
enum rdl_status rdl__external_open(const struct rdl__external *external, int *fd,
                                   struct rdl_error *error);

/** Reads the part into out [size_bytes] and closes fd. @return RDL_ERR_IO, RDL_ERR_CANCELLED */
enum rdl_status rdl__external_read(const struct rdl__external *external, int fd,
                                   struct rdl__stop stop, void *out, struct rdl_error *error);

#endif
