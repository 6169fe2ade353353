/*
 * Reading files, and external data that must stay in its folder.
 */
#include "base/mem.h"
#include "onnx/file.h"
#include "support/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct rdl__stop never = {NULL, NULL};

/* A folder of its own with: data.bin (0..255), sub/deep.bin, links, a pipe, an empty file. */
static char folder[] = "/tmp/raddle_file_test.XXXXXX";

static const char *at(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, size_t size)
{
    const int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(write(fd, &(unsigned char){(unsigned char)i}, 1), 1);
    assert_int_equal(close(fd), 0);
}

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(at("sub"), 0700), 0);
    write_file("data.bin", 256);
    write_file("empty.bin", 0);
    write_file("sub/deep.bin", 16);
    assert_int_equal(symlink("/etc/hostname", at("out.bin")), 0);
    assert_int_equal(symlink("/etc", at("outside")), 0);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"data.bin", "empty.bin", "sub/deep.bin", "out.bin",
                                        "outside",  "pipe",      "sub",          ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(remove(at(names[i])), 0);
    return 0;
}

static bool stop_now(void *user)
{
    (void)user;
    return true;
}

static void file_read_gives_all_bytes(void **state)
{
    (void)state;
    void *data;
    size_t size;
    assert_int_equal(rdl__file_read(at("data.bin"), 256, never, &data, &size, NULL), RDL_OK);
    assert_int_equal(size, 256);
    assert_int_equal(((unsigned char *)data)[255], 255);
    rdl__free(data);
    assert_int_equal(rdl__file_read(at("empty.bin"), 0, never, &data, &size, NULL), RDL_OK);
    assert_int_equal(size, 0);
    rdl__free(data);
}

static void file_read_faults_name_the_cause(void **state)
{
    (void)state;
    const struct rdl__stop now = {stop_now, NULL};
    static const struct {
        const char *name, *end;
        size_t limit;
        bool stop;
        enum rdl_status status;
    } cases[] = {
        {"missing", "missing\": cannot be opened: No such file or directory", 99, false,
         RDL_ERR_IO},
        {"sub", "sub\" is not a regular file", 99, false, RDL_ERR_IO},
        {"pipe", "pipe\" is not a regular file", 99, false, RDL_ERR_IO},
        {"data.bin", "data.bin\" has 256 bytes, more than the memory limit of 255", 255, false,
         RDL_ERR_NO_MEMORY},
        {"data.bin", "data.bin\"", 256, true, RDL_ERR_CANCELLED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rdl_error error = {0};
        void *data = &error;
        size_t size;
        assert_int_equal(rdl__file_read(at(cases[i].name), cases[i].limit,
                                        cases[i].stop ? now : never, &data, &size, &error),
                         cases[i].status);
        assert_null(data);
        const size_t length = strlen(error.message), tail = strlen(cases[i].end);
        assert_true(length > tail);
        assert_string_equal(error.message + length - tail, cases[i].end);
    }
}

static void file_map_shows_the_bytes(void **state)
{
    (void)state;
    struct rdl__file_map map;
    struct rdl_error error;
    assert_int_equal(rdl__file_map_init(&map, at("data.bin"), NULL), RDL_OK);
    assert_int_equal(map.size_bytes, 256);
    assert_int_equal(((const unsigned char *)map.data)[100], 100);
    rdl__file_map_fini(&map);
    rdl__file_map_fini(&map);
    assert_null(map.data);
    assert_int_equal(rdl__file_map_init(&map, at("empty.bin"), &error), RDL_ERR_IO);
    assert_non_null(strstr(error.message, "empty.bin\" is empty"));
    assert_null(map.data);
    assert_int_equal(rdl__file_map_init(&map, at("pipe"), NULL), RDL_ERR_IO);
}

static enum rdl_status read_external(const char *location, size_t offset, size_t size,
                                     unsigned char *out, struct rdl_error *error)
{
    const struct rdl__external external = {folder, location, offset, size};
    int fd;
    const enum rdl_status status = rdl__external_open(&external, &fd, error);
    return status != RDL_OK ? status : rdl__external_read(&external, fd, never, out, error);
}

static void external_part_is_read(void **state)
{
    (void)state;
    unsigned char out[8] = {0};
    assert_int_equal(read_external("data.bin", 248, 8, out, NULL), RDL_OK);
    assert_int_equal(out[0], 248);
    assert_int_equal(out[7], 255);
    assert_int_equal(read_external("sub/deep.bin", 3, 2, out, NULL), RDL_OK);
    assert_int_equal(out[1], 4);
    assert_int_equal(read_external("data.bin", 256, 0, out, NULL), RDL_OK);
}

static void external_path_out_of_folder_is_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"/etc/hostname", "../x",          "sub/../../x", "..",
                                        "./data.bin",    "sub//deep.bin", "sub/",        ""};
    unsigned char out[8] = {0};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct rdl_error error;
        char message[256];
        (void)snprintf(message, sizeof message,
                       "external data \"%s\": the path must be relative, without \"..\", \".\" or "
                       "empty parts",
                       paths[i]);
        assert_int_equal(read_external(paths[i], 0, 1, out, &error), RDL_ERR_MODEL);
        assert_string_equal(error.message, message);
    }
}

static void external_link_is_not_followed(void **state)
{
    (void)state;
    unsigned char out[8] = {0};
    struct rdl_error error;
    assert_int_equal(read_external("out.bin", 0, 1, out, &error), RDL_ERR_IO);
    assert_string_equal(error.message,
                        "external data \"out.bin\": it is a symbolic link, which is not followed");
    assert_int_equal(read_external("outside/hostname", 0, 1, out, &error), RDL_ERR_IO);
    assert_string_equal(
        error.message,
        "external data \"outside/hostname\": a folder on the way is none, or is a symbolic link, which is not followed");
}

static void external_faults_name_the_cause(void **state)
{
    (void)state;
    unsigned char out[8] = {0};
    struct rdl_error error;
    assert_int_equal(read_external("missing", 0, 1, out, &error), RDL_ERR_IO);
    assert_string_equal(error.message,
                        "\"missing\": external data cannot be opened: No such file or directory");
    assert_int_equal(read_external("pipe", 0, 1, out, &error), RDL_ERR_IO);
    assert_string_equal(error.message, "\"pipe\" is not a regular file");
    assert_int_equal(read_external("data.bin", 250, 7, out, &error), RDL_ERR_MODEL);
    assert_string_equal(error.message, "external data \"data.bin\": 7 bytes at offset 250 reach "
                                       "beyond the file's 256 bytes");
    assert_int_equal(read_external("data.bin", SIZE_MAX, 8, out, &error), RDL_ERR_MODEL);
    assert_int_equal(read_external("data.bin", 8, SIZE_MAX, out, &error), RDL_ERR_MODEL);
    const struct rdl__external homeless = {NULL, "data.bin", 0, 1};
    int fd;
    assert_int_equal(rdl__external_open(&homeless, &fd, &error), RDL_ERR_MODEL);
    assert_string_equal(error.message,
                        "external data \"data.bin\": no folder was given to read it from");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_read_gives_all_bytes),
        cmocka_unit_test(file_read_faults_name_the_cause),
        cmocka_unit_test(file_map_shows_the_bytes),
        cmocka_unit_test(external_part_is_read),
        cmocka_unit_test(external_path_out_of_folder_is_refused),
        cmocka_unit_test(external_link_is_not_followed),
        cmocka_unit_test(external_faults_name_the_cause),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
