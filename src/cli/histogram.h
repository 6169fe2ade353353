/*
 * Latencies, counted in buckets of equal relative width (1/64), for percentiles without storing
 * each.
 */
#ifndef RADDLE_CLI_HISTOGRAM_H
#define RADDLE_CLI_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/** 64 buckets for each power of two. */
#define HISTOGRAM_FINE_BITS 6
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_FINE_BITS + 1) << HISTOGRAM_FINE_BITS)

/** Zeroed: empty. One user at a time. */
struct histogram {
    uint64_t total;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);

/** The value that `fraction` (0..1) of the values do not exceed, within 1/64; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

#endif
