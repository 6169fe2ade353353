/*
 * Profiles of a model on the terminal, and as a trace for Perfetto and chrome://tracing.
 */
#ifndef RADDLE_CLI_PROFILE_H
#define RADDLE_CLI_PROFILE_H

#include "raddle/inspect.h"

/** Prints a line for each node, slowest first, and one for each operator. @return RDL_ERR_NO_MEMORY */
enum rdl_status profile_print(const struct rdl_plan_info *plan, uint32_t runs,
                              struct rdl_error *error);

/** Writes the steps one after the other, as the Trace Event Format's JSON object, to a file that is
 * replaced. @return RDL_ERR_IO, RDL_ERR_NO_MEMORY */
enum rdl_status profile_write_trace(const struct rdl_plan_info *plan, const char *model,
                                    const char *path, struct rdl_error *error);

#endif
