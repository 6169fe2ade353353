/*
 * Log-linear histogram: the leading bits of a value choose its bucket.
 */
#include "cli/histogram.h"

#define FINE (UINT64_C(1) << HISTOGRAM_FINE_BITS)

static size_t bucket_of(uint64_t value)
{
    if (value < FINE)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_FINE_BITS;
    return (size_t)(((uint64_t)(shift + 1) << HISTOGRAM_FINE_BITS) + ((value >> shift) - FINE));
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < FINE)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_FINE_BITS) - 1;
    uint64_t low = ((bucket & (FINE - 1)) + FINE) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->total += from->total;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
    double wanted = fraction * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (histogram->counts[i] > 0 && (double)seen >= wanted)
            return value_of(i);
    }
    return 0;
}
