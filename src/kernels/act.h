/*
 * Activations that a kernel applies to its result before it stores it.
 */
#ifndef RDL_KERNELS_ACT_H
#define RDL_KERNELS_ACT_H

/** Which function. A NaN passes through all of them. */
enum rdl__k_act_kind {
    RDL__K_ACT_NONE = 0,
    RDL__K_ACT_RELU,        /* 0 > x ? 0 : x */
    RDL__K_ACT_CLIP,        /* t = a > x ? a : x; b < t ? b : t */
    RDL__K_ACT_HARD_SWISH,  /* a * (x * (clip(x + 3, 0, 6) * (1/6))) + b, each product rounded */
    RDL__K_ACT_HARD_SIGMOID /* clip(a * x + b, 0, 1), the product rounded before the sum */
};

struct rdl__k_act {
    enum rdl__k_act_kind kind;
    float a, b; /* of CLIP, HARD_SWISH and HARD_SIGMOID */
};

#endif
