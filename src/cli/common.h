/*
 * Options that the commands on a model share: --shape, --set, --seed, --device, --no-fusion; and the
 * argument MODEL.
 */
#ifndef RADDLE_CLI_COMMON_H
#define RADDLE_CLI_COMMON_H

#include "cli/inputs.h"

#include <argp.h>

/** What they say. Initialise with COMMON_DEFAULTS. */
struct common {
    const char *model, *device;
    struct inputs_wish wish;
    int64_t seed;
    bool no_fusion;
};
#define COMMON_DEFAULTS {.device = "cpu", .seed = 1}

/** Their parser: the only child of a command's own, which gives it the struct common as its input at
 * ARGP_KEY_INIT. */
extern const struct argp_child common_children[];

/** Says that an option's argument is wrong and ends the process; RDL_OK: does nothing. */
void common_check(struct argp_state *state, enum rdl_status status, const struct rdl_error *error);

/** Parses the line of a command on MODEL: its own options, for which parse gets `out` as its input, and
 * the shared ones. Ends the process where the line is wrong. */
void common_parse(int argc, char **argv, const struct argp_option *options, argp_parser_t parse,
                  const char *documentation, void *out);

void common_fini(struct common *common);

#endif
