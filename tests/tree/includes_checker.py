#!/usr/bin/env python3
"""includes_checker.py CHECKER: the include check finds what it must and nothing else."""

import pathlib
import subprocess
import sys
import tempfile

RULES = """\
# comment
room base:
room os: base
room cli:
word \\bpthread_\\w+: os
word <stdatomic\\.h>: os
word \\bexit\\s*\\(: cli
"""
CASES = [
    ("own_room_passes", "base/a.c", '#include "base/b.h"\n', None),
    ("room_above_passes", "os/a.c", '#include "base/b.h"\n#include <stdio.h>\n', None),
    ("room_below_fails", "base/a.c", '#include "os/lock.h"\n', "base may not include from os"),
    ("unlisted_room_fails", "attic/a.c", "int a;\n", "room attic is not in ROOMS"),
    ("bare_name_fails", "os/a.c", '#include "lock.h"\n', 'as "room/file.h"'),
    ("cli_internal_fails", "cli/a.c", '#include "base/b.h"\n', "cli may not include from base"),
    ("word_fails", "base/a.c", "int x = pthread_self();\n", "base may not name pthread_self"),
    ("word_in_its_room_passes", "os/a.c", "int x = pthread_self();\n", None),
    ("word_in_comment_passes", "base/a.c", "/* pthread_self */ // pthread_self\n", None),
    ("word_in_string_passes", "base/a.c", 'char *s = "/*"; char *t = "pthread_self";\n', None),
    ("word_after_string_fails", "base/a.c", 'char *s = "/*"; pthread_self();\n', "pthread_self"),
    ("system_header_fails", "base/a.c", "#include <stdatomic.h>\n", "<stdatomic.h>"),
    ("include_in_comment_passes", "base/a.c", '/*\n#include "os/lock.h"\n*/\n', None),
    ("word_inside_another_passes", "base/a.c", "int at_exit_count(void);\n", None),
    ("missing_public_header_fails", "base/a.c", '#include "raddle/no.h"\n', "no public header"),
]


def main():
    checker = sys.argv[1]
    failed = False
    print(f"1..{len(CASES)}")
    for number, (name, path, text, wanted) in enumerate(CASES, 1):
        with tempfile.TemporaryDirectory() as folder:
            src = pathlib.Path(folder) / "src"
            file = src / path
            file.parent.mkdir(parents=True)
            (src / "ROOMS").write_text(RULES)
            file.write_text(text)
            done = subprocess.run(
                [sys.executable, checker, str(src)], text=True, stdout=subprocess.PIPE
            )
        good = (
            done.returncode == 0
            if wanted is None
            else done.returncode == 1 and wanted in done.stdout
        )
        if not good:
            failed = True
            print("\n".join("# " + line for line in done.stdout.splitlines()))
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
