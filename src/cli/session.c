/*
 * A model on a device.
 */
#include "cli/session.h"

#include "cli/cli.h"
#include "cli/progress.h"

enum rdl_status session_open(const struct common *common, struct session *out,
                             struct rdl_error *error)
{
    *out = (struct session){0};
    CLI_TRY(rdl_device_open(common->device, NULL, &out->device, error));
    const struct rdl_load_options options = {
        .size = sizeof options, .device = out->device, .no_fusion = common->no_fusion};
    progress_show("loading %s", common->model);
    enum rdl_status status = rdl_model_load(common->model, &options, &out->model, error);
    progress_clear();
    CLI_TRY(status);
    status = rdl_model_get_info(out->model, &out->info, error);
    if (status != RDL_OK) {
        session_close(out);
        return status;
    }
    out->n_inputs = rdl_model_info_input_count(out->info);
    out->n_outputs = rdl_model_info_output_count(out->info);
    return RDL_OK;
}

void session_close(struct session *session)
{
    rdl_model_info_release(session->info);
    rdl_model_close(session->model);
    *session = (struct session){0};
}
