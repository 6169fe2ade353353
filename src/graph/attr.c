/*
 * Reading and checking a node's attributes. A node has few: they are searched in order.
 *
 * Threading: any number of readers.
 */
#include "graph/graph.h"

#include <string.h>

const struct rdl__attr *rdl__attr_find(const struct rdl__node *node, const char *name)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

static const struct rdl__attr *find_typed(const struct rdl__node *node, const char *name,
                                          enum rdl__attr_type type)
{
    const struct rdl__attr *attr = rdl__attr_find(node, name);
    return attr != NULL && attr->type == type ? attr : NULL;
}

int64_t rdl__attr_int(const struct rdl__node *node, const char *name, int64_t fallback)
{
    const struct rdl__attr *attr = find_typed(node, name, RDL__ATTR_INT);
    return attr == NULL ? fallback : attr->i;
}

float rdl__attr_float(const struct rdl__node *node, const char *name, float fallback)
{
    const struct rdl__attr *attr = find_typed(node, name, RDL__ATTR_FLOAT);
    return attr == NULL ? fallback : attr->f;
}

const char *rdl__attr_text(const struct rdl__node *node, const char *name, const char *fallback)
{
    const struct rdl__attr *attr = find_typed(node, name, RDL__ATTR_STRING);
    return attr == NULL ? fallback : attr->s.bytes;
}

const int64_t *rdl__attr_ints(const struct rdl__node *node, const char *name, size_t *count)
{
    const struct rdl__attr *attr = find_typed(node, name, RDL__ATTR_INTS);
    *count = attr == NULL ? 0 : attr->count;
    return attr == NULL ? NULL : attr->ints;
}

static const char *type_name(enum rdl__attr_type type)
{
    switch (type) {
    case RDL__ATTR_FLOAT:
        return "a float";
    case RDL__ATTR_INT:
        return "an int";
    case RDL__ATTR_STRING:
        return "a string";
    case RDL__ATTR_TENSOR:
        return "a tensor";
    case RDL__ATTR_GRAPH:
        return "a graph";
    case RDL__ATTR_FLOATS:
        return "floats";
    case RDL__ATTR_INTS:
        return "ints";
    case RDL__ATTR_STRINGS:
        return "strings";
    }
    return "of no known type";
}

static const struct rdl__attr_rule *find_rule(const struct rdl__attr_rule *rules, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

enum rdl_status rdl__attr_check(const struct rdl__node *node, const struct rdl__attr_rule *rules,
                                size_t n, struct rdl_error *error)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const struct rdl__attr *attr = &node->attrs[i];
        const struct rdl__attr_rule *rule = find_rule(rules, n, attr->name);
        if (rule == NULL)
            return rdl__fail(error, RDL_ERR_MODEL, "%s: attribute \"%s\" is not known",
                             RDL__NODE_TEXT(node), RDL__NAME_TEXT(attr->name));
        if (rule->type != attr->type)
            return rdl__fail(error, RDL_ERR_MODEL, "%s: attribute \"%s\" is %s, expected %s",
                             RDL__NODE_TEXT(node), attr->name, type_name(attr->type),
                             type_name(rule->type));
    }
    for (size_t i = 0; i < n; i++)
        if (rules[i].required && rdl__attr_find(node, rules[i].name) == NULL)
            return rdl__fail(error, RDL_ERR_MODEL, "%s: attribute \"%s\" is missing",
                             RDL__NODE_TEXT(node), rules[i].name);
    return RDL_OK;
}
