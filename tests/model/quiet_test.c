/*
 * The steady state is quiet: a run of shapes seen before, into outputs that are given or recycled,
 * calls neither malloc nor mmap, takes no lock and makes no system call of its own.
 *
 * malloc and its kin, mmap and pthread_mutex_lock are defined here, so that every call of the program
 * comes by; they count while a thread is armed. Sanitizers bring their own and skip this.
 */
#include "support/models.h"
#include "support/threads.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local bool armed;
static _Atomic unsigned allocations, mappings, locks;

static void note(_Atomic unsigned *count)
{
    if (armed)
        atomic_fetch_add(count, 1);
}

/* glibc's own entries, which its malloc stands behind. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size)
{
    note(&allocations);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    note(&allocations);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    note(&allocations);
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    note(&allocations);
    return __libc_memalign(align, size);
}

void free(void *memory)
{
    if (memory != NULL)
        note(&allocations);
    __libc_free(memory);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    note(&mappings);
    return (void *)syscall(SYS_mmap, address, size, protection, flags, file, offset);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static _Atomic uintptr_t real;
    if (real == 0)
        real = (uintptr_t)dlsym(RTLD_NEXT, "pthread_mutex_lock");
    note(&locks);
    return ((int (*)(pthread_mutex_t *))real)(mutex);
}

struct quiet {
    struct rdl_model model;
    const struct models_case *model_case;
    bool bound;
};

static void run_quietly(unsigned index, void *shared)
{
    struct quiet *quiet = shared;
    struct rdl_value *input =
        models_input(index + 1, quiet->model_case->rank, quiet->model_case->dims);
    struct rdl_value *output = models_run(quiet->model, input), *expected = NULL;
    enum { WARM = 20, COUNTED = 50 };
    expected = models_run(quiet->model, input);
    CHECK(output != NULL && expected != NULL);
    for (unsigned i = 0; i < WARM + COUNTED; i++) {
        enum rdl_status status;
        armed = i >= WARM;
        if (!quiet->bound) {
            rdl_value_release(output); /* and the next one comes out of the lane's cache */
            output = NULL;
        }
        status = rdl_model_run(quiet->model, &input, 1, &output, 1, NULL, NULL);
        armed = false;
        CHECK(status == RDL_OK);
        CHECK(output != NULL && models_same(output, expected));
    }
    rdl_value_release(output);
    rdl_value_release(expected);
    rdl_value_release(input);
}

static void expect_quiet(unsigned threads, bool bound)
{
    for (size_t i = 0; i < MODELS_CASES; i++) {
        struct rdl_device device;
        if (models_cases[i].has_deferred)
            continue; /* lists of what hangs on data are made in each run */
        const struct rdl_device_options options = {.size = sizeof options};
        assert_int_equal(rdl_device_open("cpu", &options, &device, NULL), RDL_OK);
        struct quiet quiet = {.model = models_load(models_cases[i].name, device),
                              .model_case = &models_cases[i],
                              .bound = bound};
        atomic_store(&allocations, 0);
        atomic_store(&mappings, 0);
        atomic_store(&locks, 0);
        assert_int_equal(test_run_threads(threads, run_quietly, &quiet), 0);
        assert_int_equal(allocations, 0);
        assert_int_equal(mappings, 0);
        assert_int_equal(locks, 0);
        rdl_model_close(quiet.model);
        assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
    }
}

static void given_outputs_cost_no_allocation_and_no_lock(void **state)
{
    (void)state;
    expect_quiet(1, true);
    expect_quiet(8, true);
}

static void recycled_outputs_cost_no_allocation_and_no_lock(void **state)
{
    (void)state;
    expect_quiet(1, false);
    expect_quiet(8, false);
}

/* The counters themselves: what they are to see, they see. */
static void counters_count(void **state)
{
    (void)state;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&allocations, 0);
    atomic_store(&mappings, 0);
    atomic_store(&locks, 0);
    armed = true;
    void *volatile memory = malloc(10);
    free(memory);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)pthread_mutex_lock(&mutex);
    armed = false;
    (void)pthread_mutex_unlock(&mutex);
    (void)munmap(page, 4096);
    assert_int_equal(allocations, 2);
    assert_int_equal(mappings, 1);
    assert_int_equal(locks, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_count),
        cmocka_unit_test(given_outputs_cost_no_allocation_and_no_lock),
        cmocka_unit_test(recycled_outputs_cost_no_allocation_and_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    (void)printf("SKIP: the sanitizer has an allocator of its own\n");
    return 77;
}
#endif
