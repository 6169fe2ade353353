"""Operators called eagerly, and linear algebra, from one thread and from many."""

import numpy
import pytest
from crew import run_threads

import raddle
from raddle.ops import linalg

DTYPES = ["float32", "float64"]
SHAPES = [(1, 1), (5, 5), (3, 7, 7), (2, 3, 4, 4), (0, 4, 4)]


@pytest.fixture
def random():
    return numpy.random.default_rng(3)


def close(found, wanted):
    loose = found.dtype == numpy.float32
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    numpy.testing.assert_allclose(found, wanted, rtol=2e-3 if loose else 1e-8, atol=2e-3 if loose else 1e-8)


def test_operators_by_name(random):
    a, b = random.standard_normal((4, 5), "float32"), random.standard_normal((5, 3), "float32")
    numpy.testing.assert_allclose(raddle.ops.MatMul(a, b), a @ b, rtol=1e-5, atol=1e-5)
    numpy.testing.assert_array_equal(raddle.ops.Clip(a, None, numpy.float32(0)), numpy.minimum(a, 0))
    numpy.testing.assert_array_equal(raddle.ops.LeakyRelu(a, alpha=0), numpy.maximum(a, 0))
    values, places = raddle.ops.TopK(a, [2], axis=1)
    numpy.testing.assert_array_equal(values, -numpy.sort(-a, axis=1)[:, :2])
    numpy.testing.assert_array_equal(places, numpy.argsort(-a, axis=1)[:, :2])
    halves = raddle.ops.Split(a, num_outputs=2, axis=0)
    numpy.testing.assert_array_equal(numpy.concatenate(halves), a)
    numpy.testing.assert_array_equal(raddle.ops.Reshape(a, [5, 4]), a.reshape(5, 4))
    assert raddle.ops.Conv(a[None, None], b[None, None, :2]).shape == (1, 1, 3, 3)
    assert raddle.ops.call("Relu", a, opset=13).shape == a.shape
    numpy.testing.assert_array_equal(raddle.ops.call("Abs", a, device="sim"), abs(a))
    assert "convolution" in raddle.ops.Conv.__doc__.lower() and "Conv" in dir(raddle.ops)


def test_what_is_not_there_is_named(random):
    a = random.standard_normal((2, 2), "float32")
    with pytest.raises(AttributeError, match="no operator 'Nope'"):
        raddle.ops.Nope(a)
    with pytest.raises(TypeError, match="Relu has no attribute 'foo'; it has none"):
        raddle.ops.Relu(a, foo=1)
    with pytest.raises(raddle.ModelError, match="Relu.*2 inputs"):
        raddle.ops.Relu(a, a)
    with pytest.raises(TypeError, match="complex128"):
        raddle.ops.Relu(a.astype(complex))


def test_operators_from_many_threads(random):
    """Threads share the models that calls compile; each has data and shapes of its own."""
    cases = [random.standard_normal((n + 1, 6), "float32") for n in range(12)]
    wanted = [(numpy.maximum(x, 0), x.T) for x in cases]
    wrong = []

    def serve(n):
        for _ in range(30):
            found = raddle.ops.Relu(cases[n]), raddle.ops.Transpose(cases[n], perm=[1, 0])
            if not all(map(numpy.array_equal, found, wanted[n])):
                wrong.append(n)

    run_threads(12, serve)
    assert not wrong


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_square_matrices(random, dtype, shape):
    a = random.standard_normal(shape).astype(dtype)
    b = random.standard_normal((*shape[:-1], 3)).astype(dtype)
    close(linalg.solve(a, b), numpy.linalg.solve(a, b))
    close(linalg.inv(a), numpy.linalg.inv(a))
    close(numpy.asarray(linalg.det(a)), numpy.asarray(numpy.linalg.det(a)))
    positive = a @ a.swapaxes(-1, -2) + numpy.eye(shape[-1], dtype=dtype)
    close(linalg.cholesky(positive), numpy.linalg.cholesky(positive))
    values, vectors = linalg.eigh(positive)
    close(values, numpy.linalg.eigvalsh(positive))
    close(vectors * values[..., None, :] @ vectors.swapaxes(-1, -2), positive)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (4, 2), (2, 5), (3, 2, 6), (1, 4)], ids=str)
def test_factorisations(random, dtype, shape):
    a = random.standard_normal(shape).astype(dtype)
    k = min(shape[-2:])
    for full in (True, False):
        u, s, vh = linalg.svd(a, full_matrices=full)
        wanted = numpy.linalg.svd(a, full_matrices=full)
        assert (u.shape, vh.shape) == (wanted[0].shape, wanted[2].shape)
        close(s, wanted[1])
        close(u[..., :k] * s[..., None, :] @ vh[..., :k, :], a)
    q, r = linalg.qr(a)
    close(q @ r, a)
    close(q.swapaxes(-1, -2) @ q, numpy.broadcast_to(numpy.eye(k, dtype=dtype), (*shape[:-2], k, k)))


def test_linear_algebra_says_what_is_wrong():
    with pytest.raises(linalg.LinAlgError, match="singular"):
        linalg.inv(numpy.zeros((2, 2)))
    with pytest.raises(linalg.LinAlgError, match="positive definite"):
        linalg.cholesky(-numpy.eye(2))
    with pytest.raises(linalg.LinAlgError, match="2 x 3"):
        linalg.solve(numpy.zeros((2, 3)), numpy.ones(2))
    with pytest.raises(linalg.LinAlgError, match="1 dimensions"):
        linalg.inv(numpy.zeros(3))
    with pytest.raises(linalg.LinAlgError, match="3 x 3, and b has 2 rows"):
        linalg.solve(numpy.eye(3), numpy.ones(2))
    with pytest.raises(TypeError, match="complex128"):
        linalg.inv(numpy.zeros((2, 2), complex))
    assert numpy.allclose(linalg.solve(numpy.eye(3) * 2, numpy.ones(3)), 0.5)
    assert linalg.det([[2, 0], [0, 3]]) == pytest.approx(6)


def test_linear_algebra_from_many_threads(random):
    """Sizes at which OpenBLAS shares buffers among callers in its build without locks, which is found by this."""
    cases = [random.standard_normal((192, 192)) + 192 * numpy.eye(192) for _ in range(8)]
    wanted = [linalg.inv(a) for a in cases]
    wrong = []

    def serve(n):
        for _ in range(20):
            if not numpy.array_equal(linalg.inv(cases[n]), wanted[n]):
                wrong.append(n)

    run_threads(8, serve)
    assert not wrong
