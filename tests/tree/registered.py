#!/usr/bin/env python3
"""registered.py ROOT: no source or test file lies in the tree without the build naming it."""

import pathlib
import re
import sys


def named(root, path):
    """Does a meson.build in the file's folder, or in one above it, name the file?"""
    folder = path.parent
    while True:
        build = folder / "meson.build"
        if build.exists():
            text = build.read_text()
            relative = str(path.relative_to(folder))
            stem = relative.removesuffix(path.suffix)
            for name in (relative, stem, stem.removesuffix("_test")):
                if re.search(rf"['/]{re.escape(name)}'", text):
                    return True
        if folder == root:
            return False
        folder = folder.parent


def main():
    root = pathlib.Path(sys.argv[1])
    files = [
        path
        for top in ("src", "python", "tests", "bench", "examples")
        for path in (root / top).rglob("*.c")
    ]
    files += (root / "include").rglob("*.h")
    lost = sorted(str(path.relative_to(root)) for path in files if not named(root, path))
    for path in lost:
        print(f"# {path}: no meson.build names it")
    print("1..1")
    print("not ok 1 - every_file_is_built" if lost else "ok 1 - every_file_is_built")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
