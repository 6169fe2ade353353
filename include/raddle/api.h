/*
 * Version, export and attribute macros shared by all public headers.
 */
#ifndef RADDLE_API_H
#define RADDLE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RDL_VERSION_MAJOR 0
#define RDL_VERSION_MINOR 1
#define RDL_VERSION_PATCH 0
#define RDL_VERSION (RDL_VERSION_MAJOR * 10000 + RDL_VERSION_MINOR * 100 + RDL_VERSION_PATCH)

#if defined(__GNUC__)
#define RDL_API __attribute__((visibility("default")))
#define RDL_NODISCARD __attribute__((warn_unused_result))
#else
#define RDL_API
#define RDL_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Version of the library that is loaded, in the form of RDL_VERSION (10000 major + 100 minor +
 * patch). Compare it with RDL_VERSION, which is the version of the header.
 *
 * Thread: any; never blocks.
 */
RDL_API uint32_t rdl_version(void);

#ifdef __cplusplus
}
#endif
#endif
