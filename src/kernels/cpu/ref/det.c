/*
 * Reference determinants. No state; any thread.
 */
#include "kernels/det.h"

#include <math.h>

/* Brings the row with the largest element of column `c` up to row c; whether it was another one. */
static bool take_pivot(double *a, int64_t n, int64_t c)
{
    int64_t best = c;
    for (int64_t r = c + 1; r < n; r++)
        if (fabs(a[r * n + c]) > fabs(a[best * n + c]))
            best = r;
    for (int64_t k = c; k < n && best != c; k++) {
        const double held = a[c * n + k];
        a[c * n + k] = a[best * n + k];
        a[best * n + k] = held;
    }
    return best != c;
}

/* The determinant of a [n, n], which is overwritten. */
static double det_of(double *a, int64_t n)
{
    double det = 1;
    for (int64_t c = 0; c < n; c++) {
        det = take_pivot(a, n, c) ? -det : det;
        const double pivot = a[c * n + c];
        det *= pivot;
        if (pivot == 0)
            return 0;
        for (int64_t r = c + 1; r < n; r++) {
            const double factor = a[r * n + c] / pivot;
            for (int64_t k = c + 1; k < n; k++)
                a[r * n + k] -= factor * a[c * n + k];
        }
    }
    return det;
}

enum rdl_status rdl__k_det(const struct rdl__kernel_call *call)
{
    const struct rdl__k_det *p = call->params;
    const int64_t size = p->n * p->n;
    double *a = call->scratch;
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        for (int64_t i = 0; i < size; i++)
            a[i] = p->dtype == RDL_F64 ? ((const double *)call->bind[0])[t * size + i]
                                       : (double)((const float *)call->bind[0])[t * size + i];
        const double det = det_of(a, p->n);
        if (p->dtype == RDL_F64)
            ((double *)call->bind[1])[t] = det;
        else
            ((float *)call->bind[1])[t] = (float)det;
    }
    return RDL_OK;
}
