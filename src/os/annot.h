/*
 * Annotations for clang's thread-safety analysis; nothing elsewhere.
 *
 *   RDL_CAPABILITY(name)     a type whose objects are locks
 *   RDL_GUARDED_BY(&lock)    a field that is touched only with lock held. In a struct the lock is
 *                            declared before the field, and the `&` is needed: without it clang warns
 *                            falsely at every access
 *   RDL_REQUIRES(lock...)    a function to be called with the locks held; its name ends in _locked
 *   RDL_EXCLUDES(lock...)    a function to be called without them
 *   RDL_ACQUIRES(lock...)    a function that takes them and returns with them
 *   RDL_RELEASES(lock...)    a function that gives them back
 *   RDL_TRY_ACQUIRES(v, l..) a function that takes them if it returns v
 *   RDL_NO_ANALYSIS          a function that is right for a reason the analysis cannot see; the reason
 *                            stands beside it
 */
#ifndef RDL_OS_ANNOT_H
#define RDL_OS_ANNOT_H

#if defined(__clang__)
#define RDL_ANNOTATE(x) __attribute__((x))
#else
#define RDL_ANNOTATE(x)
#endif

#define RDL_CAPABILITY(name) RDL_ANNOTATE(capability(name))
#define RDL_GUARDED_BY(...) RDL_ANNOTATE(guarded_by(__VA_ARGS__))
#define RDL_REQUIRES(...) RDL_ANNOTATE(requires_capability(__VA_ARGS__))
#define RDL_EXCLUDES(...) RDL_ANNOTATE(locks_excluded(__VA_ARGS__))
#define RDL_ACQUIRES(...) RDL_ANNOTATE(acquire_capability(__VA_ARGS__))
#define RDL_RELEASES(...) RDL_ANNOTATE(release_capability(__VA_ARGS__))
#define RDL_TRY_ACQUIRES(...) RDL_ANNOTATE(try_acquire_capability(__VA_ARGS__))
#define RDL_NO_ANALYSIS RDL_ANNOTATE(no_thread_safety_analysis)

#endif
