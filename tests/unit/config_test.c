/*
 * Settings of the process: configuring once and in time, the user's allocator, the log sink, knobs.
 * Each case has a process of its own, since settings cannot be taken back.
 */
#include "support/child.h"
#include "support/models.h"
#include "support/threads.h"

#include "os/cpu.h"
#include "runtime/lifecycle.h"

/* ------------------------------------------------------------------------------------ refusals */

static void configure_refused(const struct rdl_config *config, enum rdl_status expected,
                              const char *message)
{
    struct rdl_error error;
    IN_CHILD(rdl_configure(config, &error) == expected);
    IN_CHILD(strcmp(error.message, message) == 0);
}

static void *refuse_allocate(size_t size, size_t align, void *user)
{
    (void)size;
    (void)align;
    (void)user;
    return NULL;
}

static void wrong_configs(void *unused)
{
    (void)unused;
    const struct rdl_allocator half = {.allocate = refuse_allocate};
    const struct rdl_config small = {.size = sizeof small - 1},
                            bad = {.size = sizeof bad, .allocator = &half},
                            good = {.size = sizeof good};
    configure_refused(NULL, RDL_ERR_ARGUMENT, "rdl_configure: config is NULL");
    configure_refused(&small, RDL_ERR_ARGUMENT, "rdl_configure: config has an unknown size");
    configure_refused(&bad, RDL_ERR_ARGUMENT, "rdl_configure: an allocator function is NULL");
    IN_CHILD(rdl_configure(&good, NULL) == RDL_OK); /* what was refused set nothing */
    configure_refused(&good, RDL_ERR_STATE,
                      "rdl_configure: the library was used or configured before");
}

static void configure_late_after_a_device(void *unused)
{
    (void)unused;
    const struct rdl_config config = {.size = sizeof config};
    struct rdl_device device;
    IN_CHILD(rdl_device_open("cpu", NULL, &device, NULL) == RDL_OK);
    configure_refused(&config, RDL_ERR_STATE,
                      "rdl_configure: the library was used or configured before");
}

static void configure_late_after_a_tensor(void *unused)
{
    (void)unused;
    const struct rdl_config config = {.size = sizeof config};
    const int64_t dims[1] = {4};
    struct rdl_tensor *tensor;
    IN_CHILD(rdl_tensor_new(RDL_F32, 1, dims, &tensor, NULL) == RDL_OK);
    configure_refused(&config, RDL_ERR_STATE,
                      "rdl_configure: the library was used or configured before");
    rdl_tensor_release(tensor);
    configure_refused(&config, RDL_ERR_STATE,
                      "rdl_configure: the library was used or configured before");
}

static void configure_late_after_a_token(void *unused)
{
    (void)unused;
    const struct rdl_config config = {.size = sizeof config};
    struct rdl_cancel *cancel;
    IN_CHILD(rdl_cancel_new(&cancel, NULL) == RDL_OK);
    configure_refused(&config, RDL_ERR_STATE,
                      "rdl_configure: the library was used or configured before");
    rdl_cancel_release(cancel);
}

static void configure_after_readers(void *unused)
{
    (void)unused;
    const struct rdl_config config = {.size = sizeof config};
    char text[16];
    (void)rdl_version();
    (void)rdl_now_ns();
    (void)rdl_dtype_name(RDL_F32);
    IN_CHILD(rdl_knob("isa", text, sizeof text) == RDL_OK);
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
}

static void configure_is_refused_when_wrong_late_or_repeated(void **state)
{
    (void)state;
    child_expect_success(child_run(wrong_configs, NULL, 20));
    child_expect_success(child_run(configure_late_after_a_device, NULL, 20));
    child_expect_success(child_run(configure_late_after_a_tensor, NULL, 20));
    child_expect_success(child_run(configure_late_after_a_token, NULL, 20));
    child_expect_success(child_run(configure_after_readers, NULL, 20));
}

static _Atomic unsigned winners;

static void configure_at_once(unsigned index, void *shared)
{
    (void)shared;
    const struct rdl_config config = {.size = sizeof config, .worker_threads = index + 1};
    const enum rdl_status status = rdl_configure(&config, NULL);
    CHECK(status == RDL_OK || status == RDL_ERR_STATE);
    atomic_fetch_add(&winners, status == RDL_OK);
}

static void race_to_configure(void *unused)
{
    (void)unused;
    IN_CHILD(test_run_threads(8, configure_at_once, NULL) == 0);
    IN_CHILD(winners == 1);
}

static void configure_raced_has_one_winner(void **state)
{
    (void)state;
    child_expect_success(child_run(race_to_configure, NULL, 20));
}

/* --------------------------------------------------------------------------------- the allocator */

/* Blocks of the user's allocator carry a mark in front, so that one of another allocator is known. */
#define MARK UINT64_C(0x726164646c65)
#define FRONT ((size_t)4096)

static _Atomic int64_t live, taken;

static void *mark_allocate(size_t size, size_t align, void *user)
{
    IN_CHILD(user == &live);
    IN_CHILD(align != 0 && (align & (align - 1)) == 0 && align <= FRONT);
    char *memory = aligned_alloc(FRONT, (FRONT + size + FRONT - 1) / FRONT * FRONT);
    if (memory == NULL)
        return NULL;
    *(uint64_t *)(void *)(memory + FRONT - sizeof(uint64_t)) = MARK;
    atomic_fetch_add(&live, 1);
    atomic_fetch_add(&taken, 1);
    return memory + FRONT;
}

static void mark_free(void *memory, void *user)
{
    IN_CHILD(user == &live);
    uint64_t *mark = (uint64_t *)(void *)((char *)memory - sizeof(uint64_t));
    IN_CHILD(*mark == MARK);
    *mark = 0;
    atomic_fetch_sub(&live, 1);
    free((char *)memory - FRONT);
}

static void use(const char *name)
{
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 4};
    struct rdl_device device;
    struct rdl_request request;
    struct rdl_value *output = NULL;
    IN_CHILD(rdl_device_open(name, &options, &device, NULL) == RDL_OK);
    struct rdl_model model = models_load("linear_8x8", device);
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){3, 8});
    /* The request goes when its worker lets go of it; it holds nothing of the device's. */
    struct rdl_value *bound = models_input(2, 2, (const int64_t[]){3, 8});
    IN_CHILD(rdl_model_submit(model, &input, 1, &bound, 1, NULL, NULL, NULL, &request, NULL) ==
             RDL_OK);
    IN_CHILD(rdl_request_wait(request, RDL_FOREVER, NULL, 0, NULL) == RDL_OK);
    rdl_request_close(request);
    rdl_value_release(bound);
    output = models_run(model, input);
    IN_CHILD(output != NULL);
    rdl_value_release(output);
    rdl_value_release(input);
    rdl_model_close(model);
    IN_CHILD(rdl_device_close(device, RDL_FOREVER, NULL) == RDL_OK);
}

static void await_live(int64_t expected)
{
    for (int i = 0; i < 5000 && live != expected; i++)
        test_pause_ms(1);
    IN_CHILD(live == expected);
}

static void use_the_users_allocator(void *unused)
{
    (void)unused;
    struct rdl_allocator allocator = {mark_allocate, mark_free, &live};
    const struct rdl_config config = {.size = sizeof config, .allocator = &allocator};
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    allocator = (struct rdl_allocator){refuse_allocate, NULL, NULL}; /* it was copied */
    use("cpu");
    use("sim");
    test_pause_ms(20); /* a worker lets go of its request after the wait for it */
    const int64_t kept = live;
    const int64_t before = taken;
    IN_CHILD(before > 50);
    for (int i = 0; i < 5; i++) {
        use("cpu");
        use("sim");
    }
    IN_CHILD(taken > before + 100);
    await_live(kept); /* what stays is type-stable and used again */
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
}

static void allocator_of_the_user_gets_all_and_gets_it_back(void **state)
{
    (void)state;
    (void)models_path("linear_8x8");
    child_expect_success(child_run(use_the_users_allocator, NULL, 60));
}

static void fail_everything(void *unused)
{
    (void)unused;
    const struct rdl_allocator allocator = {refuse_allocate, mark_free, NULL};
    const struct rdl_config config = {.size = sizeof config, .allocator = &allocator};
    struct rdl_device device;
    struct rdl_tensor *tensor;
    struct rdl_cancel *cancel;
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    IN_CHILD(rdl_device_open("cpu", NULL, &device, NULL) == RDL_ERR_NO_MEMORY);
    IN_CHILD(rdl_tensor_new(RDL_F32, 0, NULL, &tensor, NULL) == RDL_ERR_NO_MEMORY);
    IN_CHILD(rdl_cancel_new(&cancel, NULL) == RDL_ERR_NO_MEMORY);
}

static void allocator_that_has_nothing_gives_a_status(void **state)
{
    (void)state;
    child_expect_success(child_run(fail_everything, NULL, 20));
}

/* ------------------------------------------------------------------------------------------- log */

static unsigned lines;
static char last_line[1024];
static enum rdl_log_level last_level;

static void note_line(enum rdl_log_level level, const char *line, void *user)
{
    IN_CHILD(user == &lines);
    lines++;
    last_level = level;
    (void)snprintf(last_line, sizeof last_line, "%s", line);
}

static void log_by_level(void *level)
{
    const struct rdl_config config = {.size = sizeof config,
                                      .log = note_line,
                                      .log_user = &lines,
                                      .log_level = *(const enum rdl_log_level *)level};
    const unsigned heard = config.log_level != 0 ? config.log_level : RDL_LOG_WARNING;
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    for (int i = RDL_LOG_ERROR; i <= RDL_LOG_DEBUG; i++) {
        lines = 0;
        rdl__log((enum rdl_log_level)i, "level %d", i);
        IN_CHILD(lines == (i <= (int)heard));
        IN_CHILD(lines == 0 || (last_level == (enum rdl_log_level)i && last_line[6] == '0' + i));
    }
    char text[8];
    IN_CHILD(rdl_knob("log_level", text, sizeof text) == RDL_OK);
    IN_CHILD(text[0] == '0' + (char)heard && text[1] == '\0');
    char longer[2000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    rdl__log(RDL_LOG_ERROR, "%s", longer);
    IN_CHILD(strlen(last_line) == 511); /* cut, not overrun */
}

static void log_without_a_sink(void *unused)
{
    (void)unused;
    rdl__log(RDL_LOG_ERROR, "nobody hears");
}

static void log_sink_hears_what_its_level_allows(void **state)
{
    (void)state;
    for (int level = 0; level <= RDL_LOG_DEBUG; level++) {
        enum rdl_log_level chosen = (enum rdl_log_level)level;
        child_expect_success(child_run(log_by_level, &chosen, 20));
    }
    child_expect_success(child_run(log_without_a_sink, NULL, 20));
}

/* ----------------------------------------------------------------------------------------- knobs */

static void knobs_tell_their_effective_values(void *unused)
{
    (void)unused;
    const struct rdl_config config = {.size = sizeof config, .worker_threads = 3};
    char text[32], expected[32], cut[3];
    IN_CHILD(rdl_knob("worker_threads", text, sizeof text) == RDL_OK);
    (void)snprintf(expected, sizeof expected, "%u", rdl__cpu_allowed());
    IN_CHILD(strcmp(text, expected) == 0);
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    IN_CHILD(rdl_knob("worker_threads", text, sizeof text) == RDL_OK && strcmp(text, "3") == 0);
    IN_CHILD(rdl_knob("allowed_cores", text, sizeof text) == RDL_OK && strcmp(text, expected) == 0);
    IN_CHILD(rdl_knob("log_level", text, sizeof text) == RDL_OK && strcmp(text, "2") == 0);
    (void)snprintf(expected, sizeof expected, "%ld", sysconf(_SC_PAGESIZE));
    IN_CHILD(rdl_knob("page_bytes", text, sizeof text) == RDL_OK && strcmp(text, expected) == 0);
    IN_CHILD(rdl_knob("page_bytes", cut, sizeof cut) == RDL_OK);
    IN_CHILD(cut[2] == '\0' && memcmp(cut, expected, 2) == 0);
    IN_CHILD(rdl_knob("no such knob", text, sizeof text) == RDL_ERR_NOT_FOUND);
    IN_CHILD(rdl_knob("", text, sizeof text) == RDL_ERR_NOT_FOUND);
    IN_CHILD(rdl_knob(NULL, text, sizeof text) == RDL_ERR_ARGUMENT);
    IN_CHILD(rdl_knob("isa", NULL, 8) == RDL_ERR_ARGUMENT);
    IN_CHILD(rdl_knob("isa", text, 0) == RDL_ERR_ARGUMENT);
}

static void isa_is_the_one_asked_for(void *isa)
{
    char text[32];
    (void)setenv("RADDLE_ISA", isa, 1);
    IN_CHILD(rdl_knob("isa", text, sizeof text) == RDL_OK);
    IN_CHILD(strcmp(text, strcmp(isa, "nonsense") == 0 ? rdl__isa_name(rdl__isa_best()) : isa) ==
             0);
}

static void knobs_have_values(void **state)
{
    (void)state;
    child_expect_success(child_run(knobs_tell_their_effective_values, NULL, 20));
    child_expect_success(child_run(isa_is_the_one_asked_for, (char[]){"portable"}, 20));
    child_expect_success(child_run(isa_is_the_one_asked_for, (char[]){"nonsense"}, 20));
}

/* The first use says once that the wish is not met. */
static void isa_that_is_not_there_is_logged(void *isa)
{
    const struct rdl_config config = {.size = sizeof config, .log = note_line, .log_user = &lines};
    struct rdl_device device;
    char text[32];
    (void)setenv("RADDLE_ISA", isa, 1);
    lines = 0;
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    IN_CHILD(rdl_device_open("cpu", NULL, &device, NULL) == RDL_OK);
    IN_CHILD(rdl_device_open("sim", NULL, &device, NULL) == RDL_OK);
    const bool is_there = strcmp(isa, "portable") == 0;
    IN_CHILD(lines == (is_there ? 0 : 1));
    IN_CHILD(is_there ||
             (last_level == RDL_LOG_WARNING && strstr(last_line, "RADDLE_ISA=nonsense")));
    IN_CHILD(rdl_knob("isa_asked", text, sizeof text) == RDL_OK && strcmp(text, isa) == 0);
    IN_CHILD(rdl_knob("isa_found", text, sizeof text) == RDL_OK);
    IN_CHILD(strcmp(text, rdl__isa_name(rdl__isa_found())) == 0);
}

static void isa_wish_that_is_not_met_is_logged(void **state)
{
    (void)state;
    child_expect_success(child_run(isa_that_is_not_there_is_logged, (char[]){"portable"}, 20));
    child_expect_success(child_run(isa_that_is_not_there_is_logged, (char[]){"nonsense"}, 20));
}

static char *read_text(const char *name)
{
    char path[1024];
    const char *root = getenv("RADDLE_TEST_SOURCE");
    (void)snprintf(path, sizeof path, "%s/%s", root != NULL ? root : ".", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)printf("SKIP: no %s\n", path);
        skip();
        return NULL; /* not reached */
    }
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    (void)fread(text, 1, (1 << 20) - 1, file);
    (void)fclose(file);
    return text;
}

static void every_knob_of_the_header_is_known(void **state)
{
    (void)state;
    char *header = read_text("include/raddle/config.h");
    char *at = strstr(header, "effective value of a process-wide knob");
    assert_non_null(at);
    char *end = strstr(at, "@param");
    assert_non_null(end);
    unsigned known = 0;
    for (at = strchr(at, '"'); at != NULL && at < end; at = strchr(at + 1, '"')) {
        char *name = at + 1, text[64];
        at = strchr(name, '"');
        assert_non_null(at);
        *at = '\0';
        if (rdl_knob(name, text, sizeof text) != RDL_OK || text[0] == '\0')
            fail_msg("knob \"%s\" of the header is not known", name);
        known++;
    }
    assert_in_range(known, 5, 100);
    free(header);
    /* And the other way round: each knob stands in the header. */
    header = read_text("include/raddle/config.h");
    unsigned listed = 0;
    for (const char *name; (name = rdl_knob_name(listed)) != NULL; listed++) {
        char quoted[64];
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", name);
        if (strstr(header, quoted) == NULL)
            fail_msg("knob %s is not in the header", name);
    }
    assert_int_equal(listed, known);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configure_is_refused_when_wrong_late_or_repeated),
        cmocka_unit_test(configure_raced_has_one_winner),
        cmocka_unit_test(allocator_of_the_user_gets_all_and_gets_it_back),
        cmocka_unit_test(allocator_that_has_nothing_gives_a_status),
        cmocka_unit_test(log_sink_hears_what_its_level_allows),
        cmocka_unit_test(knobs_have_values),
        cmocka_unit_test(isa_wish_that_is_not_met_is_logged),
        cmocka_unit_test(every_knob_of_the_header_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
