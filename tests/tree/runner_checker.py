#!/usr/bin/env python3
"""runner_checker.py RUNNER CHECKER: the test runner and the symbol check judge as they must."""

import importlib.machinery
import importlib.util
import sys


def load(name, path):
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module


# name, what a test program printed, its exit status, Meson's verdict; passed, failed, skipped
JUDGED = [
    ("all_pass", "1..2\nok 1 - a\nok 2 - b\n", 0, "OK", 2, 0, 0),
    ("one_fails", "1..2\nok 1 - a\nnot ok 2 - b\n", 1, "FAIL", 1, 1, 0),
    ("fails_with_status_0", "1..1\nnot ok 1 - a\n", 0, "OK", 0, 1, 0),
    ("cmocka_skip", "1..2\nok 1 - a\nSKIP: no such device\nnot ok 2 # SKIP b\n", 0, "OK", 1, 0, 1),
    ("skip_and_fail", "1..2\nnot ok 1 - a\nnot ok 2 # SKIP b\n", 1, "FAIL", 0, 1, 1),
    ("all_skipped", "SKIP: no model\n", 77, "SKIP", 0, 0, 1),
    ("status_77_of_77_failures", "1..1\nnot ok 1 - a\n", 77, "SKIP", 0, 1, 0),
    ("cases_missing", "1..3\nok 1 - a\n", 0, "OK", 1, 1, 0),
    ("plan_missing", "ok 1 - a\n", 0, "OK", 1, 1, 0),
    ("two_groups", "1..1\nok 1 - a\n# ok - g\n1..1\nok 1 - b\n# ok - h\n", 0, "OK", 2, 0, 0),
    ("crash_after_cases", "1..1\nok 1 - a\n", -11, "FAIL", 1, 1, 0),
    ("crash_between_cases", "1..2\nok 1 - a\n", -6, "FAIL", 1, 1, 0),
    ("timeout", "1..1\n", -15, "TIMEOUT", 0, 1, 0),
    ("plain_pass", "all is well\n", 0, "OK", 1, 0, 0),
    ("plain_fail", "nothing is well\n", 1, "FAIL", 0, 1, 0),
    ("sanitizer_finds", "1..1\nok 1 - a\n", 66, "FAIL", 1, 1, 0),
    ("chatter", "ok, here we go\nnot okay\n1..1\nok 1 - a\n", 0, "OK", 1, 0, 0),
]

# What preprocessed headers hold, and the functions that it declares.
DECLARED = [
    ("plain", "int rdl_a(void);", {"rdl_a"}),
    ("attributes", '__attribute__((visibility("default"))) int rdl_a(int (*f)(int));', {"rdl_a"}),
    ("pointer", "const char *rdl_a(void); struct s *rdl_b(int x);", {"rdl_a", "rdl_b"}),
    ("inline_left_out", "static inline int rdl_a(void) { if (1) { return 2; } return 1; }", set()),
    ("after_inline", "static inline int rdl_a(void) { return 1; } int rdl_b(void);", {"rdl_b"}),
    ("types_left_out", "typedef void (*rdl_f_fn)(void *user); struct rdl_s { int x; };", set()),
    ("callback_field", "struct rdl_s { void (*f)(struct rdl_s *s); }; int rdl_a(void);", {"rdl_a"}),
    ("assertion", "_Static_assert(sizeof(struct rdl_s) == 8, \"x\"); int rdl_a(void);", {"rdl_a"}),
]


def main():
    runner, symbols = load("runner", sys.argv[1]), load("symbols", sys.argv[2])
    results = []
    for name, text, status, verdict, passed, failed, skipped in JUDGED:
        tally = runner.Tally()
        test = {"name": name, "stdout": text, "returncode": status, "result": verdict}
        told = runner.judge("build", test, tally)
        got = tally.passed, len(tally.failed), len(tally.skipped)
        good = got == (passed, failed, skipped) and told == (failed > 0)
        results.append((f"judge_{name}", good, got))
    for name, text, wanted in DECLARED:
        got = symbols.functions_in(text)
        results.append((f"declared_{name}", got == wanted, got))
    print(f"1..{len(results)}")
    for number, (name, good, got) in enumerate(results, 1):
        if not good:
            print(f"# got {got}")
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 0 if all(good for _, good, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
