"""PyTorch's modules on Raddle. For an environment that has torch, onnxscript and the wheel (make test-torch)."""

import warnings

import pytest
import torch
from crew import run_threads
from torch import nn

import raddle
import raddle.torch


class Block(nn.Module):
    """Two convolutions beside a short cut, as in a ResNet."""

    def __init__(self, channels):
        super().__init__()
        self.a, self.b = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.c, self.d = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.d(self.b(torch.relu(self.c(self.a(x))))))


def mlp():
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def resnet():
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16),
        nn.MaxPool2d(2),
        Block(16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net


def encoder(norm_first=False):
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, norm_first=norm_first)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


NETS = {
    "mlp": (mlp, (32,)),
    "resnet": (resnet, (3, 32, 32)),
    "encoder": (encoder, (12, 64)),
    "encoder_norm_first": (lambda: encoder(True), (12, 64)),
}


@pytest.fixture(params=NETS)
def net(request):
    """A module in evaluation mode, and a function that makes an input of a batch."""
    torch.manual_seed(11)
    make, shape = NETS[request.param]
    yield make().eval(), lambda batch: torch.randn(batch, *shape)
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def inference():
    with torch.no_grad():
        yield


def near(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def from_threads(call, data, wanted):
    """Each of 8 threads has data of its own; each answer is near PyTorch's, and the bits of a call alone."""
    alone, wrong = [call(x).clone() for x in data], []

    def serve(n):
        with torch.no_grad():
            for _ in range(20):
                found = call(data[n])
                if not torch.equal(found, alone[n]):
                    wrong.append(n)

    run_threads(8, serve)
    assert not wrong
    for found, expected in zip(alone, wanted):
        near(found, expected)
    assert not torch.equal(alone[0], alone[1])


def test_compile(net):
    module, make = net
    compiled = torch.compile(module, backend="raddle")
    for batch in (1, 4, 7):
        x = make(batch)
        near(compiled(x), module(x))
    data = [make(4) for _ in range(8)]
    from_threads(compiled, data, [module(x) for x in data])


def test_from_torch(net):
    module, make = net
    batch = torch.export.Dim("batch")
    model = raddle.from_torch(module, (make(2),), dynamic_shapes=({0: batch},))
    for size in (1, 5):
        x = make(size)
        near(model(x), module(x))
    data = [make(3) for _ in range(8)]
    from_threads(model, data, [module(x) for x in data])
    with pytest.raises(TypeError, match="exported with 1 tensors, 2"):
        model(data[0], data[1])


def test_structures_of_outputs_are_kept():
    class Two(nn.Module):
        def forward(self, x, more):
            return {"sum": x + more[0], "parts": [x * 2, more[1]]}

    x = torch.randn(3, 4)
    model = raddle.from_torch(Two().eval(), (x, [x + 1, x + 2]))
    found = model(x, [x + 1, x + 2])
    near(found["sum"], x + x + 1)
    near(found["parts"][0], x * 2)
    near(found["parts"][1], x + 2)


def test_memory_is_shared():
    model = raddle.from_torch(mlp().eval(), (torch.randn(2, 32),))
    found = model(torch.randn(2, 32))
    kept = found.clone()
    for _ in range(20):
        model(torch.randn(2, 32))
    assert torch.equal(found, kept)


def test_a_change_of_parameters_is_seen():
    module = mlp().eval()
    compiled, x = torch.compile(module, backend="raddle"), torch.randn(3, 32)
    before = compiled(x).clone()
    module[0].weight.mul_(2)
    near(compiled(x), module(x))
    assert not torch.equal(compiled(x), before)


def test_what_cannot_be_done_is_said():
    module, x = mlp().eval(), torch.randn(3, 32)
    with torch.enable_grad(), pytest.raises(raddle.UnsupportedError, match="gradients"):
        torch.compile(module, backend="raddle")(x)
    with pytest.raises(raddle.ArgumentError, match="training mode"):
        raddle.from_torch(mlp().train(), (x,))

    def unknown(x):
        return torch.linalg.svdvals(x).sum() + 1

    with pytest.raises(raddle.UnsupportedError, match="aten._linalg_svd"):
        torch.compile(unknown, backend="raddle")(x)

    def writes(x):
        x.add_(1)
        return x * 2

    with pytest.raises(raddle.UnsupportedError, match="writes into its inputs"):
        torch.compile(writes, backend="raddle")(x)
    with pytest.raises(Exception, match="no option 'colour'"):  # in torch.compile's own exception
        torch.compile(unknown, backend="raddle", options={"colour": 1})(x)


def test_fallback():
    def unknown(x):
        return torch.linalg.svdvals(x).sum() + 1

    x = torch.randn(4, 4)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        compiled = torch.compile(unknown, backend="raddle", options={"fallback": True})
        for _ in range(3):
            near(compiled(x), unknown(x))
    told = [one for one in told if one.category is raddle.torch.FallbackWarning]
    assert len(told) == 1 and "aten._linalg_svd" in str(told[0].message)
    with torch.enable_grad():
        module = mlp().eval()
        compiled = torch.compile(module, backend="raddle", options={"fallback": True})
        compiled(torch.randn(2, 32)).sum().backward()
        assert module[0].weight.grad is not None


def test_silero_through_onnxruntimes_interface():
    """silero-vad's own wrapper, once over onnxruntime and once over Raddle."""
    import subprocess
    import sys

    program = (
        "import sys, torch\n"
        "if sys.argv[1] == 'raddle': import raddle; raddle.onnxruntime.install()\n"
        "from silero_vad import load_silero_vad, get_speech_timestamps\n"
        "model = load_silero_vad(onnx=True)\n"
        "torch.manual_seed(1)\n"
        "t = torch.arange(16000 * 4) / 16000\n"
        "voice = sum(torch.sin(2 * torch.pi * 130 * k * t) / k for k in range(1, 20))\n"
        "audio = 0.1 * voice * (torch.sin(2 * torch.pi * 3 * t) > 0) + 0.01 * torch.randn_like(t)\n"
        "for piece in audio.split(512):\n"
        "    if len(piece) == 512: print(model(piece, 16000).item())\n"
        "print(type(model.session).__module__, file=sys.stderr)\n"
    )

    def said(door):
        done = subprocess.run(
            [sys.executable, "-c", program, door], capture_output=True, text=True, check=True
        )
        return done.stderr.splitlines()[-1], [float(line) for line in done.stdout.splitlines()]

    (ours, found), (theirs, wanted) = said("raddle"), said("onnxruntime")
    assert ours.startswith("raddle.onnxruntime") and theirs.startswith("onnxruntime")
    assert len(found) == len(wanted) == 125 and max(wanted) > 2 * min(wanted)
    assert max(abs(a - b) for a, b in zip(found, wanted)) < 1e-4
