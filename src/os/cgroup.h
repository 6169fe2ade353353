/*
 * The CPU quota that control groups set. Linux; elsewhere there is none.
 *
 * Threading: functions without state, which read files.
 */
#ifndef RDL_OS_CGROUP_H
#define RDL_OS_CGROUP_H

#include <stdint.h>

/**
 * The smallest quota, in whole processors rounded up, of a process's control group and of all groups that
 * hold it, as far as the mounts show them; 0: none is set. Version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us), also both at once.
 *
 * A container's own mount may show its group as the root while the list names it from the host's root: a
 * folder that is not there is passed over.
 *
 * @param list    file with the process's groups, /proc/self/cgroup
 * @param mounts  folder of the mounts, /sys/fs/cgroup
 */
uint32_t rdl__cgroup_cpus(const char *list, const char *mounts);

#endif
