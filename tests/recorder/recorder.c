/*
 * The recorder behind clang's ThreadSanitizer instrumentation; see recorder.h. This file is not
 * instrumented itself.
 *
 * Lines lie in an open hash table whose entries are claimed by compare-and-swap and never given up
 * before a reset; marks are atomic ors. The functions below are the instrumentation's ABI: their names
 * and arguments are those that the compiler calls.
 */
#include "recorder/recorder.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES ((size_t)1 << 20)

struct entry {
    _Atomic uintptr_t line; /* 0: free */
    _Atomic uint32_t readers, writers;
    _Atomic uintptr_t place; /* code that wrote it last */
};

static struct entry entries[ENTRIES];
static _Thread_local uint32_t bit; /* 0: not recording */

static struct entry *find(uintptr_t line)
{
    size_t at = (line / RECORDER_LINE * UINT64_C(0x9E3779B97F4A7C15)) >> 44;
    for (size_t tried = 0; tried < ENTRIES; tried++, at = (at + 1) % ENTRIES) {
        uintptr_t none = 0;
        if (atomic_load(&entries[at].line) == line ||
            atomic_compare_exchange_strong(&entries[at].line, &none, line) || none == line)
            return &entries[at];
    }
    (void)fprintf(stderr, "recorder: too many lines\n");
    abort();
}

static void record(const volatile void *address, size_t size, bool write, void *place)
{
    const uint32_t mine = bit;
    if (mine == 0 || size == 0)
        return;
    const uintptr_t first = (uintptr_t)address / RECORDER_LINE * RECORDER_LINE;
    const uintptr_t last = ((uintptr_t)address + size - 1) / RECORDER_LINE * RECORDER_LINE;
    for (uintptr_t line = first; line <= last; line += RECORDER_LINE) {
        struct entry *entry = find(line);
        atomic_fetch_or(write ? &entry->writers : &entry->readers, mine);
        if (write)
            atomic_store(&entry->place, (uintptr_t)place);
    }
}

void recorder_reset(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        atomic_store(&entries[i].line, 0);
        atomic_store(&entries[i].readers, 0);
        atomic_store(&entries[i].writers, 0);
        atomic_store(&entries[i].place, 0);
    }
}

void recorder_start(unsigned index)
{
    bit = UINT32_C(1) << index;
}

void recorder_stop(void)
{
    bit = 0;
}

size_t recorder_lines(void)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        count += atomic_load(&entries[i].line) != 0;
    return count;
}

static bool is_shared(const struct entry *entry)
{
    const uint32_t writers = atomic_load(&entry->writers), readers = atomic_load(&entry->readers);
    const bool two_writers = (writers & (writers - 1)) != 0;
    return writers != 0 && (two_writers || (readers & ~writers) != 0);
}

size_t recorder_shared_lines(unsigned show)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!is_shared(&entries[i]) || ++count > show)
            continue;
        Dl_info info = {0};
        void *place = (void *)atomic_load(&entries[i].place);
        const uintptr_t base = dladdr(place, &info) != 0 ? (uintptr_t)info.dli_fbase : 0;
        (void)fprintf(stderr, "line %#zx: writers %#x, readers %#x, written at +%#zx\n",
                      (size_t)atomic_load(&entries[i].line), atomic_load(&entries[i].writers),
                      atomic_load(&entries[i].readers), (size_t)((uintptr_t)place - base));
    }
    return count;
}

/* ---------------------------------------------------------------- the instrumentation's functions */

#define PLACE __builtin_return_address(0)

void __tsan_init(void);
void __tsan_init(void)
{
}
void __tsan_func_entry(void *place);
void __tsan_func_entry(void *place)
{
    (void)place;
}
void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

#define ACCESS(size)                                                                               \
    void __tsan_read##size(void *address);                                                         \
    void __tsan_read##size(void *address)                                                          \
    {                                                                                              \
        record(address, size, false, PLACE);                                                       \
    }                                                                                              \
    void __tsan_write##size(void *address);                                                        \
    void __tsan_write##size(void *address)                                                         \
    {                                                                                              \
        record(address, size, true, PLACE);                                                        \
    }                                                                                              \
    void __tsan_unaligned_read##size(void *address);                                               \
    void __tsan_unaligned_read##size(void *address)                                                \
    {                                                                                              \
        record(address, size, false, PLACE);                                                       \
    }                                                                                              \
    void __tsan_unaligned_write##size(void *address);                                              \
    void __tsan_unaligned_write##size(void *address)                                               \
    {                                                                                              \
        record(address, size, true, PLACE);                                                        \
    }                                                                                              \
    void __tsan_read_write##size(void *address);                                                   \
    void __tsan_read_write##size(void *address)                                                    \
    {                                                                                              \
        record(address, size, true, PLACE);                                                        \
    }                                                                                              \
    void __tsan_unaligned_read_write##size(void *address);                                         \
    void __tsan_unaligned_read_write##size(void *address)                                          \
    {                                                                                              \
        record(address, size, true, PLACE);                                                        \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    record(to, size, true, PLACE);
    record(from, size, false, PLACE);
    return memcpy(to, from, size);
}
void *__tsan_memmove(void *to, const void *from, size_t size);
void *__tsan_memmove(void *to, const void *from, size_t size)
{
    record(to, size, true, PLACE);
    record(from, size, false, PLACE);
    return memmove(to, from, size);
}
void *__tsan_memset(void *to, int value, size_t size);
void *__tsan_memset(void *to, int value, size_t size)
{
    record(to, size, true, PLACE);
    return memset(to, value, size);
}

/* Atomics: the operation itself, always in the strongest order. A compare-and-swap that fails has
 * touched the line as a write does. */
#define ATOMIC(bits, type)                                                                         \
    type __tsan_atomic##bits##_load(const volatile type *object, int order);                       \
    type __tsan_atomic##bits##_load(const volatile type *object, int order)                        \
    {                                                                                              \
        (void)order;                                                                               \
        record(object, sizeof(type), false, PLACE);                                                \
        return __atomic_load_n(object, __ATOMIC_SEQ_CST);                                          \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile type *object, type value, int order);                \
    void __tsan_atomic##bits##_store(volatile type *object, type value, int order)                 \
    {                                                                                              \
        (void)order;                                                                               \
        record(object, sizeof(type), true, PLACE);                                                 \
        __atomic_store_n(object, value, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *object, type *expected,       \
                                                      type desired, int order, int failed);        \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *object, type *expected,       \
                                                      type desired, int order, int failed)         \
    {                                                                                              \
        (void)order;                                                                               \
        (void)failed;                                                                              \
        record(object, sizeof(type), true, PLACE);                                                 \
        return __atomic_compare_exchange_n(object, expected, desired, 0, __ATOMIC_SEQ_CST,         \
                                           __ATOMIC_SEQ_CST);                                      \
    }                                                                                              \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *object, type expected,          \
                                                    type desired, int order, int failed);          \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *object, type expected,          \
                                                    type desired, int order, int failed)           \
    {                                                                                              \
        (void)__tsan_atomic##bits##_compare_exchange_strong(object, &expected, desired, order,     \
                                                            failed);                               \
        return expected;                                                                           \
    }                                                                                              \
    ATOMIC_UPDATE(bits, type, exchange, __atomic_exchange_n)                                       \
    ATOMIC_UPDATE(bits, type, fetch_add, __atomic_fetch_add)                                       \
    ATOMIC_UPDATE(bits, type, fetch_sub, __atomic_fetch_sub)                                       \
    ATOMIC_UPDATE(bits, type, fetch_and, __atomic_fetch_and)                                       \
    ATOMIC_UPDATE(bits, type, fetch_or, __atomic_fetch_or)
#define ATOMIC_UPDATE(bits, type, name, builtin)                                                   \
    type __tsan_atomic##bits##_##name(volatile type *object, type value, int order);               \
    type __tsan_atomic##bits##_##name(volatile type *object, type value, int order)                \
    {                                                                                              \
        (void)order;                                                                               \
        record(object, sizeof(type), true, PLACE);                                                 \
        return builtin(object, value, __ATOMIC_SEQ_CST);                                           \
    }
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)
