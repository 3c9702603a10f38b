#!/usr/bin/env python3
"""The peer of the sameness check: the losses of the first steps on the whole of a small set.

usage: torch_losses.py DATA_ROOT WEIGHTS.safetensors [--steps 5] [--lr 0.02] [--norm batch|group] [--precision fp32] ...

Every step trains on all images of DATA_ROOT/cifar-10-batches-bin, normalised and not augmented, so the order of the
samples does not matter. Prints one JSON line with the loss of every step, before its update.
"""
import argparse
import pathlib

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F

from torch_common import add_mode_arguments, autocast, finish, make_net, make_optimizer, memory_format

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def read_training_set(root):
    files = sorted(pathlib.Path(root, "cifar-10-batches-bin").glob("data_batch_*.bin"))
    raw = np.concatenate([np.fromfile(file, np.uint8) for file in files]).reshape(-1, 3073)
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()).float().div_(255).sub_(MEAN).div_(STD)
    return images, torch.from_numpy(raw[:, 0].astype(np.int64))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mode_arguments(parser)
    parser.add_argument("root")
    parser.add_argument("weights")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--norm", choices=("batch", "group"), default="batch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    images, labels = read_training_set(args.root)
    images = images.contiguous(memory_format=memory_format(args))
    net = make_net(args.norm)
    net.load_state_dict(safetensors.torch.load_file(args.weights), strict=False)  # counters of batches may be missing
    net = net.to(memory_format=memory_format(args))
    optimizer = make_optimizer(net.parameters(), args.lr)
    if args.compile:
        net = torch.compile(net)
    losses = []
    for _ in range(args.steps):
        with autocast(args):
            logits = net(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    finish(losses=losses)


if __name__ == "__main__":
    main()
