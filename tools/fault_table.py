#!/usr/bin/env python3
"""Writes the table of faults into docs/reliability.md, from the log of `launch/test --faults`.

usage: fault_table.py LOG.jsonl docs/reliability.md

LOG holds a JSON object per point that was tried (see log_point in tests/faults). A point is a (fault, phase or
collective, role of the rank, rank count) tuple. The table stands between the lines <!-- faults:begin --> and
<!-- faults:end -->; the rest of the page is left as it is. Exit 1 where a point failed, or the page has no such lines.
"""
import collections
import json
import pathlib
import sys

BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
BINARY = {"small run": "faults_test", "rn_dist": "app_faults_test"}
COLUMNS = ["Program", "Fault", "Where", "Ranks that failed", "Points", "Exit code", "Slowest end", "Again"]


def key(point):
    return tuple(point[name] for name in ("program", "fault", "point", "role", "ranks"))


def cells(program, fault, code, points):
    where = ", ".join(dict.fromkeys(p["point"] for p in points))
    roles = ", ".join(sorted({f"{p['role']} of {p['ranks']}" for p in points}))
    # A hang begins to count at its deadline; what is only slow, and what left no mark of its time, does not count.
    times = [p["seconds"] - p["deadline"] for p in points if p["seconds"] >= 0 and p["code"] != 0]
    slowest = f"{max(times):.1f} s" if times else "-"
    again = f"`build/bin/{BINARY[program]} --gtest_filter='*{fault}_at_*'`"
    return [program, fault, where, roles, str(len(points)), str(code), slowest, again]


def table(points):
    groups = collections.defaultdict(list)
    for point in points:
        groups[point["program"], point["fault"], point["code"]].append(point)
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    rows += [cells(*group, members) for group, members in groups.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    log, page = (pathlib.Path(argument) for argument in sys.argv[1:])
    points = {key(point): point for point in map(json.loads, log.read_text().splitlines())}
    points = [points[k] for k in sorted(points, key=lambda k: (k[0] != "small run", k))]
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or not points:
        sys.exit(f"{page} has no place for the table, or {log} holds no point")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    passed = sum(point["passed"] for point in points)
    summary = f"{passed} of {len(points)} points passed."
    page.write_text(f"{head}{BEGIN}\n{summary}\n\n{table(points)}\n{END}{tail}")
    print(summary)
    sys.exit(0 if passed == len(points) else 1)


if __name__ == "__main__":
    main()
