"""wheel.py SOURCE: `pip install .` in an environment of its own, then a program of ten lines and the command.

Prints TAP. The wheel must be for all CPython from 3.11 on, and must bring the command.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

PROGRAM = """
import concurrent.futures, sys, numpy, raddle
model = raddle.load(sys.argv[1])
def probability(chunk):
    state = numpy.zeros((2, 1, 128), "float32")
    return model.run({"input": chunk, "state": state, "sr": 16000})[0].item()
chunks = [0.05 * numpy.random.default_rng(i).standard_normal((1, 512), "float32") for i in range(64)]
alone = list(map(probability, chunks))
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert list(pool.map(probability, chunks)) == alone and len(set(alone)) > 32
"""


def run(*command, **more):
    done = subprocess.run(
        [str(part) for part in command],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **more,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


class Environment:
    def __init__(self, source, folder):
        self.source, self.folder = source, folder
        venv.create(folder / "env", with_pip=True)
        self.python = folder / "env" / "bin" / "python"
        self.silero = source / ".cache" / "models" / "silero_vad.onnx"

    def installs(self):
        # A copy, as a newcomer has it: no builds lie in it.
        shutil.copytree(self.source, self.folder / "source", ignore=shutil.ignore_patterns("build", ".*"))
        pip = (self.python, "-m", "pip", "--disable-pip-version-check", "-q")
        run(*pip, "wheel", "--no-deps", "-w", self.folder / "wheels", ".", cwd=self.folder / "source")
        (wheel,) = (self.folder / "wheels").iterdir()
        if "-cp311-abi3-" not in wheel.name:
            raise RuntimeError(f"{wheel.name} is not for all CPython from 3.11 on")
        run(*pip, "install", wheel)

    def silero_runs_from_eight_threads(self):
        run(self.python, "-c", PROGRAM, self.silero, cwd=self.folder)

    def the_command_is_there(self):
        version = run(self.python, "-c", "import raddle; print(raddle.__version__)", cwd=self.folder)
        for command in ([self.python, "-m", "raddle"], [self.folder / "env" / "bin" / "raddle"]):
            if version.strip() not in run(*command, "--version", cwd=self.folder):
                raise RuntimeError(f"{command} tells another version than {version}")
            run(
                *command,
                "run",
                self.silero.with_name("ppocr_cls.onnx"),
                "--shape",
                "x=1x3x48x192",
                cwd=self.folder,
            )

    def torch_finds_the_backend(self):
        said = run(
            self.python,
            "-c",
            "import importlib.metadata as m\n"
            "print([e.value for e in m.entry_points(group='torch_dynamo_backends')])",
            cwd=self.folder,
        )
        if "raddle.torch:backend" not in said:
            raise RuntimeError(said)


def main():
    source = pathlib.Path(sys.argv[1])
    cases = ["installs", "silero_runs_from_eight_threads", "the_command_is_there", "torch_finds_the_backend"]
    failed = False
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(source, pathlib.Path(folder))
        for number, name in enumerate(cases, 1):
            try:
                getattr(environment, name)()
                print(f"ok {number} - {name}", flush=True)
            except RuntimeError as error:
                failed = True
                print("\n".join("# " + line for line in str(error).splitlines()))
                print(f"not ok {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
