#!/usr/bin/env python3
"""tools/summarize_tests.py: no failure may be lost between gtest, ctest and the count."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "summarize_tests.py"
PASSED = '<testcase name="A" status="run" result="completed" classname="T"/>'
FAILED = '<testcase name="B" status="run" result="completed" classname="T"><failure message="2 is not 3"/></testcase>'
SKIPPED = '<testcase name="C" status="run" result="skipped" classname="T"><skipped message="no GPU"/></testcase>'
DISABLED = '<testcase name="D" status="notrun" result="suppressed" classname="T"/>'


class SummaryTest(unittest.TestCase):

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.build = pathlib.Path(scratch.name, "build")
        self.results = self.build / "test-results"
        self.results.mkdir(parents=True)
        self.tests, self.entries = [], []

    def add(self, name, status="run", cases=None, gtest=True, inner=""):
        """One ctest entry; `cases`: the content of its gtest result file, None: it left none."""
        path = self.results / f"{name}.xml"
        self.tests.append({"name": name, "command": ["/bin/x", f"--gtest_output=xml:{path}"] if gtest else ["/bin/x"]})
        self.entries.append(f'<testcase name="{name}" status="{status}">{inner}<system-out>the end</system-out></testcase>')
        if cases is not None:
            path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")

    def summarize(self, checks=None):
        (self.results / "ctest.json").write_text(json.dumps({"tests": self.tests}))
        (self.results / "ctest.xml").write_text(f"<testsuite>{''.join(self.entries)}</testsuite>")
        return self.run_tool([self.build], checks)

    def run_tool(self, builds, checks=None):
        command = [sys.executable, TOOL]
        if checks is not None:
            (self.build / "checks.tsv").write_text(checks)
            command += ["--checks", self.build / "checks.tsv"]
        done = subprocess.run(command + builds, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()[-1] if done.stdout else done.stderr, done.stdout

    def test_cases_of_all_binaries_are_counted(self):
        self.add("core", cases=PASSED * 3 + SKIPPED + DISABLED)
        self.add("io", cases=PASSED * 2)
        self.add("script", gtest=False)
        self.assertEqual(self.summarize()[:2], (0, "6 passed, 0 failed, 1 skipped"))

    def test_a_failed_case_is_shown_with_its_message(self):
        self.add("core", status="fail", cases=PASSED + FAILED)
        code, last, text = self.summarize()
        self.assertEqual((code, last), (1, "1 passed, 1 failed"))
        self.assertIn("core: T.B", text)
        self.assertIn("2 is not 3", text)

    def test_a_crash_without_result_file_fails(self):
        for status in ("fail", "run"):
            with self.subTest(status=status):
                self.tests, self.entries = [], []
                self.add("core", status=status)
                code, last, text = self.summarize()
                self.assertEqual((code, last), (1, "0 passed, 1 failed"))
                self.assertIn("the end", text)

    def test_half_a_result_file_fails(self):
        self.add("core")
        (self.results / "core.xml").write_text("<testsuites><testsuite><testca")
        self.assertEqual(self.summarize()[:2], (1, "0 passed, 1 failed"))

    def test_a_failed_entry_without_failed_case_fails(self):
        self.add("dist.np4", status="fail", cases=PASSED)
        self.assertEqual(self.summarize()[:2], (1, "1 passed, 1 failed"))

    def test_scripts_and_tests_that_never_ran_count(self):
        self.add("script", status="fail", gtest=False)
        self.add("gone", status="notrun", gtest=False, inner='<skipped message="Unable to find executable: x"/>')
        self.add("absent", status="notrun", gtest=False, inner='<skipped message="SKIP_RETURN_CODE=77"/>')
        self.assertEqual(self.summarize()[:2], (1, "0 passed, 2 failed, 1 skipped"))

    def test_no_results_or_no_tests_fail(self):
        self.assertEqual(self.run_tool([self.build])[:2], (1, "0 passed, 1 failed"))
        self.assertEqual(self.summarize()[:2], (1, "0 passed, 1 failed"))
        self.assertEqual(self.run_tool([])[:2], (1, "0 passed, 1 failed"))

    def test_checks_count_with_their_logs(self):
        self.add("core", cases=PASSED)
        log = self.build / "a.log"
        log.write_text("why it failed\n")
        code, last, text = self.summarize(f"build\tpassed\t\nclang-format\tfailed\t{log}\nshellcheck\tskipped\t\n")
        self.assertEqual((code, last), (1, "2 passed, 1 failed, 1 skipped"))
        self.assertIn("why it failed", text)


if __name__ == "__main__":
    unittest.main()
