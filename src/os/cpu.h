/*
 * What the processor can do and how much of it this process may use.
 */
#ifndef RDL_OS_CPU_H
#define RDL_OS_CPU_H

#include <stddef.h>
#include <stdint.h>

/** Instruction sets for which kernels exist, best last within an architecture. */
enum rdl__isa {
    RDL__ISA_PORTABLE = 0,
    RDL__ISA_AVX2 = 1,  /* AVX2, FMA, F16C */
    RDL__ISA_AVX512 = 2 /* AVX-512 F, BW, DQ, VL beside those of AVX2 */
};

/** "portable", "avx2" or "avx512". */
const char *rdl__isa_name(enum rdl__isa isa);

/** The best instruction set of this machine. */
enum rdl__isa rdl__isa_found(void);

/** What the environment variable RADDLE_ISA asks for, whether or not the machine has it; NULL: nothing. */
const char *rdl__isa_asked(void);

/**
 * The best instruction set of this machine, or the one named by the environment variable RADDLE_ISA
 * if that is one the machine has. Read once; the same for the whole life of the process.
 */
enum rdl__isa rdl__isa_best(void);

/** Processors this process may use: the affinity mask, cut to the CPU quota of its control group
 * and those that hold it (os/cgroup.h); at least 1. Read at each call. */
uint32_t rdl__cpu_allowed(void);

/** The two bounds of rdl__cpu_allowed: processors of the affinity mask, and the control groups' quota
 * (0: there is none). */
uint32_t rdl__cpu_affinity(void);
uint32_t rdl__cpu_quota(void);

/** Processors of the machine; at least 1. */
uint32_t rdl__cpu_count(void);

/** Bytes of a page. */
size_t rdl__page_bytes(void);

/** Bytes that two threads must keep apart so that they never write one line (two lines where the
 * processor fetches them in pairs). */
#define RDL__CACHE_LINE 128

#endif
