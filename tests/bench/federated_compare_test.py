"""The federated rows of bench/compare from end to end, with stand-ins for all that they run, and their parts alone."""
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from compare_test import ROOT, Harness

from comparison import federated_checks, federated_report, federated_runs, report, safetensors_file  # noqa: E402
from peers import process_tree  # noqa: E402


class FederatedRowsTest(Harness):
    def rows(self, *names, **figures):
        result, document = self.measure(*names, **figures)
        return result, document, {row["name"]: row for row in document["rows"]}

    def test_a_round_is_compared_with_every_peer_and_each_has_its_goal(self):
        result, document, rows = self.rows("federated-pfl")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        row = rows["federated-pfl"]
        self.assertEqual({name: found["goal"] for name, found in row["ratios"].items()},
                         {"loop by hand": 2, "pfl-research": 2.2, "Flower": 4})
        for name, ratio in (("loop by hand", 1.5), ("pfl-research", 2.5), ("Flower", 4)):  # the loop's best mode: 0.75 s
            self.assertAlmostEqual(row["ratios"][name]["ratio"], ratio)
        self.assertEqual(document["losses"], [], "no training steps are compared")
        self.assertIn(", 800 |", result.stdout)

    def test_the_first_round_of_a_run_is_left_out(self):
        _, _, rows = self.rows("federated-lenet")
        self.assertEqual(rows["federated-lenet"]["ours"]["values"], [0.5, 0.5])

    def test_the_share_of_the_roof_is_that_of_the_setting(self):
        _, _, rows = self.rows("federated-pfl-bf16")
        row = rows["federated-pfl-bf16"]
        gflop = federated_runs.gflop_per_round("pfl_cnn")
        self.assertAlmostEqual(row["ours"]["roof_share"], gflop / 0.25 / 500)  # of the products in bf16
        self.assertAlmostEqual(row["ratio"], 2)

    def test_every_federated_row_is_chosen_by_pattern(self):
        result, document, rows = self.rows("federated-*")
        self.assertEqual(document["failed"], {}, result.stderr)
        listed = [line.split()[0] for line in self.compare("--list").stdout.splitlines()]
        self.assertEqual(list(rows), [name for name in listed if name.startswith("federated-")])
        self.assertAlmostEqual(rows["federated-empty"]["ratio"], 1)  # 40 MB at 20 GB/s
        self.assertEqual(rows["federated-start"]["limit"], 2)
        self.assertGreater(rows["federated-memory"]["ratio"], 2)

    def test_other_weights_void_the_table(self):
        result, document, _ = self.rows("federated-ranks", FAKE_PEER_WEIGHT="1.01")
        self.assertEqual(result.returncode, 1)
        self.assertIn("NOT THE SAME", result.stdout)
        self.assertAlmostEqual(document["federated_weights"][0]["relative_difference"], 0.01, places=5)

    def test_another_accuracy_voids_the_table(self):
        for accuracy, valid in (("39", True), ("37", False)):  # the peers': 40.5 %; seeds add 0.25 to ours
            result, document, _ = self.rows("federated-lenet", FAKE_TOP1=accuracy)
            self.assertEqual(document["valid"], valid, result.stdout)

    def test_a_peer_slower_than_the_reference_voids_the_table(self):
        # pfl-research's 2.15 s at 480 GFLOP/s are 3.44 s at 300, and 3.96 s with 15 %; the stand-in takes 1.25 s.
        for factor, valid in (("3.1", True), ("3.2", False)):
            result, document, _ = self.rows("federated-pfl", FAKE_FEDERATED_FACTOR=factor)
            self.assertEqual(document["valid"], valid, result.stdout)

    def test_a_peer_that_is_not_installed_is_named_and_does_not_cost_the_row(self):
        result, document, rows = self.rows("federated-lenet", FAKE_MISSING_PEER="federated_flower.py")
        self.assertEqual(set(rows["federated-lenet"]["peers"]), {"loop by hand", "pfl-research"})
        self.assertIn("Flower does not stand in `federated-lenet`", result.stdout)
        self.assertIn("weights beside flower: not compared", result.stdout)
        self.assertTrue(document["valid"])

    def test_without_any_peer_the_table_is_void(self):
        result, document, _ = self.rows("federated-ranks", FAKE_MISSING_PEER="federated_loop.py "
                                        "federated_pfl.py federated_flower.py")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no peer's weights could be compared", result.stdout)


class FederatedPartsTest(unittest.TestCase):
    def test_a_round_has_the_operations_of_its_layers(self):
        self.assertAlmostEqual(federated_runs.gflop_per_round("pfl_cnn"), 248.6, places=1)
        self.assertAlmostEqual(federated_runs.gflop_per_round("lenet"), 8.0, places=1)

    def test_weights_with_other_names_are_not_compared(self):
        with self.assertRaises(federated_checks.RunFailed):
            federated_checks.distance({"a": [1.0]}, {"b": [1.0]})
        self.assertEqual(federated_checks.distance({"a": [1.0, 2.0]}, {"a": [4.0, 6.0]}), 5)

    def test_few_seeds_that_scatter_widen_the_tolerance_of_accuracy(self):
        def holds(ours, theirs):
            row = {"name": "x", "federated": True, "ours": {"top1_values": ours}, "peers": {"p": {"top1_values": theirs}}}
            return federated_checks.check_accuracies([row])[0]["holds"]
        self.assertTrue(holds([40, 50, 45], [44, 54, 49]))
        self.assertFalse(holds([45, 45.1, 45.2], [49, 49.1, 49.2]))

    def test_numbers_of_other_types_are_refused(self):
        with tempfile.NamedTemporaryFile() as file:
            header = b'{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}'
            pathlib.Path(file.name).write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
            with self.assertRaises(ValueError):
                safetensors_file.read_float32(file.name)

    def test_the_page_has_its_markers(self):
        page = (ROOT / "docs/federated.md").read_text(encoding="utf-8")
        self.assertIn("x", report.replace_section(page, "x"))
        self.assertTrue(callable(federated_report.write_docs))


class ProcessTreeTest(unittest.TestCase):
    TAKES_40_MB = "x = bytearray(40_000_000); import time; time.sleep({})"

    def test_the_peaks_of_all_descendants_are_added_up(self):
        inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {self.TAKES_40_MB.format(0.6)!r}])"
        process = subprocess.Popen([sys.executable, "-c", inner])
        memory = process_tree.PeakMemory(process.pid)
        process.wait()
        peak = memory.finish()
        self.assertGreater(peak, 45_000_000)  # with both interpreters
        self.assertLess(peak, 120_000_000)

    def test_the_time_since_the_start_of_the_process_grows(self):
        before = process_tree.seconds_since_start()
        time.sleep(0.05)
        self.assertGreaterEqual(process_tree.seconds_since_start() - before, 0.05)
        self.assertLess(before, 3600)


if __name__ == "__main__":
    unittest.main()
