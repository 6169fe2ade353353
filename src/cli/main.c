/*
 * The command `raddle`: chooses the sub-command.
 */
#include "cli/cli.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

struct command {
    const char *name; /* as typed */
    char *title;      /* as shown in help and errors */
    int (*run)(int argc, char **argv);
};

static char title_run[] = "raddle run";
static char title_bench[] = "raddle bench";
static char title_inspect[] = "raddle inspect";
static char title_doctor[] = "raddle doctor";
static const struct command commands[] = {
    {"run", title_run, cli_run},
    {"inspect", title_inspect, cli_inspect},
    {"bench", title_bench, cli_bench},
    {"doctor", title_doctor, cli_doctor},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static const char documentation[] =
    "Runs neural networks from ONNX files; many threads share one model.\v"
    "Commands:\n"
    "  run MODEL        run a model once; with --profile, tell where the time goes\n"
    "  inspect MODEL    tell what a model is made of, and how it would be run\n"
    "  bench MODEL      measure a model from several threads, every answer checked\n"
    "  doctor           tell what the library finds on this machine\n"
    "  help [COMMAND]   tell more about a command, as COMMAND --help does\n"
    "\n"
    "A model's first steps:\n"
    "  raddle inspect model.onnx                      which inputs has it?\n"
    "  raddle run model.onnx --shape x=8x784          does it run?\n"
    "  raddle run model.onnx --shape x=8x784 --profile\n"
    "  raddle bench model.onnx --shape x=8x784 --threads 1,2,4\n"
    "\n"
    "Exit status: 0 success, 1 a fault or a wrong answer, 2 wrong use.";

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    uint32_t version = rdl_version();
    (void)fprintf(stream, "raddle %u.%u.%u\n", (unsigned)(version / 10000),
                  (unsigned)(version / 100 % 100), (unsigned)(version % 100));
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_ARG:
        argp_error(state, "no command '%s'", argument);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a command is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

/* What the library has to say beside its errors. */
static void print_log(enum rdl_log_level level, const char *line, void *user)
{
    (void)user;
    (void)fprintf(stderr, "raddle: %s: %s\n", level == RDL_LOG_ERROR ? "error" : "warning", line);
}

int main(int argc, char **argv)
{
    static char help[] = "--help";
    const struct rdl_config config = {
        .size = sizeof config, .log = print_log, .log_level = RDL_LOG_WARNING};
    enum rdl_status ignored = rdl_configure(&config, NULL); /* the first use: it cannot be late */
    (void)ignored;
    argp_err_exit_status = CLI_USAGE;
    argp_program_version_hook = print_version;
    /* `help` and `help COMMAND` are `--help` and `COMMAND --help`. */
    if (argc > 1 && argc < 4 && strcmp(argv[1], "help") == 0) {
        argv[1] = argc == 3 ? argv[2] : help;
        if (argc == 3)
            argv[2] = help;
    }
    const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
    if (command != NULL) {
        argv[1] = command->title;
        return cli_finish(command->run(argc - 1, argv + 1));
    }
    const struct argp parser = {
        .parser = parse_option, .args_doc = "COMMAND [OPTION...]", .doc = documentation};
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, NULL);
    return cli_finish(CLI_OK);
}
