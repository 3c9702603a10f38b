#!/usr/bin/env python3
"""Prints the result of a finished run from its summary.json: accuracy, time, images/s, where it lies.

usage: print_summary.py RUN_DIR
"""
import json
import pathlib
import sys


def headline(evals):
    """The evaluation that a run is judged by: split test, else val, else train; weights swa, else ema, else raw."""
    for split in ("test", "val", "train"):
        for weights in ("swa", "ema", "raw"):
            if weights in evals.get(split, {}):
                return evals[split][weights]
    return None


def duration(seconds):
    seconds = round(seconds)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"


def result_lines(run_dir):
    """The lines to print; raises OSError or ValueError for a run without a readable summary."""
    summary = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
    evaluation = headline(summary.get("evals") or {})
    rate, seconds = summary.get("images_per_second"), summary.get("total_seconds")
    dataset = summary.get("dataset") or ""
    note = "  (SYNTHETIC images: this says nothing about CIFAR-10)" if "synthetic" in str(dataset).lower() else ""
    if evaluation:
        yield (f"{evaluation['split']} accuracy  {evaluation['top1']:.2f} %  "
               f"({evaluation['n']} images, weights: {evaluation['weights']}){note}")
    else:
        yield f"no evaluation{note}"
    if seconds is not None:
        yield f"time           {duration(seconds)}, {summary.get('step', '?')} steps"
    if rate is not None:
        yield f"images/s       {rate:.0f}"
    yield f"run            {run_dir}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print("\n".join(result_lines(pathlib.Path(sys.argv[1]))))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: {sys.argv[1]} holds no result: {error}")


if __name__ == "__main__":
    main()
