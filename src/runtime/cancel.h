/*
 * Cancel tokens, and the wait that heeds them: how every blocking call of the library waits.
 *
 * A token is a flag and a list of parked threads to wake when it is set. The lists of all tokens are
 * guarded by one lock (rank CANCEL), so that a fork can take it; only calls that are about to wait, and
 * requests, touch it. A waiter lists its parker before it looks at the flag for the last time
 * and takes it off before its frame ends, so a request never misses it nor touches a dead one.
 */
#ifndef RDL_RUNTIME_CANCEL_H
#define RDL_RUNTIME_CANCEL_H

#include "os/atomic.h"
#include "os/park.h"
#include "raddle/config.h"

/** A parker in one token's list. */
struct rdl__cancel_node {
    struct rdl__cancel_node *next, **at; /* what points to it */
    struct rdl__park *park;
};

/** One waiter of a token: listed there, and with the token that it follows. */
struct rdl__cancel_link {
    struct rdl__cancel_node own, followed;
};

/** Makes a token that is also set when `followed` is, which it holds a reference to; NULL: none.
 * @return RDL_ERR_NO_MEMORY */
enum rdl_status rdl__cancel_new_following(struct rdl_cancel *followed, struct rdl_cancel **out,
                                          struct rdl_error *error);

/** The token's flag, and that of the token that it follows, or NULL. */
void rdl__cancel_flags(const struct rdl_cancel *cancel, const _Atomic bool *flags[2]);

/** Lists park with the token; NULL token: nothing to do. */
void rdl__cancel_link(struct rdl_cancel *cancel, struct rdl__cancel_link *link,
                      struct rdl__park *park);
/** Takes it off again. */
void rdl__cancel_unlink(struct rdl_cancel *cancel, struct rdl__cancel_link *link);

/** For fork handlers: the one lock of all tokens. */
void rdl__cancel_fork_prepare(void);
void rdl__cancel_fork_done(void);

/** Whether the token is set; false for NULL. */
static inline bool rdl__cancelled(const struct rdl_cancel *cancel)
{
    return cancel != NULL && rdl_cancel_requested(cancel);
}

#endif
