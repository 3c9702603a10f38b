"""Whether both sides of the federated rows compute the same, and whether the peers are as good as they should be."""
import math
import statistics

from . import federated_runs as runs
from .programs import RunFailed, say
from .safetensors_file import read_float32
from .validity import REFERENCE_RATE

# A round of pfl-research's setting with two processes, seconds, where multiply-adds in float32 reach 480 GFLOP/s.
REFERENCE_SECONDS = {"loop by hand": 1.95, "pfl-research": 2.15, "Flower": 3.91}
SPEED_TOLERANCE = 0.15

# Every client takes part with all its images in one batch and without dropout, so neither cohort nor order matters: what is
# left is float32's rounding.
CHECK = {"model.name": "lenet", "federated.clients": 8, "federated.cohort": 8, "federated.client_samples": 25,
         "federated.local_epochs": 2, "train.global_batch": 25, "optimizer.lr": 0.05, "run.seed": 7}
CHECK_WORDS = ("--net", "lenet", "--clients", 8, "--cohort", 8, "--epochs", 2, "--batch", 25, "--lr", 0.05)
CHECK_ROUNDS = 3
WEIGHT_TOLERANCE = 1e-3  # of the distance that three rounds go

ACCURACY_TOLERANCE = 2.0  # points between the means over the seeds, or three standard errors of their difference


def distance(a, b):
    if a.keys() != b.keys():
        raise RunFailed(f"the weights have other names: {sorted(a)} and {sorted(b)}")
    return math.sqrt(sum((x - y) ** 2 for name in a for x, y in zip(a[name], b[name])))


def check_weights(context, peers=("loop", "pfl", "flower")):
    """Three rounds from the same weights on the same split: one finding per peer."""
    rounds, seed = context.federated_rounds, context.seed
    try:
        context.federated_rounds, context.seed = CHECK_ROUNDS, CHECK["run.seed"]
        start = runs.simulate(context, {**CHECK, "federated.rounds": 1}).run.folder / "model.safetensors"
        ours = runs.simulate(context, {**CHECK, "model.init_from": start}).run.folder / "model.safetensors"
        partition = split(context)
        return [compare_weights(context, name, start, ours, partition) for name in peers]
    finally:
        context.federated_rounds, context.seed = rounds, seed


def split(context):
    folder = context.run_folder()
    context.execute([context.binary("rn_dist"), "split", runs.CONFIG, f"data.root={runs.images_root(context)}",
                     *(f"{key}={value}" for key, value in CHECK.items()), "--out", folder])
    return folder / "partition.txt"


def compare_weights(context, peer, start, ours, partition):
    theirs = context.folder / f"weights-{peer}.safetensors"
    finding = {"peer": peer, "rounds": CHECK_ROUNDS, "tolerance": WEIGHT_TOLERANCE}
    try:
        runs.peer(context, peer, *CHECK_WORDS, "--partition", partition, "--init", start, "--save", theirs)
    except RunFailed as error:
        say(f"weights beside {peer}: FAILED: {error}")
        return {**finding, "failed": str(error).splitlines()[0], "holds": False}
    mine = read_float32(ours)
    way = distance(mine, read_float32(start))
    difference = distance(mine, read_float32(theirs)) / way if way else math.inf
    say(f"weights after {CHECK_ROUNDS} rounds beside {peer}: {difference:.1e} of the way apart")
    return {**finding, "relative_difference": difference, "holds": difference <= WEIGHT_TOLERANCE}


def objections(findings):
    """Why the weights void the table. A peer that did not run is named in the report and is no objection, but one of them
    must have run."""
    if findings and all("failed" in finding for finding in findings):
        return ["no peer's weights could be compared"]
    return [f"the weights beside {finding['peer']} differ" for finding in findings
            if not finding["holds"] and "failed" not in finding]


def check_accuracies(results):
    """Of the timed runs, each of another seed: rn_dist's mean beside each peer's."""
    findings = []
    for result in results:
        for name, side in result["peers"].items():
            if not result["federated"] or "top1_values" not in side or "top1_values" not in result["ours"]:
                continue
            ours, theirs = result["ours"]["top1_values"], side["top1_values"]
            error = math.sqrt(sum(variance_of_mean(values) for values in (ours, theirs)))
            tolerance = max(ACCURACY_TOLERANCE, 3 * error)
            apart = statistics.mean(ours) - statistics.mean(theirs)
            findings.append({"row": result["name"], "peer": name, "seeds": len(ours), "ours": statistics.mean(ours),
                             "theirs": statistics.mean(theirs), "tolerance": tolerance,
                             "holds": abs(apart) <= tolerance})
    return findings


def variance_of_mean(values):
    return statistics.variance(values) / len(values) if len(values) > 1 else 0.0


def check_speeds(results, rates):
    """The peers of the row that there are reference figures of."""
    findings = []
    for result in results:
        if result["name"] != "federated-pfl":
            continue
        for name, reference in REFERENCE_SECONDS.items():
            if name not in result["peers"]:
                continue
            most = reference * REFERENCE_RATE["fp32"] / rates["fma_fp32"] * (1 + SPEED_TOLERANCE)
            seconds = result["peers"][name]["median"]
            findings.append({"row": result["name"], "peer": name, "seconds": seconds, "most": most,
                             "rate": rates["fma_fp32"], "holds": seconds <= most})
    return findings
