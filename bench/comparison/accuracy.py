"""Test accuracies of rn_dist beside the referee's on the same split, from the same weights."""
import concurrent.futures
import json
import math
import os
import pathlib
import statistics

from .programs import ROOT, say
from .report import replace_section

CONFIG = ROOT / "configs/federated/niid_bench.yaml"
BEGIN, END = "<!-- bench/federated_accuracy: begin -->", "<!-- bench/federated_accuracy: end -->"

# What the partition is, and what Flower's baseline publishes after 50 rounds of 10 epochs.
PARTITIONS = {"iid": {"federated.partition": "iid", "federated.min_samples": 1},
              "dirichlet": {"federated.partition": "dirichlet_class", "federated.alpha": 0.5, "federated.min_samples": 10}}
ALGORITHMS = {"fedavg": {}, "fedprox": {"federated.mu": 0.01}, "fednova": {}, "scaffold": {}}
PUBLISHED = {("iid", "fedavg"): 71.7, ("dirichlet", "fedavg"): 63.4, ("dirichlet", "fedprox"): 65.6,
             ("dirichlet", "fednova"): 65.0, ("dirichlet", "scaffold"): 68.0}
TOLERANCE = 1.0  # points between the means over the seeds


def assignments(keys):
    return [f"{key}={value}" for key, value in keys.items()]


def images_root():
    return os.environ.get("RN_CIFAR10_DIR") or ROOT / "data/cifar10"


class Trials:
    """The runs of one comparison: `args` as bench/federated_accuracy has them."""

    def __init__(self, context, args):
        self._context, self._args = context, args

    def prepare(self, partition, seed):
        """The split and the start that both sides share: their files."""
        folder = self._context.folder / f"{partition}-{seed}"
        self._context.execute([self._context.binary("rn_dist"), "split", CONFIG, f"data.root={images_root()}",
                               f"run.seed={seed}", *assignments(PARTITIONS[partition]), "--out", folder])
        start = folder / "start.safetensors"
        self._context.peer("federated_niid.py", images_root(), "--rounds", 0, "--seed", seed, "--save-init", start,
                           threads=1)
        return folder / "partition.txt", start

    def ours(self, files, algorithm, seed):
        """The test accuracy after every round."""
        split, start = files
        folder = split.parent / f"run-{algorithm}"
        keys = {"run.dir": folder, "run.seed": seed, "data.root": images_root(), "model.init_from": start,
                "federated.partition": "file", "federated.partition_file": split, "federated.min_samples": 1,
                "federated.algorithm": algorithm, **ALGORITHMS[algorithm], "federated.rounds": self._args.rounds,
                "federated.local_epochs": self._args.local_epochs, "federated.eval_every_rounds": 1,
                "federated.checkpoint_every_rounds": 0, "train.threads": 1, "report.tensorboard": "false",
                "report.progress": "none"}
        self._context.execute([self._context.binary("rn_dist"), CONFIG, *assignments(keys)], {"OMP_NUM_THREADS": "1"})
        with open(folder / "metrics.jsonl", encoding="utf-8") as file:
            return [record["top1"] for record in map(json.loads, file) if record["event"] == "eval"]

    def referee(self, files, algorithm, seed):
        split, start = files
        result = self._context.peer("federated_niid.py", images_root(), "--partition", split, "--init", start,
                                    "--algorithm", algorithm, "--rounds", self._args.rounds, "--local-epochs",
                                    self._args.local_epochs, "--seed", seed, threads=1)
        return result["top1"]

    def run(self):
        """One result per partition and algorithm; some runs at a time, each with a thread."""
        results = []
        with concurrent.futures.ThreadPoolExecutor(self._args.jobs) as pool:
            for partition in self._args.partitions:
                files = {seed: self.prepare(partition, seed) for seed in self._args.seeds}
                for algorithm in self._args.algorithms:
                    both = [pool.map(lambda seed, side=side, a=algorithm: side(files[seed], a, seed), self._args.seeds)
                            for side in (self.ours, self.referee)]
                    results.append(judge(partition, algorithm, *(list(curves) for curves in both)))
                    say(f"{partition}, {algorithm}: {results[-1]['ours']} beside {results[-1]['referee']}")
        return results


def judge(partition, algorithm, ours, referee):
    """`ours`, `referee`: a curve per seed, of which the last values count."""
    last = [[curve[-1] for curve in curves] for curves in (ours, referee)]
    error = math.sqrt(sum(statistics.variance(values) / len(values) if len(values) > 1 else 0 for values in last))
    difference = statistics.mean(last[0]) - statistics.mean(last[1])
    tolerance = max(TOLERANCE, 3 * error)
    return {"partition": partition, "algorithm": algorithm, "ours": last[0], "referee": last[1], "curves": [ours, referee],
            "difference": difference, "standard_error": error, "tolerance": tolerance,
            "holds": abs(difference) <= tolerance}


def cell(values):
    return f"{statistics.mean(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})"


def table(document):
    lines = ["| Split | Algorithm | rn_dist | referee | difference | standard error of it | Flower's, 50 rounds |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for result in document["results"]:
        published = PUBLISHED.get((result["partition"], result["algorithm"]))
        mark = "" if result["holds"] else f" **beyond {result['tolerance']:.1f}**"
        lines.append(f"| {result['partition']} | `{result['algorithm']}` | {cell(result['ours'])} | "
                     f"{cell(result['referee'])} | {result['difference']:+.2f}{mark} | {result['standard_error']:.2f} | "
                     f"{published or '-'} |")
    return "\n".join(lines)


def section(document):
    machine = document["machine"]
    about = (f"{machine['date']}, {machine['cpu']}, commit {machine['commit']}: test accuracy in percent after "
             f"{document['rounds']} rounds of {document['local_epochs']} local epochs, means over the seeds "
             f"{', '.join(map(str, document['seeds']))} and each of them: `{machine['command']}`. The means must be "
             f"within {TOLERANCE:g} point, or three standard errors of their difference.")
    if document["rounds"] < 50 or document["local_epochs"] < 10:
        about += " Flower's figures are of 50 rounds of 10 epochs, and stand here for orientation only."
    return about + "\n\n" + table(document)


def write_docs(documents, root):
    record = pathlib.Path(root, "docs/results/federated/accuracy.json")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(documents, indent=1) + "\n", encoding="utf-8")
    page = pathlib.Path(root, "docs/federated.md")
    text = "\n\n".join(section(document) for document in documents)
    page.write_text(replace_section(page.read_text(encoding="utf-8"), text, BEGIN, END), encoding="utf-8")
