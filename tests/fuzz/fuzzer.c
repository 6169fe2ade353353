/*
 * The fuzz target behind libFuzzer: built by clang with -Dlibfuzzer=enabled, in a build of its own.
 * tests/fuzz/onnx_fuzzer CORPUS -max_len=65536 searches by coverage, where onnx_mutation goes by the
 * format.
 */
#include "target.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rdl_error error;
    (void)fuzz_one(data, size, &error);
    return 0;
}
