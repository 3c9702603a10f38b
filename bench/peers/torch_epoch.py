#!/usr/bin/env python3
"""The peer: epochs as a torchvision-style script has them, with DataLoader, transforms and an evaluation.

usage: torch_epoch.py DATA_ROOT [--epochs 1] [--batch 128] [--workers 1] [--threads 2] [--precision bf16] [--layout ...]
                      [--compile]

Prints "first step" when the first optimizer step is done, and one JSON line at the end: the seconds of each epoch,
training and evaluation of the test set, the loading of the files left out.
"""
import argparse
import time

import torch
import torch.nn.functional as F

from torch_common import add_mode_arguments, autocast, finish, make_net, make_optimizer, memory_format
from torch_data import Cifar, augmented, plain


def train(net, loader, optimizer, args):
    net.train()
    for images, labels in loader:
        images = images.contiguous(memory_format=memory_format(args))
        with autocast(args):
            logits = net(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if not args.said:
            print("first step", flush=True)
            args.said = True
        if args.max_steps:
            args.max_steps -= 1
            if not args.max_steps:
                return


def evaluate(net, loader, args):
    net.eval()
    correct = 0
    with torch.inference_mode(), autocast(args):
        for images, labels in loader:
            logits = net(images.contiguous(memory_format=memory_format(args)))
            correct += (logits.argmax(1) == labels).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mode_arguments(parser)
    parser.add_argument("root")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--max-steps", type=int, default=0, help="end after so many steps, without an evaluation")
    args = parser.parse_args()
    args.said = False
    torch.set_num_threads(args.threads)

    def loader(pattern, transform, shuffle, batch):
        return torch.utils.data.DataLoader(Cifar(args.root, pattern, transform), batch, shuffle=shuffle,
                                           num_workers=args.workers, persistent_workers=args.workers > 0)

    training = loader("data_batch_*.bin", augmented(), True, args.batch)
    test = loader("test_batch.bin", plain(), False, 500)
    net = make_net().to(memory_format=memory_format(args))
    optimizer = make_optimizer(net.parameters())
    if args.compile:
        net = torch.compile(net)
    seconds, short = [], args.max_steps > 0
    for _ in range(args.epochs):
        start = time.perf_counter()
        train(net, training, optimizer, args)
        if not short:
            evaluate(net, test, args)
        seconds.append(time.perf_counter() - start)
    finish(epoch_seconds=seconds)


if __name__ == "__main__":
    main()
