/*
 * compare: Raddle, ONNX Runtime and OpenVINO on one model, in turns.
 *
 * A round measures each peer once, in an order that changes from round to round, with a peak probe
 * before and after. A round counts only if the cores were there (the probe) and nobody else used
 * the machine much (/proc/stat); others are repeated, up to three times as many rounds in all. If
 * none counts, all of them are told and marked as disturbed. A peer's answers are compared with
 * Raddle's before the clock and after each of its windows; Raddle's own, bit for bit, with those of
 * a sequential run in another process.
 */
#include "cli/cli.h"
#include "cli/crew.h"
#include "cli/peak.h"
#include "peer.h"

#include <argp.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEERS 6
#define REPEATS 3
#define MAX_ROUNDS 600
#define PROBE_SECONDS 0.02
#define SHARED_CORE 0.8
#define MAX_FOREIGN 0.1 /* cores that others may use */
#define ABSOLUTE_TOLERANCE 1e-5
#define RELATIVE_TOLERANCE 1e-4

/* Raddle is the first: what the others are held against. */
static const struct peer_kind *const kinds[PEERS] = {
    &peer_raddle,  &peer_ort_shared,      &peer_ort_binding,
    &peer_ort_own, &peer_openvino_shared, &peer_openvino_own,
};

struct options {
    struct material_plan plan;
    const char *ort, *openvino; /* libraries; NULL: not measured */
    int64_t threads, rounds;
    double seconds;
};

/* What one peer did in one round. */
struct sample {
    struct crew_result work;
    double peak_gflops;
};

/* A peer that takes part. */
struct entrant {
    struct peer peer;
    struct sample samples[MAX_ROUNDS];
    double max_error;
    bool within;         /* every value before the clock within the tolerance of Raddle's */
    uint64_t mismatches; /* answers after a window that were wrong */
};

struct comparison {
    const struct options *options;
    struct material *material;
    struct entrant entrants[PEERS];
    unsigned count;
    char *refused[PEERS]; /* why a kind takes no part; owned */
    unsigned rounds, left_out;
    bool disturbed; /* no round was clean, and the samples are all that there are */
    double core_gflops;
};

/* ---- options --------------------------------------------------------------------------------- */

static const struct argp_option option_table[] = {
    {"ort", 'l', "FILE", 0, "ONNX Runtime's library", 0},
    {"openvino", 'o', "FILE", 0, "OpenVINO's C library", 0},
    {"threads", 't', "N", 0, "Threads (default 1)", 0},
    {"rounds", 'R', "N", 0, "Rounds that must count (default 15)", 0},
    {"seconds", 'n', "S", 0, "Length of one measurement (default 0.5)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct rdl_error error = {.message = ""};
    enum rdl_status status = RDL_OK;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->plan;
        break;
    case 'l':
        options->ort = argument;
        break;
    case 'o':
        options->openvino = argument;
        break;
    case 't':
        status = cli_parse_number(argument, 1, MATERIAL_MAX_THREADS, &options->threads, &error);
        break;
    case 'R':
        status = cli_parse_number(argument, 1, MAX_ROUNDS / REPEATS, &options->rounds, &error);
        break;
    case 'n':
        options->seconds = strtod(argument, NULL);
        if (!(options->seconds >= 0.01 && options->seconds <= 60))
            argp_error(state, "'%s' is not a number of seconds in 0.01..60", argument);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    common_check(state, status, &error);
    return 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Whether f32 values are within the tolerance and others the same; *max_error grows. */
static bool same_values(const struct material_port *port, const void *values, const void *expected,
                        double *max_error)
{
    if (port->dtype != RDL_F32)
        return memcmp(values, expected, port->size_bytes) == 0;
    const float *a = values, *b = expected;
    bool same = true;
    for (size_t i = 0; i < port->size_bytes / sizeof *a; i++) {
        double error = fabs((double)a[i] - (double)b[i]);
        if (!(error <= RELATIVE_TOLERANCE * fabs((double)b[i]) + ABSOLUTE_TOLERANCE))
            same = false;
        *max_error = error > *max_error ? error : *max_error;
    }
    return same;
}

/* Outputs that are not as they should be: Raddle's bit for bit. */
static uint64_t wrong_answers(const struct comparison *comparison, struct entrant *entrant)
{
    const struct material *material = comparison->material;
    bool ours = entrant == &comparison->entrants[0];
    uint64_t wrong = 0;
    for (unsigned thread = 0; thread < material->threads; thread++) {
        for (size_t i = 0; i < material->n_outputs; i++) {
            const struct material_port *port = &material->outputs[i];
            const void *values = entrant->peer.kind->output(entrant->peer.contexts[thread], i);
            const void *expected = material->data[thread].expected[i];
            bool same = ours ? memcmp(values, expected, port->size_bytes) == 0
                             : same_values(port, values, expected, &entrant->max_error);
            wrong += !same;
        }
    }
    return wrong;
}

static enum rdl_status check_faults(const struct comparison *comparison,
                                    const struct entrant *entrant, struct rdl_error *error)
{
    for (unsigned thread = 0; thread < comparison->material->threads; thread++) {
        const char *fault = entrant->peer.kind->fault(entrant->peer.contexts[thread]);
        if (fault[0] != '\0')
            return cli_fail(error, RDL_ERR_RUNTIME, "%s: %s", entrant->peer.kind->name, fault);
    }
    return RDL_OK;
}

/* Calls every context once, alone, and looks at the answers. */
static enum rdl_status check_answers(struct comparison *comparison, struct rdl_error *error)
{
    for (unsigned p = 0; p < comparison->count; p++) {
        struct entrant *entrant = &comparison->entrants[p];
        for (unsigned thread = 0; thread < comparison->material->threads; thread++)
            (void)entrant->peer.kind->call(entrant->peer.contexts[thread]);
        CLI_TRY(check_faults(comparison, entrant, error));
        entrant->within = wrong_answers(comparison, entrant) == 0;
    }
    return RDL_OK;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Processor seconds of the whole machine, idle and waiting left out; negative if unknown. */
static double machine_seconds(void)
{
    FILE *file = fopen("/proc/stat", "r");
    char line[256];
    double sum = -1;
    if (file == NULL)
        return sum;
    if (fgets(line, sizeof line, file) != NULL && strncmp(line, "cpu ", 4) == 0) {
        char *at = line + 4;
        sum = 0;
        for (int field = 0; field < 8; field++) {
            double ticks = strtod(at, &at);
            /* 3 idle, 4 waiting for a disk */
            if (field != 3 && field != 4)
                sum += ticks;
        }
        sum /= (double)sysconf(_SC_CLK_TCK);
    }
    (void)fclose(file);
    return sum;
}

/* Measures one peer; *clean tells whether the machine was ours meanwhile. */
static enum rdl_status measure_peer(struct comparison *comparison, struct entrant *entrant,
                                    bool *clean, struct sample *out, struct rdl_error *error)
{
    unsigned threads = (unsigned)comparison->options->threads;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned cores = online > 0 && threads > (unsigned)online ? (unsigned)online : threads;
    const struct crew_task task = {
        .call = entrant->peer.kind->call,
        .contexts = entrant->peer.contexts,
        .threads = threads,
        .seconds = comparison->options->seconds,
        .least_calls = 1,
        .call_ns = comparison->material->call_ns,
    };
    double before = peak_measure(cores, PROBE_SECONDS);
    double machine = machine_seconds();
    CLI_TRY(crew_work(&task, &out->work, error));
    double foreign = machine_seconds() - machine - out->work.cpu_s;
    double after = peak_measure(cores, PROBE_SECONDS);
    CLI_TRY(check_faults(comparison, entrant, error));
    entrant->mismatches += wrong_answers(comparison, entrant);
    out->peak_gflops = before < after ? before : after;
    double per_core = out->peak_gflops / cores;
    double alone = cores > 1 ? peak_measure(1, PROBE_SECONDS) : per_core;
    comparison->core_gflops = alone > comparison->core_gflops ? alone : comparison->core_gflops;
    /* /proc/stat counts in hundredths of a second. */
    *clean = *clean && per_core >= SHARED_CORE * comparison->core_gflops &&
             (machine < 0 || foreign <= MAX_FOREIGN * out->work.wall_s + 0.02);
    return RDL_OK;
}

/* Measures all peers once; the order moves from round to round. */
static enum rdl_status measure_round(struct comparison *comparison, unsigned round, bool *clean,
                                     struct rdl_error *error)
{
    *clean = true;
    for (unsigned turn = 0; turn < comparison->count; turn++) {
        struct entrant *entrant = &comparison->entrants[(round + turn) % comparison->count];
        CLI_TRY(measure_peer(comparison, entrant, clean, &entrant->samples[round], error));
    }
    return RDL_OK;
}

static enum rdl_status measure_rounds(struct comparison *comparison, struct rdl_error *error)
{
    unsigned wanted = (unsigned)comparison->options->rounds, attempts = 0, kept = 0;
    while (attempts < REPEATS * wanted && kept < wanted) {
        bool clean = false;
        CLI_TRY(measure_round(comparison, attempts, &clean, error));
        /* Rounds that count move to the front, over those that do not. */
        for (unsigned p = 0; clean && p < comparison->count; p++) {
            struct sample *samples = comparison->entrants[p].samples;
            samples[kept] = samples[attempts];
        }
        kept += clean;
        attempts++;
    }
    comparison->disturbed = kept == 0;
    comparison->rounds = comparison->disturbed ? attempts : kept;
    comparison->left_out = attempts - comparison->rounds;
    return RDL_OK;
}

/* ---- result ---------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Adds {"median":, "low":, "high":} of count values, which it sorts. */
static bool add_summary(cJSON *object, const char *name, double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    double median =
        count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    cJSON *summary = cJSON_AddObjectToObject(object, name);
    return summary != NULL && cJSON_AddNumberToObject(summary, "median", median) != NULL &&
           cJSON_AddNumberToObject(summary, "low", values[0]) != NULL &&
           cJSON_AddNumberToObject(summary, "high", values[count - 1]) != NULL;
}

static double cpu_us(const struct sample *sample)
{
    return sample->work.cpu_s * 1e6 / (double)sample->work.calls;
}

static bool add_peer(cJSON *list, const struct comparison *comparison,
                     const struct entrant *entrant)
{
    double rate[MAX_ROUNDS], ratio[MAX_ROUNDS], cpu[MAX_ROUNDS], cpu_ratio[MAX_ROUNDS];
    double p50[MAX_ROUNDS], p99[MAX_ROUNDS], peak[MAX_ROUNDS];
    unsigned rounds = comparison->rounds;
    for (unsigned i = 0; i < rounds; i++) {
        const struct sample *sample = &entrant->samples[i];
        const struct sample *ours = &comparison->entrants[0].samples[i];
        rate[i] = sample->work.ops_per_s;
        ratio[i] = ours->work.ops_per_s / rate[i];
        cpu[i] = cpu_us(sample);
        cpu_ratio[i] = cpu[i] / cpu_us(ours);
        p50[i] = sample->work.p50_us;
        p99[i] = sample->work.p99_us;
        peak[i] = sample->peak_gflops;
    }
    cJSON *object = cJSON_CreateObject();
    if (object == NULL || !cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "name", entrant->peer.kind->name) != NULL &&
           cJSON_AddStringToObject(object, "engine", entrant->peer.kind->engine) != NULL &&
           cJSON_AddNumberToObject(object, "max_error", entrant->max_error) != NULL &&
           cJSON_AddBoolToObject(object, "within_tolerance", entrant->within) != NULL &&
           cJSON_AddNumberToObject(object, "mismatches", (double)entrant->mismatches) != NULL &&
           add_summary(object, "ops_per_s", rate, rounds) &&
           add_summary(object, "raddle_ratio", ratio, rounds) &&
           add_summary(object, "cpu_us", cpu, rounds) &&
           add_summary(object, "raddle_cpu_ratio", cpu_ratio, rounds) &&
           add_summary(object, "p50_us", p50, rounds) &&
           add_summary(object, "p99_us", p99, rounds) &&
           add_summary(object, "peak_gflops", peak, rounds);
}

/* Versions of the engines, and why a kind takes no part, by their names. */
static bool add_kinds(cJSON *root, const struct comparison *comparison)
{
    cJSON *versions = cJSON_AddObjectToObject(root, "versions");
    cJSON *refused = cJSON_AddObjectToObject(root, "refused");
    bool built = versions != NULL && refused != NULL;
    for (unsigned p = 0; p < comparison->count && built; p++) {
        const struct peer_kind *kind = comparison->entrants[p].peer.kind;
        if (kind->version != NULL && !cJSON_HasObjectItem(versions, kind->engine))
            built = cJSON_AddStringToObject(versions, kind->engine, kind->version()) != NULL;
    }
    for (unsigned k = 0; k < PEERS && built; k++)
        if (comparison->refused[k] != NULL)
            built =
                cJSON_AddStringToObject(refused, kinds[k]->name, comparison->refused[k]) != NULL;
    return built;
}

static enum rdl_status print_result(const struct comparison *comparison, struct rdl_error *error)
{
    const struct options *options = comparison->options;
    cJSON *root = cJSON_CreateObject();
    cJSON *list = NULL;
    bool built = root != NULL &&
                 cJSON_AddStringToObject(root, "model", options->plan.common.model) != NULL &&
                 cJSON_AddNumberToObject(root, "threads", (double)options->threads) != NULL &&
                 cJSON_AddNumberToObject(root, "seconds", options->seconds) != NULL &&
                 cJSON_AddNumberToObject(root, "rounds", comparison->rounds) != NULL &&
                 cJSON_AddNumberToObject(root, "rounds_left_out", comparison->left_out) != NULL &&
                 cJSON_AddBoolToObject(root, "disturbed", comparison->disturbed) != NULL &&
                 cJSON_AddNumberToObject(root, "core_gflops", comparison->core_gflops) != NULL &&
                 add_kinds(root, comparison) &&
                 (list = cJSON_AddArrayToObject(root, "peers")) != NULL;
    for (unsigned p = 0; p < comparison->count && built; p++)
        built = add_peer(list, comparison, &comparison->entrants[p]);
    char *text = built ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (text == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    printf("%s\n", text);
    cJSON_free(text);
    return RDL_OK;
}

/* ---- comparison ------------------------------------------------------------------------------ */

/* The library of a kind as the command line has it; NULL: none was named. */
static const char *library_of(const struct peer_kind *kind, const struct options *options)
{
    return strcmp(kind->engine, "openvino") == 0 ? options->openvino : options->ort;
}

/* A peer that cannot run the model takes no part; Raddle must. */
static enum rdl_status open_entrants(struct comparison *comparison, struct rdl_error *error)
{
    const struct options *options = comparison->options;
    for (unsigned k = 0; k < PEERS; k++) {
        struct entrant *entrant = &comparison->entrants[comparison->count];
        const char *library = library_of(kinds[k], options);
        if (kinds[k]->open_library != NULL && library == NULL)
            continue;
        if (kinds[k]->open_library != NULL)
            CLI_TRY(kinds[k]->open_library(library, error));
        struct rdl_error fault = {.message = ""};
        enum rdl_status status =
            peer_open(kinds[k], &options->plan, comparison->material, &entrant->peer, &fault);
        if (status == RDL_OK) {
            comparison->count++;
        } else if (k == 0) {
            *error = fault;
            return status;
        } else {
            comparison->refused[k] = strdup(fault.message);
        }
    }
    return RDL_OK;
}

static enum rdl_status compare(struct comparison *comparison, struct rdl_error *error)
{
    CLI_TRY(material_make(&comparison->options->plan, &comparison->material, error));
    CLI_TRY(open_entrants(comparison, error));
    CLI_TRY(check_answers(comparison, error));
    CLI_TRY(measure_rounds(comparison, error));
    return print_result(comparison, error);
}

/* Whether Raddle was right: its own answers stay, and every way of ONNX Runtime agrees. Another
 * engine that does not is told in the result. */
static bool was_right(const struct comparison *comparison)
{
    bool right = true;
    for (unsigned p = 0; p < comparison->count; p++) {
        const struct entrant *entrant = &comparison->entrants[p];
        if (strcmp(entrant->peer.kind->engine, "openvino") != 0)
            right = right && entrant->within && entrant->mismatches == 0;
    }
    return right;
}

static void close_all(struct comparison *comparison)
{
    for (unsigned p = 0; p < comparison->count; p++)
        peer_close(&comparison->entrants[p].peer);
    for (unsigned k = 0; k < PEERS; k++)
        free(comparison->refused[k]);
    material_free(comparison->material);
}

int main(int argc, char **argv)
{
    struct options options = {
        .plan = MATERIAL_PLAN_DEFAULTS, .threads = 1, .rounds = 15, .seconds = 0.5};
    const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "MODEL",
        .doc = "Compares Raddle with other engines on MODEL and writes one JSON object.",
        .children = material_children};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    options.plan.threads = (unsigned)options.threads;
    struct comparison *comparison = calloc(1, sizeof *comparison);
    struct rdl_error error = {.message = "out of memory"};
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    bool right = false;
    if (comparison != NULL) {
        comparison->options = &options;
        status = compare(comparison, &error);
        right = was_right(comparison);
        close_all(comparison);
    }
    free(comparison);
    int exit_status = status != RDL_OK ? cli_report(options.plan.common.model, &error)
                                       : cli_finish(right ? CLI_OK : CLI_FAILED);
    material_plan_fini(&options.plan);
    return exit_status;
}
