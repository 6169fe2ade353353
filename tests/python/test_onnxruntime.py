"""onnxruntime's interface over Raddle, beside onnxruntime itself."""

import pathlib
import subprocess
import sys
import threading
import warnings

import numpy
import onnxruntime
import pytest
from crew import run_threads

from raddle import onnxruntime as door

MODELS = pathlib.Path(__file__).parents[2] / ".cache" / "models"
SILERO = MODELS / "silero_vad.onnx"
DOORS = pytest.mark.parametrize("ort", [door, onnxruntime], ids=["raddle", "onnxruntime"])


@pytest.fixture
def feed():
    random = numpy.random.default_rng(5)
    return {
        "input": 0.1 * random.standard_normal((2, 512), "float32"),
        "state": numpy.zeros((2, 2, 128), "float32"),
        "sr": numpy.array(16000, "int64"),
    }


def close(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@DOORS
def test_run(ort, feed):
    session = ort.InferenceSession(str(SILERO))
    wanted = onnxruntime.InferenceSession(str(SILERO)).run(None, feed)
    close(session.run(None, feed), wanted)
    close(session.run([], feed), wanted)
    close(session.run(["stateN"], feed), wanted[1:])
    close(session.run(["stateN", "output"], feed), wanted[::-1])
    close(ort.InferenceSession(SILERO.read_bytes()).run(None, feed), wanted)
    close(session.run(None, {**feed, "input": feed["input"].tolist()}), wanted)


@DOORS
def test_a_session_tells_of_itself(ort):
    for name in ("silero_vad", "ppocr_rec", "magika"):
        session, theirs = (
            module.InferenceSession(str(MODELS / f"{name}.onnx")) for module in (ort, onnxruntime)
        )
        for ports, wanted in (
            (session.get_inputs(), theirs.get_inputs()),
            (session.get_outputs(), theirs.get_outputs()),
        ):
            assert [(p.name, p.type, len(p.shape)) for p in ports] == [
                (p.name, p.type, len(p.shape)) for p in wanted
            ]
        ours = [list(port.shape) for port in session.get_inputs()]
        assert ours == [list(port.shape) for port in theirs.get_inputs()]
        meta, wanted = session.get_modelmeta(), theirs.get_modelmeta()
        assert meta.custom_metadata_map == wanted.custom_metadata_map
        assert (meta.producer_name, meta.graph_name) == (wanted.producer_name, wanted.graph_name)
    assert session.get_providers() == ["CPUExecutionProvider"] and ort.get_device() == "CPU"
    assert "CPUExecutionProvider" in ort.get_available_providers()


@DOORS
def test_errors_have_their_names(ort, feed, tmp_path):
    errors = ort.capi.onnxruntime_pybind11_state
    session = ort.InferenceSession(str(SILERO))
    with pytest.raises(ValueError, match="Required inputs.*missing"):
        session.run(None, {"input": feed["input"]})
    with pytest.raises(errors.InvalidArgument):
        session.run(None, {**feed, "input": feed["input"].astype("float64")})
    with pytest.raises(errors.InvalidArgument):
        session.run(None, {**feed, "state": feed["state"][:, :, :5]})
    with pytest.raises(errors.NoSuchFile):
        ort.InferenceSession(str(tmp_path / "nothing.onnx"))
    with pytest.raises(errors.InvalidProtobuf):
        ort.InferenceSession(b"no model")
    with pytest.raises(TypeError):
        ort.InferenceSession(3)


@DOORS
def test_run_async(ort, feed):
    session, ended, got = ort.InferenceSession(str(SILERO)), threading.Event(), []

    def callback(outputs, user_data, error):
        got.append((outputs, user_data, error))
        ended.set()

    session.run_async(["output"], feed, callback, "mine")
    assert ended.wait(20)
    (outputs, user_data, error) = got[0]
    assert user_data == "mine" and not error
    close(outputs, session.run(["output"], feed))


@DOORS
def test_ort_values_and_bindings(ort, feed):
    session = ort.InferenceSession(str(SILERO))
    wanted = session.run(None, feed)
    values = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in feed.items()}
    state = values["state"]
    assert (state.shape(), state.data_type(), state.element_type()) == ([2, 2, 128], "tensor(float)", 1)
    assert state.has_value() and state.is_tensor() and state.device_name() == "cpu"
    found = session.run_with_ort_values(None, values)
    close([value.numpy() for value in found], wanted)

    binding = session.io_binding()
    binding.bind_cpu_input("input", feed["input"])
    binding.bind_ortvalue_input("state", state)
    binding.bind_input("sr", "cpu", 0, numpy.int64, [], feed["sr"].ctypes.data)
    out = numpy.zeros((2, 1), "float32")
    binding.bind_output("output", "cpu", 0, numpy.float32, [2, 1], out.ctypes.data)
    binding.bind_output("stateN", "cpu")
    session.run_with_iobinding(binding)
    close([out], wanted[:1])
    close(binding.copy_outputs_to_cpu(), wanted)
    close([binding.get_outputs()[1].numpy()], wanted[1:])


@DOORS
def test_terminate(ort, feed):
    options = ort.RunOptions()
    options.terminate = True
    with pytest.raises(Exception) as caught:
        ort.InferenceSession(str(SILERO)).run(None, feed, options)
    assert not isinstance(caught.value, (TypeError, AttributeError))


def test_an_option_without_meaning_says_so_once():
    door.options._told.clear()
    options = door.SessionOptions()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        options.graph_optimization_level = door.GraphOptimizationLevel.ORT_DISABLE_ALL
        assert not told
        for _ in range(3):
            options.enable_cpu_mem_arena = False
            options.intra_op_num_threads = 4
        door.InferenceSession(str(SILERO), options, providers=[("CPUExecutionProvider", {"foo": 1})])
    assert [one.category for one in told] == [door.OptionWarning] * 3
    assert "enable_cpu_mem_arena" in str(told[0].message)
    with pytest.raises(AttributeError, match="no option 'enable_foo'"):
        options.enable_foo = True


def test_options_with_meaning(feed):
    options = door.SessionOptions()
    options.graph_optimization_level = door.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain, fused = door.InferenceSession(str(SILERO), options), door.InferenceSession(str(SILERO))
    assert plain.raddle_model.compiled_node_count > fused.raddle_model.compiled_node_count
    close(plain.run(None, feed), fused.run(None, feed))
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        session = door.InferenceSession(str(SILERO), providers=["CUDAExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]
    sim = door.InferenceSession(str(SILERO), providers=[("CPUExecutionProvider", {"device": "sim"})])
    assert sim.raddle_model.device.name == "sim"
    close(sim.run(None, feed), fused.run(None, feed))


def test_install_answers_the_import():
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import raddle; raddle.onnxruntime.install(); import onnxruntime as ort\n"
            "from onnxruntime import InferenceSession, SessionOptions\n"
            "from onnxruntime.capi.onnxruntime_pybind11_state import NoSuchFile\n"
            "print(ort.__name__, InferenceSession.__module__)\n"
            "try: InferenceSession('nothing.onnx')\n"
            "except NoSuchFile: print('caught')\n",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["raddle.onnxruntime", "raddle.onnxruntime.session", "caught"]


def test_one_session_from_many_threads(feed):
    session, wrong = door.InferenceSession(str(SILERO)), []
    feeds = [{**feed, "input": feed["input"] * (1 + n)} for n in range(16)]
    wanted = [session.run(None, one) for one in feeds]

    def serve(n):
        for _ in range(10):
            if not all(map(numpy.array_equal, session.run(None, feeds[n]), wanted[n])):
                wrong.append(n)

    run_threads(16, serve)
    assert not wrong


@DOORS
def test_a_product_with_a_one_hot_matrix_is_the_row(ort):
    """Raddle reads the row instead; ids of no class, also those far away, give zeros."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = numpy.random.default_rng(7)
    table, bias = (random.standard_normal(shape, "float32") for shape in ((5, 9), (1, 1, 9)))
    constants = {"flat": numpy.array([-1, 6, 1]), "w": table, "bias": bias}
    constants["classes"] = numpy.arange(3, 8).reshape(1, 1, 5)
    nodes = [
        helper.make_node("Reshape", ["ids", "flat"], ["shaped"]),
        helper.make_node("Equal", ["shaped", "classes"], ["equal"]),
        helper.make_node("Cast", ["equal"], ["one_hot"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["one_hot", "w"], ["rows"]),
        helper.make_node("Add", ["bias", "rows"], ["moved"]),
        helper.make_node("Relu", ["moved"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one_hot",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 6, 9])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    ids = numpy.array([[3, 7, 4, 8, 2, 5], [-1, 2**62, -(2**63), 6, 6, 3]])
    rows = numpy.where(((ids >= 3) & (ids < 8))[..., None], table[numpy.clip(ids, 3, 7) - 3], 0)
    (found,) = ort.InferenceSession(model.SerializeToString()).run(None, {"ids": ids})
    assert numpy.array_equal(found, numpy.maximum(rows + bias, 0))
