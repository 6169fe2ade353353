/*
 * Boxes in the order of their scores. No state; any thread.
 */
#include "kernels/nms.h"

#include <math.h>
#include <stddef.h>

/* Corners of a box in order: low y, low x, high y, high x. */
static void corners_of(bool centers, const float *box, float corners[4])
{
    for (int i = 0; i < 2; i++) {
        const float half = centers ? box[3 - i] / 2 : 0;
        const float a = centers ? box[1 - i] - half : box[i];
        const float b = centers ? box[1 - i] + half : box[i + 2];
        corners[i] = a < b ? a : b;
        corners[i + 2] = a < b ? b : a;
    }
}

bool rdl__k_nms_overlap(bool centers, const float *a, const float *b, float threshold)
{
    float ca[4], cb[4], common = 1;
    corners_of(centers, a, ca);
    corners_of(centers, b, cb);
    for (int i = 0; i < 2; i++) {
        const float low = ca[i] > cb[i] ? ca[i] : cb[i];
        const float high = ca[i + 2] < cb[i + 2] ? ca[i + 2] : cb[i + 2];
        common *= high > low ? high - low : 0;
    }
    const float area_a = (ca[2] - ca[0]) * (ca[3] - ca[1]);
    const float area_b = (cb[2] - cb[0]) * (cb[3] - cb[1]);
    const float all = area_a + area_b - common;
    return common > 0 && area_a > 0 && area_b > 0 && common / all > threshold;
}

/* Whether box i comes before box j: a higher score, or the same and a lower number. */
static bool before(const float *scores, int64_t i, int64_t j)
{
    return scores[i] > scores[j] || (!(scores[i] < scores[j]) && i < j);
}

static void sift(const float *scores, int64_t *heap, int64_t n, int64_t at)
{
    const int64_t moving = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(scores, heap[child + 1], heap[child]))
            child++;
        if (!before(scores, heap[child], moving))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

int64_t rdl__k_nms_candidates(const float *scores, int64_t n, const float *threshold, int64_t *heap)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (threshold == NULL ? !isnan(scores[i]) : scores[i] > *threshold)
            heap[count++] = i;
    for (int64_t i = count / 2 - 1; i >= 0; i--)
        sift(scores, heap, count, i);
    return count;
}

int64_t rdl__k_nms_take(const float *scores, int64_t *heap, int64_t n)
{
    const int64_t best = heap[0];
    heap[0] = heap[n - 1];
    if (n > 1)
        sift(scores, heap, n - 1, 0);
    return best;
}
