#!/usr/bin/env python3
"""headers.py INCLUDE CC CXX HEADER...: each public header alone is valid C11, C17 and C++17."""

import subprocess
import sys


def main():
    include, c_compiler, cpp_compiler, *headers = sys.argv[1:]
    languages = [
        ("c11", c_compiler, ["-x", "c", "-std=c11", "-Wstrict-prototypes"]),
        ("c17", c_compiler, ["-x", "c", "-std=c17", "-Wstrict-prototypes"]),
        ("cpp17", cpp_compiler, ["-x", "c++", "-std=c++17"]),
    ]
    warnings = ["-pedantic", "-Wall", "-Wextra", "-Wundef", "-Werror", "-fsyntax-only"]
    print(f"1..{len(headers) * len(languages)}")
    number, failed = 0, False
    for header in headers:
        # Twice: a header guards itself.
        source = f'#include "raddle/{header}"\n' * 2 + "int main(void) { return 0; }\n"
        for language, compiler, flags in languages:
            number += 1
            done = subprocess.run(
                [*compiler.split(), *flags, *warnings, "-I", include, "-"],
                input=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            name = f"{header.removesuffix('.h')}_{language}"
            if done.returncode:
                failed = True
                print("\n".join("# " + line for line in done.stdout.splitlines()))
            print(f"{'not ok' if done.returncode else 'ok'} {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
