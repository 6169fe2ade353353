"""Models from Python: what goes in, what comes out, and what is said of mistakes."""

import array
import pathlib
import pickle
import subprocess
import sys
import sysconfig
import threading

import numpy
import pytest

import raddle

MODELS = pathlib.Path(__file__).parents[2] / ".cache" / "models"


@pytest.fixture(scope="module", params=["cpu", "sim"])
def linear(request):
    return raddle.load(MODELS / "linear_8x8.onnx", request.param)


@pytest.fixture
def x():
    return numpy.random.default_rng(7).standard_normal((5, 8), "float32")


def test_a_path_and_bytes_load_the_same(x):
    path = MODELS / "linear_8x8.onnx"
    wanted = raddle.load(path)(x)
    for source in (str(path), path.read_bytes(), memoryview(path.read_bytes()), bytearray(path.read_bytes())):
        assert numpy.array_equal(raddle.load(source)(x), wanted)


def test_inputs_go_by_place_and_by_name(linear, x):
    wanted = linear(x)
    assert wanted.shape == (5, 8) and wanted.dtype == numpy.float32
    assert numpy.array_equal(linear(x=x), wanted)
    for feeds in ({"x": x}, [x], (x,)):
        (found,) = linear.run(feeds)
        assert numpy.array_equal(found, wanted)
    (found,) = linear.run({"x": x}, outputs=["y"])
    assert numpy.array_equal(found, wanted)


def test_a_result_is_the_callers_own(linear, x):
    first = linear(x)
    kept = first.copy()
    first[:] = 0
    assert numpy.array_equal(linear(x), kept)
    second = linear(x)
    linear(-x)
    assert numpy.array_equal(second, kept)


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x.tolist(),
        lambda x: memoryview(x),
        lambda x: numpy.asfortranarray(x),
        lambda x: numpy.repeat(x, 2, axis=0)[::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.astype(">f4"),
        lambda x: numpy.frombuffer(b"\0" + x.tobytes(), "uint8")[1:].view("float32").reshape(x.shape),
        lambda x: _DlpackOnly(x),
    ],
    ids=["list", "memoryview", "fortran", "strided", "reversed", "big-endian", "misaligned", "dlpack"],
)
def test_any_array_is_read(linear, x, given):
    assert numpy.array_equal(linear(given(x)), linear(x))


class _DlpackOnly:
    """What lends its memory by DLPack alone, as PyTorch's tensors do."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def test_a_flat_buffer_of_the_standard_library():
    identity = raddle.ops.Identity
    assert identity(array.array("i", [1, 2, 3])).tolist() == [1, 2, 3]
    assert identity(array.array("B", [97, 98])).tolist() == [97, 98]


@pytest.mark.parametrize(
    "dtype",
    "float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split(),
)
def test_every_data_type_goes_through(dtype):
    given = numpy.arange(12).reshape(3, 4).astype(dtype)
    for value in (given, given[0], given[1, 1:], given[2, 2], given[:0]):
        found = raddle.ops.Identity(value)
        assert found.dtype == given.dtype and numpy.array_equal(found, value)


def test_bfloat16_comes_as_a_tensor(x):
    found = raddle.ops.Cast(x, to=16)
    assert isinstance(found, raddle.Tensor) and found.dtype == "bfloat16" and found.shape == x.shape
    back = raddle.ops.Cast(found, to=1)
    assert numpy.allclose(back, x, rtol=1e-2) and not numpy.array_equal(back, x)
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(found)


def test_outputs_go_where_the_caller_says(linear, x):
    wanted, out = linear(x), numpy.zeros((5, 8), "float32")
    assert linear(x, out=out) is out and numpy.array_equal(out, wanted)
    for given in ([out], {"y": out}):
        out[:] = 0
        assert linear.run([x], out=given)[0] is out and numpy.array_equal(out, wanted)


@pytest.mark.parametrize(
    "out, error, said",
    [
        (lambda: numpy.zeros((4, 8), "float32"), raddle.BufferSizeError, 'output "y"'),
        (lambda: numpy.zeros((8, 5), "float32"), raddle.ShapeError, r"shape \[5, 8\].*\[8, 5\]"),
        (lambda: numpy.zeros((5, 8)), (raddle.ShapeError, raddle.ArgumentError), "y"),
        (lambda: numpy.zeros((5, 16), "float32")[:, ::2], (raddle.Error, TypeError), "y"),
        (lambda: _read_only((5, 8)), TypeError, "'y'.*(read-only|not writ)"),
        (lambda: 3, TypeError, "'y'.*int lends no memory"),
    ],
    ids=["small", "shape", "dtype", "strides", "read-only", "number"],
)
def test_an_output_that_does_not_fit(linear, x, out, error, said):
    with pytest.raises(error, match=said):
        linear(x, out=out())


def _read_only(shape):
    array = numpy.zeros(shape, "float32")
    array.setflags(write=False)
    return array


def test_mistakes_are_named(linear, x):
    with pytest.raises(TypeError, match="'x' is missing"):
        linear()
    with pytest.raises(TypeError, match="takes 1 inputs, not 2"):
        linear(x, x)
    with pytest.raises(TypeError, match="no input 'z'; its inputs are 'x'"):
        linear(z=x)
    with pytest.raises(TypeError, match="'x' is given twice"):
        linear(x, x=x)
    with pytest.raises(TypeError, match="no output 'z'; its outputs are 'y'"):
        linear.run([x], ["z"])
    with pytest.raises(raddle.ShapeError, match='input "x": dtype f64 given, f32 expected') as caught:
        linear(x.astype("float64"))
    assert caught.value.status == "RDL_ERR_SHAPE" and isinstance(caught.value, ValueError)
    with pytest.raises(raddle.ShapeError, match=r'input "x": shape \[5, 7\] given'):
        linear(x[:, :7])
    with pytest.raises(raddle.ShapeError, match="'x': rank 9 is above 8"):
        linear(numpy.zeros((1,) * 9, "float32"))
    with pytest.raises(TypeError, match="'x'.*complex64"):
        linear(x.astype("complex64"))
    with pytest.raises(TypeError, match="'x'.*dict"):
        linear({})
    with pytest.raises(TypeError, match="feeds is a dict or a sequence"):
        linear.run(x)


def test_files_that_cannot_be_loaded(tmp_path):
    with pytest.raises(raddle.FileError, match="nothing.onnx.*No such file") as caught:
        raddle.load(tmp_path / "nothing.onnx")
    assert isinstance(caught.value, OSError)
    with pytest.raises(raddle.ModelError):
        raddle.load(b"no model")
    with pytest.raises(raddle.NotFoundError, match='no device "gpu"'):
        raddle.load(MODELS / "linear_8x8.onnx", "gpu")
    with pytest.raises(raddle.DeadlineError):
        raddle.load(MODELS / "ppocr_rec.onnx", timeout=0)
    with pytest.raises(TypeError):
        raddle.load(3)


def test_a_model_tells_of_itself():
    model = raddle.load(MODELS / "ppocr_rec.onnx")
    (port,) = model.inputs
    assert (port.name, port.dtype, port.kind) == ("x", "float32", "tensor")
    assert len(port.shape) == 4 and port.shape[1] == 3
    assert "character" in model.custom_metadata and "producer" not in model.custom_metadata
    assert set(model.custom_metadata) < set(model.metadata)
    assert 0 < model.compiled_node_count < model.node_count and model.weight_bytes > 1e6


def test_a_closed_model_says_so(x):
    with raddle.load(MODELS / "linear_8x8.onnx") as model:
        model(x)
    with pytest.raises(raddle.ClosedError):
        model(x)
    model.close()


def test_a_model_is_not_pickled(linear):
    for thing in (linear, raddle.Device(), raddle.Event()):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(thing)


def test_warm_up_compiles_the_plan(x):
    model = raddle.load(MODELS / "linear_8x8.onnx")
    model.warm_up({"x": (5, 8)}, lanes=2)
    assert model.stats()["plans_compiled"] == 1
    model(x)
    assert model.stats()["plans_compiled"] == 1
    with pytest.raises(raddle.ShapeError):
        model.warm_up([(5, 9)])


def test_the_lock_is_given_up_while_a_model_computes():
    """A counting thread goes on while another is inside one long call."""
    model, stop, inside = raddle.load(MODELS / "ppocr_det.onnx"), threading.Event(), []
    image = numpy.zeros((1, 3, 640, 640), "float32")
    model(image)
    counted = 0

    def call():
        inside.append(True)
        model(image)
        stop.set()

    thread = threading.Thread(target=call)
    thread.start()
    while not inside:
        pass
    while not stop.is_set():
        counted += 1
    thread.join()
    # With the lock held during the call the loop would run only before it and after it.
    assert counted > 10000


def test_a_device_of_ones_own(x):
    with raddle.Device("cpu", lanes=3, memory_limit=64 << 20) as device:
        info = device.info()
        assert info["lanes"] == 3 and info["memory_limit_bytes"] == 64 << 20
        model = raddle.load(MODELS / "linear_8x8.onnx", device)
        wanted = model(x)
    with pytest.raises(raddle.ClosedError):
        model(x)
    assert numpy.array_equal(raddle.load(MODELS / "linear_8x8.onnx")(x), wanted)
    with pytest.raises(TypeError, match="no option 'seed'"):
        raddle.Device("cpu", seed=1)
    with pytest.raises(raddle.StateError, match="shared"):
        raddle.Device("cpu").close()


def test_memory_is_told_under_pytorchs_names():
    device = raddle.Device("sim", memory_limit=32 << 20)
    model = raddle.load(MODELS / "mlp_784_512_512_10.onnx", device)
    model(numpy.zeros((16, 784), "float32"))
    stats = raddle.memory_stats(device)
    assert stats["allocated_bytes.all.current"] == raddle.memory_allocated(device) > 0
    assert raddle.memory_reserved(device) >= raddle.memory_allocated(device)
    assert raddle.max_memory_allocated(device) >= raddle.memory_allocated(device)
    assert raddle.max_memory_reserved(device) >= raddle.memory_reserved(device)
    before = raddle.memory_reserved(device)
    freed = raddle.empty_cache(device)
    assert raddle.memory_reserved(device) == before - freed
    raddle.set_memory_limit(raddle.memory_reserved(device) + 4096, device)
    with pytest.raises(raddle.OutOfMemoryError) as caught:
        model.run([numpy.zeros((20000, 784), "float32")], timeout=0.05)
    assert isinstance(caught.value, MemoryError)
    raddle.set_memory_limit(None, device)
    assert model(numpy.zeros((20000, 784), "float32")).shape == (20000, 10)


def test_knobs_and_version():
    assert raddle.__version__.count(".") == 2
    assert {"isa", "worker_threads"} <= set(raddle.knobs())


def test_import_leaves_the_global_lock_as_it_is():
    """A free-threaded interpreter takes its lock back when an extension does not say that it needs none."""
    say = "import sys, raddle; print(getattr(sys, '_is_gil_enabled', lambda: True)())"
    said = subprocess.run([sys.executable, "-c", say], text=True, stdout=subprocess.PIPE, check=True).stdout
    assert said.strip() == str(not sysconfig.get_config_var("Py_GIL_DISABLED"))
