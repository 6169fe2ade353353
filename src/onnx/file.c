/*
 * Reading model files and external data with plain system calls, so that interrupts, short reads,
 * pipes and links are dealt with in one place.
 */
#include "onnx/file.h"

#include "base/mem.h"
#include "graph/graph.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes between two looks at stop. */
#define BYTES_PER_POLL ((size_t)4 << 20)

/* A path as messages show it: longer than a name, for its end says most. */
#define PATH_TEXT(path) rdl__name_text((path), (char[512]){0}, 512)

static enum rdl_status fail_errno(struct rdl_error *error, const char *path, const char *what,
                                  int code)
{
    char text[128];
    return rdl__fail(error, RDL_ERR_IO, "\"%s\": %s: %s", PATH_TEXT(path), what,
                     strerror_r(code, text, sizeof text));
}

/* open that survives signals. */
static int open_again(int folder, const char *path, int flags)
{
    int fd;
    do
        fd = openat(folder, path, flags | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Size of a regular file; O_NONBLOCK kept the opening of a pipe from waiting for a writer. */
static enum rdl_status regular_size(int fd, const char *path, size_t *size, struct rdl_error *error)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_errno(error, path, "cannot be examined", errno);
    if (!S_ISREG(info.st_mode))
        return rdl__fail(error, RDL_ERR_IO, "\"%s\" is not a regular file", PATH_TEXT(path));
    *size = (size_t)info.st_size;
    return RDL_OK;
}

static enum rdl_status open_regular(const char *path, int *fd, size_t *size,
                                    struct rdl_error *error)
{
    *fd = open_again(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (*fd < 0)
        return fail_errno(error, path, "cannot be opened", errno);
    const enum rdl_status status = regular_size(*fd, path, size, error);
    if (status != RDL_OK)
        (void)close(*fd);
    return status;
}

static enum rdl_status read_at(int fd, const char *path, size_t offset, void *out, size_t size,
                               struct rdl__stop stop, struct rdl_error *error)
{
    for (size_t done = 0; done < size;) {
        if (stop.poll != NULL && stop.poll(stop.user))
            return rdl__fail(error, RDL_ERR_CANCELLED, "stopped while reading \"%s\"",
                             PATH_TEXT(path));
        const size_t left = size - done;
        const ssize_t n =
            pread(fd, (char *)out + done, left < BYTES_PER_POLL ? left : BYTES_PER_POLL,
                  (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return fail_errno(error, path, "cannot be read", errno);
        if (n == 0)
            return rdl__fail(error, RDL_ERR_IO, "\"%s\" became shorter while it was read",
                             PATH_TEXT(path));
        done += n > 0 ? (size_t)n : 0;
    }
    return RDL_OK;
}

enum rdl_status rdl__file_read(const char *path, size_t limit_bytes, struct rdl__stop stop,
                               void **out, size_t *size_bytes, struct rdl_error *error)
{
    int fd;
    *out = NULL;
    RDL_TRY(open_regular(path, &fd, size_bytes, error));
    void *data = NULL;
    enum rdl_status status;
    if (*size_bytes > limit_bytes)
        status = rdl__fail(error, RDL_ERR_NO_MEMORY,
                           "\"%s\" has %zu bytes, more than the memory limit of %zu",
                           PATH_TEXT(path), *size_bytes, limit_bytes);
    else if ((data = rdl__alloc(*size_bytes)) == NULL)
        status = rdl__fail_memory(error, PATH_TEXT(path), *size_bytes);
    else
        status = read_at(fd, path, 0, data, *size_bytes, stop, error);
    (void)close(fd);
    if (status != RDL_OK) {
        rdl__free(data);
        return status;
    }
    *out = data;
    return RDL_OK;
}

enum rdl_status rdl__file_map_init(struct rdl__file_map *map, const char *path,
                                   struct rdl_error *error)
{
    int fd;
    size_t size = 0;
    *map = (struct rdl__file_map){0};
    RDL_TRY(open_regular(path, &fd, &size, error));
    void *data = size == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    const int code = errno;
    (void)close(fd);
    if (size == 0)
        return rdl__fail(error, RDL_ERR_IO, "\"%s\" is empty", PATH_TEXT(path));
    if (data == MAP_FAILED)
        return fail_errno(error, path, "cannot be mapped", code);
    *map = (struct rdl__file_map){data, size};
    return RDL_OK;
}

void rdl__file_map_fini(struct rdl__file_map *map)
{
    if (map->data != NULL)
        (void)munmap((void *)(uintptr_t)map->data, map->size_bytes);
    *map = (struct rdl__file_map){0};
}

/* ---- external data ----------------------------------------------------------------------------- */

static enum rdl_status fail_location(const struct rdl__external *external, struct rdl_error *error,
                                     const char *cause)
{
    return rdl__fail(error, RDL_ERR_MODEL, "external data \"%s\": %s",
                     PATH_TEXT(external->location), cause);
}

/* Opens `name` [length], one part of a location, in folder, which is closed. */
static int open_part(int folder, const char *name, size_t length, int flags)
{
    char part[NAME_MAX + 1];
    int fd = -1, code = ENAMETOOLONG;
    if (length < sizeof part) {
        memcpy(part, name, length);
        part[length] = '\0';
        fd = open_again(folder, part, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        code = errno;
    }
    (void)close(folder);
    errno = code;
    return fd;
}

/* Opens the location part by part. */
static enum rdl_status walk(const struct rdl__external *external, int *out, struct rdl_error *error)
{
    int fd = open_again(AT_FDCWD, external->folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_errno(error, external->folder, "folder of external data cannot be opened",
                          errno);
    for (const char *part = external->location;;) {
        const size_t length = strcspn(part, "/");
        const bool last = part[length] == '\0';
        if (length == 0 || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.')) {
            (void)close(fd);
            return fail_location(external, error,
                                 "the path must be relative, without \"..\", \".\" or empty parts");
        }
        fd = open_part(fd, part, length, last ? 0 : O_DIRECTORY);
        if (fd < 0)
            break;
        if (last) {
            *out = fd;
            return RDL_OK;
        }
        part += length + 1;
    }
    /* Of a link in place of a folder the system says that it is no folder. */
    if (errno == ELOOP || errno == EMLINK || errno == ENOTDIR)
        return rdl__fail(error, RDL_ERR_IO,
                         "external data \"%s\": %s is a symbolic link, which is not followed",
                         PATH_TEXT(external->location),
                         errno == ENOTDIR ? "a folder on the way is none, or" : "it");
    return fail_errno(error, external->location, "external data cannot be opened", errno);
}

enum rdl_status rdl__external_open(const struct rdl__external *external, int *fd,
                                   struct rdl_error *error)
{
    if (external->folder == NULL)
        return fail_location(external, error, "no folder was given to read it from");
    RDL_TRY(walk(external, fd, error));
    size_t size = 0;
    enum rdl_status status = regular_size(*fd, external->location, &size, error);
    if (status == RDL_OK &&
        (external->offset_bytes > size || external->size_bytes > size - external->offset_bytes))
        status = rdl__fail(error, RDL_ERR_MODEL,
                           "external data \"%s\": %zu bytes at offset %zu reach beyond the file's "
                           "%zu bytes",
                           PATH_TEXT(external->location), external->size_bytes,
                           external->offset_bytes, size);
    if (status != RDL_OK)
        (void)close(*fd);
    return status;
}

enum rdl_status rdl__external_read(const struct rdl__external *external, int fd,
                                   struct rdl__stop stop, void *out, struct rdl_error *error)
{
    const enum rdl_status status = read_at(fd, external->location, external->offset_bytes, out,
                                           external->size_bytes, stop, error);
    (void)close(fd);
    return status;
}
