/*
 * See cgroup.h.
 */
#include "os/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first two integers of a file, as far as it has them; how many there are. */
static int read_integers(const char *folder, const char *name, long long out[2])
{
    char path[PATH_MAX], line[128];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    const char *at = fgets(line, sizeof line, file);
    (void)fclose(file);
    int count = 0;
    while (at != NULL && count < 2) {
        char *end;
        const long long value = strtoll(at, &end, 10);
        if (end == at)
            break;
        out[count++] = value;
        at = end;
    }
    return count;
}

/* The quota that a group's folder sets, rounded up; 0: none. "max" is no integer, -1 no quota. */
static uint32_t quota_of(const char *folder)
{
    long long quota[2] = {0}, period[2] = {0};
    if (read_integers(folder, "cpu.max", quota) == 2)
        period[0] = quota[1];
    else if (read_integers(folder, "cpu.cfs_quota_us", quota) < 1 ||
             read_integers(folder, "cpu.cfs_period_us", period) < 1)
        return 0;
    if (quota[0] <= 0 || period[0] <= 0)
        return 0;
    const long long cpus = quota[0] / period[0] + (quota[0] % period[0] != 0);
    return cpus < UINT32_MAX ? (uint32_t)cpus : UINT32_MAX;
}

static void take_smaller(uint32_t *least, uint32_t quota)
{
    if (quota > 0 && (*least == 0 || quota < *least))
        *least = quota;
}

/* Looks at a group and all that hold it, up to the mount itself. `group` is cut on the way. */
static void walk_up(const char *mount, char *group, uint32_t *least)
{
    char folder[PATH_MAX];
    for (;;) {
        if (snprintf(folder, sizeof folder, "%s%s", mount, group) < (int)sizeof folder)
            take_smaller(least, quota_of(folder));
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

/* Whether a list of controllers, with commas between, has one called cpu. */
static bool names_cpu(const char *controllers, size_t length)
{
    for (const char *at = controllers; at < controllers + length;) {
        const size_t n = strcspn(at, ",:");
        if (n == 3 && strncmp(at, "cpu", 3) == 0)
            return true;
        at += n + 1;
    }
    return false;
}

/* A line of the list: number, controllers (none in version 2), group; with colons between. */
static void read_line(const char *mounts, char *line, uint32_t *least)
{
    char mount[PATH_MAX], *end = strchr(line, '\n');
    if (end != NULL)
        *end = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(++controllers, ':') : NULL;
    if (group == NULL)
        return;
    const int length = (int)(group++ - controllers);
    if (length == 0) {
        char again[PATH_MAX]; /* beside version 1, version 2 has a mount of its own */
        (void)snprintf(again, sizeof again, "%s", group);
        walk_up(mounts, group, least);
        if (snprintf(mount, sizeof mount, "%s/unified", mounts) < (int)sizeof mount)
            walk_up(mount, again, least);
    } else if (names_cpu(controllers, (size_t)length) &&
               snprintf(mount, sizeof mount, "%s/%.*s", mounts, length, controllers) <
                   (int)sizeof mount) {
        char again[PATH_MAX]; /* by the controllers' names together, or linked as cpu alone */
        (void)snprintf(again, sizeof again, "%s", group);
        walk_up(mount, group, least);
        if (snprintf(mount, sizeof mount, "%s/cpu", mounts) < (int)sizeof mount)
            walk_up(mount, again, least);
    }
}

uint32_t rdl__cgroup_cpus(const char *list, const char *mounts)
{
    char line[PATH_MAX];
    uint32_t least = 0;
    FILE *file = fopen(list, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        read_line(mounts, line, &least);
    (void)fclose(file);
    return least;
}
