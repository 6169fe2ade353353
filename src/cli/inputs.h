/*
 * Inputs of a model: given arrays, and random ones for the rest.
 */
#ifndef RADDLE_CLI_INPUTS_H
#define RADDLE_CLI_INPUTS_H

#include "cli/npz.h"
#include "raddle/model.h"

/** "NAME=64x512" of the command line. */
struct named_shape {
    char *name; /* owned */
    struct rdl_shape shape;
};

/** All --shape options. Zeroed: none. */
struct named_shapes {
    struct named_shape *items; /* [count] */
    size_t count;
};

/** Parses "NAME=64x512" ("NAME=" is a scalar) and appends it.
 * @return RDL_ERR_ARGUMENT, RDL_ERR_SHAPE, RDL_ERR_NO_MEMORY */
enum rdl_status named_shapes_add(struct named_shapes *shapes, const char *text,
                                 struct rdl_error *error);

/** "NAME=1,2,3" of the command line. */
struct named_set {
    char *name;           /* owned */
    const char *elements; /* of the command line's text */
    size_t count;         /* of elements */
};

/** All --set options. Zeroed: none. */
struct named_sets {
    struct named_set *items; /* [count] */
    size_t count;
};

/** Reads "NAME=V" or "NAME=V,V,..." and appends it; the elements are read once the input's dtype is
 * known. text stays. @return RDL_ERR_ARGUMENT, RDL_ERR_NO_MEMORY */
enum rdl_status named_sets_add(struct named_sets *sets, const char *text, struct rdl_error *error);

/** What the command line says of inputs. Zeroed: nothing. */
struct inputs_wish {
    struct named_shapes shapes;
    struct named_sets sets;
};
void inputs_wish_fini(struct inputs_wish *wish);

/**
 *         Makes the values for all inputs of a model: those that `given` has are taken from there, those
 *         that the wish sets have its elements (one element fills the whole input), the others are random.
 *         Their shapes are the model's, with free dimensions from the wish; a free first dimension that
 *         nobody names is 1, and elements that are set say the length of a vector.
 *
 *         Floating-point values are uniform in [-1, 1), integers in 0..9, booleans even; the same seed
 *         gives the same values.
 *
 * @param given  NULL allowed
 * @param out    [inputs of the model] receives one reference each; all NULL on failure
 * @return RDL_ERR_NOT_FOUND (an array, shape or element for no input), RDL_ERR_SHAPE (a shape is missing
 *         or does not fit), RDL_ERR_ARGUMENT (an element that is none), RDL_ERR_UNSUPPORTED (no random
 *         values of that kind), RDL_ERR_NO_MEMORY ...
 */
enum rdl_status inputs_make(const struct rdl_model_info *info, const struct npz *given,
                            const struct inputs_wish *wish, uint64_t seed, struct rdl_value **out,
                            struct rdl_error *error);

/** A port's dimensions, "[batch, 3, ?]", into out [room], cut if too long; rank free: "[...]". */
void describe_dims(const struct rdl_port *port, char *out, size_t room);

/** Releases count values and sets them NULL. */
void values_release(struct rdl_value **values, size_t count);

#endif
