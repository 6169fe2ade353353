/*
 * The deferred part of a run: what hangs on data that only the run knows.
 *
 * A plan computes, in one segment, all whose shapes follow from its key. If an output hangs on more (the
 * count of a NonZero, an undecided Select, a Loop), the run goes on from the values that the plan exports,
 * node by node and by need: each node is inferred when its inputs are there, lowered, given memory from
 * the lane's cache, and submitted to the lane's stream as a small segment of its own. Elements that decide
 * a shape or a side are read back first, which waits for the stream.
 *
 * The values of one program in one run lie in a frame: a cell each. A cell's memory is counted, since
 * nodes that give what they take (Reshape, Select) share it, and goes back when its last reader has been
 * submitted: blocks follow the order of the lane's stream. The body of a Loop or Scan has a frame of its
 * own, emptied after each iteration.
 *
 * Memory is asked for without waiting, for a run that holds memory and waits for more could deadlock: a
 * full device ends the run with RDL_ERR_NO_MEMORY.
 *
 * Threading: one run, the holder of its lane. On an asynchronous device the work reads its lists and host
 * copies until it has run: they are kept until the stream was waited for.
 */
#ifndef RDL_MODEL_DEFERRED_H
#define RDL_MODEL_DEFERRED_H

#include "model/plan.h"
#include "runtime/lane.h"

/** Memory of cells. */
struct rdl__held {
    struct rdl__held *next; /* among those that wait for the stream */
    uint32_t references;
    struct rdl__block *block; /* device memory; NULL: none */
    void *host;               /* a copy of the elements in host memory; NULL: none */
};

/** A value of a frame. */
struct rdl__cell {
    struct rdl__desc
        desc;      /* dtype RDL_DTYPE_NONE: not there yet; data: elements if the host has them */
    char *address; /* on the device; NULL once nobody reads it any more */
    struct rdl__held
        *held;     /* a reference; NULL: the memory is the plan's, the program's or the caller's */
    uint32_t uses; /* readers still to come */
};

struct rdl__work; /* lists that submitted work still reads */

/** A node that the deferred part is about to run, or a loop that it has run. */
struct rdl__deferred_node {
    const struct rdl__node *node;
    uint32_t number; /* of the node in its program's root */
    const struct rdl__desc *in, *out;
    size_t tiles; /* of all its steps */
    size_t bytes; /* that they bind */
};

/** Sees each node before its work is submitted, and how long it took, its infer included, once that has
 * run: for profiles, which wait for each. A loop's time is its own, without the nodes of its body. */
struct rdl__deferred_watcher {
    void (*begin)(struct rdl__deferred_watcher *watcher, const struct rdl__deferred_node *what);
    void (*end)(struct rdl__deferred_watcher *watcher, uint32_t number, int64_t time_ns);
};

/** What the frames of a run share. */
struct rdl__deferred {
    struct rdl__device *device;
    struct rdl__lane *lane;             /* held; progress.failed is clear */
    const struct rdl__program *program; /* the root: names nodes in messages */
    int64_t deadline_ns;
    struct rdl_cancel *cancel;
    struct rdl_error *error;
    struct rdl__deferred_watcher *watcher; /* NULL: nobody watches */
    int64_t watched_ns; /* time of all nodes that the watcher was told; begin with 0 */

    /* Kept by the functions below. */
    struct rdl__work *works;
    uint32_t n_works;
    struct rdl__held *waiting; /* host copies to be freed when the stream has been waited for */
};

/** The values of one program. */
struct rdl__frame {
    struct rdl__deferred *run;
    const struct rdl__program *program;
    struct rdl__cell *cells;   /* [n_values] */
    struct rdl__visit *visits; /* [n_nodes] stack of rdl__frame_evaluate */
};

/** Makes an empty frame. @return RDL_ERR_NO_MEMORY: the frame may still be given to fini */
enum rdl_status rdl__frame_init(struct rdl__frame *frame, struct rdl__deferred *run,
                                const struct rdl__program *program);
/** Lets go of all values; the frame is as new. */
void rdl__frame_clear(struct rdl__frame *frame);
void rdl__frame_fini(struct rdl__frame *frame);

/** Gives a value of the frame what a cell holds: shared, not moved. */
void rdl__frame_share(struct rdl__frame *frame, int32_t value, const struct rdl__cell *cell);

/** Lets the frame read what a plan exports; bases [plan->n_bases] are those of its segment. */
void rdl__frame_import(struct rdl__frame *frame, const struct rdl__plan *plan, void *const *bases);

/**
 * Computes a value and all that it hangs on.
 * @return RDL_ERR_SHAPE, RDL_ERR_UNSUPPORTED, RDL_ERR_RUNTIME (naming the node), RDL_ERR_NO_MEMORY,
 *         RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST
 */
enum rdl_status rdl__frame_evaluate(struct rdl__frame *frame, int32_t value);

/** Says that a reader of a value is done; the last one lets go of it. */
void rdl__frame_used(struct rdl__frame *frame, int32_t value);

/* Cells outside frames: what a loop carries and collects. */

/** Takes a reference to what a cell holds. */
struct rdl__cell rdl__cell_share(const struct rdl__cell *cell);
/** Gives it back. */
void rdl__cell_release(struct rdl__deferred *run, struct rdl__cell *cell);
/** Room for desc's elements, uninitialised; one reference. @return RDL_ERR_NO_MEMORY,
 * RDL_ERR_OVERFLOW */
enum rdl_status rdl__cell_new(struct rdl__deferred *run, const struct rdl__desc *desc,
                              struct rdl__cell *out);
/** A scalar of elem_bytes at element, known to host and device. @return as rdl__cell_new and submit */
enum rdl_status rdl__cell_scalar(struct rdl__deferred *run, enum rdl_dtype dtype,
                                 const void *element, struct rdl__cell *out);
/** Brings a cell's elements to the host: cell->desc.data. Waits for the stream where the device's
 * memory is not the host's. @return as rdl__frame_evaluate */
enum rdl_status rdl__cell_read(struct rdl__deferred *run, struct rdl__cell *cell);

/** One node's lists, made in its arena and read by its work. */
struct rdl__work {
    struct rdl__work *next;
    struct rdl__arena arena;
    struct rdl__segment segment;
};
/** An empty work; NULL if there is no memory. */
struct rdl__work *rdl__work_new(void);
/** Submits a work's segment; the work is taken over. */
enum rdl_status rdl__work_submit(struct rdl__deferred *run, struct rdl__work *work,
                                 void *const *bases, uint32_t n_bases);
void rdl__work_free(struct rdl__work *work);

/** RDL_OK, or what ends the run: its cancel token, its deadline, work that has failed. */
enum rdl_status rdl__deferred_check(const struct rdl__deferred *run);
/** Notes a status of the backend, with a message if it is a failure. */
enum rdl_status rdl__deferred_note(const struct rdl__deferred *run, enum rdl_status status);
/** Frees what submitted work read. The stream is idle. */
void rdl__deferred_end(struct rdl__deferred *run);

/** Runs a Loop or Scan: inputs and outputs are cells of the frame. model/loop.c. */
enum rdl_status rdl__loop_run(struct rdl__frame *frame, const struct rdl__program_node *own);

#endif
