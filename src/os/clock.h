/*
 * The clock that all deadlines count in is rdl_now_ns (raddle/config.h), monotonic. Here are the other
 * clocks.
 */
#ifndef RDL_OS_CLOCK_H
#define RDL_OS_CLOCK_H

#include "raddle/config.h"

/** Whether deadline_ns has passed. RDL_FOREVER never passes and costs no clock read. */
static inline bool rdl__deadline_passed(int64_t deadline_ns)
{
    return deadline_ns != RDL_FOREVER && rdl_now_ns() >= deadline_ns;
}

/** Sleeps for duration_ns. For the simulated device's delays; nothing else sleeps. */
void rdl__sleep_ns(int64_t duration_ns);

#endif
