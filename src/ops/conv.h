/*
 * What the convolutions share: Conv, its quantised kin, and in part ConvTranspose.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_OPS_CONV_H
#define RDL_OPS_CONV_H

#include "ops/window.h"

/** Checks the attributes of Conv, which ConvInteger and QLinearConv have too. */
enum rdl_status rdl__conv_check(const struct rdl__node *node, struct rdl_error *error);

/** Reads the window, and checks that the weights [m, c / group, kernel...], input i, fit the image. */
enum rdl_status rdl__conv_read(const struct rdl__infer *infer, uint32_t i,
                               struct rdl__op_window *window);

/** Checks that input i, if it is given, is a bias [channels]; its dtype is the caller's to check. */
enum rdl_status rdl__conv_bias(const struct rdl__infer *infer, uint32_t i, int64_t channels);

#endif
