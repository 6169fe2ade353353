/*
 * `raddle bench`: a model's throughput by the number of threads, with every answer checked.
 */
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/load.h"
#include "cli/peak.h"
#include "cli/progress.h"
#include "cli/session.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 64
#define MAX_THREADS 1024
#define PROBE_SECONDS 0.02
/* Two processors that give less than this share of two cores' peak were not two cores. */
#define SHARED_CORE 0.8
#define MAX_REPEATS 3

struct bench_options {
    struct common common;
    unsigned threads[MAX_ROWS];
    unsigned rows;
    double seconds;
    bool json;
};

/* A row of the result. */
struct row {
    unsigned threads;
    struct load_result result;
    double efficiency;  /* ops(T) / (min(T, cores) x ops(1)) */
    double peak_gflops; /* of min(T, cores) cores at once, the lower of before and after */
    double peak_share;  /* of that many times one core's peak */
    bool shared;        /* the cores were not there */
};

struct bench {
    const struct bench_options *options;
    struct session session;
    struct load load;
    unsigned cores;
    char isa[32];
    double core_gflops;
    struct row base; /* one thread */
    struct row rows[MAX_ROWS];
};

enum {
    KEY_THREADS = 't',
    KEY_SECONDS = 'n',
    KEY_JSON = 'j',
};

static const struct argp_option option_table[] = {
    {"threads", KEY_THREADS, "1,2,4", 0, "Numbers of threads (default 1,2,4,8,31)", 0},
    {"seconds", KEY_SECONDS, "S", 0, "Length of each measurement (default 2)", 0},
    {"json", KEY_JSON, NULL, 0, "Write one JSON object instead of the table", 0},
    {0},
};

static const char documentation[] =
    "Runs MODEL (an ONNX file) from several threads at once and writes a row for each number of "
    "threads.\v"
    "Each thread has inputs of its own. Its answers are compared with the sequential run bit for "
    "bit: every one in a first part outside the clock, and the last one under it. efficiency is "
    "ops(T) / (min(T, cores) x ops(1)); spread is the width of the middle 80 % of 30 slices of the "
    "time, as a part of their median; cpu_us is processor time for one call.\n\n"
    "Exit status: 0 all answers were right, 1 one was wrong or a call failed, 2 wrong use.\n\n"
    "Examples:\n"
    "  raddle bench linear.onnx --shape x=64x512 --threads 1,2\n"
    "  raddle bench vad.onnx -s input=1x576 -s state=2x1x128 --set sr=16000\n"
    "  raddle bench linear.onnx --json > result.json";

static enum rdl_status parse_threads(const char *text, struct bench_options *options,
                                     struct rdl_error *error)
{
    options->rows = 0;
    do {
        size_t length = strcspn(text, ",");
        char number[16];
        int64_t threads = 0;
        if (length >= sizeof number)
            return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not a number of threads", text);
        if (options->rows == MAX_ROWS)
            return cli_fail(error, RDL_ERR_ARGUMENT, "more than %d numbers of threads", MAX_ROWS);
        memcpy(number, text, length);
        number[length] = '\0';
        CLI_TRY(cli_parse_number(number, 1, MAX_THREADS, &threads, error));
        options->threads[options->rows++] = (unsigned)threads;
        text += length;
    } while (*text++ == ',');
    return RDL_OK;
}

static enum rdl_status parse_seconds(const char *text, double *out, struct rdl_error *error)
{
    char *end = NULL;
    errno = 0;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || errno == ERANGE || !(seconds >= 0.01 && seconds <= 3600))
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not a number of seconds in 0.01..3600",
                        text);
    *out = seconds;
    return RDL_OK;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;
    struct rdl_error error = {.message = ""};
    enum rdl_status status = RDL_OK;
    switch (key) {
    case KEY_THREADS:
        status = parse_threads(argument, options, &error);
        break;
    case KEY_SECONDS:
        status = parse_seconds(argument, &options->seconds, &error);
        break;
    case KEY_JSON:
        options->json = true;
        break;
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    common_check(state, status, &error);
    return 0;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static double lower(double a, double b)
{
    return a < b ? a : b;
}

/* Measures one row, again if the machine had fewer cores than it says meanwhile. */
static enum rdl_status measure_row(struct bench *bench, unsigned threads, struct row *out,
                                   struct rdl_error *error)
{
    unsigned cores = threads < bench->cores ? threads : bench->cores;
    *out = (struct row){.threads = threads, .shared = true};
    for (int repeat = 0; repeat < MAX_REPEATS && out->shared; repeat++) {
        double before = peak_measure(cores, PROBE_SECONDS);
        CLI_TRY(load_measure(&bench->load, threads, bench->options->seconds, &out->result, error));
        double after = peak_measure(cores, PROBE_SECONDS);
        double core = peak_measure(1, PROBE_SECONDS);
        bench->core_gflops = core > bench->core_gflops ? core : bench->core_gflops;
        out->peak_gflops = lower(before, after);
        out->peak_share =
            bench->core_gflops > 0 ? out->peak_gflops / (cores * bench->core_gflops) : 0;
        out->shared = cores > 1 && out->peak_share < SHARED_CORE;
        if (out->result.errors > 0 || out->result.mismatches > 0)
            break;
    }
    return RDL_OK;
}

static double efficiency(const struct bench *bench, const struct row *row)
{
    double cores = row->threads < bench->cores ? row->threads : bench->cores;
    double base = bench->base.result.timed.ops_per_s;
    return base > 0 ? row->result.timed.ops_per_s / (cores * base) : 0;
}

/* Processor time of the process for one call. */
static double cpu_us(const struct row *row)
{
    const struct crew_result *timed = &row->result.timed;
    return timed->calls > 0 ? timed->cpu_s * 1e6 / (double)timed->calls : 0;
}

static unsigned allowed_cores(void)
{
    char text[32];
    int64_t cores = 0;
    if (rdl_knob("allowed_cores", text, sizeof text) != RDL_OK ||
        cli_parse_number(text, 1, 1 << 20, &cores, NULL) != RDL_OK)
        return 1;
    return (unsigned)cores;
}

static enum rdl_status measure(struct bench *bench, struct rdl_error *error)
{
    const struct bench_options *options = bench->options;
    unsigned most = 1;
    for (unsigned i = 0; i < options->rows; i++)
        most = options->threads[i] > most ? options->threads[i] : most;
    CLI_TRY(load_make(&bench->session, &options->common.wish, (uint64_t)options->common.seed, most,
                      &bench->load, error));
    progress_show("1 thread, for comparison");
    CLI_TRY(measure_row(bench, 1, &bench->base, error));
    for (unsigned i = 0; i < options->rows; i++) {
        progress_show("row %u of %u: %u thread%s", i + 1, options->rows, options->threads[i],
                      options->threads[i] == 1 ? "" : "s");
        if (options->threads[i] == 1)
            bench->rows[i] = bench->base;
        else
            CLI_TRY(measure_row(bench, options->threads[i], &bench->rows[i], error));
        bench->rows[i].efficiency = efficiency(bench, &bench->rows[i]);
    }
    return RDL_OK;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void print_table(const struct bench *bench)
{
    bool shared = false;
    printf("%s on %s (%s), %u core%s of %.0f GFLOP/s\n", bench->options->common.model,
           bench->options->common.device, bench->isa, bench->cores, bench->cores == 1 ? "" : "s",
           bench->core_gflops);
    printf("%7s %12s %10s %10s %10s %10s %7s %10s %6s\n", "threads", "ops_per_s", "p50_us",
           "p99_us", "efficiency", "cpu_us", "spread", "mismatches", "errors");
    for (unsigned i = 0; i < bench->options->rows; i++) {
        const struct row *row = &bench->rows[i];
        const struct load_result *result = &row->result;
        char spread[16] = "-";
        if (result->timed.spread >= 0)
            (void)snprintf(spread, sizeof spread, "%.1f%%", result->timed.spread * 100);
        printf("%7u %12.1f %10.2f %10.2f %9.3f%c %10.2f %7s %10llu %6llu\n", row->threads,
               result->timed.ops_per_s, result->timed.p50_us, result->timed.p99_us, row->efficiency,
               row->shared ? '*' : ' ', cpu_us(row), spread, (unsigned long long)result->mismatches,
               (unsigned long long)result->errors);
        shared = shared || row->shared;
    }
    if (shared)
        printf("* the peak probe beside this row reached less than %.0f %% of the cores' peak: the "
               "machine gave fewer cores than it shows\n",
               SHARED_CORE * 100);
    if (bench->load.distinct < bench->load.threads)
        printf("note: %u of %u threads' answers are different from one another\n",
               bench->load.distinct, bench->load.threads);
}

static void add_row(struct json *json, cJSON *rows, const struct row *row)
{
    const struct load_result *result = &row->result;
    cJSON *object = json_object(json, rows, NULL);
    json_number(json, object, "threads", row->threads);
    json_number(json, object, "ops_per_s", result->timed.ops_per_s);
    json_number(json, object, "p50_us", result->timed.p50_us);
    json_number(json, object, "p99_us", result->timed.p99_us);
    json_number(json, object, "efficiency", row->efficiency);
    json_number(json, object, "mismatches", (double)result->mismatches);
    json_number(json, object, "errors", (double)result->errors);
    json_number(json, object, "cpu_us", cpu_us(row));
    if (result->timed.spread < 0)
        json_null(json, object, "spread");
    else
        json_number(json, object, "spread", result->timed.spread);
    json_number(json, object, "calls", (double)result->timed.calls);
    json_number(json, object, "checked", (double)result->checked);
    json_number(json, object, "peak_gflops", row->peak_gflops);
    json_bool(json, object, "shared_core", row->shared);
}

static enum rdl_status print_json(const struct bench *bench, struct rdl_error *error)
{
    struct json json = {0};
    cJSON *root = json_object(&json, NULL, NULL);
    json_text(&json, root, "model", bench->options->common.model);
    json_text(&json, root, "device", bench->options->common.device);
    json_text(&json, root, "isa", bench->isa);
    json_number(&json, root, "cores", bench->cores);
    json_number(&json, root, "core_gflops", bench->core_gflops);
    json_number(&json, root, "seconds", bench->options->seconds);
    json_number(&json, root, "distinct_answers", bench->load.distinct);
    cJSON *rows = json_array(&json, root, "rows");
    for (unsigned i = 0; i < bench->options->rows; i++)
        add_row(&json, rows, &bench->rows[i]);
    return json_write(&json, stdout, error);
}

/* Counts what was wrong and says what the first fault was. */
static int judge(const struct bench *bench)
{
    uint64_t mismatches = bench->base.result.mismatches, errors = bench->base.result.errors;
    const struct load_result *faulty = errors > 0 ? &bench->base.result : NULL;
    for (unsigned i = 0; i < bench->options->rows; i++) {
        if (faulty == NULL && bench->rows[i].result.errors > 0)
            faulty = &bench->rows[i].result;
        mismatches += bench->rows[i].result.mismatches;
        errors += bench->rows[i].result.errors;
    }
    if (faulty != NULL)
        return cli_report(bench->options->common.model, &faulty->first_error);
    if (mismatches > 0) {
        struct rdl_error error;
        cli_note(&error, RDL_ERR_INTERNAL, "answers differ from the sequential run");
        return cli_report(bench->options->common.model, &error);
    }
    return CLI_OK;
}

static enum rdl_status bench_model(struct bench *bench, struct rdl_error *error)
{
    const struct bench_options *options = bench->options;
    CLI_TRY(session_open(&options->common, &bench->session, error));
    struct rdl_device_info info = {.size = sizeof info};
    enum rdl_status status = rdl_device_get_info(bench->session.device, &info);
    if (status != RDL_OK)
        return cli_fail(error, status, "%s", rdl_status_text(status));
    memcpy(bench->isa, info.isa, sizeof bench->isa);
    bench->isa[sizeof bench->isa - 1] = '\0';
    bench->cores = allowed_cores();
    CLI_TRY(measure(bench, error));
    progress_clear();
    if (options->json)
        return print_json(bench, error);
    print_table(bench);
    return RDL_OK;
}

int cli_bench(int argc, char **argv)
{
    struct bench_options options = {
        .common = COMMON_DEFAULTS, .threads = {1, 2, 4, 8, 31}, .rows = 5, .seconds = 2};
    common_parse(argc, argv, option_table, parse_option, documentation, &options);
    struct bench *bench = calloc(1, sizeof *bench);
    struct rdl_error error = {.message = "out of memory"};
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    int exit_status = CLI_OK;
    if (bench != NULL) {
        bench->options = &options;
        status = bench_model(bench, &error);
        exit_status = status == RDL_OK ? judge(bench) : CLI_FAILED;
        load_fini(&bench->load);
        session_close(&bench->session);
    }
    free(bench);
    if (status != RDL_OK)
        exit_status = cli_report(options.common.model, &error);
    common_fini(&options.common);
    return exit_status;
}
