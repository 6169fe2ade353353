/*
 * The map from names to indices.
 */
#include "onnx/names.h"
#include "support/cmocka.h"

#include <stdio.h>
#include <string.h>

static struct rdl__span span(const char *text)
{
    return (struct rdl__span){(const uint8_t *)text, strlen(text)};
}

static void names_absent_is_not_found(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__names names;
    rdl__arena_init(&arena, SIZE_MAX);
    rdl__names_init(&names, &arena);
    assert_int_equal(rdl__names_get(&names, span("x")), -1);
    assert_true(rdl__names_put(&names, span("y"), 0));
    assert_int_equal(rdl__names_get(&names, span("x")), -1);
    rdl__arena_fini(&arena);
}

static void names_many_are_all_found(void **state)
{
    (void)state;
    enum { N = 20000 };
    static char texts[N][32];
    struct rdl__arena arena;
    struct rdl__names names;
    rdl__arena_init(&arena, SIZE_MAX);
    rdl__names_init(&names, &arena);
    for (int i = 0; i < N; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "layer.%d.attention", i);
        assert_true(rdl__names_put(&names, span(texts[i]), i));
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(rdl__names_get(&names, span(texts[i])), i);
    rdl__arena_fini(&arena);
}

static void names_prefixes_and_zero_tails_differ(void **state)
{
    (void)state;
    /* Words of eight bytes are hashed padded with zeros: lengths must tell these apart. There are
     * enough for many to meet in one slot, the longer before the shorter. */
    enum { N = 2000 };
    static const uint8_t bytes[N] = {'a', 'b'};
    struct rdl__arena arena;
    struct rdl__names names;
    rdl__arena_init(&arena, SIZE_MAX);
    rdl__names_init(&names, &arena);
    for (int32_t n = N; n >= 1; n--)
        assert_true(rdl__names_put(&names, (struct rdl__span){bytes, (size_t)n}, n));
    for (int32_t n = 1; n <= N; n++)
        assert_int_equal(rdl__names_get(&names, (struct rdl__span){bytes, (size_t)n}), n);
    rdl__arena_fini(&arena);
}

static void names_without_memory_says_so(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__names names;
    rdl__arena_init(&arena, 0);
    rdl__names_init(&names, &arena);
    assert_false(rdl__names_put(&names, span("x"), 0));
    assert_int_equal(rdl__names_get(&names, span("x")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_absent_is_not_found),
        cmocka_unit_test(names_many_are_all_found),
        cmocka_unit_test(names_prefixes_and_zero_tails_differ),
        cmocka_unit_test(names_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
