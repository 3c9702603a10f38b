#!/usr/bin/env python3
"""tools/fault_table.py: every point in the table, failures never hidden, the rest of the page untouched."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "fault_table.py"
PAGE = "before\n<!-- faults:begin -->\nold\n<!-- faults:end -->\nafter\n"


def point(fault, where, role="last", ranks=2, **changes):
    return {"program": "small run", "fault": fault, "point": where, "role": role, "ranks": ranks, "code": 8,
            "deadline": 0.0, "seconds": 2.25, "resumed": True, "passed": True, "test": "T"} | changes


class FaultTableTest(unittest.TestCase):

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.log = pathlib.Path(scratch.name, "log.jsonl")
        self.page = pathlib.Path(scratch.name, "page.md")
        self.page.write_text(PAGE)

    def make(self, points):
        self.log.write_text("".join(json.dumps(p) + "\n" for p in points))
        done = subprocess.run([sys.executable, TOOL, self.log, self.page], capture_output=True, text=True, check=False)
        return done.returncode, self.page.read_text()

    def test_points_of_one_fault_share_a_row(self):
        code, page = self.make([point("kill", "step"), point("kill", "data", "first", 4, seconds=3.0),
                                point("stop", "data", code=7, deadline=2.0), point("slow", "eval", code=0)])
        self.assertEqual(code, 0)
        self.assertIn("4 of 4 points passed.", page)
        self.assertIn("| small run | kill | data, step | first of 4, last of 2 | 2 | 8 | 3.0 s | "
                      "`build/bin/faults_test --gtest_filter='*kill_at_*'` |", page)
        self.assertIn("| stop | data | last of 2 | 1 | 7 | 0.2 s |", page)
        self.assertIn("| slow | eval | last of 2 | 1 | 0 | - |", page)
        self.assertTrue(page.startswith("before\n") and page.endswith("after\n"))
        self.assertNotIn("old", page)

    def test_the_same_point_tried_again_counts_once(self):
        self.assertIn("1 of 1 points passed.", self.make([point("kill", "step"), point("kill", "step")])[1])

    def test_a_failure_is_shown_and_fails(self):
        code, page = self.make([point("kill", "step"), point("segv", "eval", passed=False)])
        self.assertEqual(code, 1)
        self.assertIn("1 of 2 points passed.", page)

    def test_a_log_without_points_or_a_page_without_a_place_is_an_error(self):
        code, page = self.make([])
        self.assertNotEqual(code, 0)
        self.assertEqual(page, PAGE)
        self.page.write_text("no place")
        self.assertNotEqual(self.make([point("kill", "step")])[0], 0)


if __name__ == "__main__":
    unittest.main()
