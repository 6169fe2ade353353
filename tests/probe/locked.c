/*
 * The lock checker must be silent: every access to a guarded field happens under its lock.
 */
#include "os/lock.h"

struct account {
    struct rdl__lock lock;
    int balance RDL_GUARDED_BY(&lock);
};

int probe_right(struct account *account, int amount);

static int add_locked(struct account *account, int amount) RDL_REQUIRES(&account->lock)
{
    account->balance += amount;
    return account->balance;
}

int probe_right(struct account *account, int amount)
{
    rdl__lock_acquire(&account->lock);
    int balance = add_locked(account, amount);
    rdl__lock_release(&account->lock);
    return balance;
}
