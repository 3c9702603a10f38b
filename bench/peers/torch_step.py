#!/usr/bin/env python3
"""The peer: training steps of ResNet-18 in PyTorch's best eager mode on a CPU, alone or as DDP over gloo.

usage: torch_step.py [--ranks 1] [--threads 2] [--batch 128] [--precision bf16|fp32] [--steps 30] [--warmup 5]

torchvision's ResNet-18 with the CIFAR stem, channels-last, autocast, fused SGD. The batches are made beforehand: no
data loading is timed. Prints one JSON line: images per second over all ranks, from the median step.
`--batch` counts the images of all ranks.
"""
import argparse
import json
import os
import statistics
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
import torchvision


def make_net():
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    net.maxpool = torch.nn.Identity()
    return net.to(memory_format=torch.channels_last)


def worker(rank, args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(rank)
    net = make_net()
    parameters = net.parameters()
    if args.ranks > 1:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29511")
        dist.init_process_group("gloo", rank=rank, world_size=args.ranks)
        net = torch.nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
    n = args.batch // args.ranks
    batches = [(torch.randn(n, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.randint(10, (n,)))
               for _ in range(4)]
    times = []
    for step in range(args.warmup + args.steps):
        images, labels = batches[step % len(batches)]
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            logits = net(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step >= args.warmup:
            times.append(time.perf_counter() - start)
    if rank == 0:
        print(json.dumps({"images_per_second": round(args.batch / statistics.median(times), 1),
                          "ranks": args.ranks, "threads": args.threads, "precision": args.precision}), flush=True)
    if args.ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=5)
    args = parser.parse_args()
    if args.ranks == 1:
        worker(0, args)
    else:
        torch.multiprocessing.spawn(worker, args=(args,), nprocs=args.ranks)


if __name__ == "__main__":
    main()
