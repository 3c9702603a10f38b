#!/usr/bin/env python3
"""tools/reliability_tables.py: every point in its table, failures never hidden, the rest of the page untouched."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "reliability_tables.py"
NAMES = ["faults", "crashes", "fuzzing", "slurm", "hosts"]
PAGE = "before\n" + "".join(f"<!-- {name}:begin -->\nold {name}\n<!-- {name}:end -->\n" for name in NAMES) + "after\n"


def fault(name, where, role="last", ranks=2, **changes):
    return {"program": "small run", "fault": name, "point": where, "role": role, "ranks": ranks, "code": 8,
            "deadline": 0.0, "seconds": 2.25, "resumed": True, "passed": True, "test": "All/T.t/x"} | changes


def case(name, **changes):
    return {"script": "tests/hosts/hosts_test.sh", "case": name, "passed": True, "seconds": 12,
            "seen": ["one", "two"]} | changes


class ReliabilityTablesTest(unittest.TestCase):

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.logs = pathlib.Path(scratch.name)
        self.page = self.logs / "page.md"
        self.page.write_text(PAGE)

    def make(self, **logs):
        for name, points in logs.items():
            (self.logs / f"{name}.jsonl").write_text("".join(json.dumps(p) + "\n" for p in points))
        done = subprocess.run([sys.executable, TOOL, self.logs, self.page], capture_output=True, text=True, check=False)
        return done.returncode, self.page.read_text()

    def test_faults_of_one_kind_share_a_row(self):
        code, page = self.make(faults=[fault("kill", "step"), fault("kill", "data", "first", 4, seconds=3.0),
                                       fault("stop", "data", code=7, deadline=2.0), fault("slow", "eval", code=0)])
        self.assertEqual(code, 0)
        self.assertIn("4 of 4 points passed (", page)
        self.assertIn("| small run | kill | data, step | first of 4, last of 2 | 2 | 8 | 3.0 s | "
                      "`build/bin/faults_test --gtest_filter='*kill_at_*'` |", page)
        self.assertIn("| stop | data | last of 2 | 1 | 7 | 0.2 s |", page)
        self.assertIn("| slow | eval | last of 2 | 1 | 0 | - |", page)

    def test_a_fault_with_a_test_of_its_own_is_repeated_by_its_name(self):
        page = self.make(faults=[fault("nan", "all_reduce"), fault("nan", "statistics", test="T.Named")])[1]
        self.assertIn("--gtest_filter='T.Named:*nan_at_*'", page)

    def test_crash_points_are_added_up_by_what_was_interrupted(self):
        code, page = self.make(crashes=[
            {"test": "All/C.AfterACrashAtAnyOperationTheOldOrTheNewOpensWhole/Save", "points": 870, "passed": True},
            {"test": "All/C.AfterAFailureAtAnyOperationOlderCheckpointsAreValid/Save", "points": 1084, "passed": True},
            {"test": "Disk/WriterFault.IsAnOutcomeThatLeavesOlderOnesAndLaterOnesWork/Full", "points": 5, "passed": True},
            {"test": "Disk/WriterFault.IsAnOutcomeThatLeavesOlderOnesAndLaterOnesWork/Broken", "points": 6, "passed": True},
            {"test": "Other.Test", "points": 1, "passed": True}])
        self.assertEqual(code, 0)
        self.assertIn("1,965 of 1,965 points passed (", page)
        self.assertIn("| Save | 870 | - | - | 1,084 | `build/bin/io_test --gtest_filter='*/Save'` |", page)
        self.assertIn("| background write | - | - | - | 11 |", page)

    def test_fuzzers(self):
        page = self.make(fuzzing=[{"target": "tar", "sources": ["data/tar_parser.cpp"], "runs": 1000000, "seconds": 12.4,
                                   "peak_mb": 99, "lines_run": 81, "lines": 82, "passed": True}])[1]
        self.assertIn("| `tar` | tar_parser.cpp | 1,000,000 | 12 s | 99 MB | 81 of 82 | 98.8 % | "
                      "`tools/fuzz.py --runs 1000000 tar` |", page)

    def test_cases_of_scripts(self):
        page = self.make(hosts=[case("a_cut_is_survived")])[1]
        self.assertIn("| a cut is survived | one; two | 12 s | `tests/hosts/hosts_test.sh a_cut_is_survived` |", page)

    def test_what_has_no_log_stays_and_so_does_the_rest_of_the_page(self):
        page = self.make(slurm=[case("a")])[1]
        self.assertTrue(page.startswith("before\n") and page.endswith("after\n"))
        self.assertNotIn("old slurm", page)
        for name in NAMES:
            self.assertEqual(f"old {name}\n" in page, name != "slurm")

    def test_the_same_point_tried_again_counts_once_by_its_last_result(self):
        code, page = self.make(faults=[fault("kill", "step", passed=False), fault("kill", "step")])
        self.assertEqual(code, 0)
        self.assertIn("1 of 1 points passed (", page)

    def test_a_failure_is_shown_and_fails(self):
        code, page = self.make(faults=[fault("kill", "step"), fault("segv", "eval", passed=False)],
                               hosts=[case("a", passed=False)])
        self.assertEqual(code, 1)
        self.assertIn("1 of 2 points passed (", page)
        self.assertIn("| a | **failed** |", page)

    def test_no_log_a_log_without_points_or_a_page_without_a_place_is_an_error(self):
        self.assertNotEqual(self.make()[0], 0)
        code, page = self.make(slurm=[])
        self.assertNotEqual(code, 0)
        self.assertEqual(page, PAGE)
        self.page.write_text("no place")
        self.assertNotEqual(self.make(slurm=[case("a")])[0], 0)


if __name__ == "__main__":
    unittest.main()
