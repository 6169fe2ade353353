#!/usr/bin/env python3
"""probe.py BUILD LOCKED UNLOCKED: the lock checker is on in this build and works.

Both files are compiled with the very flags that the library's own files get, so a flag that was
dropped from the build, or annotations that no longer say anything, fail this test.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys


def library_flags(build):
    """The compile command of a file of src/os, less its input and outputs."""
    entries = json.loads((build / "compile_commands.json").read_text())
    entry = next(one for one in entries if one["file"].endswith("src/os/lock.c"))
    words = shlex.split(entry["command"])
    flags, skip = [], False
    for word in words:
        if skip or word == entry["file"] or word in ("-c", "-MD"):
            skip = False
        elif word in ("-o", "-MQ", "-MF"):
            skip = True
        else:
            flags.append(word)
    return entry["directory"], flags


def main():
    build, locked, unlocked = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    folder, flags = library_flags(build)

    def compile_file(source):
        done = subprocess.run(
            [*flags, "-fno-color-diagnostics", "-fsyntax-only", source],
            cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        return done.returncode, done.stdout

    status, said = compile_file(locked)
    cases = [("locked_code_passes", status == 0, said)]
    status, said = compile_file(unlocked)
    functions = [line for line in pathlib.Path(unlocked).read_text().splitlines()]
    hit = set()
    for number in re.findall(r":(\d+):\d+: error: .*thread-safety", said):
        above = [re.match(r"\w+ (probe_\w+)\(", line) for line in functions[: int(number)]]
        hit.add(next(match[1] for match in reversed(above) if match))
    for name in ("probe_reads", "probe_calls", "probe_keeps", "probe_takes_twice"):
        cases.append((f"{name}_refused", status != 0 and name in hit, said))
    print(f"1..{len(cases)}")
    failed = False
    for number, (name, good, said) in enumerate(cases, 1):
        if not good:
            failed = True
            print("\n".join("# " + line for line in said.splitlines()))
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
