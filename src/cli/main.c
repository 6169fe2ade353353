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
static const struct command commands[] = {
    {"run", title_run, cli_run},
    {"bench", title_bench, cli_bench},
};

static const char documentation[] =
    "Runs neural networks from ONNX files; many threads share one model.\v"
    "Commands:\n"
    "  run MODEL      run a model once\n"
    "  bench MODEL    measure a model from several threads, every answer checked\n"
    "\n"
    "`raddle COMMAND --help` tells about one of them. Exit status: 0 success, 1 a fault or a wrong "
    "answer, 2 wrong use.";

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

int main(int argc, char **argv)
{
    argp_err_exit_status = CLI_USAGE;
    argp_program_version_hook = print_version;
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            argv[1] = commands[i].title;
            return cli_finish(commands[i].run(argc - 1, argv + 1));
        }
    }
    const struct argp parser = {
        .parser = parse_option, .args_doc = "COMMAND [OPTION...]", .doc = documentation};
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, NULL);
    return cli_finish(CLI_OK);
}
