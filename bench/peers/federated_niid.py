#!/usr/bin/env python3
"""The referee of bench/federated_accuracy: federated algorithms in plain PyTorch, in NIID-Bench's setting.

usage: federated_niid.py DATA_ROOT --partition FILE [--algorithm fedavg] [--rounds 50] [--local-epochs 10] [--seed 0]
                         [--init FILE] [--save-init FILE]

Every client is an ordinary training with torch.optim.SGD on its own images (padded by 4 with reflection, cropped,
flipped, not normalised), and every server a few lines over whole parameter vectors, from the papers' formulas. All clients
take part in every round, weighed by their images. One process with a thread. Prints one JSON line: the test accuracy
after every round. With `--rounds 0 --save-init FILE` it only writes the weights that `--seed` starts from.
"""
import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F

from federated_common import LeNet, accuracy, read_partition, training_records

ALGORITHMS = ("fedavg", "fedprox", "fednova", "scaffold")
PADDING, SIDE = 4, 32


def vector(net):
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])


def load(net, values):
    torch.nn.utils.vector_to_parameters(values.clone(), net.parameters())


def augmented(images):
    """[n, 3, 32, 32] uint8 -> float32 in 0..1."""
    padded = F.pad(images.float().div_(255), (PADDING,) * 4, mode="reflect")
    n = len(images)
    top, left = torch.randint(2 * PADDING + 1, (2, n, 1))
    rows, columns = top + torch.arange(SIDE), left + torch.arange(SIDE)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None], rows[:, None, :, None],
                  columns[:, None, None, :]]


def plain(records, indices):
    images, labels = records.read(indices)
    return images.float().div_(255), labels


def train_client(net, images, labels, args, correction):
    """Local epochs from the net's weights; `correction(weights)` is added to every gradient. The steps taken."""
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), args.lr, args.momentum, weight_decay=args.weight_decay)
    steps = 0
    for _ in range(args.local_epochs):
        for batch in torch.randperm(len(labels)).split(args.batch):
            loss = F.cross_entropy(net(augmented(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            if correction:
                added = correction(vector(net)).split([p.numel() for p in net.parameters()])
                for parameter, values in zip(net.parameters(), added):
                    parameter.grad.add_(values.view_as(parameter))
            optimizer.step()
            steps += 1
    return steps


def way_of_steps(steps, momentum):
    """The L1 norm of FedNova's vector a: how far equal gradients go, in steps without momentum."""
    return (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)


def simulate(net, clients, args, on_round):
    """`clients`: (images, labels) of each; on_round is called with the server's weights in the net."""
    x = vector(net)
    share = torch.tensor([len(labels) for _, labels in clients], dtype=torch.float64)
    share = (share / share.sum()).tolist()
    c, variates = torch.zeros_like(x), [torch.zeros_like(x) for _ in clients]
    for _ in range(args.rounds):
        change, ways, moves = torch.zeros_like(x), [], []
        for i, (images, labels) in enumerate(clients):
            load(net, x)
            correction = None
            if args.algorithm == "fedprox":
                correction = lambda y: args.mu * (y - x)  # noqa: E731
            elif args.algorithm == "scaffold":
                offset = c - variates[i]
                correction = lambda _, offset=offset: offset  # noqa: E731
            ways.append(way_of_steps(train_client(net, images, labels, args, correction), args.momentum))
            moves.append(vector(net) - x)
        if args.algorithm == "fednova":
            mean_way = sum(p * way for p, way in zip(share, ways))
            x = x + mean_way * sum(p / way * move for p, way, move in zip(share, ways, moves))
        else:
            x = x + sum(p * move for p, move in zip(share, moves))
        if args.algorithm == "scaffold":
            for i, (way, move) in enumerate(zip(ways, moves)):
                gradient = -move / (way * args.lr)
                change += gradient - c
                variates[i] = variates[i] - c + gradient
            c = c + change / len(clients)
        load(net, x)
        on_round(net)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--partition")
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="fedavg")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--local-epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--weight-decay", type=float, default=1e-5)
    parser.add_argument("--mu", type=float, default=0.01, help="of fedprox")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init")
    parser.add_argument("--save-init")
    args = parser.parse_args()
    from safetensors.torch import load_file, save_file
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    net = LeNet()
    if args.init:
        net.load_state_dict(load_file(args.init))
    if args.save_init:
        save_file(net.state_dict(), args.save_init)
    top1, start = [], time.perf_counter()
    if args.rounds > 0:
        records = training_records(args.root)
        clients = [records.read(np.asarray(held)) for held in read_partition(args.partition)]
        simulate(net, clients, args, lambda net: top1.append(accuracy(net, args.root, plain)))
    print(json.dumps({"algorithm": args.algorithm, "top1": top1, "seconds": time.perf_counter() - start,
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main()
