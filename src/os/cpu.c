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

static enum rdl__isa detect(void)
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

static enum rdl__isa choose(void)
{
    const enum rdl__isa best = detect();
    const char *wish = getenv("RADDLE_ISA");
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

static uint32_t affinity_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return rdl__cpu_count(); /* more than CPU_SETSIZE processors: no mask is read */
    const int count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

/* The CPU quota of this process's cgroup (v2, then v1) in whole processors; 0 if there is none. */
static uint32_t quota_count(void)
{
    long long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file != NULL) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2)
            quota = 0; /* "max": no quota */
        (void)fclose(file);
    } else {
        file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        FILE *other = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (file == NULL || other == NULL || fscanf(file, "%lld", &quota) != 1 ||
            fscanf(other, "%lld", &period) != 1)
            quota = 0;
        if (file != NULL)
            (void)fclose(file);
        if (other != NULL)
            (void)fclose(other);
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (uint32_t)((quota + period - 1) / period);
}

uint32_t rdl__cpu_allowed(void)
{
    const uint32_t mask = affinity_count();
    const uint32_t quota = quota_count();
    return quota > 0 && quota < mask ? quota : mask;
}

size_t rdl__page_bytes(void)
{
    const long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}
