"""bench/federated_accuracy from end to end, with stand-ins for rn_dist and the referee."""
import json
import os
import subprocess
import sys
import unittest

from compare_test import ROOT, Harness

from comparison import accuracy, report  # noqa: E402


class FederatedAccuracyTest(Harness):
    def accuracy(self, *words, **figures):
        result = subprocess.run(
            [sys.executable, ROOT / "bench/federated_accuracy", "--rounds", "2", "--build", self.folder / "build", "--python",
             self.programs / "python", "--json", self.folder / "out.json", *words],
            capture_output=True, text=True, env=dict(os.environ, **figures), check=False)
        found = self.folder / "out.json"
        return result, json.loads(found.read_text()) if found.exists() else None

    def test_every_algorithm_is_judged_on_every_split(self):
        result, document = self.accuracy()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual([(r["partition"], r["algorithm"]) for r in document["results"]],
                         [(p, a) for p in accuracy.PARTITIONS for a in accuracy.ALGORITHMS])
        first = document["results"][0]
        self.assertEqual(first["ours"], [40.25, 40.5, 40.75])  # of the last round, by seed
        self.assertEqual(first["referee"], [40.75, 41.0, 41.25])
        self.assertAlmostEqual(first["difference"], -0.5)
        self.assertEqual([len(curve) for curve in first["curves"][0]], [2, 2, 2])
        self.assertIn("| dirichlet | `scaffold` | 40.50 (40.25, 40.50, 40.75) | 41.00", result.stdout)

    def test_a_mean_that_is_too_far_away_is_named(self):
        result, document = self.accuracy("--algorithms", "fedprox", "--partitions", "iid", FAKE_TOP1="38")
        self.assertEqual(result.returncode, 1)
        self.assertFalse(document["results"][0]["holds"])
        self.assertIn("-2.50 **beyond 1.0**", result.stdout)

    def test_a_run_that_fails_ends_the_comparison_with_its_message(self):
        (self.programs / "python").unlink()
        result, document = self.accuracy()
        self.assertEqual(result.returncode, 2)
        self.assertIsNone(document)
        self.assertIn("cannot be started", result.stderr)

    def test_one_seed_does_not_become_documentation(self):
        result, _ = self.accuracy("--seeds", "1", "--write-docs")
        self.assertEqual(result.returncode, 2)
        self.assertIn("three seeds", result.stderr)


class AccuracyPageTest(unittest.TestCase):
    def test_the_page_has_its_markers(self):
        page = (ROOT / "docs/federated.md").read_text(encoding="utf-8")
        self.assertIn("x", report.replace_section(page, "x", accuracy.BEGIN, accuracy.END))

    def test_a_shortened_run_says_that_published_figures_are_not_of_its_length(self):
        document = {"machine": {"date": "d", "cpu": "c", "commit": "0"}, "rounds": 3, "local_epochs": 1, "seeds": [1],
                    "command": "x", "results": []}
        self.assertIn("for orientation only", accuracy.section(document))
        self.assertNotIn("for orientation only", accuracy.section({**document, "rounds": 50, "local_epochs": 10}))


if __name__ == "__main__":
    unittest.main()
