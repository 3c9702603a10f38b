#!/usr/bin/env python3
"""Prints the table of crash points in docs/reliability.md from the results of io_test.

usage: build/bin/io_test --gtest_output=xml:io.xml --gtest_filter='Checkpoint*:*/Checkpoint*' && tools/crash_table.py io.xml
"""
import sys
import xml.etree.ElementTree as ElementTree

COLUMNS = {
    "AfterACrashAtAnyOperationTheOldOrTheNewOpensWhole": "Crash",
    "ACrashDuringTheRecoveryIsNoWorse": "Crash twice",
    "KilledAtAnyOperationTheOldOrTheNewOpensWhole": "Kill",
    "KilledAtAnyOperationOfTheBackgroundWriteTheOldOrTheNewOpensWhole": "Kill",
    "AfterAFailureAtAnyOperationOlderCheckpointsAreValid": "Failure",
    "IsAnOutcomeThatLeavesOlderOnesAndLaterOnesWork": "Failure",
}


def points(case):
    """The number that a test recorded, as gtest writes it."""
    value = case.get("points")
    for found in case.iter("property"):
        if found.get("name") == "points":
            value = found.get("value")
    return int(value or 0)


def main(path):
    rows, failed = {}, 0
    for case in ElementTree.parse(path).iter("testcase"):
        test, _, scenario = case.get("name").partition("/")
        if test not in COLUMNS:
            continue
        failed += case.find("failure") is not None
        row = rows.setdefault("background write" if not scenario or "Fault" in case.get("classname") else scenario, {})
        row[COLUMNS[test]] = row.get(COLUMNS[test], 0) + points(case)
    columns = list(dict.fromkeys(COLUMNS.values()))
    print("| Interrupted | " + " | ".join(columns) + " |\n| --- |" + " --- |" * len(columns))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row[c]:,}" if c in row else "-" for c in columns) + " |")
    total = sum(sum(row.values()) for row in rows.values())
    print(f"\n{total:,} points, {failed} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
