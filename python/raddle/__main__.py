"""``python -m raddle``: the command raddle."""

import os
import pathlib
import shutil
import sys


def main():
    here = pathlib.Path(__file__).parent / "bin" / "raddle"
    command = str(here) if here.exists() else shutil.which("raddle")
    if command is None:
        sys.exit("raddle: this build of the package has no command")
    os.execv(command, ["raddle", *sys.argv[1:]])


if __name__ == "__main__":
    main()
