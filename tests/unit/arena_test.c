/*
 * Arenas: alignment, growth, the limit, and the end of it all at once.
 */
#include "support/cmocka.h"

#include "base/arena.h"

#include <string.h>

static void arena_pieces_are_apart_and_aligned(void **state)
{
    (void)state;
    struct rdl__arena arena;
    rdl__arena_init(&arena, SIZE_MAX);
    unsigned char *pieces[500];
    for (size_t i = 0; i < 500; i++) {
        const size_t align = (size_t)1 << i % 13;
        pieces[i] =
            i % 3 == 0 ? rdl__arena_alloc(&arena, i) : rdl__arena_alloc_aligned(&arena, align, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % (i % 3 == 0 ? _Alignof(max_align_t) : align), 0);
        memset(pieces[i], (int)(i % 251), i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], i % 251);
    assert_true(arena.used_bytes >= 500 * 499 / 2);
    assert_true(arena.used_bytes <= arena.reserved_bytes);
    rdl__arena_fini(&arena);
    assert_int_equal(arena.reserved_bytes, 0);
    rdl__arena_fini(&arena); /* harmless */
}

static void arena_large_requests_get_their_own_size(void **state)
{
    (void)state;
    struct rdl__arena arena;
    rdl__arena_init(&arena, SIZE_MAX);
    char *large = rdl__arena_alloc(&arena, (size_t)5 << 20);
    assert_non_null(large);
    memset(large, 1, (size_t)5 << 20);
    assert_true(arena.reserved_bytes <= ((size_t)5 << 20) + 4096);
    rdl__arena_fini(&arena);
}

static void arena_stays_within_its_limit(void **state)
{
    (void)state;
    struct rdl__arena arena;
    rdl__arena_init(&arena, 10000);
    size_t n = 0;
    while (rdl__arena_alloc(&arena, 100) != NULL)
        n++;
    assert_in_range(n, 80, 100);
    assert_true(arena.reserved_bytes <= 10000);
    assert_null(rdl__arena_alloc(&arena, 10001));
    rdl__arena_fini(&arena);
    assert_non_null(rdl__arena_alloc(&arena, 9000)); /* the limit stays, the use goes */
    assert_null(rdl__arena_alloc(&arena, 2000));
    rdl__arena_fini(&arena);
    rdl__arena_init(&arena, 0);
    assert_null(rdl__arena_alloc(&arena, 1));
    rdl__arena_fini(&arena);
}

static void arena_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    struct rdl__arena arena;
    rdl__arena_init(&arena, SIZE_MAX);
    assert_null(rdl__arena_alloc(&arena, SIZE_MAX));
    assert_null(rdl__arena_alloc(&arena, SIZE_MAX - 32));
    assert_null(rdl__arena_alloc_aligned(&arena, 4096, SIZE_MAX - 100));
    assert_null(rdl__arena_zeroed(&arena, SIZE_MAX / 2, 3));
    assert_null(rdl__arena_text(&arena, "x", SIZE_MAX));
    rdl__arena_fini(&arena);
}

static void arena_zeroed_and_text(void **state)
{
    (void)state;
    struct rdl__arena arena;
    rdl__arena_init(&arena, SIZE_MAX);
    memset(rdl__arena_alloc(&arena, 1000), 0xff, 1000);
    const unsigned char *zeroed = rdl__arena_zeroed(&arena, 100, 30);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(zeroed[i], 0);
    assert_string_equal(rdl__arena_text(&arena, "abcdef", 3), "abc");
    assert_string_equal(rdl__arena_text(&arena, NULL, 0), "");
    assert_non_null(rdl__arena_alloc(&arena, 0));
    rdl__arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_pieces_are_apart_and_aligned),
        cmocka_unit_test(arena_large_requests_get_their_own_size),
        cmocka_unit_test(arena_stays_within_its_limit),
        cmocka_unit_test(arena_refuses_sizes_that_overflow),
        cmocka_unit_test(arena_zeroed_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
