#!/usr/bin/env python3
"""Stands in for rn_dist in compare_test.py: writes what a run leaves, with the figures of the environment."""
import array
import json
import os
import pathlib
import struct
import sys
import time

LOSSES = [2.5, 2.25, 2.0, 1.75]
LONG_ENOUGH = 0.2  # seconds, for its memory to be seen


def write_weights(path, value):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + array.array("f", [value, value]).tobytes())


def write_records(folder, records):
    lines = (json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text("".join(lines))


def simulate(keys, folder):
    """A federated run: starts from 0 and goes to 0, or with model.init_from to 1; half as long a round in bf16."""
    time.sleep(LONG_ENOUGH)
    seconds = float(os.environ.get("FAKE_ROUND_SECONDS", "0.5")) / (2 if keys.get("train.precision") == "bf16" else 1)
    rounds = int(keys["federated.rounds"])
    records = [{"event": "round", "round": i + 1, "seconds": 3 * seconds if i == 0 else seconds} for i in range(rounds)]
    top1 = float(os.environ.get("FAKE_TOP1", "40")) + 0.25 * int(keys["run.seed"])
    evals = rounds if keys["federated.eval_every_rounds"] == "1" else 1
    records += [{"event": "eval", "top1": top1 - evals + 1 + i} for i in range(evals)]
    write_records(folder, records)
    write_weights(folder / "model.safetensors", 1.0 if "model.init_from" in keys else 0.0)


def main():
    words = sys.argv[1:]
    if words == ["--version"]:
        print("rn_dist 0.0 (a stand-in)")
        return
    if words[:2] == ["data", "synth"]:
        pathlib.Path(words[words.index("--root") + 1]).mkdir(parents=True)
        return
    if words[0] == "split":
        folder = pathlib.Path(words[words.index("--out") + 1])
        folder.mkdir(parents=True)
        (folder / "partition.txt").write_text("rn_dist partition 1\nclients 1\nimages 1\n0\n")
        return
    keys = dict(word.split("=", 1) for word in words[1:])
    if len(keys) != len(words) - 1:
        sys.exit("rn_dist: duplicate key")
    folder = pathlib.Path(keys["run.dir"])
    folder.mkdir(parents=True)
    if "federated.rounds" in keys:
        simulate(keys, folder)
        return
    (folder / "model.safetensors").touch()
    factor = float(os.environ.get("FAKE_LOSS_FACTOR", "1"))
    rate = float(os.environ.get("FAKE_RATE", "200"))
    steps = int(keys.get("train.max_steps", 4))
    records = [{"event": "step", "step": i + 1, "loss": factor * LOSSES[min(i, 3)],
                "images_per_second": rate / 2 if i == 0 else rate} for i in range(steps)]
    records += [{"event": "epoch", "seconds": 2.0}, {"event": "eval", "n": 1000, "seconds": 0.5},
                {"event": "run_end", "peak_memory_bytes": 300 << 20}]
    write_records(folder, records)
    spans = [("step", 1e6)] * steps + [("averages", 5e3)] * steps + [("re-estimated statistics", 4e6)]
    (folder / "trace.json").write_text(json.dumps(
        {"traceEvents": [{"ph": "X", "name": name, "pid": 0, "tid": 0, "ts": 0, "dur": dur} for name, dur in spans]}))


main()
