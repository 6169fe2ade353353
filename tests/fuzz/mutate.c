/*
 * onnx_mutation N [--seed S] [--from I] [--verbose] [FILE or FOLDER]...: mutates the structure of
 * ONNX files N times and gives each to the fuzz target.
 *
 * A seed model is taken apart into its protobuf fields by the reader's own tables. A mutation drops,
 * doubles, swaps and copies fields and whole messages, changes field numbers, wire types, lengths,
 * integers, and names (to other names of the file, so that duplicates, cycles and captures come
 * about); weights are rarely touched. Case I of seed S is the same on every machine:
 * `--seed S --from I 1` repeats it. Seed models are made here; files given are used beside them.
 */
#include "base/mem.h"
#include "graph/graph.h"
#include "onnx/read.h"
#include "support/onnx_writer.h"
#include "target.h"

#include <dirent.h>
#include <inttypes.h>
#include <pb_common.h>
#include <stdio.h>

#define MAX_SEED_BYTES ((size_t)2 << 20)
#define MAX_SEEDS 64
#define N_MADE 3        /* seeds made here */
#define WEIGHT_BYTES 64 /* longer fields are taken for weights */

/* ---- random numbers ---------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t next_random(void)
{
    uint64_t x = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static size_t below(size_t n)
{
    return n == 0 ? 0 : (size_t)(next_random() % n);
}

static bool one_in(size_t n)
{
    return below(n) == 0;
}

/* ---- fields ------------------------------------------------------------------------------------ */

struct field {
    uint32_t number, wire;
    uint64_t value;       /* of a number */
    const uint8_t *bytes; /* of a string */
    size_t n_bytes;
    struct field **fields; /* of a message [n_fields] */
    size_t n_fields;
    bool is_message;
    uint64_t length; /* written in place of the right one, if not zero */
};

static struct rdl__arena scratch; /* of one case */

static void *take(size_t size)
{
    void *memory = rdl__arena_zeroed(&scratch, 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static uint64_t read_varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        const uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

/* Takes a sound message apart. */
static void parse(struct field *message, const pb_msgdesc_t *desc, const uint8_t *at,
                  const uint8_t *end)
{
    size_t cap = 0;
    while (at < end) {
        struct field *field = take(sizeof *field);
        const uint64_t tag = read_varint(&at, end);
        pb_field_iter_t iter;
        char dummy;
        field->number = (uint32_t)(tag >> 3);
        field->wire = (uint32_t)(tag & 7);
        if (field->wire == 0) {
            field->value = read_varint(&at, end);
        } else {
            field->n_bytes = field->wire == 1   ? 8
                             : field->wire == 5 ? 4
                                                : (size_t)read_varint(&at, end);
            if (field->n_bytes > (size_t)(end - at))
                abort(); /* seeds are sound */
            field->bytes = at;
            at += field->n_bytes;
        }
        if (field->wire == 2 && pb_field_iter_begin(&iter, desc, &dummy) &&
            pb_field_iter_find(&iter, field->number) && PB_LTYPE_IS_SUBMSG(iter.type)) {
            field->is_message = true;
            parse(field, iter.submsg_desc, field->bytes, at);
        }
        if (message->n_fields == cap) {
            struct field **wider = take((cap * 2 + 4) * sizeof(struct field *));
            if (cap > 0)
                memcpy(wider, message->fields, cap * sizeof(struct field *));
            message->fields = wider;
            cap = cap * 2 + 4;
        }
        message->fields[message->n_fields++] = field;
    }
}

static void write_fields(struct writer *w, const struct field *message)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct field *field = message->fields[i];
        if (field->is_message && w->depth + 1 < sizeof w->open / sizeof w->open[0]) {
            writer_open(w, field->number);
            write_fields(w, field);
            writer_close(w);
            continue;
        }
        writer_tag(w, field->number, field->wire);
        if (field->wire == 0)
            writer_varint(w, field->value);
        if (field->wire == 2)
            writer_varint(w, field->length != 0 ? field->length : field->n_bytes);
        writer_bytes(w, field->bytes, field->n_bytes);
    }
}

/* ---- mutations --------------------------------------------------------------------------------- */

/* All messages of the case, to choose from. */
static struct field **messages;
static size_t n_messages, cap_messages;

static void collect(struct field *message)
{
    if (n_messages == cap_messages) {
        cap_messages = cap_messages * 2 + 64;
        struct field **wider = realloc(messages, cap_messages * sizeof(struct field *));
        if (wider == NULL)
            abort();
        messages = wider;
    }
    messages[n_messages++] = message;
    for (size_t i = 0; i < message->n_fields; i++)
        if (message->fields[i]->is_message)
            collect(message->fields[i]);
}

/* A place in a message that has fields; the messages of few fields are as likely as those of many. */
static struct field **choose(struct field **parent)
{
    for (int tries = 0; tries < 100; tries++) {
        struct field *message = messages[below(n_messages)];
        if (message->n_fields > 0) {
            *parent = message;
            return &message->fields[below(message->n_fields)];
        }
    }
    *parent = messages[0];
    return &messages[0]->fields[0];
}

static struct field *copy_of(const struct field *field)
{
    struct field *copy = take(sizeof *copy);
    *copy = *field;
    return copy;
}

static void remove_field(struct field *parent, struct field **place)
{
    const size_t after = (size_t)(parent->fields + parent->n_fields - (place + 1));
    memmove(place, place + 1, after * sizeof(struct field *));
    parent->n_fields--;
}

static void insert_field(struct field *parent, struct field *field)
{
    struct field **wider = take((parent->n_fields + 1) * sizeof(struct field *));
    const size_t at = below(parent->n_fields + 1);
    memcpy(wider, parent->fields, at * sizeof(struct field *));
    memcpy(wider + at + 1, parent->fields + at, (parent->n_fields - at) * sizeof(struct field *));
    wider[at] = field;
    parent->fields = wider;
    parent->n_fields++;
}

static uint64_t odd_number(uint64_t value)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   7,
                                   8,
                                   9,
                                   16,
                                   127,
                                   128,
                                   255,
                                   1U << 16,
                                   INT32_MAX,
                                   1U << 31,
                                   UINT32_MAX,
                                   INT64_MAX,
                                   UINT64_MAX,
                                   UINT64_MAX - 1,
                                   (uint64_t)INT64_MIN,
                                   (uint64_t)INT64_MAX - 1};
    switch (below(4)) {
    case 0:
        return value + 1;
    case 1:
        return value - 1;
    case 2:
        return below(32); /* a dtype, an attribute's type */
    default:
        return odd[below(sizeof odd / sizeof odd[0])];
    }
}

/* Another short string of the file in place of this one, or its bytes changed. */
static void change_string(struct field *field)
{
    for (int tries = 0; tries < 20 && !one_in(4); tries++) {
        struct field *parent;
        const struct field *other = *choose(&parent);
        if (other->wire == 2 && !other->is_message && other->n_bytes <= WEIGHT_BYTES) {
            field->bytes = other->bytes;
            field->n_bytes = other->n_bytes;
            return;
        }
    }
    uint8_t *bytes = take(field->n_bytes + 1);
    if (field->n_bytes > 0)
        memcpy(bytes, field->bytes, field->n_bytes);
    field->bytes = bytes;
    if (field->n_bytes > 0 && one_in(3))
        field->n_bytes = below(field->n_bytes);
    else if (field->n_bytes > 0)
        bytes[below(field->n_bytes)] = (uint8_t)next_random();
    else
        bytes[field->n_bytes++] = (uint8_t)next_random();
}

static void change_content(struct field *field)
{
    if (field->wire == 0)
        field->value = odd_number(field->value);
    else if (field->wire == 2 && !field->is_message &&
             (field->n_bytes <= WEIGHT_BYTES || one_in(20)))
        change_string(field);
}

static void mutate_tree(void)
{
    struct field *parent, *other_parent;
    struct field **place = choose(&parent), **other = choose(&other_parent);
    switch (below(10)) {
    case 0:
        if (parent->n_fields > 1 || parent != messages[0])
            remove_field(parent, place);
        return;
    case 1:
        insert_field(parent, copy_of(*place));
        return;
    case 2: { /* within one message: order of nodes, inputs */
        struct field **second = &parent->fields[below(parent->n_fields)];
        struct field *first = *place;
        *place = *second;
        *second = first;
        return;
    }
    case 3: /* a leaf of anywhere; a message would hold itself */
        if (!(*other)->is_message)
            insert_field(parent, copy_of(*other));
        return;
    case 4:
        *place = copy_of(*place);
        (*place)->number = one_in(4) ? (uint32_t)below(1U << 20) + 1 : (uint32_t)below(26) + 1;
        return;
    case 5: {
        struct field *changed = *place = copy_of(*place);
        static const uint32_t wires[] = {0, 1, 2, 3, 5, 7};
        if (!changed->is_message || one_in(4)) {
            changed->is_message = false;
            changed->wire = wires[below(6)];
        }
        return;
    }
    case 6:
        *place = copy_of(*place);
        if (!(*place)->is_message || one_in(4)) {
            (*place)->is_message = false;
            (*place)->length = odd_number((*place)->n_bytes);
        }
        return;
    default:
        *place = copy_of(*place);
        change_content(*place);
        return;
    }
}

/* Now and then the bytes suffer, structure or not. */
static void mutate_bytes(struct writer *w)
{
    if (w->n > 0 && one_in(20))
        w->n = below(w->n);
    for (int i = 0; i < 4 && w->n > 0 && one_in(10); i++)
        w->data[below(w->n < 4096 || one_in(2) ? w->n : 4096)] = (uint8_t)next_random();
}

/* ---- seed models ------------------------------------------------------------------------------- */

struct seed_model {
    uint8_t *data;
    size_t n;
};

static struct seed_model seeds[MAX_SEEDS];
static size_t n_seeds;

static void add_seed(struct writer *w)
{
    writer_end(w);
    if (n_seeds < MAX_SEEDS)
        seeds[n_seeds++] = (struct seed_model){w->data, w->n};
    else
        writer_free(w);
}

/* Conv, BatchNormalization, a hard-swish by parts, pooling, MatMul and Add. */
static void make_network(void)
{
    struct writer w = {0};
    static const float data[64] = {1, 2, 3, 4, 5, 6, 7, 8};
    writer_begin(&w, 8, 13);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 4, (int64_t[]){-1, 2, 8, 8});
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, 3});
    writer_value(&w, GRAPH_VALUE_INFO, "c", RDL_F32, 4, (int64_t[]){-1, 4, 8, 8});
    writer_raw(&w, "W", RDL_F32, 4, (int64_t[]){4, 2, 1, 1}, data, 32);
    static const char *const vectors[] = {"scale", "shift", "mean", "var"};
    for (int i = 0; i < 4; i++)
        writer_raw(&w, vectors[i], RDL_F32, 1, (int64_t[]){4}, data, 16);
    writer_node(&w, "Conv", "conv", "x W", "c");
    writer_attr(&w, "kernel_shape", RDL__ATTR_INTS);
    writer_int(&w, ATTR_INTS, 1);
    writer_int(&w, ATTR_INTS, 1);
    writer_close(&w);
    writer_close(&w);
    writer_plain(&w, "BatchNormalization", "norm", "c scale shift mean var", "n");
    static const struct {
        const char *name;
        float value;
    } scalars[] = {{"three", 3}, {"zero", 0}, {"six", 6}};
    for (int i = 0; i < 3; i++) {
        writer_node(&w, "Constant", "", "", scalars[i].name);
        writer_attr(&w, "value_float", RDL__ATTR_FLOAT);
        writer_float(&w, ATTR_F, scalars[i].value);
        writer_close(&w);
        writer_close(&w);
    }
    writer_plain(&w, "Add", "plus", "n three", "p");
    writer_plain(&w, "Clip", "clip", "p zero six", "t");
    writer_plain(&w, "Mul", "times", "n t", "m");
    writer_plain(&w, "Div", "over", "m six", "h");
    writer_plain(&w, "GlobalAveragePool", "pool", "h", "g");
    writer_tensor(&w, GRAPH_INITIALISER, "flat", RDL_I64, 1, (int64_t[]){2});
    writer_int(&w, TENSOR_INT64S, 0);
    writer_int(&w, TENSOR_INT64S, -1);
    writer_close(&w);
    writer_plain(&w, "Reshape", "reshape", "g flat", "f");
    writer_raw(&w, "B", RDL_F32, 2, (int64_t[]){4, 3}, data, 48);
    writer_raw(&w, "b", RDL_F32, 1, (int64_t[]){3}, data, 12);
    writer_plain(&w, "MatMul", "matmul", "f B", "q");
    writer_plain(&w, "Add", "bias", "q b", "r");
    writer_plain(&w, "Identity", "end", "r", "y");
    add_seed(&w);
}

/* Shape arithmetic, Casts and every way in which tensors hold their elements. */
static void make_arithmetic(void)
{
    struct writer w = {0};
    writer_begin(&w, 3, 11);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 2, (int64_t[]){-1, -1});
    writer_value(&w, GRAPH_INPUT, "ends", RDL_I64, 1, (int64_t[]){1});
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, -1});
    static const char *const names[] = {"starts", "ends", "axes"};
    for (int i = 0; i < 3; i++) {
        writer_tensor(&w, GRAPH_INITIALISER, names[i], RDL_I64, 1, (int64_t[]){1});
        writer_int(&w, TENSOR_INT64S, i == 1);
        writer_close(&w);
    }
    writer_tensor(&w, GRAPH_INITIALISER, "half", RDL_F16, 1, (int64_t[]){2});
    writer_int(&w, TENSOR_INT32S, 0x3c00);
    writer_int(&w, TENSOR_INT32S, 0x4000);
    writer_close(&w);
    writer_tensor(&w, GRAPH_INITIALISER, "text", RDL_STRING, 1, (int64_t[]){2});
    writer_text(&w, TENSOR_STRINGS, "warp");
    writer_text(&w, TENSOR_STRINGS, "weft");
    writer_close(&w);
    writer_tensor(&w, GRAPH_INITIALISER, "outside", RDL_F32, 1, (int64_t[]){2});
    writer_int(&w, TENSOR_LOCATION, 0);
    writer_float(&w, TENSOR_FLOATS, 1);
    writer_float(&w, TENSOR_FLOATS, 2);
    writer_open(&w, TENSOR_EXTERNAL);
    writer_text(&w, PAIR_KEY, "location");
    writer_text(&w, PAIR_VALUE, "w.bin");
    writer_close(&w);
    writer_close(&w);
    writer_plain(&w, "Shape", "shape", "x", "s");
    writer_plain(&w, "Slice", "slice", "s starts ends axes", "first");
    writer_node(&w, "Cast", "cast", "first", "i");
    writer_attr(&w, "to", RDL__ATTR_INT);
    writer_int(&w, ATTR_I, RDL_I64);
    writer_close(&w);
    writer_close(&w);
    writer_node(&w, "Concat", "concat", "i axes", "dims");
    writer_attr(&w, "axis", RDL__ATTR_INT);
    writer_int(&w, ATTR_I, 0);
    writer_close(&w);
    writer_close(&w);
    writer_plain(&w, "Reshape", "reshape", "x dims", "r");
    writer_plain(&w, "Relu", "relu", "r", "y");
    writer_close(&w);
    writer_opset(&w, "com.example", 1);
    writer_open(&w, MODEL_METADATA);
    writer_text(&w, PAIR_KEY, "key");
    writer_text(&w, PAIR_VALUE, "value");
    add_seed(&w);
}

/* Ifs within an If, whose branches take values from outside. */
static void make_branches(void)
{
    struct writer w = {0};
    static const float one = 1;
    writer_begin(&w, 8, 17);
    writer_value(&w, GRAPH_INPUT, "cond", RDL_BOOL, 0, NULL);
    writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){2});
    writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 1, (int64_t[]){2});
    writer_raw(&w, "k", RDL_F32, 0, NULL, &one, sizeof one);
    for (int depth = 0; depth < 3; depth++) {
        writer_node(&w, "If", "choice", "cond", depth == 0 ? "y" : "z");
        for (int branch = 0; branch < 2; branch++) {
            writer_attr(&w, branch == 0 ? "else_branch" : "then_branch", RDL__ATTR_GRAPH);
            writer_open(&w, ATTR_G);
            writer_plain(&w, "Identity", "same", "k", "i");
            writer_plain(&w, "Add", "sum", "x i", "s");
            writer_plain(&w, "Relu", "relu", "late", "z0");
            writer_value(&w, GRAPH_OUTPUT, branch == 0 || depth == 2 ? "s" : "z", RDL_F32, -1,
                         NULL);
            if (branch == 0) {
                writer_close(&w);
                writer_close(&w);
            }
        }
    }
    while (w.depth > 1)
        writer_close(&w);
    writer_plain(&w, "Relu", "late", "x", "late");
    add_seed(&w);
}

static void read_seed(const char *path)
{
    struct rdl_error error;
    void *data;
    size_t size;
    const struct rdl__stop never = {NULL, NULL};
    if (rdl__file_read(path, MAX_SEED_BYTES, never, &data, &size, &error) != RDL_OK) {
        printf("# not used: %s\n", error.message);
        return;
    }
    struct writer w = {0};
    writer_bytes(&w, data, size);
    rdl__free(data);
    add_seed(&w);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_model(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".onnx") == 0;
}

static void read_seeds(const char *path)
{
    struct dirent **entries;
    const int n = scandir(path, &entries, is_model, by_name);
    if (n < 0) {
        read_seed(path);
        return;
    }
    for (int i = 0; i < n; i++) {
        char file[4096];
        (void)snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        read_seed(file);
        free(entries[i]);
    }
    free((void *)entries);
}

/* ---- cases ------------------------------------------------------------------------------------- */

static uint64_t seed = 1, current;

/* A sanitizer calls it as it dies, so that the case can be repeated. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void name_case(void)
{
    (void)fprintf(stderr, "onnx_mutation: repeat with --seed %llu --from %llu 1\n",
                  (unsigned long long)seed, (unsigned long long)current);
}

static enum rdl_status run_case(uint64_t index, struct rdl_error *error)
{
    struct field root = {.is_message = true};
    struct writer w = {0};
    current = index;
    random_state = seed * UINT64_C(0x2545f4914f6cdd1d) + index;
    /* Small models change more for each case, and cases cost less: they come more often. */
    const struct seed_model *model = &seeds[one_in(3) ? below(n_seeds) : below(N_MADE)];
    rdl__arena_init(&scratch, SIZE_MAX);
    parse(&root, &rdl__onnx_ModelProto_msg, model->data, model->data + model->n);
    for (size_t left = 1 + below(one_in(4) ? 12 : 2); left > 0; left--) {
        n_messages = 0;
        collect(&root);
        mutate_tree();
    }
    write_fields(&w, &root);
    mutate_bytes(&w);
    /* In a block of exactly its size, so that reading past the end is seen. */
    uint8_t *data = malloc(w.n == 0 ? 1 : w.n);
    if (data == NULL)
        abort();
    if (w.n > 0)
        memcpy(data, w.data, w.n);
    const enum rdl_status status = fuzz_one(data, w.n, error);
    free(data);
    writer_free(&w);
    rdl__arena_fini(&scratch);
    return status;
}

static bool seeds_are_sound(void)
{
    struct rdl_error error;
    for (size_t i = 0; i < n_seeds; i++) {
        const enum rdl_status status = fuzz_one(seeds[i].data, seeds[i].n, &error);
        if (status != RDL_OK && (i < N_MADE || status != RDL_ERR_UNSUPPORTED)) {
            printf("# seed model %zu is refused: %s\n", i, error.message);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    uint64_t from = 0, count = 0;
    bool verbose = false;
    size_t n_of[RDL_ERR_INTERNAL + 1] = {0};
    make_network();
    make_arithmetic();
    make_branches();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            from = strtoull(argv[++i], NULL, 10);
        else if (argv[i][0] >= '0' && argv[i][0] <= '9')
            count = strtoull(argv[i], NULL, 10);
        else
            read_seeds(argv[i]);
    }
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(name_case);
    printf("# seed %" PRIu64 ", cases %" PRIu64 " to %" PRIu64 ", %zu seed models\n", seed, from,
           from + count, n_seeds);
    if (!seeds_are_sound())
        return 1;
    for (uint64_t i = from; i < from + count; i++) {
        struct rdl_error error;
        const enum rdl_status status = run_case(i, &error);
        n_of[status]++;
        if (verbose)
            printf("%llu: %s %s\n", (unsigned long long)i, rdl_status_name(status), error.message);
    }
    for (size_t i = 0; i <= RDL_ERR_INTERNAL; i++)
        if (n_of[i] > 0)
            printf("# %zu x %s\n", n_of[i], rdl_status_name((enum rdl_status)i));
    /* Cases that all pass, or none, would test nothing. */
    const bool telling =
        count < 100 || (n_of[RDL_OK] > count / 50 && n_of[RDL_ERR_MODEL] > count / 5);
    if (!telling)
        printf("# the mutations are too weak or too strong to tell anything\n");
    for (size_t i = 0; i < n_seeds; i++)
        free(seeds[i].data);
    free((void *)messages);
    return telling ? 0 : 1;
}
