/*
 * Processor properties. The best instruction set is found once and kept in an atomic; two threads
 * that find it at once find the same.
 */
#include "os/cpu.h"

#include "os/atomic.h"
#include "os/cgroup.h"

#include <sched.h>
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

uint32_t rdl__cpu_quota(void)
{
    return rdl__cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
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
