"""bench/federated_accuracy from end to end, with stand-ins for rn_dist and the referee."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
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

    def test_the_command_says_what_was_run_and_not_where_things_lie(self):
        _, document = self.accuracy("--algorithms", "fedavg", "--partitions", "iid")
        self.assertEqual(document["machine"]["command"], "bench/federated_accuracy --rounds 2 --build BUILD --python PYTHON "
                                                         "--json FILE --algorithms fedavg --partitions iid")

    def test_a_record_is_shown_again_without_measuring(self):
        first, _ = self.accuracy("--algorithms", "fedavg", "--partitions", "iid")
        (self.programs / "python").unlink()
        again = subprocess.run([sys.executable, ROOT / "bench/federated_accuracy", "--from", self.folder / "out.json"],
                               capture_output=True, text=True, check=False)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stdout.splitlines()[-3:], first.stdout.splitlines()[-3:])

    def test_one_seed_does_not_become_documentation(self):
        result, _ = self.accuracy("--seeds", "1", "--write-docs")
        self.assertEqual(result.returncode, 2)
        self.assertIn("three seeds", result.stderr)


class AccuracyPageTest(unittest.TestCase):
    @staticmethod
    def document(rounds, local_epochs):
        return {"machine": {"date": "d", "cpu": "c", "commit": "0", "command": f"bench/federated_accuracy --rounds {rounds}"},
                "rounds": rounds, "local_epochs": local_epochs, "seeds": [1], "results": []}

    def test_the_page_has_its_markers(self):
        page = (ROOT / "docs/federated.md").read_text(encoding="utf-8")
        self.assertIn("x", report.replace_section(page, "x", accuracy.BEGIN, accuracy.END))

    def test_a_shortened_run_says_that_published_figures_are_not_of_its_length(self):
        document = self.document(3, 1)
        self.assertIn("for orientation only", accuracy.section(document))
        self.assertNotIn("for orientation only", accuracy.section({**document, "rounds": 50, "local_epochs": 10}))

    def test_every_record_becomes_a_table_of_the_page_and_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "docs").mkdir()
            (root / "docs/federated.md").write_text(f"before\n{accuracy.BEGIN}\nold\n{accuracy.END}\nbehind\n")
            documents = [self.document(5, 2), self.document(12, 4)]
            accuracy.write_docs(documents, root)
            page = (root / "docs/federated.md").read_text()
            self.assertEqual(json.loads((root / "docs/results/federated/accuracy.json").read_text()), documents)
        self.assertTrue(page.startswith("before\n") and page.endswith("\nbehind\n"), page)
        self.assertNotIn("old", page)
        for words in ("5 rounds of 2 local", "12 rounds of 4 local", "`bench/federated_accuracy --rounds 12`"):
            self.assertIn(words, page)


if __name__ == "__main__":
    unittest.main()
