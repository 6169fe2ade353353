#include "os/park.h"

void rdl__park_init(struct rdl__park *park)
{
    rdl__lock_init(&park->lock, RDL__RANK_PARK);
    rdl__cond_init(&park->cond);
    rdl__lock_acquire(&park->lock);
    park->token = false;
    rdl__lock_release(&park->lock);
}

void rdl__park_fini(struct rdl__park *park)
{
    /* A waker may still be inside rdl__park_wake: it set the token and has not let go of the lock. */
    rdl__lock_acquire(&park->lock);
    rdl__lock_release(&park->lock);
    rdl__cond_fini(&park->cond);
    rdl__lock_fini(&park->lock);
}

bool rdl__park_wait(struct rdl__park *park, int64_t deadline_ns)
{
    rdl__lock_acquire(&park->lock);
    bool in_time = true;
    while (!park->token && in_time)
        in_time = rdl__cond_wait_until(&park->cond, &park->lock, deadline_ns);
    const bool had = park->token;
    park->token = false;
    rdl__lock_release(&park->lock);
    return had;
}

void rdl__park_wake(struct rdl__park *park)
{
    rdl__lock_acquire(&park->lock);
    park->token = true;
    rdl__cond_signal(&park->cond); /* under the lock: the parker may be gone right after it */
    rdl__lock_release(&park->lock);
}
