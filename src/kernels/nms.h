/*
 * What NonMaxSuppression is made of: candidates in the order of their scores, and whether two boxes
 * overlap. How many boxes it finds is known only when all are found, so the operator computes on the
 * host, a box at a time.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_KERNELS_NMS_H
#define RDL_KERNELS_NMS_H

#include <stdbool.h>
#include <stdint.h>

/** Makes heap [n] of the numbers of the boxes whose score exceeds *threshold (NULL: that have one); returns
 * how many there are. */
int64_t rdl__k_nms_candidates(const float *scores, int64_t n, const float *threshold,
                              int64_t *heap);

/** Takes the best of a heap of n >= 1: the highest score, of the same scores the lowest number. n - 1 are
 * left. */
int64_t rdl__k_nms_take(const float *scores, int64_t *heap, int64_t n);

/** Whether the boxes' common area exceeds threshold, as a part of their joint area. A box is two
 * corners, y first, or with `centers` x, y, width, height. Source: ONNX NonMaxSuppression@10..11. */
bool rdl__k_nms_overlap(bool centers, const float *a, const float *b, float threshold);

#endif
