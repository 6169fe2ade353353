/*
 * Cancel tokens; the argument is in cancel.h.
 */
#include "runtime/cancel.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/fork.h"
#include "runtime/lifecycle.h"

static struct rdl__lock links_lock = RDL__LOCK_INIT(RDL__RANK_CANCEL);

struct rdl_cancel {
    _Atomic uint32_t references;
    _Atomic bool requested;      /* set once, under links_lock; read by any */
    struct rdl_cancel *followed; /* a reference is held; NULL: none */
    struct rdl__cancel_node *nodes RDL_GUARDED_BY(&links_lock);
    uint32_t
        epoch RDL_GUARDED_BY(&links_lock); /* nodes of another one are gone: a parent's waiters */
};

static struct rdl__cancel_node **nodes_locked(struct rdl_cancel *cancel) RDL_REQUIRES(links_lock)
{
    if (cancel->epoch != rdl__fork_epoch()) {
        cancel->epoch = rdl__fork_epoch();
        cancel->nodes = NULL;
    }
    return &cancel->nodes;
}

enum rdl_status rdl__cancel_new_following(struct rdl_cancel *followed, struct rdl_cancel **out,
                                          struct rdl_error *error)
{
    *out = NULL;
    rdl__runtime_settle_config();
    struct rdl_cancel *cancel = rdl__alloc_zeroed(1, sizeof *cancel);
    if (cancel == NULL)
        return rdl__fail_memory(error, "cancel token", sizeof *cancel);
    rdl__store_relaxed(&cancel->references, 1); /* nobody else knows it yet */
    cancel->followed = followed != NULL ? rdl_cancel_retain(followed) : NULL;
    *out = cancel;
    return RDL_OK;
}

enum rdl_status rdl_cancel_new(struct rdl_cancel **out, struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_cancel_new: out is NULL");
    return rdl__cancel_new_following(NULL, out, error);
}

void rdl_cancel_request(struct rdl_cancel *cancel)
{
    rdl__lock_acquire(&links_lock);
    /* pairs with the acquire in rdl_cancel_requested: what the canceller wrote before is seen */
    rdl__store_release(&cancel->requested, true);
    for (struct rdl__cancel_node *node = *nodes_locked(cancel); node != NULL; node = node->next)
        rdl__park_wake(node->park);
    rdl__lock_release(&links_lock);
}

bool rdl_cancel_requested(const struct rdl_cancel *cancel)
{
    return rdl__load_acquire(&cancel->requested) || /* pairs with rdl_cancel_request */
           (cancel->followed != NULL && rdl_cancel_requested(cancel->followed));
}

void rdl__cancel_flags(const struct rdl_cancel *cancel, const _Atomic bool *flags[2])
{
    flags[0] = cancel != NULL ? &cancel->requested : NULL;
    flags[1] = cancel != NULL && cancel->followed != NULL ? &cancel->followed->requested : NULL;
}

struct rdl_cancel *rdl_cancel_retain(struct rdl_cancel *cancel)
{
    rdl__add_relaxed(&cancel->references, 1); /* from a reference that the caller holds */
    return cancel;
}

void rdl_cancel_release(struct rdl_cancel *cancel)
{
    if (cancel == NULL || rdl__sub_acq_rel(&cancel->references, 1) != 1)
        return;
    struct rdl_cancel *followed = cancel->followed;
    rdl__free(cancel);
    rdl_cancel_release(followed); /* tokens of users follow nothing: one level */
}

static void list_locked(struct rdl_cancel *cancel, struct rdl__cancel_node *node,
                        struct rdl__park *park) RDL_REQUIRES(links_lock)
{
    struct rdl__cancel_node **nodes = nodes_locked(cancel);
    *node = (struct rdl__cancel_node){*nodes, nodes, park};
    if (*nodes != NULL)
        (*nodes)->at = &node->next;
    *nodes = node;
}

static void unlist_locked(struct rdl__cancel_node *node) RDL_REQUIRES(links_lock)
{
    *node->at = node->next;
    if (node->next != NULL)
        node->next->at = node->at;
}

void rdl__cancel_link(struct rdl_cancel *cancel, struct rdl__cancel_link *link,
                      struct rdl__park *park)
{
    if (cancel == NULL)
        return;
    rdl__lock_acquire(&links_lock);
    list_locked(cancel, &link->own, park);
    if (cancel->followed != NULL)
        list_locked(cancel->followed, &link->followed, park);
    rdl__lock_release(&links_lock);
}

void rdl__cancel_unlink(struct rdl_cancel *cancel, struct rdl__cancel_link *link)
{
    if (cancel == NULL)
        return;
    rdl__lock_acquire(&links_lock);
    unlist_locked(&link->own);
    if (cancel->followed != NULL)
        unlist_locked(&link->followed);
    rdl__lock_release(&links_lock);
}

void rdl__cancel_fork_prepare(void) RDL_NO_ANALYSIS /* held until the handler after the fork */
{
    rdl__lock_acquire_for_fork(&links_lock);
}

void rdl__cancel_fork_done(void) RDL_NO_ANALYSIS /* taken by prepare */
{
    rdl__lock_release_for_fork(&links_lock);
}
