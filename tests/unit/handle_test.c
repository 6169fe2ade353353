/*
 * Handle tables: naming, pinning, staleness, and who frees.
 */
#include "support/cmocka.h"
#include "support/threads.h"

#include "runtime/handle.h"

static _Atomic unsigned destroyed;

static void destroy(void *object)
{
    *(int *)object = -1;
    atomic_fetch_add(&destroyed, 1);
}

static void handle_open_then_close_frees_once(void **state)
{
    (void)state;
    static struct rdl__table table = RDL__TABLE_INIT(destroy);
    int object = 7;
    uint64_t id;
    destroyed = 0;
    assert_int_equal(rdl__handle_open(&table, &object, NULL, &id), RDL_OK);
    assert_ptr_equal(rdl__handle_pin(&table, id), &object);
    rdl__handle_unpin(&table, id);
    assert_int_equal(object, 7);
    assert_true(rdl__handle_close(&table, id));
    assert_int_equal(object, -1);
    assert_false(rdl__handle_close(&table, id));
    assert_null(rdl__handle_pin(&table, id));
    assert_int_equal(destroyed, 1);
}

static void handle_pin_keeps_a_closed_object(void **state)
{
    (void)state;
    static struct rdl__table table = RDL__TABLE_INIT(destroy);
    int object = 7;
    uint64_t id;
    assert_int_equal(rdl__handle_open(&table, &object, NULL, &id), RDL_OK);
    assert_non_null(rdl__handle_pin(&table, id));
    assert_true(rdl__handle_close(&table, id));
    assert_int_equal(object, 7);
    assert_null(rdl__handle_pin(&table, id));
    rdl__handle_unpin(&table, id);
    assert_int_equal(object, -1);
}

static void handle_of_a_reused_slot_is_another(void **state)
{
    (void)state;
    static struct rdl__table table = RDL__TABLE_INIT(destroy);
    int objects[1000];
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t id;
        assert_int_equal(rdl__handle_open(&table, &objects[i], NULL, &id), RDL_OK);
        assert_int_not_equal(id, last);
        assert_null(rdl__handle_pin(&table, last));
        assert_true(rdl__handle_close(&table, id));
        last = id;
    }
}

static void handle_zero_and_forged_are_stale(void **state)
{
    (void)state;
    static struct rdl__table table = RDL__TABLE_INIT(destroy);
    int object;
    uint64_t id;
    assert_null(rdl__handle_pin(&table, 0));
    assert_false(rdl__handle_close(&table, 0));
    assert_int_equal(rdl__handle_open(&table, &object, NULL, &id), RDL_OK);
    assert_true(rdl__handle_close(&table, id));
    /* The closed slot's own generation, and an index that was never made. */
    assert_null(rdl__handle_pin(&table, id + (UINT64_C(1) << RDL__HANDLE_INDEX_BITS)));
    assert_null(rdl__handle_pin(&table, UINT64_MAX));
}

static void count_visit(uint64_t id, void *object, void *user)
{
    (void)id;
    *(int *)user += *(int *)object;
}

static void handle_each_visits_open_ones(void **state)
{
    (void)state;
    static struct rdl__table table = RDL__TABLE_INIT(destroy);
    int objects[200], sum = 0, context;
    uint64_t ids[200];
    for (int i = 0; i < 200; i++) {
        objects[i] = 1;
        assert_int_equal(
            rdl__handle_open(&table, &objects[i], i % 2 == 0 ? &context : NULL, &ids[i]), RDL_OK);
    }
    rdl__handle_each(&table, count_visit, &sum);
    assert_int_equal(sum, 200);
    rdl__handle_close_all(&table, &context);
    sum = 0;
    rdl__handle_each(&table, count_visit, &sum);
    assert_int_equal(sum, 100);
    for (int i = 0; i < 200; i++)
        assert_int_equal(objects[i], i % 2 == 0 ? -1 : 1);
}

/* Threads that open, pin each other's handles and close: an object is never seen freed under a pin. */
enum { SHARED_HANDLES = 16 };
static struct rdl__table raced = RDL__TABLE_INIT(destroy);
static _Atomic uint64_t shared_ids[SHARED_HANDLES];

static void race(unsigned index, void *shared)
{
    (void)shared;
    enum { ROUNDS = 5000 };
    int *objects = malloc(ROUNDS * sizeof *objects);
    uint64_t random = index + 1;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const unsigned which = (unsigned)(random >> 33) % SHARED_HANDLES;
        uint64_t id = atomic_load(&shared_ids[which]);
        int *seen = rdl__handle_pin(&raced, id);
        if (seen != NULL) {
            CHECK(*seen == 7);
            rdl__handle_unpin(&raced, id);
        }
        objects[i] = 7;
        CHECK(rdl__handle_open(&raced, &objects[i], NULL, &id) == RDL_OK);
        const uint64_t old = atomic_exchange(&shared_ids[which], id);
        if (old != 0)
            CHECK(rdl__handle_close(&raced, old));
    }
    /* Leaked on purpose until the process ends: other threads may still pin these objects. */
    static _Atomic(int *) kept[64];
    atomic_store(&kept[index], objects);
}

static void handle_pins_hold_against_racing_closes(void **state)
{
    (void)state;
    assert_int_equal(test_run_threads(8, race, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handle_open_then_close_frees_once),
        cmocka_unit_test(handle_pin_keeps_a_closed_object),
        cmocka_unit_test(handle_of_a_reused_slot_is_another),
        cmocka_unit_test(handle_zero_and_forged_are_stale),
        cmocka_unit_test(handle_each_visits_open_ones),
        cmocka_unit_test(handle_pins_hold_against_racing_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
