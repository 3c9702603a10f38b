#!/usr/bin/env python3
"""Prints what TensorBoard's own reader sees in a folder of events files: {tag: [[step, value], ...]}, NaN as null.

    python tests/report/read_tensorboard.py RUN/tensorboard
"""
import json
import math
import sys

from tensorboard.backend.event_processing import event_accumulator


def main():
    # 0: keep every scalar instead of a sample.
    reader = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={event_accumulator.SCALARS: 0})
    reader.Reload()
    scalars = {
        tag: [[event.step, None if math.isnan(event.value) else event.value] for event in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }
    print(json.dumps(scalars))


if __name__ == "__main__":
    main()
