/*
 * Models from the inside: the object behind a model's handle, and its cache of plans.
 *
 * The cache is a table of buckets of up to eight entries; an entry is a hash and a plan, both atomic.
 * Calls read it without a lock: they publish the plan as a hazard and look once more whether the entry
 * still names it. It is changed under the device's plans lock only: a new plan takes an empty entry of
 * its bucket, or that of a plan that was not used since the last look (second chance); what it replaces
 * is unlinked and retired.
 *
 * Compiling is single-flight: the first caller that misses lists a flight, the others with the same key
 * wait for it. Who compiles publishes the plan as its hazard before the cache links it, and runs it even
 * if it is evicted at once. When a flight ends the others look again; if it ended for a cause of its
 * own (cancel, deadline, memory), one of them becomes the next to compile; a fault of the model goes to
 * all of them. Flights stand on their callers' stacks; those of a parent process are dropped by the
 * epoch.
 *
 * Threading: fields without a remark are fixed after load. The object lives while the handle is open or
 * pinned, and then until no lane's hazard names it.
 */
#ifndef RDL_MODEL_MODEL_H
#define RDL_MODEL_MODEL_H

#include "model/plan.h"
#include "raddle/model.h"
#include "runtime/lane.h"

#define RDL__PLAN_WAYS 8

struct rdl__plan_entry {
    _Atomic uint64_t hash;            /* 0: empty; written before plan, under the lock */
    _Atomic(struct rdl__plan *) plan; /* seq_cst: the recheck of a hazard */
};

struct rdl__flight;

struct rdl__model {
    struct rdl__retired retired;
    struct rdl__device *device;
    struct rdl__program *program; /* a reference is held */
    struct rdl_model_info *info;  /* likewise */

    struct rdl__plan_entry *entries; /* [n_buckets * ways] */
    uint32_t n_buckets, ways;
    /* Guarded by device->plans_lock. */
    struct rdl__flight *flights;
    uint32_t flights_epoch;
    uint64_t n_made, n_evicted;
};

extern struct rdl__table rdl__models;

/** The model behind a handle, pinned; for everything but runs. NULL with *status RDL_ERR_CLOSED or
 * RDL_ERR_FORKED. */
struct rdl__model *rdl__model_pin(struct rdl_model handle, enum rdl_status *status,
                                  struct rdl_error *error);
void rdl__model_unpin(struct rdl_model handle);

/** Makes the empty cache of a model that is being loaded. @return RDL_ERR_NO_MEMORY */
enum rdl_status rdl__plans_init(struct rdl__model *model, uint32_t capacity);
/** Frees the plans in the cache; nobody uses the model. */
void rdl__plans_fini(struct rdl__model *model);

/**
 * The plan for a key, published in the lane together with the model, compiled if need be.
 *
 * @param lane  held; its hazard names the model already, and the model was found open
 * @return RDL_ERR_DEADLINE and RDL_ERR_CANCELLED of the wait; else as rdl__plan_make
 */
enum rdl_status rdl__plans_get(struct rdl__model *model, struct rdl__lane *lane,
                               const struct rdl__plan_key *key,
                               const struct rdl__compile_limits *limits, struct rdl__plan **out,
                               struct rdl_error *error);

/** Whether the lane's hint is a plan of this model that is still cached, and publishes both if so; the
 * caller checks the key. */
struct rdl__plan *rdl__plans_hint(struct rdl__model *model, struct rdl__slot *slot, uint64_t id,
                                  struct rdl__lane *lane);

/** Numbers for rdl_model_get_stats. */
void rdl__plans_count(struct rdl__model *model, struct rdl_model_stats *stats);

/** Facts about a program; one reference. @return NULL without memory */
struct rdl_model_info *rdl__model_info_new(const struct rdl__program *program);
struct rdl_model_info *rdl__model_info_retain(struct rdl_model_info *info);

/** What a run needs of its caller, checked: shared by rdl_model_run and submitted runs. */
struct rdl__run {
    struct rdl_model model;
    struct rdl_value *const *inputs;
    size_t n_inputs;
    struct rdl_value **outputs; /* in and out */
    size_t n_outputs;
    const uint32_t *output_indices; /* NULL: the first n_outputs */
    int64_t deadline_ns;
    struct rdl_cancel *cancel;
    bool no_wait;
    struct rdl_stream stream;
    const struct rdl_allocator *output_allocator;
};

/** Reads options into a run. @return RDL_ERR_ARGUMENT */
enum rdl_status rdl__run_init(struct rdl__run *run, struct rdl_model model,
                              struct rdl_value *const *inputs, size_t n_inputs,
                              struct rdl_value **outputs, size_t n_outputs,
                              const struct rdl_run_options *options, struct rdl_error *error);

/** Whether a dtype and shape fit an input. @return RDL_ERR_SHAPE, with a message that names it */
enum rdl_status rdl__check_port(const struct rdl__program_port *port, const struct rdl__desc *given,
                                struct rdl_error *error);

/**
 * Describes values given for the inputs as a plan's key.
 * @param inputs  [n_inputs]
 * @param descs   [n_inputs] receives dtypes and shapes, and the elements of those that decide
 * @param room    [n_inputs] takes elements of strided ones that decide
 * @return RDL_ERR_ARGUMENT, RDL_ERR_SHAPE, naming the input
 */
enum rdl_status rdl__describe_inputs(const struct rdl__program *program,
                                     struct rdl_value *const *inputs, struct rdl__desc *descs,
                                     char (*room)[RDL__DECIDING_BYTES], struct rdl_error *error);

/** Puts what a kernel reported (struct rdl__progress, failed) into words. @return its status */
enum rdl_status rdl__explain_failure(const struct rdl__program *program, uint64_t failed,
                                     struct rdl_error *error);

/** Runs, on the calling thread. As rdl_model_run. */
enum rdl_status rdl__run(const struct rdl__run *run, struct rdl_error *error);

#endif
