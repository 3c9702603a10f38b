#!/usr/bin/env python3
"""Counts test cases over everything that launch/test ran, prints the failures, ends with "N passed, N failed".

usage: summarize_tests.py [--checks FILE] BUILD_DIR...

BUILD_DIR/test-results holds what one ctest run left: ctest.json (ctest --show-only=json-v1), ctest.xml
(ctest --output-junit) and one file per gtest binary, whose path is read from the test's command. A ctest entry
without gtest counts as one test. FILE holds lines "name<TAB>passed|failed|skipped<TAB>log file" of the steps that are
no ctest entries.

What must not be lost: a binary that crashed (no result file), one that ctest calls failed although no case did (a
rank other than 0, a time-out, a leak at exit), and a test that never started count as failed. Exit 1 on any failure.
"""
import argparse
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

GTEST_OUTPUT = "--gtest_output=xml:"
TAIL_LINES = 60


class Tally:
    """Counts, and the text of every failure."""

    def __init__(self):
        self.passed, self.skipped, self.failures = 0, 0, []

    def fail(self, name, text):
        self.failures.append((name, text))

    def line(self):
        line = f"{self.passed} passed, {len(self.failures)} failed"
        return line + (f", {self.skipped} skipped" if self.skipped else "")


def tail(text):
    return "\n".join((text or "").rstrip().splitlines()[-TAIL_LINES:])


def result_file(test):
    """The gtest result file that a ctest entry of ctest.json writes, or None."""
    for word in test.get("command", []):
        if word.startswith(GTEST_OUTPUT):
            return pathlib.Path(word[len(GTEST_OUTPUT):])
    return None


def add_gtest_cases(name, path, tally):
    """Adds the cases of one gtest binary; returns how many of them failed. Raises ParseError on half a file."""
    failed = 0
    for case in ElementTree.parse(path).iter("testcase"):
        case_name = f"{name}: {case.get('classname')}.{case.get('name')}"
        messages = [failure.get("message") or failure.text for failure in case.findall("failure")]
        if messages:
            tally.fail(case_name, "\n".join(messages))
            failed += 1
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            tally.skipped += 1
        elif case.get("status") == "run":  # "notrun": DISABLED_, not counted
            tally.passed += 1
    return failed


def ctest_outcome(entry):
    """passed, failed, skipped or disabled of one entry of ctest.xml."""
    status = entry.get("status")
    if status in ("run", "disabled"):
        return "passed" if status == "run" else "disabled"
    skipped = entry.find("skipped")
    # "Unable to find executable" and failed fixtures are called not run, too.
    if status == "notrun" and skipped is not None and (skipped.get("message") or "").startswith("SKIP_"):
        return "skipped"
    return "failed"


def add_build(build_dir, tally):
    results = build_dir / "test-results"
    try:
        listed = {test["name"]: test for test in json.loads((results / "ctest.json").read_text())["tests"]}
        entries = list(ElementTree.parse(results / "ctest.xml").iter("testcase"))
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        tally.fail(f"{build_dir.name}: ctest", f"left no readable results: {error}")
        return
    if not entries:
        tally.fail(f"{build_dir.name}: ctest", "ran no test")
    for entry in entries:
        add_entry(f"{build_dir.name}: {entry.get('name')}", entry, listed.get(entry.get("name"), {}), tally)


def add_entry(name, entry, test, tally):
    outcome, path, failed = ctest_outcome(entry), result_file(test), 0
    output = tail(entry.findtext("system-out"))
    if outcome == "disabled":
        return
    if path is not None and outcome != "skipped":
        try:
            failed = add_gtest_cases(name, path, tally)
        except (OSError, ElementTree.ParseError):
            tally.fail(name, f"ended without writing its results: it crashed or was stopped\n{output}")
            return
        if outcome == "failed" and not failed:
            tally.fail(name, f"failed although none of its cases did\n{output}")
    elif outcome == "failed":
        tally.fail(name, output or "did not run")
    elif outcome == "skipped":
        tally.skipped += 1
    else:
        tally.passed += 1


def add_checks(path, tally):
    for line in path.read_text().splitlines():
        name, outcome, log = line.split("\t")
        if outcome == "failed":
            tally.fail(name, tail(pathlib.Path(log).read_text(errors="replace")) if log else "")
        elif outcome == "skipped":
            tally.skipped += 1
        else:
            tally.passed += 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("--checks", type=pathlib.Path)
    parser.add_argument("builds", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    tally = Tally()
    for build_dir in arguments.builds:
        add_build(build_dir, tally)
    if arguments.checks and arguments.checks.exists():
        add_checks(arguments.checks, tally)
    if not tally.passed and not tally.failures:
        tally.fail("launch/test", "ran no test")
    for name, text in tally.failures:
        print(f"\nFAILED {name}")
        for line in (text or "").splitlines():
            print(f"    {line}")
    print(f"\n{tally.line()}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
