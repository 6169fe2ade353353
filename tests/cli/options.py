#!/usr/bin/env python3
"""options.py RADDLE PACKAGING: help, manual page and completions name the same commands and options."""

import pathlib
import re
import shutil
import subprocess
import sys

COMMANDS = ["run", "inspect", "bench", "doctor"]
ALWAYS = {"help", "usage", "version"}


def run(*command, **more):
    return subprocess.run(
        [str(part) for part in command], text=True, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **more,
    ).stdout


def help_options(raddle, command):
    """{long option: short option or None} as --help lists them."""
    listed = re.findall(r"^ +(?:-(\S), )?--([a-z-]+)", run(raddle, command, "--help"), re.M)
    return {long: short or None for short, long in listed}


def manual_sections(text):
    """{section: {long option: short option}} of the page."""
    sections = {}
    for part in re.split(r"^\.SH ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        found = re.findall(
            r"^\\fB\\-(\S)\\fR, \\fB\\-\\-([a-z\\-]+)\\fR", body, re.M,
        )
        sections[title] = {long.replace("\\", ""): short for short, long in found}
    return sections


def bash_options(script, command):
    """What bash itself offers behind `raddle COMMAND --`."""
    line = (
        f"source {script}; COMP_WORDS=(raddle {command} --); COMP_CWORD=2; _raddle; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return {word[2:] for word in run("bash", "--norc", "-c", line).split()}


def zsh_options(text, command):
    """Long options in the pieces that the command's case takes."""
    def named(piece):
        return set(re.findall(r"[{,']--([a-z-]+)=?[}\[]", piece))

    def group(name):
        return named(re.search(rf"^    {name}=\((.*?)^    \)", text, re.M | re.S).group(1))

    case = re.search(rf"^    {command}\)(.*?);;", text, re.M | re.S).group(1)
    options = named(case)
    for name in ("always", "common"):
        if f"${name}" in case:
            options |= group(name)
    return options


def compare(what, found, expected, faults):
    if found != expected:
        faults.append(
            f"{what}: too many: {sorted(found - expected)}, missing: {sorted(expected - found)}"
        )


def main():
    raddle, packaging = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    manual = manual_sections((packaging / "raddle.1").read_text())
    bash = packaging / "completion" / "raddle.bash"
    zsh = (packaging / "completion" / "_raddle").read_text()
    faults = []
    overview = run(raddle, "--help")
    listed = re.findall(r"^  ([a-z]+)(?: MODEL| \[COMMAND\])? {2,}\w", overview, re.M)
    compare("commands of --help", set(listed), {*COMMANDS, "help"}, faults)
    if run(raddle, "help") != overview:
        faults.append("`raddle help` and `raddle --help` differ")
    shared = set.intersection(*(set(help_options(raddle, one)) for one in COMMANDS[:3])) - ALWAYS
    compare("manual, common options", set(manual["COMMON OPTIONS"]), shared, faults)
    for command in COMMANDS:
        options = help_options(raddle, command)
        if len(options) <= len(ALWAYS):
            faults.append(f"{command}: --help lists no options")
        own = manual[command.upper()]
        taken = {**own, **(manual["COMMON OPTIONS"] if command != "doctor" else {})}
        compare(f"manual, {command}", set(taken), set(options) - ALWAYS, faults)
        for long, short in taken.items():
            if options.get(long) != short:
                faults.append(f"manual, {command}: --{long} is -{short}, help says -{options.get(long)}")
        compare(f"bash, {command}", bash_options(bash, command), set(options), faults)
        compare(f"zsh, {command}", zsh_options(zsh, command), set(options), faults)
        if run(raddle, "help", command) != run(raddle, command, "--help"):
            faults.append(f"`raddle help {command}` and `raddle {command} --help` differ")
        if "Example" not in run(raddle, command, "--help"):
            faults.append(f"{command}: no example in --help")
    if shutil.which("zsh"):
        run("zsh", "-n", packaging / "completion" / "_raddle")
    if shutil.which("man"):
        warnings = run("man", "--warnings", "-P", "cat", "-l", packaging / "raddle.1")
        if "warning:" in warnings:
            faults.append(warnings)
    print("\n".join(faults) or "help, manual page and completions agree")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
