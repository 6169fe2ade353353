#!/usr/bin/env python3
"""install.py BUILD SOURCE CONSUMER: install into an empty folder and build programs against that.

The folder stands elsewhere than the prefix says, so this also shows that what is installed can be
moved. Every example is compiled, and CONSUMER is run, through pkg-config (C and
C++) and through CMake.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CMAKE = """\
cmake_minimum_required(VERSION 3.13)
project(consumer C)
find_package(raddle 0.1 REQUIRED)
find_package(Threads REQUIRED)
foreach(source ${SOURCES})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE raddle::raddle Threads::Threads m)
endforeach()
find_package(raddle 0.9 QUIET CONFIG)
if(raddle_FOUND)
  message(FATAL_ERROR "0.1 passed for 0.9")
endif()
"""


def run(*command, **more):
    done = subprocess.run(
        [str(part) for part in command],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


class Installed:
    def __init__(self, build, source, consumer, folder):
        self.build, self.source, self.folder = build, source, folder
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", folder / "root")
        files = [path for path in (folder / "root").rglob("*") if not path.is_dir()]
        self.pc = next(path for path in files if path.name == "raddle.pc")
        self.cmake = next(path for path in files if path.name == "raddleConfig.cmake")
        self.library = next(path for path in files if path.name == "libraddle.so")
        self.files = files
        self.names = {path.name for path in files}
        self.env = dict(
            os.environ,
            PKG_CONFIG_PATH=str(self.pc.parent),
            LD_LIBRARY_PATH=str(self.library.parent),
        )
        # An example that needs a library of others is built by the build alone.
        examples = sorted((source / "examples").glob("*.c"))
        examples = [path for path in examples if "<png.h>" not in path.read_text()]
        self.sources = [consumer, *examples]

    def public_headers_are_installed(self):
        headers = {path.name for path in (self.source / "include" / "raddle").glob("*.h")}
        missing = headers - self.names
        if missing:
            raise RuntimeError(f"not installed: {', '.join(sorted(missing))}")

    def nothing_internal_is_installed(self):
        ends = (".a", "_test")
        strays = [name for name in self.names if name.endswith(ends) or "internal" in name]
        if strays:
            raise RuntimeError(f"installed: {', '.join(sorted(strays))}")

    def page_and_completions_are_installed(self):
        missing = {"raddle.1", "_raddle"} - self.names
        if missing or not any("bash-completion" in str(path) for path in self.files):
            raise RuntimeError(f"not installed: {', '.join(sorted(missing)) or 'bash completion'}")

    def pkg_config_builds_c(self):
        flags = run("pkg-config", "--cflags", "--libs", "raddle", env=self.env).split()
        for source in self.sources:
            program = self.folder / f"pc_{source.stem}"
            run("gcc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", program,
                source, *flags, "-lm", "-lpthread", env=self.env)
        run(self.folder / "pc_consumer", env=self.env)

    def pkg_config_builds_uninstalled(self):
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.build / "meson-uninstalled"),
                   LD_LIBRARY_PATH=str(self.build / "src"))
        flags = run("pkg-config", "--cflags", "--libs", "raddle", env=env).split()
        program = self.folder / "uninstalled_consumer"
        run("gcc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", program,
            self.sources[0], *flags, env=env)
        run(program, env=env)

    def pkg_config_builds_cpp(self):
        flags = run("pkg-config", "--cflags", "--libs", "raddle", env=self.env).split()
        program = self.folder / "pc_cpp"
        run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-x", "c++", "-o", program,
            self.sources[0], *flags, env=self.env)
        run(program, env=self.env)

    def cmake_builds_c(self):
        project = self.folder / "project"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(CMAKE)
        sources = ";".join(map(str, self.sources))
        run("cmake", "-S", project, "-B", project / "out", f"-DSOURCES={sources}",
            f"-Draddle_DIR={self.cmake.parent}", "-DCMAKE_C_STANDARD=17",
            "-DCMAKE_C_FLAGS=-D_GNU_SOURCE", env=self.env)
        run("cmake", "--build", project / "out", env=self.env)
        run(project / "out" / "consumer", env=self.env)


def main():
    build, source, consumer = (pathlib.Path(argument) for argument in sys.argv[1:])
    for tool in ("pkg-config", "cmake", "gcc", "g++"):
        if not shutil.which(tool):
            print(f"SKIP: {tool} is not here")
            return 77
    cases = [
        "public_headers_are_installed",
        "nothing_internal_is_installed",
        "page_and_completions_are_installed",
        "pkg_config_builds_c",
        "pkg_config_builds_uninstalled",
        "pkg_config_builds_cpp",
        "cmake_builds_c",
    ]
    failed = False
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(build, source, consumer, pathlib.Path(folder))
        for number, name in enumerate(cases, 1):
            try:
                getattr(installed, name)()
                print(f"ok {number} - {name}")
            except RuntimeError as error:
                failed = True
                print("\n".join("# " + line for line in str(error).splitlines()))
                print(f"not ok {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
