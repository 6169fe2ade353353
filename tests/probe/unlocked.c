/*
 * The lock checker must object to each of the four functions; it is no part of any program.
 */
#include "os/lock.h"

struct account {
    struct rdl__lock lock;
    int balance RDL_GUARDED_BY(&lock);
};

int probe_reads(struct account *account);
int probe_calls(struct account *account);
void probe_keeps(struct account *account, int amount);
void probe_takes_twice(struct account *account);

static int read_locked(struct account *account) RDL_REQUIRES(&account->lock)
{
    return account->balance;
}

/* Reads without the lock. */
int probe_reads(struct account *account)
{
    return account->balance;
}

/* Calls what wants the lock without it. */
int probe_calls(struct account *account)
{
    return read_locked(account);
}

/* Returns early with the lock. */
void probe_keeps(struct account *account, int amount)
{
    rdl__lock_acquire(&account->lock);
    if (amount == 0)
        return;
    account->balance += amount;
    rdl__lock_release(&account->lock);
}

/* Takes a lock that it holds. */
void probe_takes_twice(struct account *account)
{
    rdl__lock_acquire(&account->lock);
    rdl__lock_acquire(&account->lock);
    rdl__lock_release(&account->lock);
}
