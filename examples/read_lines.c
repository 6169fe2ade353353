/*
 * Reading pictures of text lines from many threads, with one shared model.
 *
 *   read_lines MODEL THREADS SECONDS PICTURE.png...
 *
 * MODEL is a recogniser of the PP-OCR family: it takes pictures [n, 3, 48, width] and gives for each of its
 * steps from left to right the probabilities of a blank, of the characters that the model's metadata list,
 * and of a space.
 *
 * Each picture is first read alone. Then the threads take the pictures in turn until the time is over, and
 * at least once each. A reading is wrong if it is not what the picture gave alone, or not what
 * PICTURE.png.txt says, where there is such a file. Exits with 1 if one is wrong, and with 77, which runners
 * of tests take for "skipped", if a file is not there.
 *
 *   cc read_lines.c -o read_lines -pthread $(pkg-config --cflags --libs raddle libpng)
 */
#include <raddle/raddle.h>

#include <png.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEIGHT = 48, LEAST_WIDTH = 320, MOST_WIDTH = 4096, MOST_BYTES = 1024 };

struct picture {
    const char *path;
    struct rdl_value *input;   /* x [1, 3, 48, width] */
    char expected[MOST_BYTES]; /* "" if nothing is known */
    char alone[MOST_BYTES];    /* what it gave before there were threads */
};

/* What the threads share. Only `next` and the counters are written while they run, so nothing needs a
 * lock: any number of threads may run the model as it is. */
struct shared {
    struct rdl_model model;
    char *list;              /* the model's characters, cut into lines */
    const char **characters; /* of classes 1 and up, in list */
    size_t n_characters;
    struct picture *pictures;
    size_t n_pictures;
    int64_t end_ns;
    atomic_size_t next, n_read, n_wrong;
};

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "read_lines: %s: %s\n", what, why);
    exit(1);
}

/* ------------------------------------------------------------------------------------ the pictures */

/* The value of a channel at (x, y) of a picture of another size, between its four nearest pixels. */
static float sample(const unsigned char *pixels, int width, int height, float x, float y,
                    int channel)
{
    const int x0 = x < 0 ? 0 : (int)x, y0 = y < 0 ? 0 : (int)y;
    const int x1 = x0 + 1 < width ? x0 + 1 : width - 1, y1 = y0 + 1 < height ? y0 + 1 : height - 1;
    const float fx = x < 0 ? 0 : x - (float)x0, fy = y < 0 ? 0 : y - (float)y0;
#define PIXEL(row, column) ((float)pixels[3 * ((size_t)(row) * width + (column)) + channel])
    return (PIXEL(y0, x0) * (1 - fx) + PIXEL(y0, x1) * fx) * (1 - fy) +
           (PIXEL(y1, x0) * (1 - fx) + PIXEL(y1, x1) * fx) * fy;
#undef PIXEL
}

/* Makes the model's input: height 48, blue first, from -1 to 1, filled with 0 to the right. */
static struct rdl_value *make_input(const char *path, const unsigned char *pixels, int width,
                                    int height)
{
    if ((int64_t)HEIGHT * width > (int64_t)MOST_WIDTH * height)
        die(path, "too long for one line");
    /* The model was trained on pictures of at least LEAST_WIDTH; shorter ones are filled up. */
    const int scaled = (HEIGHT * width + height - 1) / height;
    const int padded = scaled > LEAST_WIDTH ? scaled : LEAST_WIDTH;
    struct rdl_tensor *tensor;
    struct rdl_value *value;
    struct rdl_error error;
    if (rdl_tensor_new(RDL_F32, 4, (int64_t[]){1, 3, HEIGHT, padded}, &tensor, &error) != RDL_OK ||
        rdl_value_from_tensor(tensor, &value, &error) != RDL_OK)
        die(path, error.message);
    float *out = rdl_tensor_data(tensor);
    memset(out, 0, 3 * HEIGHT * (size_t)padded * sizeof *out);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < scaled; x++) {
                const float from_x = ((float)x + 0.5f) * (float)width / (float)scaled - 0.5f;
                const float from_y = ((float)y + 0.5f) * (float)height / HEIGHT - 0.5f;
                out[(c * HEIGHT + y) * padded + x] =
                    sample(pixels, width, height, from_x, from_y, c) / 127.5f - 1;
            }
    rdl_tensor_release(tensor);
    return value;
}

static void load_picture(struct picture *picture, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path))
        die(path, image.message);
    image.format = PNG_FORMAT_BGR;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image));
    if (pixels == NULL || !png_image_finish_read(&image, NULL, pixels, 0, NULL))
        die(path, pixels == NULL ? "no memory" : image.message);
    *picture = (struct picture){.path = path};
    picture->input = make_input(path, pixels, (int)image.width, (int)image.height);
    free(pixels);
    char name[MOST_BYTES];
    (void)snprintf(name, sizeof name, "%s.txt", path);
    FILE *file = fopen(name, "r");
    if (file != NULL) {
        if (fgets(picture->expected, sizeof picture->expected, file) != NULL) {
            char *end = strchr(picture->expected, '\n');
            if (end != NULL)
                *end = '\0';
        }
        (void)fclose(file);
    }
}

/* ----------------------------------------------------------------------------------- the characters */

/* Cuts the model's list of characters, a line each, and adds the space, its last class. */
static void load_characters(struct shared *shared)
{
    struct rdl_model_info *info;
    struct rdl_error error;
    const char *key, *value, *list = NULL;
    if (rdl_model_get_info(shared->model, &info, &error) != RDL_OK)
        die("model", error.message);
    for (size_t i = 0; rdl_model_info_metadata(info, i, &key, &value); i++)
        if (strcmp(key, "character") == 0)
            list = value;
    if (list == NULL)
        die("model", "its metadata have no list of characters");
    const size_t size_bytes = strlen(list) + 1;
    shared->list = malloc(size_bytes); /* the info's own must stay as it is */
    shared->characters = calloc(size_bytes + 1, sizeof *shared->characters);
    if (shared->list == NULL || shared->characters == NULL)
        die("model", "no memory");
    memcpy(shared->list, list, size_bytes);
    /* An empty line is a character too. */
    for (char *at = shared->list; at != NULL && *at != '\0';) {
        char *end = strchr(at, '\n');
        if (end != NULL)
            *end++ = '\0';
        shared->characters[shared->n_characters++] = at;
        at = end;
    }
    shared->characters[shared->n_characters++] = " ";
    rdl_model_info_release(info);
}

/* Greedy decoding: the likeliest class of each step; repeats, blanks (class 0) and
 * spaces at the margins are dropped. */
static void decode(const struct shared *shared, const struct rdl_tensor *y, char text[MOST_BYTES])
{
    const int64_t steps = rdl_tensor_dims(y)[1], classes = rdl_tensor_dims(y)[2];
    const float *p = rdl_tensor_data(y);
    size_t last = 0, at = 0;
    text[0] = '\0';
    for (int64_t s = 0; s < steps; s++, p += classes) {
        size_t best = 0;
        for (size_t c = 1; c < (size_t)classes; c++)
            if (p[c] > p[best])
                best = c;
        if (best != 0 && best != last && best <= shared->n_characters) {
            const char *character = shared->characters[best - 1];
            const size_t n = strlen(character);
            const bool is_margin = at == 0 && strcmp(character, " ") == 0;
            if (!is_margin && at + n < MOST_BYTES) {
                memcpy(text + at, character, n + 1);
                at += n;
            }
        }
        last = best;
    }
    while (at > 0 && text[at - 1] == ' ') /* the other margin */
        text[--at] = '\0';
}

/* -------------------------------------------------------------------------------------- the threads */

/* One run of the model. All that it writes belongs to the caller, so threads do not meet here. */
static void read_picture(const struct shared *shared, const struct picture *picture,
                         char text[MOST_BYTES])
{
    struct rdl_value *output = NULL; /* made by the run: each picture's has another size */
    struct rdl_error error;
    if (rdl_model_run(shared->model, &picture->input, 1, &output, 1, NULL, &error) != RDL_OK)
        die(picture->path, error.message);
    decode(shared, rdl_value_tensor(output), text);
    rdl_value_release(output);
}

static void *read_pictures(void *object)
{
    struct shared *shared = object;
    char text[MOST_BYTES];
    for (;;) {
        const size_t n = atomic_fetch_add(&shared->next, 1);
        if (n >= shared->n_pictures && rdl_now_ns() >= shared->end_ns)
            return NULL;
        const struct picture *picture = &shared->pictures[n % shared->n_pictures];
        read_picture(shared, picture, text);
        const bool is_known = picture->expected[0] != '\0';
        if (strcmp(text, picture->alone) != 0 || (is_known && strcmp(text, picture->expected) != 0))
            atomic_fetch_add(&shared->n_wrong, 1);
        atomic_fetch_add(&shared->n_read, 1);
    }
}

/* Reads the pictures from n_threads threads; how long that took. */
static double run_threads(struct shared *shared, long n_threads, double seconds)
{
    pthread_t *threads = calloc((size_t)n_threads, sizeof *threads);
    if (threads == NULL)
        die("read_lines", "no memory");
    const int64_t begin_ns = rdl_now_ns();
    shared->end_ns = begin_ns + (int64_t)(seconds * 1e9);
    for (long t = 0; t < n_threads; t++)
        if (pthread_create(&threads[t], NULL, read_pictures, shared) != 0)
            die("read_lines", "cannot start a thread");
    for (long t = 0; t < n_threads; t++)
        (void)pthread_join(threads[t], NULL);
    free(threads);
    return (double)(rdl_now_ns() - begin_ns) / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        die("usage", "read_lines MODEL THREADS SECONDS PICTURE.png...");
    for (int i = 1; i < argc; i++)
        if (i != 2 && i != 3 && access(argv[i], R_OK) != 0) {
            printf("SKIP: cannot read %s\n", argv[i]);
            return 77;
        }
    char *threads_end, *seconds_end; /* of the numbers, which must be all that is there */
    const long n_threads = strtol(argv[2], &threads_end, 10);
    const double least_seconds = strtod(argv[3], &seconds_end);
    struct shared shared = {.n_pictures = (size_t)argc - 4};
    struct rdl_error error;
    if (*threads_end != '\0' || n_threads < 1 || n_threads > 1000)
        die(argv[2], "from 1 to 1000 threads");
    if (*seconds_end != '\0' || !(least_seconds >= 0 && least_seconds <= 1e6))
        die(argv[3], "from 0 to 1000000 seconds");
    if (rdl_model_load(argv[1], NULL, &shared.model, &error) != RDL_OK)
        die(argv[1], error.message);
    load_characters(&shared);
    shared.pictures = calloc(shared.n_pictures, sizeof *shared.pictures);
    if (shared.pictures == NULL)
        die("read_lines", "no memory");
    for (size_t i = 0; i < shared.n_pictures; i++) { /* one after the other: the measure of all */
        load_picture(&shared.pictures[i], argv[4 + i]);
        read_picture(&shared, &shared.pictures[i], shared.pictures[i].alone);
    }
    const clock_t cpu_begin = clock(); /* of all threads together */
    const double seconds = run_threads(&shared, n_threads, least_seconds);
    const double cpu_seconds = (double)(clock() - cpu_begin) / CLOCKS_PER_SEC;

    for (size_t i = 0; i < shared.n_pictures; i++) {
        const struct picture *picture = &shared.pictures[i];
        printf("%s: %s\n", picture->path, picture->alone);
        if (picture->expected[0] != '\0' && strcmp(picture->alone, picture->expected) != 0)
            printf("%s: WRONG, it says: %s\n", picture->path, picture->expected);
        rdl_value_release(picture->input);
    }
    const size_t n_read = shared.n_read, n_wrong = shared.n_wrong;
    printf("%ld threads: %zu lines in %.2f s (%.2f s of CPU), %.1f lines/s, %zu wrong\n", n_threads,
           n_read, seconds, cpu_seconds, (double)n_read / seconds, n_wrong);
    rdl_model_close(shared.model);
    free(shared.pictures);
    free(shared.characters);
    free(shared.list);
    return n_wrong > 0;
}
