"""launch/gpu-check: here without a GPU from end to end, and its logic with stand-ins for GPUs, programs and runs.

usage: gpu_check_test.py BUILD_FOLDER
"""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ROOT / "build")
sys.path.insert(0, str(ROOT / "bench"))

from comparison import gpu_checks, gpu_figures, gpu_report  # noqa: E402
from comparison.programs import Context, RunFailed  # noqa: E402

RESULTS = """#!/bin/sh
for word; do case $word in --gtest_output=xml:*) file=${word#*xml:} ;; esac; done
echo '<testsuites tests="3" failures="0" errors="0"><testsuite>%s</testsuite></testsuites>' >"$file"
exit %d
"""


def cases(*results):
    return "".join(f'<testcase name="t{i}" result="{result}"/>' for i, result in enumerate(results))


def load_program():
    """bench/gpu_check as a module."""
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(ROOT / "bench/gpu_check"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = dont_write
    return module


class WithoutAGpu(unittest.TestCase):
    def setUp(self):
        self.out = pathlib.Path(tempfile.mkdtemp(prefix="rn_gpu_check_test_"))
        self.addCleanup(shutil.rmtree, self.out)

    def gpu_check(self, *words):
        environment = dict(os.environ, CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")
        return subprocess.run([ROOT / "launch/gpu-check", "--build", BUILD, "--out", self.out, *words],
                              capture_output=True, text=True, env=environment, check=False)

    def test_it_says_that_nothing_was_run_on_a_gpu_and_still_starts_what_is_built(self):
        done = self.gpu_check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("NO GPU on this machine: nothing that needs one was run", done.stdout)
        report = json.loads((self.out / "report.json").read_text())
        self.assertEqual(report["gpus"], [])
        self.assertEqual([check["state"] for check in report["checks"]], ["not checked", "passed"])
        self.assertEqual(report["left_out"]["all figures"], "no GPU")
        self.assertIn("| training where there is no GPU | passed |", (self.out / "report.md").read_text())

    def test_a_gpu_can_be_required(self):
        self.assertEqual(self.gpu_check("--require", "1").returncode, 3)

    def test_a_build_that_is_missing_is_refused(self):
        done = subprocess.run([ROOT / "launch/gpu-check", "--build", self.out], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("is not built", done.stderr)


class WithStandIns(unittest.TestCase):
    """Two GPUs that nvidia-smi shows, programs that do as they are told."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rn_gpu_check_test_"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.programs = self.folder / "build/bin"
        self.programs.mkdir(parents=True)
        for source, names in (("fake_rn_dist.py", ["rn_dist"]), ("fake_programs.py", ["mpirun", "python"])):
            for name in names:
                self.install(name, (HERE / source).read_text())
        self.install("gpu_mpi_test", RESULTS % (cases("completed", "completed", "skipped"), 0))
        self.install("nvidia-smi", "#!/bin/sh\necho 'Card A, 600.1, 80 GiB, 9.0'\necho 'Card B, 600.1, 80 GiB, 9.0'\n")
        path = mock.patch.dict(os.environ, PATH=f"{self.programs}:{os.environ['PATH']}")
        path.start()
        self.addCleanup(path.stop)
        self.context = Context(mock.Mock(build=str(self.folder / "build"), python=str(self.programs / "python"), rounds=2,
                                         steps=3, batch=64, images=1000, timeout=60))
        self.addCleanup(self.context.close)

    def install(self, name, text):
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def test_tests_pass_fail_or_were_not_run(self):
        for results, code, state in ((("completed", "skipped", "completed"), 0, "passed"),
                                     (("skipped",) * 3, 0, "not checked"), (("completed",) * 3, 1, "FAILED")):
            self.install("gpu_mpi_test", RESULTS % (cases(*results), code))
            self.assertEqual(gpu_checks.gpu_tests(self.context, 2, 2).state, state)
        self.install("gpu_mpi_test", "#!/bin/sh\nexit 0\n")
        self.assertEqual(gpu_checks.gpu_tests(self.context, 1, 2).state, "FAILED", "it left no results")

    def test_tests_that_hang_fail_at_their_deadline(self):
        self.install("gpu_mpi_test", "#!/bin/sh\nexec sleep 60\n")
        with mock.patch.object(gpu_checks, "TEST_DEADLINE", 1):
            check = gpu_checks.gpu_tests(self.context, 2, 1, shared=True)
        self.assertEqual(check.state, "FAILED")
        self.assertIn("not done after 1 s", check.detail)

    def resume_with(self, weights, code=0):
        """The state of the check `resume` where runs leave these weights, one after another."""
        weights = iter(weights)

        def launch(_context, folder, _ranks, steps, _overrides=None, _environment=None):
            folder.mkdir(exist_ok=True)
            if steps == 40:
                (folder / "model.safetensors").write_bytes(next(weights))
            return code, "some output"

        with mock.patch.object(gpu_checks, "launch", launch):
            return gpu_checks.resume(self.context, 1).state

    def test_a_resumed_run_must_leave_the_same_bits_where_bits_can_be_compared(self):
        self.assertEqual(self.resume_with([b"a", b"a"]), "passed")
        self.assertEqual(self.resume_with([b"a", b"b", b"a"]), "FAILED")
        self.assertEqual(self.resume_with([b"a", b"b", b"c"]), "not checked")
        self.assertEqual(self.resume_with([b"a", b"a"], code=1), "FAILED")

    def test_a_fault_must_end_with_its_exit_code(self):
        for offset, states in ((0, ["passed"] * 3), (1, ["FAILED"] * 3)):
            codes = {fault: code + offset for fault, _, code in gpu_checks.FAULTS}
            with mock.patch.object(gpu_checks, "launch", lambda *args: (codes[args[5]["RN_FAULT"]], "")):
                self.assertEqual([check.state for check in gpu_checks.faults(self.context, 2)], states)
        with mock.patch.object(gpu_checks, "launch", lambda *args: (codes[args[5]["RN_FAULT"]] - 1, "")):
            self.assertEqual([check.state for check in gpu_checks.faults(self.context, 1)],
                             ["passed", "passed", "not checked"])

    def run_all(self, accuracy):
        """All of bench/gpu_check: its exit code and the report."""
        program = load_program()
        checks = [gpu_checks.Check("a check", gpu_checks.PASSED)]
        words = ["gpu_check", "--build", str(self.folder / "build"), "--python", str(self.programs / "python"), "--steps",
                 "3", "--rounds", "2", "--images", "1000", "--out", str(self.folder / "out"), "--data", str(self.folder)]
        with mock.patch.object(gpu_checks, "all_checks", lambda *_: checks), \
                mock.patch.object(gpu_figures, "time_to_accuracy", accuracy), mock.patch.object(sys, "argv", words):
            code = program.main()
        return code, json.loads((self.folder / "out/report.json").read_text()), (self.folder / "out/report.md").read_text()

    def test_every_figure_stands_in_the_report(self):
        code, report, page = self.run_all(lambda _context, config, gpus, _data: {
            "config": config, "gpus": gpus, "top1": 94.01, "train_seconds": 60.0, "seconds": 65.0})
        self.assertEqual((code, report["failed_figures"]), (0, {}))
        self.assertIn("2 GPU(s): 1 passed", page)
        self.assertEqual(len(report["steps"]), 2 * 2 * 3 + 2 * 3)
        self.assertEqual(sum("CUDA graph" in step["title"] for step in report["steps"]), 6)
        step = report["steps"][0]
        self.assertAlmostEqual(step["ratio"], 200 / 125)
        self.assertAlmostEqual(step["ours"]["roof_share"], 200 * 3.33 / 500)
        self.assertEqual([entry["efficiency"] for entry in report["scaling"]], [1, 0.5])
        self.assertEqual([entry["config"] for entry in report["accuracy"]], list(gpu_figures.CONFIGS))
        self.assertIn("94.01 %", page)

    def test_a_figure_that_fails_is_named_and_costs_the_others_nothing(self):
        def fails(*_):
            raise RunFailed("the archive is gone")
        code, report, page = self.run_all(fails)
        self.assertEqual(code, 1)
        self.assertEqual(set(report["failed_figures"]), set(gpu_figures.CONFIGS))
        self.assertEqual(len(report["steps"]), 18)
        self.assertIn("- train.yaml: the archive is gone", page)

    def test_the_share_of_the_peak_is_that_of_the_precision(self):
        result = {"precision": "fp32", "ours": {"median": 1000.0}, "peers": {}}
        gpu_figures.add_peak_share(result, {"gemm_fp32": 3330.0, "gemm_bf16": 1.0}, gpus=2)
        self.assertAlmostEqual(result["ours"]["roof_share"], 0.5)

    def test_failures_are_told_in_full(self):
        document = {"machine": {"date": "", "cpu": "", "cores": 1, "commit": "", "command": ""}, "gpus": ["Card"],
                    "checks": [{"name": "faults", "state": "FAILED", "detail": "exit code 9\nand why"}], "rates": None,
                    "steps": [], "scaling": [], "accuracy": [], "failed_figures": {}, "left_out": {}}
        page = gpu_report.markdown(document)
        self.assertIn("| faults | **FAILED** | exit code 9 |", page)
        self.assertIn("exit code 9\nand why", page)


if __name__ == "__main__":
    unittest.main()
