#!/usr/bin/env python3
"""Every C example of README.md is a file of examples/, word for word, which the tests build and run;
and every file that README.md and docs/ name by a link or in the source tour exists."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
failures = []
examples = {path.read_text().strip() for path in (root / "examples").glob("*.c")}
readme = (root / "README.md").read_text()
blocks = re.findall(r"```c\n(.*?)```", readme, re.S)
if not blocks:
    failures.append("README.md has no C example")
for block in blocks:
    if block.strip() not in examples:
        failures.append("a C example of README.md is no file of examples/")
for page in [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        if not (page.parent / target).exists():
            failures.append(f"{page.name} links to {target}, which does not exist")
for name in re.findall(r"`((?:src|include)/[\w./-]+)`", readme):
    if not (root / name).exists():
        failures.append(f"README.md names {name}, which does not exist")
print("1..1")
for failure in failures:
    print("#", failure)
print("not ok 1 - examples_checker" if failures else "ok 1 - examples_checker")
sys.exit(bool(failures))
