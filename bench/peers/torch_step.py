#!/usr/bin/env python3
"""The peer: training steps of ResNet-18 in PyTorch, alone or as DDP over gloo (CPU) or NCCL (GPU).

usage: torch_step.py [--ranks 1] [--threads 2] [--batch 128] [--precision bf16|fp32] [--layout channels-last|nchw]
                     [--compile [--graphs]] [--steps 30] [--warmup 5] [--device cpu|cuda]

torchvision's ResNet-18 with the CIFAR stem, autocast, fused SGD. The batches are made beforehand: no data loading is
timed. `--batch` counts the images of all ranks. Prints one JSON line: images per second over all ranks, and the peak memory
of rank 0. On a CPU the rate is that of the median step; on a GPU, where the host runs ahead of the device, that of all timed
steps together. `--graphs`: the compiler's mode with CUDA graphs.
"""
import argparse
import os
import statistics
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F

from processes import free_port
from torch_common import add_mode_arguments, autocast, finish, make_net, make_optimizer, memory_format


def worker(rank, args):
    on_gpu = args.device == "cuda"
    device = torch.device("cuda", rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    torch.set_num_threads(args.threads)
    torch.manual_seed(rank)
    net = make_net().to(device, memory_format=memory_format(args))
    optimizer = make_optimizer(net.parameters())
    if args.ranks > 1:
        dist.init_process_group("nccl" if on_gpu else "gloo", init_method=f"tcp://127.0.0.1:{args.port}", rank=rank,
                                world_size=args.ranks)
        net = torch.nn.parallel.DistributedDataParallel(net, device_ids=[rank] if on_gpu else None,
                                                        gradient_as_bucket_view=True)
    if args.compile:
        net = torch.compile(net, mode="reduce-overhead" if args.graphs else None)
    n = args.batch // args.ranks
    batches = [(torch.randn(n, 3, 32, 32).contiguous(memory_format=memory_format(args)).to(device),
                torch.randint(10, (n,)).to(device)) for _ in range(4)]
    times = []
    for step in range(args.warmup + args.steps):
        images, labels = batches[step % len(batches)]
        if on_gpu and step == args.warmup:
            torch.cuda.synchronize()
            first = time.perf_counter()
        start = time.perf_counter()
        with autocast(args, args.device):
            logits = net(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step >= args.warmup:
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    if on_gpu:
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - first) / args.steps
    if rank == 0:
        finish(images_per_second=round(args.batch / seconds, 2), ranks=args.ranks, threads=args.threads,
               precision=args.precision, layout=args.layout, compiled=args.compile, device=args.device)
    if args.ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mode_arguments(parser)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--graphs", action="store_true")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    if args.ranks == 1:
        worker(0, args)
    else:
        args.port = free_port()
        torch.multiprocessing.spawn(worker, args=(args,), nprocs=args.ranks)


if __name__ == "__main__":
    main()
