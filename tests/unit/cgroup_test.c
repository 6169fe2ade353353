/*
 * CPU quotas of control groups, read from folders made here.
 */
#include "os/cgroup.h"

#include "support/cmocka.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fail_msg("cannot write %s", path);
        return;
    }
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(0, fclose(file));
}

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/rdl_cgroup_XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static uint32_t cpus(const char *list)
{
    char path[128], mounts[128];
    write_file("list", list);
    (void)snprintf(path, sizeof path, "%s/list", root);
    (void)snprintf(mounts, sizeof mounts, "%s/mounts", root);
    return rdl__cgroup_cpus(path, mounts);
}

static void no_quota_is_zero(void **state)
{
    (void)state;
    assert_int_equal(0, cpus("0::/\n"));
    write_file("mounts/cpu.max", "max 100000\n");
    assert_int_equal(0, cpus("0::/a/b\n"));
    assert_int_equal(0, cpus("nonsense\n0:\n"));
    assert_int_equal(0, rdl__cgroup_cpus("/nonexistent", root));
}

static void the_smallest_of_the_groups_above_holds(void **state)
{
    (void)state;
    write_file("mounts/a/cpu.max", "150000 100000\n"); /* rounded up */
    write_file("mounts/a/b/cpu.max", "700000 100000\n");
    assert_int_equal(2, cpus("0::/a/b\n"));
    assert_int_equal(2, cpus("0::/a\n"));
    assert_int_equal(0, cpus("0::/other\n"));
    write_file("mounts/a/b/cpu.max", "100000 100000\n");
    assert_int_equal(1, cpus("0::/a/b\n"));
    write_file("mounts/cpu.max", "50000 100000\n");
    assert_int_equal(1, cpus("0::/\n"));
}

static void version_1_is_found_under_its_controllers(void **state)
{
    (void)state;
    static const char list[] = "5:cpuset:/box\n4:cpu,cpuacct:/box/in\n0::/\n";
    write_file("mounts/cpu,cpuacct/box/in/cpu.cfs_quota_us", "-1\n");
    write_file("mounts/cpu,cpuacct/box/in/cpu.cfs_period_us", "100000\n");
    assert_int_equal(0, cpus(list));
    write_file("mounts/cpu,cpuacct/box/cpu.cfs_quota_us", "300000\n");
    write_file("mounts/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
    assert_int_equal(3, cpus(list));
    /* A container sees its own group as the root of its mount. */
    write_file("mounts/cpu/cpu.cfs_quota_us", "200000\n");
    write_file("mounts/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(2, cpus("4:cpuacct,cpu:/docker/0123\n"));
    assert_int_equal(0, cpus("4:cpuset:/box\n4:cpuacct:/box\n"));
    write_file("mounts/unified/x/cpu.max", "100000 100000\n");
    assert_int_equal(1, cpus("4:cpu:/\n0::/x\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_quota_is_zero, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_smallest_of_the_groups_above_holds, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(version_1_is_found_under_its_controllers, make_root,
                                        remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
