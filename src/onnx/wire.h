/*
 * How decoded messages keep what is not a plain number. The structs that the build generates from
 * onnx.proto are made of these.
 */
#ifndef RDL_ONNX_WIRE_H
#define RDL_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

/** Bytes of the file, in place. bytes is NULL if the field is absent. */
struct rdl__span {
    const uint8_t *bytes;
    size_t size_bytes;
};

/** Elements of a repeated field in order: spans, messages, or numbers of 4 or 8 bytes. */
struct rdl__list {
    void *items;
    size_t n, cap;
};

/** The items of a list as an array of type. */
#define RDL__ITEMS(list, type) ((const type *)(list).items)

#endif
