"""A pytest plugin (`-p tap`) that prints TAP, which tools/run_tests reads, in place of pytest's own report.

"1..N" once the tests are collected, then a line a test as it ends: a test that does not come to its end is
missed by the count. What a failed test said stands above its line. A file that cannot be collected is a
failed case.
"""

import os

import pytest


def case_name(nodeid):
    """One word for a test, without its folders: FILE.py::test[device]."""
    return nodeid.rsplit("/", 1)[-1].replace(" ", "_").replace("#", "_") or "collection"


class Reporter:
    def __init__(self):
        # What is the standard output before pytest captures it.
        self.out = os.fdopen(os.dup(1), "w")
        self.count = 0
        self.broken = []   # reports of files that cannot be collected
        self.reports = {}  # nodeid -> those of a test that has not ended

    def say(self, *lines):
        print(*lines, sep="\n", file=self.out, flush=True)

    def end(self, verdict, name):
        self.count += 1
        self.say(f"{verdict} {self.count} {name}")

    def fail(self, reports, name):
        for report in reports:
            self.say(*(f"# {line}" for line in report.longreprtext.splitlines()))
            for title, text in report.sections:
                self.say(f"# -- {title}", *(f"# {line}" for line in text.splitlines()))
        self.end("not ok", f"- {name}")

    def pytest_collectreport(self, report):
        if report.failed:
            self.broken.append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session):
        self.say(f"1..{len(session.items) + len(self.broken)}")
        for report in self.broken:
            self.fail([report], case_name(report.nodeid))

    def pytest_runtest_logreport(self, report):
        reports = self.reports.setdefault(report.nodeid, [])
        reports.append(report)
        if report.when != "teardown":
            return
        name = case_name(report.nodeid)
        failed = [one for one in reports if one.failed]
        skipped = [one for one in reports if one.skipped]
        if failed:
            self.fail(failed, name)
        elif skipped:
            # A tuple (file, line, reason), or the text of a failure that was expected.
            said = skipped[0].longrepr
            reason = said[2] if isinstance(said, tuple) else "an expected failure"
            self.say(f"SKIP: {reason.removeprefix('Skipped: ')}")
            self.end("ok", f"# SKIP {name}")
        else:
            self.end("ok", f"- {name}")
        del self.reports[report.nodeid]


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Reporter(), "tap-reporter")
