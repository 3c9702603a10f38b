#!/usr/bin/env python3
"""The peer: all-reduce of one ResNet-18 gradient over gloo between local ranks.

usage: torch_all_reduce.py [--ranks 2] [--elements 11173962] [--rounds 20]

Prints one JSON line: the median and the fastest time, seconds; a round lasts as long as its slowest rank.
"""
import argparse
import statistics
import time

import torch
import torch.distributed as dist

from torch_common import finish
from processes import free_port


def worker(rank, args):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{args.port}", rank=rank, world_size=args.ranks)
    values, slowest = torch.full((args.elements,), 0.5), torch.zeros(1, dtype=torch.float64)
    times = []
    for round_ in range(args.rounds + 2):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(values)
        slowest[0] = time.perf_counter() - start
        dist.all_reduce(slowest, dist.ReduceOp.MAX)
        values.fill_(0.5)
        if round_ >= 2:  # the first two warm up
            times.append(slowest.item())
    if rank == 0:
        finish(median_seconds=statistics.median(times), fastest_seconds=min(times))
    dist.barrier()
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--elements", type=int, default=11_173_962)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    args.port = free_port()
    torch.multiprocessing.spawn(worker, args=(args,), nprocs=args.ranks)


if __name__ == "__main__":
    main()
