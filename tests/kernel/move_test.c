/*
 * The kernel that moves elements along a walk.
 */
#include "kernel_test.h"

#include "kernels/kernels.h"

/* A transposition of random dims, by element size, against index arithmetic. */
static void move_transposes_every_element_size(void **state)
{
    (void)state;
    uint64_t seed = 64;
    for (int round = 0; round < 60; round++) {
        const int bytes = 1 << round % 4;
        struct rdl__k_move p = {.elem_bytes = bytes, .walk.rank = 3};
        int64_t in[3], order[3] = {0, 1, 2}, count = 1;
        for (int d = 0; d < 3; d++) {
            in[d] = test_between(&seed, 1, round % 7 == 0 ? 45 : 6);
            count *= in[d];
            const int64_t swap = test_between(&seed, 0, d), old = order[d];
            order[d] = order[swap];
            order[swap] = old;
        }
        const int64_t strides[3] = {in[1] * in[2], in[2], 1};
        for (int d = 0; d < 3; d++) {
            p.walk.dims[d] = in[order[d]];
            p.walk.stride[0][d] = strides[order[d]];
        }
        p.walk.stride[1][2] = 1;
        p.walk.stride[1][1] = p.walk.dims[2];
        p.walk.stride[1][0] = p.walk.dims[2] * p.walk.dims[1];
        const struct rdl__k_walk walk = p.walk;
        unsigned char *x = test_memory((size_t)(count * bytes), (size_t)bytes);
        unsigned char *y = test_memory((size_t)(count * bytes), (size_t)bytes);
        for (int64_t i = 0; i < count * bytes; i++)
            x[i] = (unsigned char)test_next(&seed);
        const size_t tiles = rdl__k_move_plan(&p);
        void *bind[] = {x, y};
        assert_int_equal(RDL_OK, test_run_split(rdl__k_move, &p, bind, tiles, 0));
        for (int64_t i = 0; i < count; i++) {
            const int64_t a = i / walk.dims[2] / walk.dims[1], b = i / walk.dims[2] % walk.dims[1];
            const int64_t from = a * walk.stride[0][0] + b * walk.stride[0][1] +
                                 i % walk.dims[2] * walk.stride[0][2];
            assert_memory_equal(x + from * bytes, y + i * bytes, (size_t)bytes);
        }
        test_release(x, (size_t)bytes);
        test_release(y, (size_t)bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(move_transposes_every_element_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
