/*
 * Cancel tokens; the argument is in cancel.h.
 */
#include "runtime/cancel.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/atomic.h"

static struct rdl__lock links_lock = RDL__LOCK_INIT(RDL__RANK_CANCEL);

struct rdl_cancel {
    _Atomic uint32_t references;
    _Atomic bool requested; /* set once, under links_lock; read by any */
    struct rdl__cancel_link *links RDL_GUARDED_BY(&links_lock);
};

enum rdl_status rdl_cancel_new(struct rdl_cancel **out, struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_cancel_new: out is NULL");
    *out = NULL;
    struct rdl_cancel *cancel = rdl__alloc_zeroed(1, sizeof *cancel);
    if (cancel == NULL)
        return rdl__fail_memory(error, "rdl_cancel_new", sizeof *cancel);
    rdl__store_relaxed(&cancel->references, 1); /* nobody else knows it yet */
    *out = cancel;
    return RDL_OK;
}

void rdl_cancel_request(struct rdl_cancel *cancel)
{
    rdl__lock_acquire(&links_lock);
    /* pairs with the acquire in rdl_cancel_requested: what the canceller wrote before is seen */
    rdl__store_release(&cancel->requested, true);
    for (struct rdl__cancel_link *link = cancel->links; link != NULL; link = link->next)
        rdl__park_wake(link->park);
    rdl__lock_release(&links_lock);
}

bool rdl_cancel_requested(const struct rdl_cancel *cancel)
{
    return rdl__load_acquire(&cancel->requested); /* pairs with rdl_cancel_request */
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
    rdl__free(cancel);
}

void rdl__cancel_link(struct rdl_cancel *cancel, struct rdl__cancel_link *link,
                      struct rdl__park *park)
{
    if (cancel == NULL)
        return;
    rdl__lock_acquire(&links_lock);
    *link = (struct rdl__cancel_link){cancel->links, park};
    cancel->links = link;
    rdl__lock_release(&links_lock);
}

void rdl__cancel_unlink(struct rdl_cancel *cancel, struct rdl__cancel_link *link)
{
    if (cancel == NULL)
        return;
    rdl__lock_acquire(&links_lock);
    struct rdl__cancel_link **at = &cancel->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
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
