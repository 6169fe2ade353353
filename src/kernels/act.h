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
    RDL__K_ACT_HARD_SWISH,  /* x * (clip(x + 3, 0, 6) * (1/6)): x itself where that is large */
    RDL__K_ACT_HARD_SIGMOID /* clip(a * x + b, 0, 1), the product rounded before the sum */
};

struct rdl__k_act {
    enum rdl__k_act_kind kind;
    float a, b; /* of CLIP and HARD_SIGMOID */
};

#endif
