/*
 * Buffers: counted pieces of device memory.
 */
#ifndef RDL_RUNTIME_BUFFER_H
#define RDL_RUNTIME_BUFFER_H

#include "runtime/stream.h"

/** The device that a buffer lies on. */
struct rdl__device *rdl__buffer_device(const struct rdl_buffer *buffer);

#endif
