/*
 * JSON documents, built without a look at each step: a failure sticks and shows when the document is
 * written.
 */
#ifndef RADDLE_CLI_JSON_H
#define RADDLE_CLI_JSON_H

#include "raddle/status.h"

#include <cjson/cJSON.h>
#include <stdio.h>

/** A document under way. Zeroed: empty. */
struct json {
    cJSON *root;
    bool failed;
};

/** Adds an object or array to parent: under `name` if parent is an object, at its end if it is an array
 * (name NULL), as the root if parent is NULL. NULL on failure, which the others take for parent. */
cJSON *json_object(struct json *json, cJSON *parent, const char *name);
cJSON *json_array(struct json *json, cJSON *parent, const char *name);
void json_number(struct json *json, cJSON *parent, const char *name, double value);
void json_text(struct json *json, cJSON *parent, const char *name, const char *value);
void json_bool(struct json *json, cJSON *parent, const char *name, bool value);
void json_null(struct json *json, cJSON *parent, const char *name);

/** Writes the document, and frees it whatever happens. @return RDL_ERR_NO_MEMORY, RDL_ERR_IO */
enum rdl_status json_write(struct json *json, FILE *file, struct rdl_error *error);

#endif
