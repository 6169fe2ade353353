/*
 * Options that the commands on a model share.
 */
#include "cli/common.h"

#include "cli/cli.h"

enum { KEY_SHAPE = 's', KEY_SET = 'e', KEY_SEED = 'r', KEY_DEVICE = 'd', KEY_NO_FUSION = 'f' };

static const struct argp_option option_table[] = {
    {"shape", KEY_SHAPE, "NAME=64x512", 0,
     "Shape of an input; may be repeated. A free first dimension is 1", 0},
    {"set", KEY_SET, "NAME=V,...", 0,
     "Elements of an input, the same for every thread; one element fills it. May be repeated", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the inputs that are not given (default 1)", 0},
    {"device", KEY_DEVICE, "NAME", 0, "cpu (default) or sim", 0},
    {"no-fusion", KEY_NO_FUSION, NULL, 0, "Leave the graph as it is in the file", 0},
    {0},
};

void common_check(struct argp_state *state, enum rdl_status status, const struct rdl_error *error)
{
    if (status != RDL_OK)
        argp_error(state, "%s", error->message);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct common *common = state->input;
    struct rdl_error error = {.message = ""};
    switch (key) {
    case KEY_SHAPE:
        common_check(state, named_shapes_add(&common->wish.shapes, argument, &error), &error);
        return 0;
    case KEY_SET:
        common_check(state, named_sets_add(&common->wish.sets, argument, &error), &error);
        return 0;
    case KEY_SEED:
        common_check(state, cli_parse_number(argument, 0, INT64_MAX, &common->seed, &error),
                     &error);
        return 0;
    case KEY_DEVICE:
        common->device = argument;
        return 0;
    case KEY_NO_FUSION:
        common->no_fusion = true;
        return 0;
    case ARGP_KEY_ARG:
        if (common->model != NULL)
            argp_error(state, "more than one model: '%s'", argument);
        common->model = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "MODEL is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {.options = option_table, .parser = parse_option};
const struct argp_child common_children[] = {{&parser, 0, NULL, 0}, {0}};

void common_parse(int argc, char **argv, const struct argp_option *options, argp_parser_t parse,
                  const char *documentation, void *out)
{
    const struct argp whole = {.options = options,
                               .parser = parse,
                               .args_doc = "MODEL",
                               .doc = documentation,
                               .children = common_children};
    argp_parse(&whole, argc, argv, 0, NULL, out);
}

void common_fini(struct common *common)
{
    inputs_wish_fini(&common->wish);
}
