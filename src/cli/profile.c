/*
 * Profiles: a table, and a trace.
 *
 * Source: "Trace Event Format" of the Chromium project: complete events ("X"), metadata events ("M").
 */
#include "cli/profile.h"

#include "cli/cli.h"
#include "cli/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines of the table: a node, or all nodes of an operator. */
struct line {
    const char *op, *node, *shapes;
    char number[16]; /* stands for a node without a name */
    double flop;
    int64_t time_ns;
    uint64_t calls; /* of a node; nodes of an operator */
    bool is_deferred;
};

/* ---- gathering ------------------------------------------------------------------------------- */

/* Whether a step goes on with the node of the step before. */
static bool is_same_node(const struct rdl_step_info *a, const struct rdl_step_info *b)
{
    return a->index == b->index && a->depth == b->depth && a->is_deferred == b->is_deferred &&
           strcmp(a->op, b->op) == 0 && strcmp(a->node, b->node) == 0;
}

/* A line for each node into lines [steps]; how many. */
static size_t gather_nodes(const struct rdl_plan_info *plan, struct line *lines)
{
    size_t n = 0;
    struct rdl_step_info step, before = {.op = "", .node = ""};
    for (size_t i = 0; rdl_plan_info_step(plan, i, &step); i++) {
        if (i == 0 || !is_same_node(&step, &before)) {
            struct line *line = &lines[n++];
            *line = (struct line){.op = step.op,
                                  .node = step.node,
                                  .shapes = step.shapes,
                                  .calls = step.calls,
                                  .is_deferred = step.is_deferred};
            if (step.index != RDL_NO_NODE)
                (void)snprintf(line->number, sizeof line->number, "#%u", (unsigned)step.index);
        }
        lines[n - 1].flop += step.flop;
        lines[n - 1].time_ns += step.time_ns;
        before = step;
    }
    return n;
}

/* A line for each operator into operators [n]; how many. */
static size_t gather_operators(const struct line *nodes, size_t n, struct line *operators)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < count && strcmp(operators[k].op, nodes[i].op) != 0)
            k++;
        if (k == count)
            operators[count++] = (struct line){.op = nodes[i].op, .node = ""};
        operators[k].flop += nodes[i].flop;
        operators[k].time_ns += nodes[i].time_ns;
        operators[k].calls++;
    }
    return count;
}

static int slower_first(const void *a, const void *b)
{
    const struct line *left = a, *right = b;
    return left->time_ns < right->time_ns ? 1 : -(left->time_ns > right->time_ns);
}

/* ---- the table ------------------------------------------------------------------------------- */

static double share(const struct line *line, int64_t total_ns)
{
    return total_ns > 0 ? 100.0 * (double)line->time_ns / (double)total_ns : 0;
}

/* "12.3", or "-" for what has no count. */
static const char *gflops(double flop, int64_t time_ns, char *out, size_t room)
{
    if (flop > 0 && time_ns > 0)
        (void)snprintf(out, room, "%.2f", flop / (double)time_ns);
    else
        (void)snprintf(out, room, "-");
    return out;
}

#define MOST_NODE_CHARS 48

/* The name that a node goes by. */
static const char *name_of(const struct line *line)
{
    return line->node[0] != '\0' ? line->node : line->number;
}

/* The end of a name that is too long for its column: exporters put the differences there. */
static const char *end_of(const char *name)
{
    const size_t length = strlen(name);
    return length > MOST_NODE_CHARS ? name + length - MOST_NODE_CHARS : name;
}

static void print_nodes(const struct line *nodes, size_t n, int64_t total_ns)
{
    char rate[32];
    int width = (int)strlen("node");
    for (size_t i = 0; i < n; i++) {
        const int length = (int)strlen(end_of(name_of(&nodes[i])));
        width = length > width ? length : width;
    }
    printf("\n%10s %6s %9s %6s  %-18s %-*s  %s\n", "time_us", "share", "GFLOP/s", "calls",
           "operator", width, "node", "shapes");
    for (size_t i = 0; i < n; i++) {
        const struct line *line = &nodes[i];
        printf("%10.2f %5.1f%% %9s %6llu%c %-18s %-*s  %s\n", (double)line->time_ns / 1e3,
               share(line, total_ns), gflops(line->flop, line->time_ns, rate, sizeof rate),
               (unsigned long long)line->calls, line->is_deferred ? '*' : ' ', line->op, width,
               end_of(name_of(line)), line->shapes);
    }
}

static void print_lines(const struct line *nodes, size_t n_nodes, const struct line *operators,
                        size_t n_operators, uint32_t runs)
{
    char rate[32];
    int64_t total_ns = 0;
    double flop = 0;
    bool has_deferred = false;
    for (size_t i = 0; i < n_nodes; i++) {
        total_ns += nodes[i].time_ns;
        flop += nodes[i].flop;
        has_deferred = has_deferred || nodes[i].is_deferred;
    }
    print_nodes(nodes, n_nodes, total_ns);
    printf("\n%10s %6s %9s %6s  %s\n", "time_us", "share", "GFLOP/s", "nodes", "operator");
    for (size_t i = 0; i < n_operators; i++)
        printf("%10.2f %5.1f%% %9s %6llu  %s\n", (double)operators[i].time_ns / 1e3,
               share(&operators[i], total_ns),
               gflops(operators[i].flop, operators[i].time_ns, rate, sizeof rate),
               (unsigned long long)operators[i].calls, operators[i].op);
    printf("%10.2f %5.1f%% %9s %6zu  total, of the medians of %u run%s\n", (double)total_ns / 1e3,
           100.0, gflops(flop, total_ns, rate, sizeof rate), n_nodes, (unsigned)runs,
           runs == 1 ? "" : "s");
    if (has_deferred)
        printf("* run node by node, since its shape hangs on data\n");
}

enum rdl_status profile_print(const struct rdl_plan_info *plan, uint32_t runs,
                              struct rdl_error *error)
{
    const size_t most = rdl_plan_info_step_count(plan) + 1;
    struct line *nodes = calloc(most, sizeof *nodes), *operators = calloc(most, sizeof *operators);
    if (nodes != NULL && operators != NULL) {
        const size_t n_nodes = gather_nodes(plan, nodes);
        const size_t n_operators = gather_operators(nodes, n_nodes, operators);
        qsort(nodes, n_nodes, sizeof *nodes, slower_first);
        qsort(operators, n_operators, sizeof *operators, slower_first);
        print_lines(nodes, n_nodes, operators, n_operators, runs);
    }
    const bool good = nodes != NULL && operators != NULL;
    free(nodes);
    free(operators);
    return good ? RDL_OK : cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
}

/* ---- the trace ------------------------------------------------------------------------------- */

static void add_name(struct json *json, cJSON *events, const char *kind, const char *name)
{
    cJSON *event = json_object(json, events, NULL);
    json_text(json, event, "name", kind);
    json_text(json, event, "ph", "M");
    json_number(json, event, "pid", 1);
    json_number(json, event, "tid", 1);
    json_text(json, json_object(json, event, "args"), "name", name);
}

static void add_step(struct json *json, cJSON *events, const struct rdl_step_info *step,
                     int64_t begin_ns)
{
    cJSON *event = json_object(json, events, NULL);
    json_text(json, event, "name", step->op);
    json_text(json, event, "cat", step->is_deferred ? "deferred" : "plan");
    json_text(json, event, "ph", "X");
    json_number(json, event, "ts", (double)begin_ns / 1e3);
    json_number(json, event, "dur", (double)step->time_ns / 1e3);
    json_number(json, event, "pid", 1);
    json_number(json, event, "tid", 1);
    cJSON *args = json_object(json, event, "args");
    json_text(json, args, "node", step->node);
    if (step->index != RDL_NO_NODE)
        json_number(json, args, "index", step->index);
    json_text(json, args, "shapes", step->shapes);
    json_number(json, args, "calls", (double)step->calls);
    json_number(json, args, "tiles", (double)step->tiles);
    json_number(json, args, "bytes", (double)step->bytes);
    if (step->flop > 0)
        json_number(json, args, "flop", step->flop);
}

enum rdl_status profile_write_trace(const struct rdl_plan_info *plan, const char *model,
                                    const char *path, struct rdl_error *error)
{
    struct json json = {0};
    struct rdl_step_info step;
    int64_t at_ns = 0;
    cJSON *root = json_object(&json, NULL, NULL);
    cJSON *events = json_array(&json, root, "traceEvents");
    json_text(&json, root, "displayTimeUnit", "ns");
    add_name(&json, events, "process_name", "raddle");
    add_name(&json, events, "thread_name", model);
    for (size_t i = 0; rdl_plan_info_step(plan, i, &step); i++) {
        add_step(&json, events, &step, at_ns);
        at_ns += step.time_ns;
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        cJSON_Delete(json.root);
        return cli_fail(error, RDL_ERR_IO, "%s", strerror(errno));
    }
    enum rdl_status status = json_write(&json, file, error);
    if (fclose(file) != 0 && status == RDL_OK)
        status = cli_fail(error, RDL_ERR_IO, "%s", strerror(errno));
    return status;
}
