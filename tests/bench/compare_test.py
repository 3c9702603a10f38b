"""bench/compare from end to end, with stand-ins for all that it runs."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from comparison import machine, record, report, roofline, validity  # noqa: E402


class Harness(unittest.TestCase):
    """bench/compare on stand-ins."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rn_compare_test_"))
        self.addCleanup(shutil.rmtree, self.folder)
        programs = self.folder / "build/bin"
        programs.mkdir(parents=True)
        self.install("fake_rn_dist.py", programs / "rn_dist")
        for name in ("machine_rates", "all_reduce_bench", "data_bench", "empty_client_bench", "mpirun", "python"):
            self.install("fake_programs.py", programs / name)
        self.programs = programs

    @staticmethod
    def install(source, target):
        shutil.copy(HERE / source, target)
        target.chmod(0o755)

    def compare(self, *words, **figures):
        environment = dict(os.environ, PATH=f"{self.programs}:{os.environ['PATH']}", **figures)
        environment.pop("RN_CIFAR10_DIR", None)
        return subprocess.run(
            [sys.executable, ROOT / "bench/compare", *words, "--build", self.folder / "build", "--python",
             self.programs / "python", "--steps", "3", "--images", "1000"],
            capture_output=True, text=True, env=environment, check=False)

    def measure(self, *words, **figures):
        """The exit code and the JSON."""
        result = self.compare(*words, "--rounds", "2", "--json", self.folder / "out.json", **figures)
        self.assertTrue((self.folder / "out.json").exists(), result.stderr)
        return result, json.loads((self.folder / "out.json").read_text())


class CompareTest(Harness):
    def test_every_row_is_measured_and_compared(self):
        result, document = self.measure("--all")
        rows = {row["name"]: row for row in document["rows"]}
        self.assertEqual(document["failed"], {}, result.stderr)
        listed = [line.split()[0] for line in self.compare("--list").stdout.splitlines()]
        self.assertEqual(list(rows), listed)
        self.assertAlmostEqual(rows["step-bf16"]["ratio"], 200 / 125)
        self.assertIn("compile", rows["step-bf16"]["best_peer"])
        self.assertAlmostEqual(rows["all-reduce-gloo"]["ratio"], 20 / 6)
        self.assertAlmostEqual(rows["all-reduce-mpi"]["ratio"], 3)
        self.assertAlmostEqual(rows["epoch"]["ratio"], 2)
        self.assertAlmostEqual(rows["ema"]["ours"]["median"], 0.5)
        self.assertAlmostEqual(rows["ranks-bf16"]["share_of_one_process"], 1)
        self.assertAlmostEqual(rows["step-fp32"]["ours"]["roof_share"], 200 * 3.33 / 300)
        self.assertEqual(rows["step-fp32"]["ours"]["memory"], 300 << 20)
        self.assertEqual(rows["step-fp32"]["ours"]["first_step_ratio"], 2)
        for name in rows:
            self.assertIn(f"`{name}`", result.stdout)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_a_comparison_of_equal_losses_and_quick_peers_is_valid(self):
        result, document = self.measure("step-fp32")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertTrue(document["valid"])
        self.assertEqual(len(document["losses"]), 4)

    def test_other_losses_void_the_table(self):
        result, document = self.measure("step-fp32", FAKE_LOSS_FACTOR="1.03")
        self.assertEqual(result.returncode, 1)
        self.assertFalse(document["valid"])
        self.assertIn("NOT THE SAME", result.stdout)
        self.assertIn("The table is void", result.stdout)

    def test_a_peer_that_is_too_slow_voids_the_table(self):
        # 73 images/s where multiply-adds reach 480 GFLOP/s: 41 of them where they reach 300, less 10 %.
        for rate, valid in (("30", False), ("34", True)):  # compiled it is 1.25 times as fast
            result, document = self.measure("step-fp32", FAKE_PEER_RATE=rate)
            self.assertEqual(document["valid"], valid, rate)
            self.assertEqual(result.returncode, 0 if valid else 1)

    def test_a_mode_that_does_not_run_is_left_out(self):
        result, document = self.measure("step-fp32", FAKE_NO_COMPILER="1")
        self.assertEqual(result.returncode, 0, result.stderr)
        row = document["rows"][0]
        self.assertEqual(set(row["failed"]), {"channels-last compile", "nchw compile"})
        self.assertAlmostEqual(row["ratio"], 2)

    def test_a_row_that_fails_is_named_and_voids_the_table(self):
        (self.programs / "all_reduce_bench").unlink()
        result, document = self.measure("all-reduce-gloo", "step-fp32")
        self.assertEqual(result.returncode, 1)
        self.assertIn("all_reduce_bench is missing", document["failed"]["all-reduce-gloo"])
        self.assertEqual([row["name"] for row in document["rows"]], ["step-fp32"])

    def test_an_unknown_row_is_refused_with_the_names(self):
        result = self.compare("step-bf61")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no row is called step-bf61; there are: step-bf16", result.stderr)

    def test_few_rounds_do_not_become_documentation(self):
        self.assertEqual(self.compare("--write-docs", "--rounds", "4").returncode, 2)

    def test_the_guard_passes_75_percent_of_the_recorded_ratio_and_no_less(self):
        recorded = self.folder / "recorded.json"
        recorded.write_text(json.dumps({"runs": [{
            "machine": {"instructions": machine.instructions()},
            "rows": [{"name": "step-fp32", "ratio": 1.6, "best_peer": "channels-last compile",
                      "ratios": {"channels-last compile": {"ratio": 1.6}, "channels-last": {"ratio": 2}}}]}]}))
        for rate, code in (("151", 0), ("149", 1)):
            result = self.compare("--guard", recorded, "--rounds", "1", FAKE_RATE=rate)
            self.assertEqual(result.returncode, code, result.stdout + result.stderr)
            self.assertEqual(result.stderr.count("round 1:"), 1 if code == 0 else 3, "two more tries")
        self.assertEqual(self.compare("--guard", recorded, "step-bf16", "--rounds", "1").returncode, 2)

    def test_the_guard_says_nothing_of_another_kind_of_processor(self):
        recorded = self.folder / "recorded.json"
        recorded.write_text(json.dumps({"runs": [{
            "machine": {"instructions": ["neon"]}, "rows": [{"name": "step-fp32", "ratio": 2, "best_peer": "channels-last"}]}]}))
        result = self.compare("--guard", recorded, "--rounds", "1")
        self.assertEqual(result.returncode, 77, result.stdout + result.stderr)
        self.assertIn("not compared", result.stdout)


class RecordTest(Harness):
    """What the documentation keeps of earlier runs."""

    @staticmethod
    def run_of(date, *names):
        return {"machine": {"date": date}, "rows": [{"name": name} for name in names], "federated_accuracies": [],
                "peer_checks": [{"row": name, "of": date} for name in names], "federated_speeds": []}

    def test_a_row_stands_in_the_run_that_measured_it_last(self):
        path = self.folder / "record/compare.json"
        record.save(path, self.run_of("monday", "a", "b"))
        record.save(path, self.run_of("tuesday", "c"))
        runs = record.save(path, self.run_of("wednesday", "b"))
        self.assertEqual(record.load(path), runs)
        self.assertEqual([(number, row["name"]) for number, row in record.rows_of(runs, ["c", "b", "a"])],
                         [(2, "c"), (3, "b"), (1, "a")])
        self.assertEqual([check["of"] for run in runs for check in run["peer_checks"]], ["monday", "tuesday", "wednesday"])

    def test_a_run_whose_rows_were_all_measured_again_leaves(self):
        path = self.folder / "compare.json"
        record.save(path, self.run_of("monday", "a", "b"))
        runs = record.save(path, self.run_of("tuesday", "b", "a"))
        self.assertEqual([run["machine"]["date"] for run in runs], ["tuesday"])

    def test_the_page_names_the_run_of_each_row(self):
        _, first = self.measure("step-fp32")
        _, second = self.measure("augment", "all-reduce-mpi")
        text = report.section([first, second], ["augment", "step-fp32", "all-reduce-mpi"], report.table, report.checks_text)
        rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
        self.assertEqual([(cells[0].split("`")[1], cells[1]) for cells in rows],
                         [("augment", "2"), ("step-fp32", "1"), ("all-reduce-mpi", "2")])
        self.assertIn("| Rate, 2 threads | run 1 | run 2 |", text)
        self.assertIn("Run 2: ", text)
        self.assertIn("--python PYTHON", text, "a path of this machine is nobody's affair")

    def test_what_was_measured_earlier_is_shown_again_and_judged_the_same(self):
        measured, _ = self.measure("step-fp32")
        again = self.compare("--from", self.folder / "out.json")
        self.assertEqual((again.returncode, again.stdout), (0, measured.stdout))
        self.assertEqual(again.stderr, "", "nothing is measured")
        refused = self.compare("--from", self.folder / "out.json", "--write-docs")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("at least 5 rounds", refused.stderr)


class ReportTest(unittest.TestCase):
    def test_the_generated_part_is_replaced_and_the_rest_stays(self):
        page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
        once = report.replace_section(page, "new")
        self.assertEqual(once, f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n")
        self.assertEqual(report.replace_section(once, "new"), once)
        with self.assertRaises(ValueError):
            report.replace_section("no markers", "new")

    def test_the_page_has_its_markers(self):
        self.assertIn("x", report.replace_section((ROOT / "docs/performance.md").read_text(encoding="utf-8"), "x"))

    def test_the_chart_is_well_formed_and_marks_both_sides(self):
        run = {"rates": {"gemm_bf16": 2000.0, "fma_fp32": 300.0, "copy": 20.0},
               "rows": [{"name": "step-bf16", "precision": "bf16", "ours": {"gflops": 800.0}, "best_peer": "eager",
                         "peers": {"eager": {"gflops": 500.0}}}]}
        chart = roofline.roofline([run])
        drawing = xml.dom.minidom.parseString(chart)
        self.assertEqual(len(drawing.getElementsByTagName("circle")), 2)
        self.assertIn("rn_dist bf16 800", chart)
        later = {"rates": {"gemm_bf16": 1500.0, "fma_fp32": 200.0, "copy": 10.0}, "rows": []}
        self.assertEqual(roofline.roofline([run, later]), chart)  # roofs of a run without steps are not theirs
        self.assertIn("GEMM bf16 1500", roofline.roofline([later]))

    def test_the_requirement_on_a_peer_scales_with_the_machine(self):
        found = validity.finding("step-fp32", 60, reference=73, rate=240, reference_rate=480)
        self.assertEqual((found["needed"], found["holds"]), (32.9, True))
        self.assertFalse(validity.finding("step-fp32", 32, 73, 240, 480)["holds"])


if __name__ == "__main__":
    unittest.main()
