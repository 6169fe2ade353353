/*
 * The life of the runtime; see lifecycle.h.
 *
 * `state` moves from fresh to used (first use or configuration), and to shut down; it is atomic and
 * changed under the lifecycle lock. The configuration is written while the state is fresh, under the
 * lock, and read-only once the state (release, acquire) says used.
 */
#include "runtime/lifecycle.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/fork.h"
#include "runtime/cancel.h"
#include "runtime/device.h"
#include "runtime/lane.h"
#include "runtime/workers.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_TABLES 8

enum state { FRESH, CONFIGURED, USED, SHUT_DOWN };

struct rdl__lock rdl__lifecycle_lock = RDL__LOCK_INIT(RDL__RANK_LIFECYCLE);

static _Atomic int state = FRESH;
static struct rdl_config config;
static struct rdl__table *tables[MAX_TABLES] RDL_GUARDED_BY(&rdl__lifecycle_lock);
static uint32_t n_tables RDL_GUARDED_BY(&rdl__lifecycle_lock);
static _Thread_local bool in_callback __attribute__((tls_model("initial-exec")));

bool rdl__in_callback(void)
{
    return in_callback;
}

void rdl__set_in_callback(bool in)
{
    in_callback = in;
}

/* ------------------------------------------------------------------------------ configuration */

enum rdl_status rdl_configure(const struct rdl_config *chosen, struct rdl_error *error)
{
    if (chosen == NULL || chosen->size != sizeof *chosen)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_configure: config %s",
                         chosen == NULL ? "is NULL" : "has an unknown size");
    if (chosen->allocator != NULL &&
        (chosen->allocator->allocate == NULL || chosen->allocator->free == NULL))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_configure: an allocator function is NULL");
    rdl__lock_acquire(&rdl__lifecycle_lock);
    const bool fresh = rdl__load_acquire(&state) == FRESH;
    if (fresh) {
        config = *chosen;
        config.allocator = NULL; /* copied below */
        if (chosen->allocator != NULL)
            rdl__mem_set_allocator(chosen->allocator);
        rdl__store_release(&state, CONFIGURED); /* pairs with the acquire in rdl__runtime_enter */
    }
    rdl__lock_release(&rdl__lifecycle_lock);
    if (!fresh)
        return rdl__fail(error, RDL_ERR_STATE,
                         "rdl_configure: the library was used or configured before");
    return RDL_OK;
}

uint32_t rdl__runtime_worker_threads(void)
{
    return config.worker_threads > 0 ? config.worker_threads : rdl__cpu_allowed();
}

static enum rdl_log_level log_level(void)
{
    return config.log_level != 0 ? config.log_level : RDL_LOG_WARNING;
}

void rdl__log(enum rdl_log_level level, const char *format, ...)
{
    if (config.log == NULL || level > log_level())
        return;
    char line[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    rdl__assert_no_lock();
    config.log(level, line, config.log_user);
}

/* --------------------------------------------------------------------------------------- knobs */

static void tell_isa(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%s", rdl__isa_name(rdl__isa_best()));
}

static void tell_isa_found(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%s", rdl__isa_name(rdl__isa_found()));
}

static void tell_isa_asked(char *out, size_t size_bytes)
{
    const char *asked = rdl__isa_asked();
    (void)snprintf(out, size_bytes, "%s", asked != NULL ? asked : "none");
}

static void tell_worker_threads(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%" PRIu32, rdl__runtime_worker_threads());
}

static void tell_log_level(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%d", (int)log_level());
}

static void tell_allowed_cores(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%" PRIu32, rdl__cpu_allowed());
}

static void tell_affinity_cores(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%" PRIu32, rdl__cpu_affinity());
}

static void tell_quota_cores(char *out, size_t size_bytes)
{
    const uint32_t quota = rdl__cpu_quota();
    if (quota > 0)
        (void)snprintf(out, size_bytes, "%" PRIu32, quota);
    else
        (void)snprintf(out, size_bytes, "none");
}

static void tell_page_bytes(char *out, size_t size_bytes)
{
    (void)snprintf(out, size_bytes, "%zu", rdl__page_bytes());
}

static const struct {
    const char *name;
    void (*tell)(char *out, size_t size_bytes);
} knobs[] = {
    {"worker_threads", tell_worker_threads},
    {"log_level", tell_log_level},
    {"isa", tell_isa},
    {"isa_found", tell_isa_found},
    {"isa_asked", tell_isa_asked},
    {"allowed_cores", tell_allowed_cores},
    {"affinity_cores", tell_affinity_cores},
    {"quota_cores", tell_quota_cores},
    {"page_bytes", tell_page_bytes},
};
#define N_KNOBS (sizeof knobs / sizeof *knobs)

const char *rdl_knob_name(size_t index)
{
    return index < N_KNOBS ? knobs[index].name : NULL;
}

enum rdl_status rdl_knob(const char *name, char *out, size_t size_bytes)
{
    if (name == NULL || out == NULL || size_bytes == 0)
        return RDL_ERR_ARGUMENT;
    for (size_t i = 0; i < N_KNOBS; i++) {
        if (strcmp(name, knobs[i].name) != 0)
            continue;
        knobs[i].tell(out, size_bytes);
        return RDL_OK;
    }
    return RDL_ERR_NOT_FOUND;
}

/* A wish that is not met is no fault, but it is said. */
static void look_at_environment(void)
{
    const char *asked = rdl__isa_asked(), *used = rdl__isa_name(rdl__isa_best());
    if (asked != NULL && strcmp(asked, used) != 0)
        rdl__log(RDL_LOG_WARNING,
                 "RADDLE_ISA=%s is not an instruction set that this machine has (portable, avx2, "
                 "avx512): %s is used",
                 asked, used);
}

/* -------------------------------------------------------------------------------------- tables */

void rdl__table_register(struct rdl__table *table)
{
    rdl__lock_acquire(&rdl__lifecycle_lock);
    uint32_t i = 0;
    while (i < n_tables && tables[i] != table)
        i++;
    if (i == n_tables && n_tables < MAX_TABLES)
        tables[n_tables++] = table;
    RDL_ASSERT(i < MAX_TABLES);
    rdl__lock_release(&rdl__lifecycle_lock);
}

static struct rdl__table *table_at(uint32_t i)
{
    rdl__lock_acquire(&rdl__lifecycle_lock);
    struct rdl__table *table = i < n_tables ? tables[i] : NULL;
    rdl__lock_release(&rdl__lifecycle_lock);
    return table;
}

void rdl__tables_close(const void *context)
{
    struct rdl__table *table;
    for (uint32_t i = 0; (table = table_at(i)) != NULL; i++)
        rdl__handle_close_all(table, context);
}

/* ---------------------------------------------------------------------------------------- fork */

static void fork_prepare(void) RDL_NO_ANALYSIS /* held until the handler after the fork */
{
    rdl__lock_acquire_for_fork(&rdl__lifecycle_lock);
    for (uint32_t i = 0; i < n_tables; i++)
        rdl__lock_acquire_for_fork(&tables[i]->lock);
    for (struct rdl__device *d = rdl__devices_made_locked(); d != NULL; d = d->next_made) {
        rdl__lock_acquire_for_fork(&d->plans_lock);
        rdl__lock_acquire_for_fork(&d->wait.lock);
        rdl__lock_acquire_for_fork(&d->retire.lock);
        rdl__lock_acquire_for_fork(&d->memory.lock);
    }
    rdl__workers_fork_prepare();
    rdl__cancel_fork_prepare();
}

static void release_locks(void) RDL_NO_ANALYSIS /* taken by fork_prepare */
{
    rdl__cancel_fork_done();
    for (struct rdl__device *d = rdl__devices_made_locked(); d != NULL; d = d->next_made) {
        rdl__lock_release_for_fork(&d->memory.lock);
        rdl__lock_release_for_fork(&d->retire.lock);
        rdl__lock_release_for_fork(&d->wait.lock);
        rdl__lock_release_for_fork(&d->plans_lock);
    }
    for (uint32_t i = 0; i < n_tables; i++)
        rdl__lock_release_for_fork(&tables[i]->lock);
    rdl__lock_release_for_fork(&rdl__lifecycle_lock);
}

static void fork_parent(void)
{
    rdl__workers_fork_parent();
    release_locks();
}

static void fork_child(void) RDL_NO_ANALYSIS /* one thread is left, and it holds the locks */
{
    rdl__workers_fork_child();
    release_locks();
    in_callback = false; /* a fork inside a callback: the callback's caller is told by the epoch */
    for (struct rdl__device *d = rdl__devices_made_locked(); d != NULL; d = d->next_made)
        rdl__device_after_fork(d);
}

/* --------------------------------------------------------------------------- use and shutdown */

void rdl__runtime_settle_config(void)
{
    if (rdl__load_acquire(&state) != FRESH) /* pairs with the releases of state */
        return;
    rdl__lock_acquire(&rdl__lifecycle_lock);
    if (rdl__load_acquire(&state) == FRESH)
        rdl__store_release(&state, CONFIGURED); /* pairs with the acquire in rdl__runtime_enter */
    rdl__lock_release(&rdl__lifecycle_lock);
}

static enum rdl_status first_use(struct rdl_error *error)
{
    enum rdl_status status = RDL_OK;
    rdl__lock_acquire(&rdl__lifecycle_lock);
    const int seen = rdl__load_acquire(&state);
    if (seen == SHUT_DOWN)
        status = RDL_ERR_SHUTDOWN;
    else if (seen != USED && !rdl__fork_register(fork_prepare, fork_parent, fork_child))
        status = RDL_ERR_NO_MEMORY;
    else
        rdl__store_release(&state, USED); /* pairs with the acquire in rdl__runtime_enter */
    rdl__lock_release(&rdl__lifecycle_lock);
    if (status == RDL_OK && seen != USED)
        look_at_environment();
    return status == RDL_OK ? RDL_OK : rdl__fail(error, status, "%s", rdl_status_text(status));
}

enum rdl_status rdl__runtime_enter(struct rdl_error *error)
{
    /* pairs with the releases above: the configuration is seen */
    return rdl__load_acquire(&state) == USED ? RDL_OK : first_use(error);
}

enum rdl_status rdl_shutdown(int64_t deadline_ns, struct rdl_error *error)
{
    if (rdl__in_callback())
        return rdl__fail(error, RDL_ERR_STATE, "rdl_shutdown: called from a callback");
    rdl__lock_acquire(&rdl__lifecycle_lock);
    rdl__store_release(&state, SHUT_DOWN); /* pairs with the acquire in rdl__runtime_enter */
    rdl__lock_release(&rdl__lifecycle_lock);
    enum rdl_status status = rdl__devices_close_all(deadline_ns, error);
    if (status == RDL_OK)
        status = rdl__workers_stop(deadline_ns);
    if (status == RDL_ERR_DEADLINE)
        return rdl__fail(error, status, "rdl_shutdown: work is still in flight");
    return status;
}

uint32_t rdl_version(void)
{
    return RDL_VERSION;
}
