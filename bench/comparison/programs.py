"""Runs of both sides: rn_dist and the programs of bench/ here, PyTorch in bench/peers/ there."""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WARMUP_STEPS = 5


class RunFailed(Exception):
    """A program ended badly; the message holds its command and the end of its output."""


def say(text):
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass
class Measurement:
    value: float
    memory: int = 0  # peak, bytes of rank 0 (of all processes in federated rows); 0: not measured
    extra: dict = dataclasses.field(default_factory=dict)


class Context:
    """The settings of one comparison, and a folder for what its runs write."""

    root = ROOT
    federated_rounds = 10  # of one federated run, the first one left out of its median
    seed = 1  # of a federated run: another one in each round of the comparison

    def __init__(self, args):
        self.build = pathlib.Path(args.build).resolve()
        self.python = args.python
        self.rounds, self.steps, self.batch = args.rounds, args.steps, args.batch
        self.images = args.images
        self.timeout = args.timeout
        self._folder = tempfile.TemporaryDirectory(prefix="rn_compare_")
        self.folder = pathlib.Path(self._folder.name)
        self._runs = 0
        self.loop_modes = {}  # the fastest of the federated loop by hand, by network

    def close(self):
        self._folder.cleanup()

    def binary(self, name):
        path = self.build / "bin" / name
        if not path.exists():
            raise RunFailed(f"{path} is missing: configure with -DRN_BUILD_BENCHMARKS=ON and build, or name --build")
        return str(path)

    def run_folder(self):
        self._runs += 1
        return self.folder / f"run-{self._runs}"

    def execute(self, command, environment=None):
        """The standard output; raises RunFailed."""
        merged = dict(os.environ, **(environment or {}))
        try:
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=merged,
                                  timeout=self.timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise RunFailed(f"{command[0]} took longer than {self.timeout} s (--timeout)") from error
        except OSError as error:
            raise RunFailed(f"{command[0]} cannot be started: {error}") from error
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise RunFailed(f"exit code {done.returncode}: {' '.join(map(str, command))}\n{tail}")
        return done.stdout

    def mpirun(self, ranks):
        return ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)]

    # --- ours ---

    def train(self, overrides, ranks=1, threads=2):
        """A run of configs/train_4_epochs.yaml, on synthetic images unless told otherwise; its records."""
        folder = self.run_folder()
        keys = {"run.dir": folder, "data.dataset": "synthetic", "data.synthetic_train": self.images,
                "data.synthetic_test": 20, "eval.batch": 500, "train.threads": threads, "report.every_steps": 1,
                "report.tensorboard": "false", "report.progress": "none", "eval.every_epochs": 0,
                "checkpoint.every_epochs": 0, "train.global_batch": self.batch, **overrides}
        command = [self.binary("rn_dist"), str(ROOT / "configs/train_4_epochs.yaml"), *(f"{k}={v}" for k, v in keys.items())]
        self.execute((self.mpirun(ranks) if ranks > 1 else []) + command)
        with open(folder / "metrics.jsonl", encoding="utf-8") as file:
            return Run(folder, [json.loads(line) for line in file])

    def train_steps(self, precision, ranks=1, threads=2, batch=0, keys=None):
        """Images per second over all ranks, from the median step; `batch`: another one than the comparison's."""
        count = WARMUP_STEPS + self.steps
        batch = batch or self.batch
        run = self.train({"train.max_steps": count, "train.precision": precision, "train.global_batch": batch,
                          "train.epochs": self.epochs_of(count, batch), **(keys or {})}, ranks, threads)
        rates = [record["images_per_second"] for record in run.of("step")]
        median = statistics.median(rates[WARMUP_STEPS:])
        return Measurement(median, run.peak_memory(), {"first_step_ratio": round(median / rates[0], 2)})

    def epochs_of(self, steps, batch=0):
        """Enough of them for so many steps."""
        return 1 + steps * (batch or self.batch) // self.images

    def time_until(self, command, text, path=None):
        """Seconds from the start of the process until `text` stands in the file `path`, or in its output if none is given.
        The process then runs to its end."""
        output = self.folder / "output"
        path = path or output
        output.unlink(missing_ok=True)
        start = time.perf_counter()
        with open(output, "w", encoding="utf-8") as sink:
            process = subprocess.Popen([str(word) for word in command], stdout=sink, stderr=subprocess.STDOUT)
        while True:
            ended = process.poll() is not None or time.perf_counter() - start > self.timeout
            if path.exists() and text in path.read_text(encoding="utf-8"):
                break
            if ended:
                process.kill()
                process.wait()
                raise RunFailed(f"no {text!r} came from {' '.join(map(str, command))}:\n{output.read_text()[-500:]}")
            time.sleep(0.002)
        seconds = time.perf_counter() - start
        process.wait()
        return Measurement(seconds)

    def first_step_seconds(self, data_root, threads=2):
        """From the start of the process until the record of the first optimizer step."""
        folder = self.run_folder()
        command = [self.binary("rn_dist"), ROOT / "configs/train_4_epochs.yaml", f"run.dir={folder}", f"data.root={data_root}",
                   "train.max_steps=1", f"train.global_batch={self.batch}", "train.precision=bf16",
                   f"train.threads={threads}", "report.every_steps=1", "report.tensorboard=false",
                   "report.progress=none"]
        return self.time_until(command, '"event":"step"', folder / "metrics.jsonl")

    # --- PyTorch ---

    def peer(self, script, *words, threads=2, environment=None):
        """The JSON that a script of bench/peers prints last."""
        merged = {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore", **(environment or {})}
        out = self.execute([self.python, str(ROOT / "bench/peers" / script), *map(str, words)], merged)
        return json.loads(out.strip().splitlines()[-1])

    def peer_first_step_seconds(self, data_root, threads=2):
        command = [self.python, ROOT / "bench/peers/torch_epoch.py", data_root, "--max-steps", 1, "--batch", self.batch,
                   "--threads", threads]
        return self.time_until(command, "first step")


@dataclasses.dataclass
class Run:
    """A finished run of rn_dist: its folder and records."""
    folder: pathlib.Path
    records: list

    def of(self, event):
        return [record for record in self.records if record["event"] == event]

    def peak_memory(self):
        return int(self.of("run_end")[-1]["peak_memory_bytes"])

    def spans(self, name):
        """Seconds of the spans of that name in trace.json, on rank 0."""
        trace = json.loads((self.folder / "trace.json").read_text(encoding="utf-8"))
        return [event["dur"] / 1e6 for event in trace["traceEvents"]
                if event["ph"] == "X" and event["name"] == name and event["pid"] == 0]
