/*
 * Raddle: neural-network inference for programs with many threads. Takes all public headers.
 */
#ifndef RADDLE_RADDLE_H
#define RADDLE_RADDLE_H

#include "raddle/api.h"
#include "raddle/config.h"
#include "raddle/device.h"
#include "raddle/dlpack.h"
#include "raddle/inspect.h"
#include "raddle/memory.h"
#include "raddle/model.h"
#include "raddle/status.h"
#include "raddle/stream.h"
#include "raddle/tensor.h"

#endif
