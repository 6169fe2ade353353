"""Linear algebra by LAPACK, from any number of threads: solve, inv, det, cholesky, qr, svd, eigh.

Names, arguments and results are those of `numpy.linalg`; matrices are the last two dimensions, in float32 or
float64 (integers become float64). Needs the package scipy-openblas32.

The library is OpenBLAS in its build with threads, told to use one: callers then run beside each other, with
right results, and fork is safe. Its build without threads gives wrong results to concurrent callers
(OpenBLAS issue 2126), and its own threads would let callers queue on one lock.
"""

import ctypes
import functools
import os

import numpy
import scipy_openblas32

__all__ = ["LinAlgError", "cholesky", "det", "eigh", "inv", "qr", "solve", "svd"]

LinAlgError = numpy.linalg.LinAlgError


@functools.cache
def _lapack():
    path = os.path.join(scipy_openblas32.get_lib_dir(), "libscipy_openblas.so")
    library = ctypes.CDLL(path, mode=os.RTLD_LOCAL)
    library.scipy_openblas_set_num_threads(1)
    return library


def _call(routine, dtype, *arguments):
    """Calls a routine of LAPACK and returns its info. ints and arrays become pointers, bytes a letter."""
    letter = "s" if dtype == numpy.float32 else "d"
    function = getattr(_lapack(), f"scipy_{letter}{routine}_")
    info = ctypes.c_int(0)
    passed = []
    for argument in arguments:
        if isinstance(argument, numpy.ndarray):
            passed.append(argument.ctypes.data_as(ctypes.c_void_p))
        elif isinstance(argument, bytes):
            passed.append(ctypes.c_char_p(argument))
        else:
            passed.append(ctypes.byref(ctypes.c_int(argument)))
    # Fortran's hidden lengths of the letters come last.
    hidden = [ctypes.c_size_t(1) for argument in arguments if isinstance(argument, bytes)]
    function(*passed, ctypes.byref(info), *hidden)
    if info.value < 0:
        raise ValueError(f"LAPACK {routine}: argument {-info.value} is not valid")
    return info.value


def _work(routine, dtype, *arguments):
    """Calls a routine that takes a work array last, with the size that it asks for."""
    asked = numpy.empty(1, dtype)
    _call(routine, dtype, *arguments, asked, -1)
    size = max(1, int(asked[0]))
    return _call(routine, dtype, *arguments, numpy.empty(size, dtype), size)


def _matrices(given, name, square=False):
    array = numpy.asarray(given)
    if array.dtype not in (numpy.float32, numpy.float64):
        if array.dtype.kind not in "iub":
            raise TypeError(f"{name} has data type {array.dtype}; float32 and float64 are there")
        array = array.astype(numpy.float64)
    if array.ndim < 2:
        raise LinAlgError(f"{name} has {array.ndim} dimensions; a matrix has two")
    if square and array.shape[-1] != array.shape[-2]:
        raise LinAlgError(
            f"{name} has matrices of {array.shape[-2]} x {array.shape[-1]}, which are not square"
        )
    return array


def _columns(array):
    """A copy in column order, as LAPACK reads it."""
    return numpy.array(array, order="F")


def _each(array, function):
    """The function's results for each matrix, stacked by the leading dimensions."""
    shape = array.shape[:-2]
    found = [function(matrix) for matrix in array.reshape(-1, *array.shape[-2:])]
    if not found:  # no matrix at all: shapes come from one of ones
        found = [function(numpy.eye(*array.shape[-2:], dtype=array.dtype))]
        return tuple(numpy.empty((*shape, *part.shape), part.dtype) for part in found[0])
    return tuple(numpy.stack(parts).reshape((*shape, *parts[0].shape)) for parts in zip(*found))


def _factored(matrix):
    """LU factors in place of a copy, the pivots, and whether the matrix is singular."""
    n = matrix.shape[0]
    factors, pivots = _columns(matrix), numpy.empty(n, numpy.int32)
    info = _call("getrf", matrix.dtype, n, n, factors, max(1, n), pivots)
    return factors, pivots, info > 0


def solve(a, b):
    """x with a @ x = b."""
    a = _matrices(a, "a", square=True)
    b = numpy.asarray(b)
    vector = b.ndim == 1
    b = _matrices(b[:, None] if vector else b, "b")
    dtype = numpy.result_type(a, b)
    n = a.shape[-1]
    if b.shape[-2] != n:
        raise LinAlgError(f"a is {n} x {n}, and b has {b.shape[-2]} rows")
    leading = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    both = numpy.concatenate(
        [
            numpy.broadcast_to(a, (*leading, n, n)).astype(dtype),
            numpy.broadcast_to(b, (*leading, *b.shape[-2:])).astype(dtype),
        ],
        axis=-1,
    )

    def one(matrix):
        factors, pivots, singular = _factored(matrix[:, :n])
        if singular:
            raise LinAlgError("a is singular")
        x = _columns(matrix[:, n:])
        _call("getrs", dtype, b"N", n, x.shape[1], factors, max(1, n), pivots, x, max(1, n))
        return (x,)

    (x,) = _each(both, one)
    return x[..., 0] if vector else x


def inv(a):
    """The inverse of a."""
    a = _matrices(a, "a", square=True)

    def one(matrix):
        n = matrix.shape[0]
        factors, pivots, singular = _factored(matrix)
        if singular:
            raise LinAlgError("a is singular")
        _work("getri", matrix.dtype, n, factors, max(1, n), pivots)
        return (factors,)

    return _each(a, one)[0]


def det(a):
    """The determinant of a."""
    a = _matrices(a, "a", square=True)

    def one(matrix):
        factors, pivots, _ = _factored(matrix)
        swaps = numpy.count_nonzero(pivots != numpy.arange(1, len(pivots) + 1))
        return (numpy.asarray(numpy.prod(numpy.diag(factors)) * (-1) ** swaps, matrix.dtype),)

    return _each(a, one)[0][()]


def cholesky(a):
    """The lower triangular l with l @ l.T = a, of a symmetric positive definite a."""
    a = _matrices(a, "a", square=True)

    def one(matrix):
        n = matrix.shape[0]
        lower = _columns(matrix)
        if _call("potrf", matrix.dtype, b"L", n, lower, max(1, n)) > 0:
            raise LinAlgError("a is not positive definite")
        return (numpy.tril(lower),)

    return _each(a, one)[0]


def qr(a):
    """q, with orthonormal columns, and an upper triangular r with q @ r = a."""
    a = _matrices(a, "a")

    def one(matrix):
        m, n = matrix.shape
        k = min(m, n)
        factors, tau = _columns(matrix), numpy.empty(k, matrix.dtype)
        _work("geqrf", matrix.dtype, m, n, factors, max(1, m), tau)
        r = numpy.triu(factors[:k])
        q = _columns(factors[:, :k])
        _work("orgqr", matrix.dtype, m, k, k, q, max(1, m), tau)
        return q, r

    return _each(a, one)


def svd(a, full_matrices=True):
    """u, s, vh with u @ diag(s) @ vh = a; s falls."""
    a = _matrices(a, "a")

    def one(matrix):
        m, n = matrix.shape
        k = min(m, n)
        s = numpy.empty(k, matrix.dtype)
        u = numpy.empty((m, m if full_matrices else k), matrix.dtype, order="F")
        vh = numpy.empty((n if full_matrices else k, n), matrix.dtype, order="F")
        job = b"A" if full_matrices else b"S"
        if _svd(job, matrix, s, u, vh) > 0:
            raise LinAlgError("the singular values did not converge")
        return u, s, vh

    return _each(a, one)


def _svd(job, matrix, s, u, vh):
    m, n = matrix.shape
    work, copy = numpy.empty(1, matrix.dtype), _columns(matrix)
    integers = numpy.empty(8 * max(1, len(s)), numpy.int32)
    fixed = (job, m, n, copy, max(1, m), s, u, max(1, m), vh, max(1, vh.shape[0]))
    _call("gesdd", matrix.dtype, *fixed, work, -1, integers)
    size = max(1, int(work[0]))
    return _call("gesdd", matrix.dtype, *fixed, numpy.empty(size, matrix.dtype), size, integers)


def eigh(a):
    """Rising eigenvalues w of a symmetric a (its lower triangle is read), and eigenvectors in columns."""
    a = _matrices(a, "a", square=True)

    def one(matrix):
        n = matrix.shape[0]
        vectors, values = _columns(matrix), numpy.empty(n, matrix.dtype)
        work, integers = numpy.empty(1, matrix.dtype), numpy.empty(1, numpy.int32)
        fixed = (b"V", b"L", n, vectors, max(1, n), values)
        _call("syevd", matrix.dtype, *fixed, work, -1, integers, -1)
        n_work, n_integers = max(1, int(work[0])), max(1, int(integers[0]))
        work, integers = numpy.empty(n_work, matrix.dtype), numpy.empty(n_integers, numpy.int32)
        if _call("syevd", matrix.dtype, *fixed, work, n_work, integers, n_integers) > 0:
            raise LinAlgError("the eigenvalues did not converge")
        return values, vectors

    return _each(a, one)
