/*
 * Largest values under a window, in strips.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_POOL_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_POOL_INC_H

#include "kernels/cpu/template/strips.inc.h"
#include "kernels/pool.h"

static ALWAYS_INLINE void pool_vectors(const int nv, const struct rdl__k_pool *p, const float *rows,
                                       int64_t x, float *y)
{
    vf most[ACT_ROW];
    UNROLL for (int v = 0; v < nv; v++) most[v] = vf_set1(-__builtin_inff());
    /* A NaN is no larger than what is there, so it is passed over. */
    const struct places places = places_of(&p->window);
    STRIP_EACH_PLACE(places, p->strips.part, rows + x, in, {
        UNROLL for (int v = 0; v < nv; v++) most[v] = vf_max(vf_load(in + v * VF_LANES), most[v]);
    })
    strip_store(nv, y, x, p->window.out[2], most);
}

enum rdl_status RDL_ISA(rdl__k_pool_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_pool *p = call->params;
    const struct rdl__k_window *w = &p->window;
    const int64_t step = p->strips.part * w->stride[2] * w->stride[1];
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t first = (int64_t)t % p->strips.count * p->strips.rows;
        const int64_t plane = (int64_t)t / p->strips.count;
        const int64_t rows =
            w->out[1] - first < p->strips.rows ? w->out[1] - first : p->strips.rows;
        strip_load(w, &p->strips, (const float *)call->bind[0] + plane * w->in[1] * w->in[2], first,
                   rows, -__builtin_inff(), call->scratch);
        for (int64_t o = 0; o < rows; o++) {
            const float *in = (const float *)call->scratch + o * step;
            float *y = (float *)call->bind[1] + (plane * w->out[1] + first + o) * w->out[2];
            int64_t x = 0;
            for (; x + VF_LANES < w->out[2]; x += 2 * VF_LANES)
                pool_vectors(2, p, in, x, y);
            if (x < w->out[2])
                pool_vectors(1, p, in, x, y);
        }
    }
    return RDL_OK;
}

#endif
