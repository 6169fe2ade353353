/*
 * Importing in tests: a model as a function that writes it, and what became of it.
 */
#ifndef TESTS_SUPPORT_IMPORT_MAKER_H
#define TESTS_SUPPORT_IMPORT_MAKER_H

#include "onnx/onnx.h"
#include "support/graph_maker.h"
#include "support/onnx_writer.h"

#include <stdlib.h>

/* A model as a function that fills the writer; what it leaves open is closed. */
typedef void (*model_fn)(struct writer *w);

struct imported {
    struct rdl__arena arena;
    struct rdl__graph *graph;
    struct rdl_error error;
    enum rdl_status status;
    void *data; /* the file; exactly its size */
    size_t size;
};

static inline void import_bytes(struct imported *m, struct writer *w,
                                const struct rdl__onnx_options *given)
{
    struct rdl__onnx_options options = {.find = maker_find};
    *m = (struct imported){.size = w->n};
    writer_end(w);
    m->size = w->n;
    m->data = malloc(w->n == 0 ? 1 : w->n);
    assert_non_null(m->data);
    if (w->n > 0)
        memcpy(m->data, w->data, w->n);
    rdl__arena_init(&m->arena, SIZE_MAX);
    m->status = rdl__onnx_import(m->data, m->size, given == NULL ? &options : given, &m->arena,
                                 &m->graph, &m->error);
    writer_free(w);
}

static inline void import_model(struct imported *m, model_fn fill)
{
    struct writer w = {0};
    fill(&w);
    import_bytes(m, &w, NULL);
}

static inline void imported_fini(struct imported *m)
{
    rdl__arena_fini(&m->arena);
    free(m->data);
}

static inline int32_t find_value(const struct rdl__graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->n_values; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return (int32_t)i;
    fail_msg("no value \"%s\"", name);
    return -1;
}

static inline const struct rdl__value_info *value_of(const struct rdl__graph *graph,
                                                     const char *name)
{
    return &graph->values[find_value(graph, name)];
}

/* Input x [N, 2] and output y of f32, in a model whose nodes are still to come. */
static inline void begin_xy(struct writer *w)
{
    writer_begin(w, 8, 17);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 2, (int64_t[]){-1, 2});
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, 2});
}

/* A node y = Add(x, w), whose initialiser w is still to come. */
static inline void begin_xyw(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Add", "sum", "x w", "y");
}

/* An attribute of the open node that holds a graph; both are left open. */
static inline void open_branch(struct writer *w, const char *name)
{
    writer_attr(w, name, RDL__ATTR_GRAPH);
    writer_open(w, ATTR_G);
}

#endif
