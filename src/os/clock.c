#include "os/clock.h"

#include <time.h>

int64_t rdl_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t rdl_deadline_in_ns(int64_t duration_ns)
{
    int64_t deadline;
    if (duration_ns < 0 || __builtin_add_overflow(rdl_now_ns(), duration_ns, &deadline))
        return RDL_FOREVER;
    return deadline;
}

void rdl__sleep_ns(int64_t duration_ns)
{
    struct timespec left = {.tv_sec = (time_t)(duration_ns / 1000000000),
                            .tv_nsec = (long)(duration_ns % 1000000000)};
    while (nanosleep(&left, &left) != 0) {
    }
}
