/*
 * Atomics whose order is in their name: an order is always a written decision, and no access has a
 * default one. There are no standalone fences: ThreadSanitizer does not model them, and it checks the
 * code that ships. Each access that is not seq_cst carries a comment that says what it pairs with.
 *
 * Objects are ordinary `_Atomic` objects; these macros take their address.
 */
#ifndef RDL_OS_ATOMIC_H
#define RDL_OS_ATOMIC_H

#include <stdatomic.h>

#define rdl__load_relaxed(object) atomic_load_explicit((object), memory_order_relaxed)
#define rdl__load_acquire(object) atomic_load_explicit((object), memory_order_acquire)
#define rdl__load_seq_cst(object) atomic_load_explicit((object), memory_order_seq_cst)

#define rdl__store_relaxed(object, value)                                                          \
    atomic_store_explicit((object), (value), memory_order_relaxed)
#define rdl__store_release(object, value)                                                          \
    atomic_store_explicit((object), (value), memory_order_release)
#define rdl__store_seq_cst(object, value)                                                          \
    atomic_store_explicit((object), (value), memory_order_seq_cst)

#define rdl__exchange_acq_rel(object, value)                                                       \
    atomic_exchange_explicit((object), (value), memory_order_acq_rel)
#define rdl__exchange_seq_cst(object, value)                                                       \
    atomic_exchange_explicit((object), (value), memory_order_seq_cst)

#define rdl__add_relaxed(object, value)                                                            \
    atomic_fetch_add_explicit((object), (value), memory_order_relaxed)
#define rdl__add_acq_rel(object, value)                                                            \
    atomic_fetch_add_explicit((object), (value), memory_order_acq_rel)
#define rdl__add_seq_cst(object, value)                                                            \
    atomic_fetch_add_explicit((object), (value), memory_order_seq_cst)
#define rdl__sub_relaxed(object, value)                                                            \
    atomic_fetch_sub_explicit((object), (value), memory_order_relaxed)
#define rdl__sub_acq_rel(object, value)                                                            \
    atomic_fetch_sub_explicit((object), (value), memory_order_acq_rel)
#define rdl__sub_seq_cst(object, value)                                                            \
    atomic_fetch_sub_explicit((object), (value), memory_order_seq_cst)

/* On failure *expected receives the value seen, read with acquire. */
#define rdl__cas_acq_rel(object, expected, desired)                                                \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_acq_rel, \
                                            memory_order_acquire)
#define rdl__cas_seq_cst(object, expected, desired)                                                \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_seq_cst, \
                                            memory_order_seq_cst)

#endif
