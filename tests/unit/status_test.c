/*
 * Statuses: names, texts, and how messages are filled.
 */
#include "support/cmocka.h"

#include "base/status.h"

#include <string.h>

static void status_list_has_names_and_texts(void **state)
{
    (void)state;
#define CHECK_STATUS(name, value, text)                                                            \
    assert_int_equal(RDL_##name, value);                                                           \
    assert_string_equal(rdl_status_name(RDL_##name), "RDL_" #name);                                \
    assert_string_equal(rdl_status_text(RDL_##name), text);
    RDL_STATUS_LIST(CHECK_STATUS)
#undef CHECK_STATUS
    assert_string_equal(rdl_status_name((enum rdl_status)999), "RDL_ERR_UNKNOWN");
    assert_string_equal(rdl_status_text((enum rdl_status)999), "unknown status");
    assert_string_equal(rdl_status_name((enum rdl_status) - 1), "RDL_ERR_UNKNOWN");
}

static void fail_fills_status_and_message(void **state)
{
    (void)state;
    struct rdl_error error;
    memset(&error, 'x', sizeof error);
    assert_int_equal(rdl__fail(&error, RDL_ERR_SHAPE, "rank %d of \"%s\"", 3, "x"), RDL_ERR_SHAPE);
    assert_int_equal(error.status, RDL_ERR_SHAPE);
    assert_string_equal(error.message, "rank 3 of \"x\"");
    assert_int_equal(rdl__fail(NULL, RDL_ERR_IO, "nobody asks"), RDL_ERR_IO);
    assert_int_equal(rdl__fail_memory(&error, "thing", 12), RDL_ERR_NO_MEMORY);
    assert_string_equal(error.message, "thing: no memory for 12 bytes");
}

static void fail_within_names_the_place_from_the_outside_in(void **state)
{
    (void)state;
    struct rdl_error error;
    (void)rdl__fail(&error, RDL_ERR_MODEL, "cause");
    assert_int_equal(rdl__fail_within(&error, RDL_ERR_MODEL, "node %d", 7), RDL_ERR_MODEL);
    assert_int_equal(rdl__fail_within(&error, RDL_ERR_MODEL, "file"), RDL_ERR_MODEL);
    assert_string_equal(error.message, "file: node 7: cause");
    assert_int_equal(rdl__fail_within(NULL, RDL_ERR_MODEL, "file"), RDL_ERR_MODEL);
}

static void messages_that_are_too_long_are_cut(void **state)
{
    (void)state;
    struct rdl_error error;
    char text[2 * RDL_ERROR_MESSAGE_BYTES];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)rdl__fail(&error, RDL_ERR_MODEL, "%s", text);
    assert_int_equal(strlen(error.message), RDL_ERROR_MESSAGE_BYTES - 1);
    (void)rdl__fail_within(&error, RDL_ERR_MODEL, "place");
    assert_int_equal(strlen(error.message), RDL_ERROR_MESSAGE_BYTES - 1);
    assert_memory_equal(error.message, "place: aaaa", 11);
    (void)rdl__fail(&error, RDL_ERR_MODEL, "cause");
    (void)rdl__fail_within(&error, RDL_ERR_MODEL, "%s", text); /* the place alone fills it */
    assert_int_equal(strlen(error.message), RDL_ERROR_MESSAGE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_list_has_names_and_texts),
        cmocka_unit_test(fail_fills_status_and_message),
        cmocka_unit_test(fail_within_names_the_place_from_the_outside_in),
        cmocka_unit_test(messages_that_are_too_long_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
