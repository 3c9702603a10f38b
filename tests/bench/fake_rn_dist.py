#!/usr/bin/env python3
"""Stands in for rn_dist in compare_test.py: writes what a run leaves, with the figures of the environment."""
import json
import os
import pathlib
import sys

LOSSES = [2.5, 2.25, 2.0, 1.75]


def main():
    words = sys.argv[1:]
    if words == ["--version"]:
        print("rn_dist 0.0 (a stand-in)")
        return
    if words[:2] == ["data", "synth"]:
        pathlib.Path(words[words.index("--root") + 1]).mkdir(parents=True)
        return
    keys = dict(word.split("=", 1) for word in words[1:])
    if len(keys) != len(words) - 1:
        sys.exit("rn_dist: duplicate key")
    folder = pathlib.Path(keys["run.dir"])
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    factor = float(os.environ.get("FAKE_LOSS_FACTOR", "1"))
    rate = float(os.environ.get("FAKE_RATE", "200"))
    steps = int(keys.get("train.max_steps", 4))
    records = [{"event": "step", "step": i + 1, "loss": factor * LOSSES[min(i, 3)],
                "images_per_second": rate / 2 if i == 0 else rate} for i in range(steps)]
    records += [{"event": "epoch", "seconds": 2.0}, {"event": "eval", "n": 1000, "seconds": 0.5},
                {"event": "run_end", "peak_memory_bytes": 300 << 20}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records))
    spans = [("step", 1e6)] * steps + [("averages", 5e3)] * steps + [("re-estimated statistics", 4e6)]
    (folder / "trace.json").write_text(json.dumps(
        {"traceEvents": [{"ph": "X", "name": name, "pid": 0, "tid": 0, "ts": 0, "dur": dur} for name, dur in spans]}))


main()
