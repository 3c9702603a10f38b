#!/usr/bin/env python3
"""Training steps of ResNet-18 side by side with PyTorch, alternating in one run: A B A B ...

usage: compare_steps.py [--binary build/bin/rn_dist] [--python python3] [--rounds 5] [--steps 30] [--batch 128]
                        [--precision bf16] [--ranks 1]

With --ranks 1: one process with 2 threads against PyTorch's best eager mode. With --ranks 2: 2 ranks x 1 thread
against DDP over gloo. Ours loads, augments and counts real or synthetic images in the timed steps; the peer's batches
are made beforehand. `--python` needs torch and torchvision. Prints each round, and the ratio of the medians.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def ours(args, folder, round_):
    name = f"{folder}/ours-{round_}"
    command = [args.binary, str(ROOT / "configs/train.yaml"), f"run.dir={name}", f"train.max_steps={args.steps + 5}",
               f"train.global_batch={args.batch}", f"train.precision={args.precision}", "report.every_steps=1",
               "report.tensorboard=false", "report.progress=none", "eval.every_epochs=0", "eval.batch=1000",
               f"train.threads={2 // args.ranks}", *args.override]
    if args.ranks > 1:
        command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", str(args.ranks)] + command
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    records = [json.loads(line) for line in open(f"{name}/metrics.jsonl", encoding="utf-8")]
    rates = [r["images_per_second"] for r in records if r["event"] == "step"][5:]
    return statistics.median(rates)


def peer(args):
    command = [args.python, str(ROOT / "bench/peers/torch_step.py"), "--ranks", str(args.ranks), "--threads",
               str(2 // args.ranks), "--batch", str(args.batch), "--precision", args.precision, "--steps",
               str(args.steps)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(2 // args.ranks))
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(out.splitlines()[-1])["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/bin/rn_dist"))
    parser.add_argument("--python", default="python3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--ranks", type=int, choices=(1, 2), default=1)
    parser.add_argument("override", nargs="*", help="key=value for rn_dist, e.g. data.dataset=synthetic")
    args = parser.parse_args()
    ours_rates, peer_rates = [], []
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(args.rounds):
            ours_rates.append(ours(args, folder, round_))
            peer_rates.append(peer(args))
            print(f"round {round_ + 1}: rn_dist {ours_rates[-1]:.1f}  PyTorch {peer_rates[-1]:.1f} images/s", flush=True)
    a, b = statistics.median(ours_rates), statistics.median(peer_rates)
    ratios = [x / y for x, y in zip(ours_rates, peer_rates)]
    print(f"median: rn_dist {a:.1f}  PyTorch {b:.1f} images/s  ratio {a / b:.3f} "
          f"(rounds {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
