/*
 * footprint: what loading a model costs one engine, in a process of its own.
 *
 * Time from the opened library to a model that can be called, processor time of the process
 * meanwhile, and time of the first call; peak of the resident memory (VmHWM) before the model is
 * loaded, after it, and after ten calls of one thread.
 */
#include "cli/cli.h"
#include "cli/crew.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 10

static const struct peer_kind *const kinds[] = {&peer_raddle,          &peer_ort_shared,
                                                &peer_ort_binding,     &peer_ort_own,
                                                &peer_openvino_shared, &peer_openvino_own};

struct options {
    struct material_plan plan;
    const struct peer_kind *kind;
    const char *library;
};

struct footprint {
    double load_ms, load_cpu_ms, first_ms;
    double start_mib, load_mib, calls_mib;
};

static const struct argp_option option_table[] = {
    {"peer", 'p', "NAME", 0, "raddle (default), ort, ort_own, openvino_own ...", 0},
    {"library", 'l', "FILE", 0, "The library of that peer", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->plan;
        return 0;
    case 'p':
        options->kind = NULL;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            if (strcmp(kinds[i]->name, argument) == 0)
                options->kind = kinds[i];
        if (options->kind == NULL)
            argp_error(state, "no peer '%s'", argument);
        return 0;
    case 'l':
        options->library = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->kind->open_library != NULL && options->library == NULL)
            argp_error(state, "--library is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Peak of the resident memory so far; negative if unknown. */
static double peak_mib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = -1024;
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    (void)fclose(file);
    return kib / 1024;
}

static enum rdl_status measure(const struct options *options, const struct material *material,
                               struct footprint *out, struct rdl_error *error)
{
    struct peer peer = {0};
    if (options->kind->open_library != NULL)
        CLI_TRY(options->kind->open_library(options->library, error));
    out->start_mib = peak_mib();
    double cpu_s = crew_processor_seconds();
    int64_t start = rdl_now_ns();
    CLI_TRY(peer_open(options->kind, &options->plan, material, &peer, error));
    int64_t loaded = rdl_now_ns();
    out->load_cpu_ms = (crew_processor_seconds() - cpu_s) * 1e3;
    out->load_mib = peak_mib();
    int64_t called = rdl_now_ns();
    bool good = options->kind->call(peer.contexts[0]);
    int64_t first = rdl_now_ns();
    for (int i = 1; i < CALLS && good; i++)
        good = options->kind->call(peer.contexts[0]);
    out->calls_mib = peak_mib();
    out->load_ms = (double)(loaded - start) / 1e6;
    out->first_ms = (double)(first - called) / 1e6;
    if (!good)
        cli_note(error, RDL_ERR_RUNTIME, "%s: %s", options->kind->name,
                 options->kind->fault(peer.contexts[0]));
    peer_close(&peer);
    return good ? RDL_OK : RDL_ERR_RUNTIME;
}

int main(int argc, char **argv)
{
    struct options options = {.plan = MATERIAL_PLAN_DEFAULTS, .kind = &peer_raddle};
    const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "MODEL",
        .doc = "Measures load time and peak memory of one engine; writes one JSON object.",
        .children = material_children};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    struct material *material = NULL;
    struct footprint footprint = {0};
    struct rdl_error error = {.message = ""};
    enum rdl_status status = material_make(&options.plan, &material, &error);
    if (status == RDL_OK)
        status = measure(&options, material, &footprint, &error);
    material_free(material);
    int exit_status = CLI_OK;
    if (status != RDL_OK) {
        exit_status = cli_report(options.plan.common.model, &error);
    } else {
        printf("{\"load_ms\": %.3f, \"load_cpu_ms\": %.3f, \"first_ms\": %.3f, "
               "\"start_mib\": %.1f, \"load_mib\": %.1f, \"calls_mib\": %.1f}\n",
               footprint.load_ms, footprint.load_cpu_ms, footprint.first_ms, footprint.start_mib,
               footprint.load_mib, footprint.calls_mib);
        exit_status = cli_finish(CLI_OK);
    }
    material_plan_fini(&options.plan);
    return exit_status;
}
