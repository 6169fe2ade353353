/*
 * JSON documents, by cJSON.
 */
#include "cli/json.h"

#include "cli/cli.h"

#include <errno.h>
#include <string.h>

/* Puts an item in its place; NULL if there is no item or no place. */
static cJSON *put(struct json *json, cJSON *parent, const char *name, cJSON *item)
{
    bool done = item != NULL && !json->failed;
    if (done && parent == NULL)
        json->root = item;
    else if (done)
        done = name != NULL ? cJSON_AddItemToObject(parent, name, item)
                            : cJSON_AddItemToArray(parent, item);
    if (done)
        return item;
    cJSON_Delete(item);
    json->failed = true;
    return NULL;
}

cJSON *json_object(struct json *json, cJSON *parent, const char *name)
{
    return put(json, parent, name, cJSON_CreateObject());
}

cJSON *json_array(struct json *json, cJSON *parent, const char *name)
{
    return put(json, parent, name, cJSON_CreateArray());
}

void json_number(struct json *json, cJSON *parent, const char *name, double value)
{
    (void)put(json, parent, name, cJSON_CreateNumber(value));
}

void json_text(struct json *json, cJSON *parent, const char *name, const char *value)
{
    (void)put(json, parent, name, cJSON_CreateString(value));
}

void json_bool(struct json *json, cJSON *parent, const char *name, bool value)
{
    (void)put(json, parent, name, cJSON_CreateBool(value));
}

void json_null(struct json *json, cJSON *parent, const char *name)
{
    (void)put(json, parent, name, cJSON_CreateNull());
}

enum rdl_status json_write(struct json *json, FILE *file, struct rdl_error *error)
{
    char *text = json->failed ? NULL : cJSON_Print(json->root);
    cJSON_Delete(json->root);
    json->root = NULL;
    if (text == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    const bool written = fprintf(file, "%s\n", text) >= 0;
    cJSON_free(text);
    return written ? RDL_OK : cli_fail(error, RDL_ERR_IO, "%s", strerror(errno));
}
