/*
 * Devices for tests, opened and closed with no way to fail but the test's.
 */
#ifndef TESTS_SUPPORT_DEVICES_H
#define TESTS_SUPPORT_DEVICES_H

#include "support/cmocka.h"

#include "raddle/device.h"
#include "runtime/device.h"

/** A device of its own with these options, whose size is filled in here. */
static inline struct rdl_device open_device(const char *name, struct rdl_device_options options)
{
    struct rdl_device device;
    struct rdl_error error;
    options.size = sizeof options;
    if (rdl_device_open(name, &options, &device, &error) != RDL_OK)
        fail_msg("%s", error.message);
    return device;
}

/** What is behind a handle; the device stays open while the test uses it. */
static inline struct rdl__device *inside(struct rdl_device handle)
{
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, NULL);
    assert_non_null(device);
    rdl__device_unpin(device);
    return device;
}

static inline void close_device(struct rdl_device device)
{
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

#endif
