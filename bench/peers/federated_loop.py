#!/usr/bin/env python3
"""The peer: federated averaging as a tight loop by hand, two processes with a thread each, joined by gloo.

usage: federated_loop.py DATA_ROOT [--net pfl_cnn|lenet] [--rounds 10] [--layout nchw|channels-last] [--compile] ...

Weights lie in one flat tensor, an SGD step is one call over the list of gradients, a client costs one copy in and one
difference out, a round one all-reduce. Prints one JSON line; the first round is left out of the median.
"""
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from federated_common import RANKS, Report, make_net, parse_arguments, split, training_records
from processes import run_forked


def add_arguments(parser):
    parser.add_argument("--layout", choices=("nchw", "channels-last"), default="nchw")
    parser.add_argument("--compile", action="store_true")


def flatten(net):
    """One tensor of all weights, of which the net's become views."""
    flat = torch.nn.utils.parameters_to_vector(net.parameters()).detach().clone()
    begin = 0
    for parameter in net.parameters():
        parameter.data = flat[begin:begin + parameter.numel()].view(parameter.shape)
        begin += parameter.numel()
    return flat


def train_client(forward, weights, images, labels, args, order):
    for _ in range(args.epochs):
        for batch in order(len(labels)).split(args.batch):
            loss = F.cross_entropy(forward(images[batch]), labels[batch])
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                torch._foreach_add_(weights, gradients, alpha=-args.lr)


def worker(rank, args, port, report):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=RANKS)
    records = training_records(args.root)
    holders = split(args, len(records))
    net = make_net(args).train()
    flat = flatten(net)
    weights = list(net.parameters())
    server, total = flat.clone(), torch.zeros_like(flat)
    forward = torch.compile(net) if args.compile else net
    layout = torch.channels_last if args.layout == "channels-last" else torch.contiguous_format
    cohorts = np.random.default_rng(args.seed + 1)
    torch.manual_seed(args.seed * RANKS + rank)
    for _ in range(args.rounds):
        dist.barrier()
        start = time.perf_counter()
        total.zero_()
        for client in cohorts.choice(len(holders), args.cohort, replace=False)[rank::RANKS]:
            flat.copy_(server)
            images, labels = records.normalised(holders[client])
            train_client(forward, weights, images.contiguous(memory_format=layout), labels, args, torch.randperm)
            total.add_(flat).sub_(server)
        dist.all_reduce(total)
        server.add_(total, alpha=args.server_lr / args.cohort)
        if rank == 0:
            report.round(time.perf_counter() - start)
    if rank == 0:
        flat.copy_(server)
        report.finish(net, peer="loop", layout=args.layout, compiled=args.compile)
    dist.barrier()
    dist.destroy_process_group()


def main():
    args = parse_arguments(__doc__, add_arguments)
    run_forked(worker, RANKS, args, Report(args))


if __name__ == "__main__":
    main()
