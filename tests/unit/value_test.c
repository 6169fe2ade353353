/*
 * Values: tensors, sequences, optionals; nesting of any depth is released without recursion.
 */
#include "support/cmocka.h"
#include "support/threads.h"

#include "raddle/raddle.h"

static void count_freed(void *data, void *user)
{
    (void)data;
    atomic_fetch_add((_Atomic unsigned *)user, 1);
}

/* A tensor value whose end is counted. */
static struct rdl_value *leaf(float *data, _Atomic unsigned *freed)
{
    const int64_t dims[1] = {1};
    struct rdl_tensor *tensor;
    struct rdl_value *value;
    assert_int_equal(rdl_tensor_wrap(RDL_F32, 1, dims, NULL, data, sizeof *data, count_freed, freed,
                                     &tensor, NULL),
                     RDL_OK);
    assert_int_equal(rdl_value_from_tensor(tensor, &value, NULL), RDL_OK);
    rdl_tensor_release(tensor);
    return value;
}

static void value_of_a_tensor_holds_it(void **state)
{
    (void)state;
    float data = 3;
    _Atomic unsigned freed = 0;
    struct rdl_value *value = leaf(&data, &freed);
    assert_int_equal(rdl_value_get_kind(value), RDL_VALUE_TENSOR);
    assert_ptr_equal(rdl_tensor_data(rdl_value_tensor(value)), &data);
    assert_int_equal(rdl_value_count(value), 0);
    assert_null(rdl_value_item(value, 0));
    struct rdl_tensor *kept = rdl_tensor_retain(rdl_value_tensor(value));
    rdl_value_release(value);
    assert_int_equal(freed, 0);
    rdl_tensor_release(kept);
    assert_int_equal(freed, 1);
    rdl_value_release(NULL);
}

static void value_sequence_holds_its_items_in_order(void **state)
{
    (void)state;
    float data[2] = {1, 2};
    _Atomic unsigned freed = 0;
    struct rdl_value *items[3] = {leaf(&data[0], &freed), leaf(&data[1], &freed), NULL}, *sequence;
    items[2] = items[0]; /* one value may stand twice */
    assert_int_equal(rdl_value_sequence(items, 3, &sequence, NULL), RDL_OK);
    assert_int_equal(rdl_value_get_kind(sequence), RDL_VALUE_SEQUENCE);
    assert_int_equal(rdl_value_count(sequence), 3);
    assert_null(rdl_value_tensor(sequence));
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(rdl_value_item(sequence, i), items[i]);
    assert_null(rdl_value_item(sequence, 3));
    rdl_value_release(items[0]);
    rdl_value_release(items[1]);
    assert_int_equal(freed, 0);
    assert_ptr_equal(rdl_value_retain(sequence), sequence);
    rdl_value_release(sequence);
    assert_int_equal(freed, 0);
    rdl_value_release(sequence);
    assert_int_equal(freed, 2);
}

static void value_empty_sequence_and_optional(void **state)
{
    (void)state;
    float data = 1;
    _Atomic unsigned freed = 0;
    struct rdl_value *empty, *item = leaf(&data, &freed), *full;
    assert_int_equal(rdl_value_sequence(NULL, 0, &empty, NULL), RDL_OK);
    assert_int_equal(rdl_value_count(empty), 0);
    assert_null(rdl_value_item(empty, 0));
    rdl_value_release(empty);
    assert_int_equal(rdl_value_optional(NULL, &empty, NULL), RDL_OK);
    assert_int_equal(rdl_value_get_kind(empty), RDL_VALUE_OPTIONAL);
    assert_int_equal(rdl_value_count(empty), 0);
    assert_null(rdl_value_item(empty, 0));
    rdl_value_release(empty);
    assert_int_equal(rdl_value_optional(item, &full, NULL), RDL_OK);
    assert_int_equal(rdl_value_count(full), 1);
    assert_ptr_equal(rdl_value_item(full, 0), item);
    rdl_value_release(item);
    rdl_value_release(full);
    assert_int_equal(freed, 1);
}

#define REFUSED(call, expected, text)                                                              \
    do {                                                                                           \
        assert_int_equal((call), (expected));                                                      \
        assert_string_equal(error.message, (text));                                                \
    } while (0)

static void values_refuse(void **state)
{
    (void)state;
    float data = 1;
    _Atomic unsigned freed = 0;
    struct rdl_error error;
    struct rdl_value *item = leaf(&data, &freed), *out, *items[2] = {item, NULL};
    REFUSED(rdl_value_from_tensor(NULL, &out, &error), RDL_ERR_ARGUMENT,
            "rdl_value_from_tensor: tensor is NULL");
    REFUSED(rdl_value_from_tensor(rdl_value_tensor(item), NULL, &error), RDL_ERR_ARGUMENT,
            "rdl_value_from_tensor: out is NULL");
    REFUSED(rdl_value_sequence(NULL, 1, &out, &error), RDL_ERR_ARGUMENT,
            "rdl_value_sequence: items is NULL");
    REFUSED(rdl_value_sequence(items, 1, NULL, &error), RDL_ERR_ARGUMENT,
            "rdl_value_sequence: out is NULL");
    out = item;
    REFUSED(rdl_value_sequence(items, 2, &out, &error), RDL_ERR_ARGUMENT,
            "rdl_value_sequence: item 1 is NULL");
    assert_null(out);
    REFUSED(rdl_value_optional(item, NULL, &error), RDL_ERR_ARGUMENT,
            "rdl_value_optional: out is NULL");
    rdl_value_release(item);
    assert_int_equal(freed, 1);
}

/* A thread with the smallest stack there is: recursion would need many times of it. */
static void *release_on_a_small_stack(void *value)
{
    rdl_value_release(value);
    return NULL;
}

static void release_in_thread(struct rdl_value *value)
{
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 128 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attributes, release_on_a_small_stack, value), 0);
    (void)pthread_join(thread, NULL);
    (void)pthread_attr_destroy(&attributes);
}

static void value_nested_deeply_is_released_without_recursion(void **state)
{
    (void)state;
    float data[2] = {1, 2};
    _Atomic unsigned freed = 0;
    struct rdl_value *inner = leaf(&data[0], &freed), *outer;
    for (int depth = 0; depth < 200000; depth++) {
        if (depth % 2 == 0)
            assert_int_equal(rdl_value_sequence(&inner, 1, &outer, NULL), RDL_OK);
        else
            assert_int_equal(rdl_value_optional(inner, &outer, NULL), RDL_OK);
        rdl_value_release(inner);
        inner = outer;
    }
    release_in_thread(inner);
    assert_int_equal(freed, 1);
    /* Wide and deep, with parts that someone else still holds. */
    struct rdl_value *kept = leaf(&data[1], &freed);
    inner = rdl_value_retain(kept);
    for (int depth = 0; depth < 50000; depth++) {
        struct rdl_value *pair[3] = {inner, kept, inner};
        assert_int_equal(rdl_value_sequence(pair, 3, &outer, NULL), RDL_OK);
        rdl_value_release(inner);
        inner = outer;
    }
    release_in_thread(inner);
    assert_int_equal(freed, 1);
    rdl_value_release(kept);
    assert_int_equal(freed, 2);
}

static void release_shared(unsigned index, void *shared)
{
    struct rdl_value *sequence = shared;
    for (int i = 0; i < 2000; i++) {
        struct rdl_value *item = rdl_value_retain(rdl_value_item(sequence, index % 2));
        CHECK(rdl_value_tensor(item) != NULL);
        rdl_value_release(item);
    }
    rdl_value_release(sequence);
}

static void value_references_are_counted_across_threads(void **state)
{
    (void)state;
    float data[2] = {1, 2};
    _Atomic unsigned freed = 0;
    struct rdl_value *items[2] = {leaf(&data[0], &freed), leaf(&data[1], &freed)}, *sequence;
    assert_int_equal(rdl_value_sequence(items, 2, &sequence, NULL), RDL_OK);
    rdl_value_release(items[0]);
    rdl_value_release(items[1]);
    for (int i = 1; i < 6; i++)
        (void)rdl_value_retain(sequence);
    assert_int_equal(test_run_threads(6, release_shared, sequence), 0);
    assert_int_equal(freed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_of_a_tensor_holds_it),
        cmocka_unit_test(value_sequence_holds_its_items_in_order),
        cmocka_unit_test(value_empty_sequence_and_optional),
        cmocka_unit_test(values_refuse),
        cmocka_unit_test(value_nested_deeply_is_released_without_recursion),
        cmocka_unit_test(value_references_are_counted_across_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
