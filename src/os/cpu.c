/*
 * Processor properties. The best instruction set is found once and kept in an atomic; two threads
 * that find it at once find the same.
 */
#include "os/cpu.h"

#include "os/atomic.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const isa_names[] = {"portable", "avx2", "avx512"};

const char *rdl__isa_name(enum rdl__isa isa)
{
    return isa_names[isa];
}

enum rdl__isa rdl__isa_found(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return RDL__ISA_PORTABLE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return RDL__ISA_AVX512;
    return RDL__ISA_AVX2;
#else
    return RDL__ISA_PORTABLE;
#endif
}

const char *rdl__isa_asked(void)
{
    const char *wish = getenv("RADDLE_ISA");
    return wish != NULL && wish[0] != '\0' ? wish : NULL;
}

static enum rdl__isa choose(void)
{
    const enum rdl__isa best = rdl__isa_found();
    const char *wish = rdl__isa_asked();
    for (int isa = 0; wish != NULL && isa <= (int)best; isa++)
        if (strcmp(wish, isa_names[isa]) == 0)
            return (enum rdl__isa)isa;
    return best;
}

enum rdl__isa rdl__isa_best(void)
{
    static _Atomic int known = -1;
    int isa = rdl__load_relaxed(&known); /* no other data depends on it */
    if (isa < 0) {
        isa = (int)choose();
        rdl__store_relaxed(&known, isa);
    }
    return (enum rdl__isa)isa;
}

uint32_t rdl__cpu_count(void)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

uint32_t rdl__cpu_affinity(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return rdl__cpu_count(); /* more than CPU_SETSIZE processors: no mask is read */
    const int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

/* The first two integers of a file, as far as it has them; how many there are. */
static int read_integers(const char *path, long long out[2])
{
    char line[128];
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

/* The CPU quota of this process's cgroup (v2, then v1) in whole processors; 0 if there is none. */
uint32_t rdl__cpu_quota(void)
{
    long long quota[2] = {0}, period[2] = {0};
    if (read_integers("/sys/fs/cgroup/cpu.max", quota) == 2) { /* "max" is no integer: no quota */
        period[0] = quota[1];
    } else if (read_integers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota) < 1 ||
               read_integers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) < 1) {
        return 0;
    }
    if (quota[0] <= 0 || period[0] <= 0)
        return 0;
    return (uint32_t)((quota[0] + period[0] - 1) / period[0]);
}

uint32_t rdl__cpu_allowed(void)
{
    const uint32_t mask = rdl__cpu_affinity();
    const uint32_t quota = rdl__cpu_quota();
    return quota > 0 && quota < mask ? quota : mask;
}

size_t rdl__page_bytes(void)
{
    const long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}
