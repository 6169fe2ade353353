/*
 * compare: Raddle and ONNX Runtime on one model, in turns.
 *
 * A round measures each peer once, in an order that changes from round to round, with a peak probe
 * before and after. A round counts only if the cores were there (the probe) and nobody else used
 * the machine much (/proc/stat); others are repeated, up to three times as many rounds in all. If
 * none counts, all of them are told and marked as disturbed. Answers are compared before the clock
 * with ONNX Runtime's, and after every window with the first ones bit for bit.
 */
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/load.h"
#include "cli/peak.h"
#include "cli/session.h"
#include "peer.h"

#include <argp.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEERS 4
#define REPEATS 3
#define MAX_ROUNDS 600
#define PROBE_SECONDS 0.02
#define SHARED_CORE 0.8
#define MAX_FOREIGN 0.1 /* cores that others may use */
#define ABSOLUTE_TOLERANCE 1e-5
#define RELATIVE_TOLERANCE 1e-4

struct options {
    struct common common; /* model, shapes and elements of inputs */
    const char *library;
    int64_t threads, rounds;
    double seconds;
};

/* What one peer did in one round. */
struct sample {
    struct crew_result work;
    double peak_gflops;
};

struct comparison {
    const struct options *options;
    struct session session;
    struct load load;
    struct peer peers[PEERS];
    unsigned peer_count;
    struct sample samples[PEERS][MAX_ROUNDS];
    unsigned rounds, left_out;
    bool disturbed; /* no round was clean, and the samples are all that there are */
    double core_gflops, max_error;
    bool within;         /* every value within the tolerance of ONNX Runtime's */
    uint64_t mismatches; /* of Raddle with itself */
};

/* ---- options --------------------------------------------------------------------------------- */

static const struct argp_option option_table[] = {
    {"library", 'l', "FILE", 0, "ONNX Runtime's library", 0},
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
    case 'l':
        options->library = argument;
        break;
    case 't':
        status = cli_parse_number(argument, 1, 64, &options->threads, &error);
        break;
    case 'R':
        status = cli_parse_number(argument, 1, MAX_ROUNDS / REPEATS, &options->rounds, &error);
        break;
    case 'n':
        options->seconds = strtod(argument, NULL);
        if (!(options->seconds >= 0.01 && options->seconds <= 60))
            argp_error(state, "'%s' is not a number of seconds in 0.01..60", argument);
        break;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        break;
    case ARGP_KEY_END:
        if (options->library == NULL)
            argp_error(state, "--library is needed");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (status != RDL_OK)
        argp_error(state, "%s", error.message);
    return 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* f32 outputs within the tolerance; others bit for bit. */
static void compare_answers(struct comparison *comparison, const void *ours, const void *theirs,
                            enum rdl_dtype dtype, size_t bytes)
{
    if (dtype != RDL_F32) {
        comparison->within = comparison->within && memcmp(ours, theirs, bytes) == 0;
        return;
    }
    const float *a = ours, *b = theirs;
    for (size_t i = 0; i < bytes / sizeof *a; i++) {
        double error = fabs((double)a[i] - (double)b[i]);
        if (!(error <= RELATIVE_TOLERANCE * fabs((double)b[i]) + ABSOLUTE_TOLERANCE))
            comparison->within = false;
        comparison->max_error = error > comparison->max_error ? error : comparison->max_error;
    }
}

/* Calls every context once, alone, and holds Raddle's answers against ONNX Runtime's. */
static enum rdl_status check_answers(struct comparison *comparison, struct rdl_error *error)
{
    const struct peer *ours = &comparison->peers[0];
    comparison->within = true;
    for (unsigned thread = 0; thread < comparison->load.threads; thread++) {
        for (unsigned p = 0; p < comparison->peer_count; p++) {
            const struct peer *peer = &comparison->peers[p];
            if (!peer->call(peer->contexts[thread]))
                return cli_fail(error, RDL_ERR_RUNTIME, "%s: %s", peer->name,
                                peer->fault(peer->contexts[thread]));
            for (size_t i = 0; i < comparison->session.n_outputs && p > 0; i++) {
                size_t bytes = 0, their_bytes = 0;
                const void *a = ours->output(ours->contexts[thread], i, &bytes);
                const void *b = peer->output(peer->contexts[thread], i, &their_bytes);
                const struct rdl_tensor *expected =
                    rdl_value_tensor(comparison->load.data[thread].expected[i]);
                if (bytes != their_bytes)
                    return cli_fail(error, RDL_ERR_SHAPE, "output %zu has %zu and %zu bytes", i,
                                    bytes, their_bytes);
                compare_answers(comparison, a, b, rdl_tensor_dtype(expected), bytes);
            }
        }
    }
    return RDL_OK;
}

/* Whether the last answers under the clock are those of the sequential run. */
static void count_mismatches(struct comparison *comparison, unsigned threads)
{
    const struct peer *ours = &comparison->peers[0];
    for (unsigned thread = 0; thread < threads; thread++) {
        for (size_t i = 0; i < comparison->session.n_outputs; i++) {
            size_t bytes = 0;
            const void *answer = ours->output(ours->contexts[thread], i, &bytes);
            const struct rdl_tensor *expected =
                rdl_value_tensor(comparison->load.data[thread].expected[i]);
            comparison->mismatches += memcmp(answer, rdl_tensor_data(expected), bytes) != 0;
        }
    }
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
static enum rdl_status measure_peer(struct comparison *comparison, unsigned p, bool *clean,
                                    struct sample *out, struct rdl_error *error)
{
    const struct peer *peer = &comparison->peers[p];
    unsigned threads = (unsigned)comparison->options->threads;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned cores = online > 0 && threads > (unsigned)online ? (unsigned)online : threads;
    const struct crew_task task = {
        .call = peer->call,
        .contexts = peer->contexts,
        .threads = threads,
        .seconds = comparison->options->seconds,
        .least_calls = 1,
        .call_ns = comparison->load.call_ns,
    };
    double before = peak_measure(cores, PROBE_SECONDS);
    double machine = machine_seconds();
    CLI_TRY(crew_work(&task, &out->work, error));
    double foreign = machine_seconds() - machine - out->work.cpu_s;
    double after = peak_measure(cores, PROBE_SECONDS);
    for (unsigned i = 0; i < threads; i++)
        if (peer->fault(peer->contexts[i])[0] != '\0')
            return cli_fail(error, RDL_ERR_RUNTIME, "%s: %s", peer->name,
                            peer->fault(peer->contexts[i]));
    if (p == 0)
        count_mismatches(comparison, threads);
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
    for (unsigned turn = 0; turn < comparison->peer_count; turn++) {
        unsigned p = (round + turn) % comparison->peer_count;
        CLI_TRY(measure_peer(comparison, p, clean, &comparison->samples[p][round], error));
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
        for (unsigned p = 0; clean && p < comparison->peer_count; p++)
            comparison->samples[p][kept] = comparison->samples[p][attempts];
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

static bool add_peer(cJSON *list, const struct comparison *comparison, unsigned p)
{
    double rate[MAX_ROUNDS], ratio[MAX_ROUNDS], cpu[MAX_ROUNDS], p50[MAX_ROUNDS], p99[MAX_ROUNDS];
    double peak[MAX_ROUNDS];
    for (unsigned i = 0; i < comparison->rounds; i++) {
        const struct sample *sample = &comparison->samples[p][i];
        rate[i] = sample->work.ops_per_s;
        ratio[i] = comparison->samples[0][i].work.ops_per_s / rate[i];
        cpu[i] = sample->work.cpu_s * 1e6 / (double)sample->work.calls;
        p50[i] = sample->work.p50_us;
        p99[i] = sample->work.p99_us;
        peak[i] = sample->peak_gflops;
    }
    cJSON *object = cJSON_CreateObject();
    if (object == NULL || !cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "name", comparison->peers[p].name) != NULL &&
           add_summary(object, "ops_per_s", rate, comparison->rounds) &&
           add_summary(object, "raddle_ratio", ratio, comparison->rounds) &&
           add_summary(object, "cpu_us", cpu, comparison->rounds) &&
           add_summary(object, "p50_us", p50, comparison->rounds) &&
           add_summary(object, "p99_us", p99, comparison->rounds) &&
           add_summary(object, "peak_gflops", peak, comparison->rounds);
}

static enum rdl_status print_result(const struct comparison *comparison, struct rdl_error *error)
{
    const struct options *options = comparison->options;
    cJSON *root = cJSON_CreateObject();
    cJSON *list = NULL;
    bool built =
        root != NULL && cJSON_AddStringToObject(root, "model", options->common.model) != NULL &&
        cJSON_AddStringToObject(root, "onnxruntime", peer_ort_version()) != NULL &&
        cJSON_AddNumberToObject(root, "threads", (double)options->threads) != NULL &&
        cJSON_AddNumberToObject(root, "seconds", options->seconds) != NULL &&
        cJSON_AddNumberToObject(root, "rounds", comparison->rounds) != NULL &&
        cJSON_AddNumberToObject(root, "rounds_left_out", comparison->left_out) != NULL &&
        cJSON_AddBoolToObject(root, "disturbed", comparison->disturbed) != NULL &&
        cJSON_AddNumberToObject(root, "core_gflops", comparison->core_gflops) != NULL &&
        cJSON_AddNumberToObject(root, "max_error", comparison->max_error) != NULL &&
        cJSON_AddBoolToObject(root, "within_tolerance", comparison->within) != NULL &&
        cJSON_AddNumberToObject(root, "mismatches", (double)comparison->mismatches) != NULL &&
        (list = cJSON_AddArrayToObject(root, "peers")) != NULL;
    for (unsigned p = 0; p < comparison->peer_count && built; p++)
        built = add_peer(list, comparison, p);
    char *text = built ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (text == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    printf("%s\n", text);
    cJSON_free(text);
    return RDL_OK;
}

static enum rdl_status compare(struct comparison *comparison, struct rdl_error *error)
{
    const struct options *options = comparison->options;
    CLI_TRY(session_open(&options->common, &comparison->session, error));
    CLI_TRY(load_make(&comparison->session, &options->common.wish, 1, (unsigned)options->threads,
                      &comparison->load, error));
    if (comparison->load.unbound)
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "an output cannot be bound");
    CLI_TRY(peer_open_raddle(&comparison->load, &comparison->peers[0], error));
    comparison->peer_count = 1;
    for (int use = ORT_SHARED; use <= ORT_OWN; use++) {
        CLI_TRY(peer_open_ort(options->library, options->common.model, &comparison->load,
                              (enum ort_use)use, &comparison->peers[comparison->peer_count],
                              error));
        comparison->peer_count++;
    }
    CLI_TRY(check_answers(comparison, error));
    CLI_TRY(measure_rounds(comparison, error));
    return print_result(comparison, error);
}

int main(int argc, char **argv)
{
    struct options options = {
        .common = COMMON_DEFAULTS, .threads = 1, .rounds = 15, .seconds = 0.5};
    const struct argp parser = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "MODEL",
        .doc = "Compares Raddle with ONNX Runtime on MODEL and writes one JSON object.",
        .children = common_children};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    struct comparison *comparison = calloc(1, sizeof *comparison);
    struct rdl_error error = {.message = "out of memory"};
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    bool right = false;
    if (comparison != NULL) {
        comparison->options = &options;
        status = compare(comparison, &error);
        right = comparison->within && comparison->mismatches == 0;
        for (unsigned p = 0; p < comparison->peer_count; p++)
            comparison->peers[p].close(&comparison->peers[p]);
        load_fini(&comparison->load);
        session_close(&comparison->session);
    }
    free(comparison);
    common_fini(&options.common);
    if (status != RDL_OK)
        return cli_report(options.common.model, &error);
    return cli_finish(right ? CLI_OK : CLI_FAILED);
}
