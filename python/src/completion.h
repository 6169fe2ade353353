/*
 * Telling Python that submitted runs have ended, without running Python on the library's threads.
 *
 * A completion belongs to one submitted run; the run's callback ends it. Watchers are queues: each has a
 * list of the tokens of what has ended, and a file descriptor that is readable while there are any. An
 * event loop watches the descriptor, a thread sleeps on it. A worker that ends a run takes no interpreter
 * lock, so it never waits for Python, nor for a process that ends.
 *
 * Both are counted. A completion has two references from birth: the maker's and the callback's. It holds a
 * reference to each queue that watches it until it has ended.
 */
#ifndef RADDLE_PYTHON_COMPLETION_H
#define RADDLE_PYTHON_COMPLETION_H

#include "raddle/model.h"

struct completion;
struct completion_queue;

/** Makes a queue, one reference; NULL without memory or file descriptors (errno says which).
 * Thread: any. */
struct completion_queue *completion_queue_new(void);
/** Readable while completion_queue_take has something to give. Owned by the queue. */
int completion_queue_fd(const struct completion_queue *queue);
/** Takes the oldest token; false if there is none. Thread: any; does not wait for runs. */
bool completion_queue_take(struct completion_queue *queue, uint64_t *token);
/** Gives a reference back; NULL is allowed. Thread: any. */
void completion_queue_release(struct completion_queue *queue);

/** Makes a completion, two references; NULL without memory. Thread: any. */
struct completion *completion_new(void);
/** Gives a reference back; NULL is allowed. Thread: any. */
void completion_release(struct completion *self);
/** The callback for rdl_model_submit, with the completion as user: ends it, tells its watchers, and gives the
 * callback's reference back. */
void completion_ended(struct rdl_request request, enum rdl_status status, void *user);
/** Has token put into the queue when self ends; at once if it has ended. @return false without memory.
 * Thread: any. */
bool completion_watch(struct completion *self, struct completion_queue *queue, uint64_t token);

#endif
