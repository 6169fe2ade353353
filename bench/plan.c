/*
 * The part of the command line that says what material is made from.
 */
#include "material.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static enum rdl_status parse_range(const char *text, struct value_range *out,
                                   struct rdl_error *error)
{
    const char *dots = strstr(text, "..");
    char low[32] = "";
    if (dots == NULL || (size_t)(dots - text) >= sizeof low)
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not LOW..HIGH", text);
    memcpy(low, text, (size_t)(dots - text));
    CLI_TRY(cli_parse_number(low, 0, INT32_MAX, &out->low, error));
    return cli_parse_number(dots + 2, out->low, INT32_MAX, &out->high, error);
}

static enum rdl_status add_range(struct value_ranges *ranges, const char *text,
                                 struct rdl_error *error)
{
    const char *equals = strrchr(text, '=');
    struct value_range added = {0};
    if (equals == NULL || equals == text)
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not NAME=LOW..HIGH", text);
    CLI_TRY(parse_range(equals + 1, &added, error));
    struct value_range *items = realloc(ranges->items, (ranges->count + 1) * sizeof *items);
    if (items != NULL) {
        ranges->items = items;
        added.name = strndup(text, (size_t)(equals - text));
    }
    if (added.name == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    ranges->items[ranges->count++] = added;
    return RDL_OK;
}

enum { KEY_RANGE = 'v' };

static const struct argp_option option_table[] = {
    {"range", KEY_RANGE, "NAME=LOW..HIGH", 0,
     "Random elements of an integer input; may be repeated (without: 0..9)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct material_plan *plan = state->input;
    struct rdl_error error = {.message = ""};
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &plan->common;
        return 0;
    case KEY_RANGE:
        common_check(state, add_range(&plan->ranges, argument, &error), &error);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table, .parser = parse_option, .children = common_children};
const struct argp_child material_children[] = {{.argp = &parser}, {0}};

void material_plan_fini(struct material_plan *plan)
{
    for (size_t i = 0; i < plan->ranges.count; i++)
        free(plan->ranges.items[i].name);
    free(plan->ranges.items);
    common_fini(&plan->common);
    *plan = (struct material_plan){0};
}
