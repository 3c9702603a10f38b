#!/usr/bin/env python3
"""Writes tests/data/train/ddp.safetensors: what PyTorch's DistributedDataParallel trains with 2 ranks over gloo.

    python tools/golden/make_ddp_golden.py [FOLDER]          needs torch, torchvision, safetensors

A narrow ResNet-18 with group norm, float32 weights before and uint8 images and labels of all steps; then, computed in
float64 from exactly those, the mean losses and the weights after a few steps of torch.optim.SGD. DDP averages the
ranks' gradients, so each rank's loss is its sum times ranks / global count: right for uneven shards too.
tests/train/ddp_golden_mpi_test.cpp takes the same steps.
"""

import os
import pathlib
import socket
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import nn

import model_golden_nets as nets

SEED = 20240610
RANKS = 2
COUNTS = [12, 12, 7, 12]  # images of each global batch; 7 does not divide by 2 or 4
SIDE = 16
CLASSES = 10
LR = 0.05
SGD = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
LABEL_SMOOTHING = 0.1


def make_net():
    return nets.resnet18(2, CLASSES, "cifar", lambda channels: nn.GroupNorm(2, channels))


def inputs():
    generator = torch.Generator().manual_seed(SEED)
    net = nets.randomize(make_net(), generator)
    out = {f"before/{name}": value.clone().contiguous() for name, value in net.state_dict().items()}
    out["pixels"] = torch.randint(0, 256, (sum(COUNTS), 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    out["labels"] = torch.randint(0, CLASSES, (sum(COUNTS),), generator=generator)
    out["counts"] = torch.tensor(COUNTS)
    return out


def train(rank, port, folder):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    torch.set_num_threads(1)
    data = load_file(folder / "ddp.inputs")
    net = make_net()
    net.load_state_dict({key[len("before/"):]: value for key, value in data.items() if key.startswith("before/")})
    net = nn.parallel.DistributedDataParallel(net.double())
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, **SGD)
    images = ((data["pixels"].float() / 255 - 0.5) / 0.5).double()  # ToTensor and Normalize in float32, as loaders do
    first, losses = 0, []
    for count in COUNTS:
        begin, end = (first + rank * count // RANKS, first + (rank + 1) * count // RANKS)
        optimizer.zero_grad()
        loss_sum = nn.functional.cross_entropy(net(images[begin:end]), data["labels"][begin:end], reduction="sum",
                                               label_smoothing=LABEL_SMOOTHING)
        (loss_sum * RANKS / count).backward()
        optimizer.step()
        total = loss_sum.detach().clone()
        dist.all_reduce(total)
        losses.append(total / count)
        first += count
    if rank == 0:
        data["losses"] = torch.stack(losses)
        data |= {f"after/{name}": value.detach().clone().contiguous()
                 for name, value in net.module.state_dict().items()}
        save_file(data, folder / "ddp.safetensors",
                  {"torch": torch.__version__, "seed": str(SEED), "ranks": str(RANKS), "lr": str(LR)})
    dist.destroy_process_group()


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests" / "data" / "train"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(inputs(), folder / "ddp.inputs")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(train, args=(port, folder), nprocs=RANKS)
    (folder / "ddp.inputs").unlink()
    print((folder / "ddp.safetensors").stat().st_size, folder / "ddp.safetensors")


if __name__ == "__main__":
    main()
