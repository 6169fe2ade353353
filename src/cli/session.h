/*
 * A model on a device, opened from the command line.
 */
#ifndef RADDLE_CLI_SESSION_H
#define RADDLE_CLI_SESSION_H

#include "cli/common.h"

/** Device, model and the model's facts. Zeroed: nothing is open. */
struct session {
    struct rdl_device device;
    struct rdl_model model;
    struct rdl_model_info *info;
    size_t n_inputs, n_outputs;
};

/** Opens the shared device and loads the model that the options name. @return as the functions it
 * calls */
enum rdl_status session_open(const struct common *common, struct session *out,
                             struct rdl_error *error);
void session_close(struct session *session);

#endif
