/*
 * `raddle doctor`: what the library finds on this machine, and what it uses of it.
 */
#include "cli/cli.h"
#include "cli/json.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

static const char *const device_names[] = {"cpu", "sim"};

/* Environment variables that the library reads, and what they do. */
static const struct {
    const char *name, *what;
} variables[] = {
    {"RADDLE_ISA", "instruction set of the kernels: portable, avx2 or avx512"},
};

static const struct argp_option option_table[] = {
    {"json", 'j', NULL, 0, "Write one JSON object instead of the lists", 0},
    {0},
};

static const char documentation[] =
    "Tells which version this is, which devices open, which instruction set is used, how many cores "
    "and how much memory the process may have, and every setting with its effective value.\v"
    "Exit status: 0 all is well, 1 something that was asked for is not so (a device does not open, "
    "RADDLE_ISA names what the machine does not have), 2 wrong use.\n\n"
    "Examples:\n"
    "  raddle doctor\n"
    "  RADDLE_ISA=portable raddle doctor --json";

/* What is found, once, for both ways of telling it. */
struct findings {
    char version[32];
    struct {
        struct rdl_device_info info;
        struct rdl_error error; /* of a device that does not open */
        bool opens;
    } devices[sizeof device_names / sizeof *device_names];
    char memory_limit[32]; /* bytes of the cgroup's limit, or "none" */
    const char *complaint; /* NULL: none */
    char complaint_text[256];
};
#define N_DEVICES (sizeof device_names / sizeof *device_names)

/* ---- finding --------------------------------------------------------------------------------- */

static const char *knob(const char *name, char *out, size_t room)
{
    return rdl_knob(name, out, room) == RDL_OK ? out : "unknown";
}

/* The first word of a file; false if there is none. */
static bool read_word(const char *path, char *out, size_t room)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const bool read = fgets(out, (int)room, file) != NULL;
    (void)fclose(file);
    char *end = read ? strpbrk(out, " \n") : NULL;
    if (end != NULL)
        *end = '\0';
    return read;
}

/* Of the cgroup, v2 then v1. Version 1 says that there is none by a number near 2^63. */
static void find_memory_limit(char *out, size_t room)
{
    char word[32];
    (void)snprintf(out, room, "none");
    if (!read_word("/sys/fs/cgroup/memory.max", word, sizeof word) &&
        !read_word("/sys/fs/cgroup/memory/memory.limit_in_bytes", word, sizeof word))
        return;
    char *end = NULL;
    const unsigned long long bytes = strtoull(word, &end, 10);
    if (end != word && bytes < (1ULL << 60))
        (void)snprintf(out, room, "%llu", bytes);
}

static void find_devices(struct findings *findings)
{
    for (size_t i = 0; i < N_DEVICES; i++) {
        struct rdl_device device;
        struct rdl_error *error = &findings->devices[i].error;
        enum rdl_status status = rdl_device_open(device_names[i], NULL, &device, error);
        findings->devices[i].info.size = sizeof findings->devices[i].info;
        if (status == RDL_OK) {
            status = rdl_device_get_info(device, &findings->devices[i].info);
            if (status != RDL_OK)
                cli_note(error, status, "%s", rdl_status_text(status));
        }
        findings->devices[i].opens = status == RDL_OK;
        if (status != RDL_OK) {
            (void)snprintf(findings->complaint_text, sizeof findings->complaint_text,
                           "device %s does not open: %.200s", device_names[i], error->message);
            findings->complaint = findings->complaint_text;
        }
    }
}

static void find_all(struct findings *findings)
{
    char asked[64], used[64];
    const uint32_t version = rdl_version();
    (void)snprintf(findings->version, sizeof findings->version, "%u.%u.%u",
                   (unsigned)(version / 10000), (unsigned)(version / 100 % 100),
                   (unsigned)(version % 100));
    find_devices(findings);
    find_memory_limit(findings->memory_limit, sizeof findings->memory_limit);
    if (strcmp(knob("isa_asked", asked, sizeof asked), "none") != 0 &&
        strcmp(asked, knob("isa", used, sizeof used)) != 0) {
        (void)snprintf(findings->complaint_text, sizeof findings->complaint_text,
                       "RADDLE_ISA=%s is not an instruction set that this machine has; %s is used",
                       asked, used);
        findings->complaint = findings->complaint_text;
    }
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_lists(const struct findings *findings)
{
    char text[64];
    printf("raddle %s\n\ndevices\n", findings->version);
    for (size_t i = 0; i < N_DEVICES; i++) {
        const struct rdl_device_info *info = &findings->devices[i].info;
        if (findings->devices[i].opens)
            printf("  %-6s opens: %u lanes, %s kernels, %s\n", device_names[i],
                   (unsigned)info->lanes, info->isa,
                   info->asynchronous ? "asynchronous, a simulation for tests"
                                      : "on the calling thread");
        else
            printf("  %-6s does not open: %s\n", device_names[i],
                   findings->devices[i].error.message);
    }
    printf("\nlimits\n");
    printf("  %-20s %s\n", "instruction set", knob("isa", text, sizeof text));
    printf("  %-20s %s\n", "  the machine's best", knob("isa_found", text, sizeof text));
    printf("  %-20s %s\n", "cores", knob("allowed_cores", text, sizeof text));
    printf("  %-20s %s\n", "  by affinity mask", knob("affinity_cores", text, sizeof text));
    printf("  %-20s %s\n", "  by cgroup quota", knob("quota_cores", text, sizeof text));
    printf("  %-20s %s\n", "memory bytes", findings->memory_limit);
    printf("\nsettings\n");
    for (size_t i = 0; rdl_knob_name(i) != NULL; i++)
        printf("  %-20s %s\n", rdl_knob_name(i), knob(rdl_knob_name(i), text, sizeof text));
    printf("\nenvironment\n");
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i].name);
        printf("  %-20s %s (%s)\n", variables[i].name, value != NULL ? value : "not set",
               variables[i].what);
    }
}

static enum rdl_status print_json(const struct findings *findings, struct rdl_error *error)
{
    char text[64];
    struct json json = {0};
    cJSON *root = json_object(&json, NULL, NULL);
    json_text(&json, root, "version", findings->version);
    cJSON *devices = json_array(&json, root, "devices");
    for (size_t i = 0; i < N_DEVICES; i++) {
        cJSON *device = json_object(&json, devices, NULL);
        json_text(&json, device, "name", device_names[i]);
        json_bool(&json, device, "opens", findings->devices[i].opens);
        if (findings->devices[i].opens) {
            json_text(&json, device, "isa", findings->devices[i].info.isa);
            json_number(&json, device, "lanes", findings->devices[i].info.lanes);
            json_bool(&json, device, "asynchronous", findings->devices[i].info.asynchronous);
        } else {
            json_text(&json, device, "error", findings->devices[i].error.message);
        }
    }
    json_text(&json, root, "memory_limit_bytes", findings->memory_limit);
    cJSON *knobs = json_object(&json, root, "settings");
    for (size_t i = 0; rdl_knob_name(i) != NULL; i++)
        json_text(&json, knobs, rdl_knob_name(i), knob(rdl_knob_name(i), text, sizeof text));
    cJSON *environment = json_object(&json, root, "environment");
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i].name);
        json_text(&json, environment, variables[i].name, value != NULL ? value : "");
    }
    if (findings->complaint != NULL)
        json_text(&json, root, "complaint", findings->complaint);
    return json_write(&json, stdout, error);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    bool *as_json = state->input;
    switch (key) {
    case 'j':
        *as_json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s': no argument is taken", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cli_doctor(int argc, char **argv)
{
    bool as_json = false;
    const struct argp parser = {
        .options = option_table, .parser = parse_option, .doc = documentation};
    argp_parse(&parser, argc, argv, 0, NULL, &as_json);
    struct findings findings = {0};
    struct rdl_error error = {.message = ""};
    find_all(&findings);
    if (!as_json)
        print_lists(&findings);
    else if (print_json(&findings, &error) != RDL_OK)
        return cli_report("doctor", &error);
    if (findings.complaint == NULL)
        return CLI_OK;
    cli_note(&error, RDL_ERR_ARGUMENT, "%s", findings.complaint);
    return cli_report("doctor", &error);
}
