#!/usr/bin/env python3
"""Writes the tables of docs/reliability.md from the logs of launch/test.

usage: reliability_tables.py LOG_FOLDER [PAGE]

LOG_FOLDER holds faults.jsonl, crashes.jsonl, fuzzing.jsonl, slurm.jsonl, hosts.jsonl or some of them: a JSON object per
point that was tried. Each table stands between the lines <!-- NAME:begin --> and <!-- NAME:end --> of PAGE; those without
a log stay as they are. A point that was tried twice counts once, by its last result. Exit 1 where a point failed, a log
holds none, or PAGE has no place for it.
"""
import collections
import datetime
import json
import pathlib
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
FAULT_BINARIES = {"small run": "faults_test", "rn_dist": "app_faults_test"}
# The tests of tests/io that interrupt checkpoints, and the column of their points.
CRASH_COLUMNS = {
    "AfterACrashAtAnyOperationTheOldOrTheNewOpensWhole": "Crash",
    "ACrashDuringTheRecoveryIsNoWorse": "Crash twice",
    "KilledAtAnyOperationTheOldOrTheNewOpensWhole": "Kill",
    "KilledAtAnyOperationOfTheBackgroundWriteTheOldOrTheNewOpensWhole": "Kill",
    "AfterAFailureAtAnyOperationOlderCheckpointsAreValid": "Failure",
    "IsAnOutcomeThatLeavesOlderOnesAndLaterOnesWork": "Failure",
}
BACKGROUND = "background write"


def markdown(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def newest(points, key):
    """One point per key, the last one logged, in the order in which the keys first came."""
    return list({key(point): point for point in points}.values())


def faults(points):
    points = newest(points, lambda p: tuple(p[name] for name in ("program", "fault", "point", "role", "ranks")))
    groups = collections.defaultdict(list)
    for point in sorted(points, key=lambda p: (p["program"] != "small run", p["fault"], p["point"])):
        groups[point["program"], point["fault"], point["code"]].append(point)
    rows = []
    for (program, fault, code), members in groups.items():
        roles = ", ".join(sorted({f"{p['role']} of {p['ranks']}" for p in members}))
        # A hang begins to count at its deadline; what is only slow, and what left no mark of its time, does not count.
        times = [p["seconds"] - p["deadline"] for p in members if p["seconds"] >= 0 and p["code"] != 0]
        filters = "*" + "_at_".join([fault, "*"]) if all("/" in p["test"] for p in members) else ":".join(
            sorted({p["test"] for p in members if "/" not in p["test"]}) + [f"*{fault}_at_*"])
        rows.append([program, fault, ", ".join(dict.fromkeys(p["point"] for p in members)), roles, str(len(members)),
                     str(code), f"{max(times):.1f} s" if times else "-",
                     f"`build/bin/{FAULT_BINARIES[program]} --gtest_filter='{filters}'`"])
    columns = ["Program", "Fault", "Where", "Ranks that failed", "Points", "Exit code", "Slowest end", "Again"]
    return points, "points", markdown(columns, rows)


def crashes(points):
    points = newest([p for p in points if p["test"].split(".")[1].split("/")[0] in CRASH_COLUMNS], lambda p: p["test"])
    rows, filters = collections.defaultdict(collections.Counter), {}
    for point in points:
        suite, name = point["test"].split(".")
        name, _, scenario = name.partition("/")
        if not scenario or "Fault" in suite:
            scenario = BACKGROUND
        rows[scenario][CRASH_COLUMNS[name]] += point["points"]
        filters[scenario] = "*CheckpointWriter*" if scenario == BACKGROUND else f"*/{scenario}"
    columns = list(dict.fromkeys(CRASH_COLUMNS.values()))
    cells = [[scenario, *(f"{counts[c]:,}" if c in counts else "-" for c in columns),
              f"`build/bin/io_test --gtest_filter='{filters[scenario]}'`"] for scenario, counts in rows.items()]
    expanded = [{"passed": point["passed"]} for point in points for _ in range(point["points"])]
    return expanded, "points", markdown(["Interrupted", *columns, "Again"], cells)


def fuzzing(points):
    points = newest(points, lambda p: p["target"])
    rows = [[f"`{p['target']}`", ", ".join(pathlib.Path(s).name for s in p["sources"]), f"{p['runs']:,}",
             f"{p['seconds']:.0f} s", f"{p['peak_mb'] or '-'} MB", f"{p['lines_run']} of {p['lines']}",
             f"{100 * p['lines_run'] / p['lines']:.1f} %", f"`tools/fuzz.py --runs {p['runs']} {p['target']}`"]
            for p in points]
    return points, "targets", markdown(
        ["Target", "Reader", "Runs", "Time", "Peak memory", "Lines run", "Coverage", "Again"], rows)


def cases(points):
    """Cases of a script: tests/slurm, tests/hosts."""
    points = newest(points, lambda p: p["case"])
    rows = [[p["case"].replace("_", " "), "; ".join(p["seen"]) if p["passed"] else "**failed**", f"{p['seconds']} s",
             f"`{p['script']} {p['case']}`"] for p in points]
    return points, "cases", markdown(["Case", "Seen", "Time", "Again"], rows)


TABLES = {"faults": faults, "crashes": crashes, "fuzzing": fuzzing, "slurm": cases, "hosts": cases}


def replace(text, name, table):
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"the page has no place for {name}")
    head, rest = text.split(begin)
    return f"{head}{begin}{table}\n{end}{rest.split(end)[1]}"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    logs = pathlib.Path(sys.argv[1])
    page = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else SOURCE / "docs/reliability.md"
    text, good, found = page.read_text(), True, False
    for name, make in TABLES.items():
        log = logs / f"{name}.jsonl"
        if not log.exists():
            continue
        points, what, table = make([json.loads(line) for line in log.read_text().splitlines()])
        if not points:
            sys.exit(f"{log} holds no point")
        passed = sum(point["passed"] for point in points)
        found, good = True, good and passed == len(points)
        summary = f"{passed:,} of {len(points):,} {what} passed ({datetime.date.fromtimestamp(log.stat().st_mtime)})."
        text = replace(text, name, f"{summary}\n\n{table}")
        print(f"{name}: {summary}")
    page.write_text(text)
    sys.exit(0 if good and found else 1)


if __name__ == "__main__":
    main()
