/*
 * Who owns what: completion.lock guards ended and watchers of a completion, queue.lock the list of a queue. A
 * worker takes a watcher off its completion first and puts it into the queue then, so it never holds both.
 * A watcher is owned by the list it is in. The eventfd counts the watchers in the queue's list: it is
 * written after a push and read after a pop, both under queue.lock, so it is readable exactly while the
 * list has something.
 */
#include "completion.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watcher {
    struct watcher *next;
    struct completion_queue *queue; /* a reference */
    uint64_t token;
};

struct completion {
    atomic_uint references;
    pthread_mutex_t lock;
    bool ended;
    struct watcher *watchers;
};

struct completion_queue {
    atomic_uint references;
    pthread_mutex_t lock;
    int fd;
    struct watcher *first, **end;
};

/* Whether the last reference went; what the others did before they gave theirs back is seen then. */
static bool is_last(atomic_uint *references)
{
    if (atomic_fetch_sub_explicit(references, 1, memory_order_release) != 1)
        return false;
    (void)atomic_load_explicit(references, memory_order_acquire);
    return true;
}

struct completion_queue *completion_queue_new(void)
{
    struct completion_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (queue->fd < 0) {
        free(queue);
        return NULL;
    }
    atomic_init(&queue->references, 1);
    (void)pthread_mutex_init(&queue->lock, NULL);
    queue->end = &queue->first;
    return queue;
}

int completion_queue_fd(const struct completion_queue *queue)
{
    return queue->fd;
}

static void push(struct completion_queue *queue, struct watcher *watcher)
{
    const uint64_t one = 1;
    watcher->next = NULL;
    (void)pthread_mutex_lock(&queue->lock);
    *queue->end = watcher;
    queue->end = &watcher->next;
    /* Cannot fail: the descriptor is open, and the count is far from its limit. */
    (void)!write(queue->fd, &one, sizeof one);
    (void)pthread_mutex_unlock(&queue->lock);
}

bool completion_queue_take(struct completion_queue *queue, uint64_t *token)
{
    uint64_t one;
    (void)pthread_mutex_lock(&queue->lock);
    struct watcher *watcher = queue->first;
    if (watcher != NULL) {
        queue->first = watcher->next;
        if (queue->first == NULL)
            queue->end = &queue->first;
        (void)!read(queue->fd, &one, sizeof one);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    if (watcher == NULL)
        return false;
    *token = watcher->token;
    free(watcher);
    return true;
}

void completion_queue_release(struct completion_queue *queue)
{
    if (queue == NULL || !is_last(&queue->references))
        return;
    while (queue->first != NULL) {
        struct watcher *watcher = queue->first;
        queue->first = watcher->next;
        free(watcher);
    }
    (void)close(queue->fd);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}

struct completion *completion_new(void)
{
    struct completion *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    atomic_init(&self->references, 2);
    (void)pthread_mutex_init(&self->lock, NULL);
    return self;
}

void completion_release(struct completion *self)
{
    if (self == NULL || !is_last(&self->references))
        return;
    while (self->watchers != NULL) {
        struct watcher *watcher = self->watchers;
        self->watchers = watcher->next;
        completion_queue_release(watcher->queue);
        free(watcher);
    }
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
}

/* Puts the watcher into its queue and gives the completion's reference to that back. */
static void tell(struct watcher *watcher)
{
    struct completion_queue *queue = watcher->queue;
    push(queue, watcher);
    completion_queue_release(queue);
}

void completion_ended(struct rdl_request request, enum rdl_status status, void *user)
{
    struct completion *self = user;
    (void)request;
    (void)status;
    (void)pthread_mutex_lock(&self->lock);
    self->ended = true;
    struct watcher *watchers = self->watchers;
    self->watchers = NULL;
    (void)pthread_mutex_unlock(&self->lock);
    while (watchers != NULL) {
        struct watcher *next = watchers->next;
        tell(watchers);
        watchers = next;
    }
    completion_release(self);
}

bool completion_watch(struct completion *self, struct completion_queue *queue, uint64_t token)
{
    struct watcher *watcher = malloc(sizeof *watcher);
    if (watcher == NULL)
        return false;
    (void)atomic_fetch_add_explicit(&queue->references, 1, memory_order_relaxed);
    *watcher = (struct watcher){.queue = queue, .token = token};
    (void)pthread_mutex_lock(&self->lock);
    const bool ended = self->ended;
    if (!ended) {
        watcher->next = self->watchers;
        self->watchers = watcher;
    }
    (void)pthread_mutex_unlock(&self->lock);
    if (ended)
        tell(watcher);
    return true;
}
