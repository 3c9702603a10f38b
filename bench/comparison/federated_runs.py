"""Runs of both sides in pfl-research's CIFAR-10 setting: 1,000 users x 50 images, cohort 50, one local epoch of batches
of 10, local rate 0.1, server rate 1, uniform weights."""
import dataclasses
import json
import os
import pathlib
import statistics

from peers.process_tree import PeakMemory

from .programs import ROOT, Measurement, Run, RunFailed, say

CONFIG = ROOT / "configs/federated/pfl_iid.yaml"
RANKS = 2
EVAL_BATCH = 100  # as the peers: a larger one would be what decides on the memory

# Of an image on its way forward, layer by layer. Training takes three products of each: forward, by the weight, and by the
# input, which the first layer does without.
MULTIPLY_ADDS = {"pfl_cnn": (30 * 30 * 32 * 27, 28 * 28 * 64 * 288, 12544 * 128, 128 * 10),
                 "lenet": (28 * 28 * 6 * 75, 10 * 10 * 16 * 150, 400 * 120, 120 * 84, 84 * 10)}
IMAGES_PER_ROUND = 2500


def gflop_per_round(net):
    first, *others = MULTIPLY_ADDS[net]
    return IMAGES_PER_ROUND * 2 * (2 * first + 3 * sum(others)) / 1e9


def images_root(context):
    """The real images where they lie at hand, else made ones; the speed is the same."""
    root = os.environ.get("RN_CIFAR10_DIR")
    if root and pathlib.Path(root, "cifar-10-batches-bin").exists():
        return root
    made = context.folder / "federated-set"
    if not made.exists():
        context.execute([context.binary("rn_dist"), "data", "synth", "--root", made, "--train", 50000, "--test", 10000])
    return made


def command_of(context, folder, overrides, ranks):
    keys = {"run.dir": folder, "run.seed": context.seed, "data.root": images_root(context),
            "federated.rounds": context.federated_rounds, "federated.eval_every_rounds": 0,
            "federated.checkpoint_every_rounds": 0, "eval.batch": EVAL_BATCH, "train.threads": 1,
            "report.tensorboard": "false", "report.progress": "none", **overrides}
    command = [context.binary("rn_dist"), CONFIG, *(f"{key}={value}" for key, value in keys.items())]
    return (context.mpirun(ranks) if ranks > 1 else []) + command


def records_of(folder):
    with open(folder / "metrics.jsonl", encoding="utf-8") as file:
        return Run(folder, [json.loads(line) for line in file])


def seconds_per_round(run):
    """The median; the first round warms up, on both sides."""
    seconds = [record["seconds"] for record in run.of("round")]
    if len(seconds) < 2:
        raise RunFailed(f"{run.folder} records {len(seconds)} rounds; two are needed")
    return statistics.median(seconds[1:])


@dataclasses.dataclass
class Simulated:
    """A finished run of rn_dist, and the peak memory of all its processes."""
    run: Run
    memory: int

    def measurement(self):
        return Measurement(seconds_per_round(self.run), self.memory, {"top1": self.run.of("eval")[-1]["top1"]})


def simulate(context, overrides=None, ranks=RANKS):
    folder = context.run_folder()
    memory = PeakMemory(os.getpid(), counts_itself=False)
    try:
        context.execute(command_of(context, folder, overrides or {}, ranks))
    finally:
        peak = memory.finish()
    if peak == 0:
        raise RunFailed("the processes ended before their memory was seen")
    return Simulated(records_of(folder), peak)


def start_seconds(context):
    """From the start of the processes until the first round is recorded, less a median round."""
    folder = context.run_folder()
    command = command_of(context, folder, {}, RANKS)
    until = context.time_until(command, '"event":"round"', folder / "metrics.jsonl")
    run = records_of(folder)
    return Measurement(until.value - min(run.of("round")[0]["seconds"], seconds_per_round(run)))


def peer(context, script, *words):
    """The JSON of bench/peers/federated_*.py."""
    return context.peer(f"federated_{script}.py", images_root(context), "--rounds", context.federated_rounds, "--seed",
                        context.seed, *words, threads=1)


LOOP_MODES = {"nchw": (), "channels-last": ("--layout", "channels-last"), "nchw compile": ("--compile",),
              "channels-last compile": ("--layout", "channels-last", "--compile")}


def loop_mode(context, net):
    """The words of the fastest mode of the loop by hand, tried once per network."""
    if net not in context.loop_modes:
        seconds = {}
        for name, words in LOOP_MODES.items():
            try:
                seconds[name] = peer(context, "loop", "--net", net, *words)["seconds_per_round"]
            except RunFailed as error:  # no compiler for torch.compile: the others still count
                say(f"the loop's mode {name} left out: {error}")
        if not seconds:
            raise RunFailed("no mode of the loop by hand runs")
        context.loop_modes[net] = min(seconds, key=seconds.get)
        say(f"the loop by hand on {net}: {seconds}")
    return LOOP_MODES[context.loop_modes[net]]


def peers(net, value="seconds_per_round", fastest_loop=True):
    """The three peers: what their JSON calls `value`. The fastest loop may be a compiled one, which starts late."""
    def runner(script):
        def run(context):
            words = loop_mode(context, net) if script == "loop" and fastest_loop else ()
            result = peer(context, script, "--net", net, *words)
            return Measurement(result[value], result["peak_memory_bytes"], {"top1": result["top1"]})
        return run
    return {"loop by hand": runner("loop"), "pfl-research": runner("pfl"), "Flower": runner("flower")}
