#!/usr/bin/env python3
"""The peer: evaluation of ResNet-18 in PyTorch's inference mode on a CPU.

usage: torch_eval.py [--images 10000] [--batch 500] [--threads 2] [--precision bf16] [--layout channels-last] [--compile]

The weights are converted to the computing type beforehand, batches are made beforehand; `--compile` freezes the weights
into the graph, where the compiler folds the norms into the convolutions. Prints one JSON line: images per second.
"""
import argparse
import time

import torch
from torch._inductor import config as inductor_config

from torch_common import add_mode_arguments, finish, make_net, memory_format


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mode_arguments(parser)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--batch", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    net = make_net().eval().to(dtype).to(memory_format=memory_format(args))
    if args.compile:
        inductor_config.freezing = True
        net = torch.compile(net)
    batches = [torch.randn(args.batch, 3, 32, 32).to(dtype).contiguous(memory_format=memory_format(args))
               for _ in range(4)]
    with torch.inference_mode() if not args.compile else torch.no_grad():
        for batch in batches[:2]:  # warm up, and compile
            net(batch)
        start, correct = time.perf_counter(), 0
        steps = max(1, args.images // args.batch)
        for step in range(steps):
            correct += int(net(batches[step % len(batches)]).argmax(1).eq(0).sum())
        seconds = time.perf_counter() - start
    finish(images_per_second=steps * args.batch / seconds, layout=args.layout, compiled=args.compile,
           precision=args.precision)


if __name__ == "__main__":
    main()
