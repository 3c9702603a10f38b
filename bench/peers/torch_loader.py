#!/usr/bin/env python3
"""The peer: images per second of DataLoader with torchvision's transforms.

usage: torch_loader.py DATA_ROOT [--workers 0] [--batch 128] [--images 5000]

Crop with reflected padding, flip, normalise, to float32. `--workers` 0 loads in the process itself: the rate per core.
Prints one JSON line.
"""
import argparse
import time

import torch

from torch_common import finish
from torch_data import Cifar, augmented


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=5000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = Cifar(args.root, "data_batch_*.bin", augmented())
    loader = torch.utils.data.DataLoader(images, args.batch, shuffle=True, num_workers=args.workers)
    seen, start = 0, None
    while start is None or seen < args.images:
        for batch, _ in loader:
            if start is None:  # from the second batch on: workers have started
                start = time.perf_counter()
                continue
            seen += len(batch)
            if seen >= args.images:
                break
    finish(images_per_second=seen / (time.perf_counter() - start), workers=args.workers)


if __name__ == "__main__":
    main()
