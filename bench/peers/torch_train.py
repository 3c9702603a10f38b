#!/usr/bin/env python3
"""The peer: the recipe of configs/train_4_epochs.yaml in plain PyTorch, for accuracy side by side.

usage: torch_train.py DATA_ROOT [--epochs 4] [--batch 64] [--lr 0.06] ...   needs: torch, torchvision, numpy

DATA_ROOT holds cifar-10-batches-bin/. Trains torchvision's ResNet-18 with the CIFAR stem in bf16 autocast,
channels-last, fused SGD (PyTorch's best eager mode on a CPU); prints one JSON line per epoch.
"""
import argparse, json, math, pathlib, time
import numpy as np
import torch
import torch.nn.functional as F
import torchvision

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def read(root, names):
    """Images [N, 3, 32, 32] uint8 and labels [N] int64 of CIFAR-10's binary files."""
    raw = np.concatenate([np.fromfile(pathlib.Path(root, "cifar-10-batches-bin", n), np.uint8) for n in names])
    raw = raw.reshape(-1, 3073)
    return torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(raw[:, 0].astype(np.int64))


def augment(images, padding, flips, generator):
    """Reflect crop and horizontal flip; flips [N] bool."""
    n = len(images)
    padded = F.pad(images.float(), (padding,) * 4, "reflect").to(torch.uint8)
    dy, dx = torch.randint(0, 2 * padding + 1, (2, n), generator=generator)
    rows = (dy[:, None] + torch.arange(32))[:, None, :, None]
    cols = dx[:, None] + torch.arange(32)
    cols = torch.where(flips[:, None], cols.flip(1), cols)[:, None, None, :]
    return padded[torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None], rows, cols]


def lr_at(step, steps, args):
    """One-cycle: up from lr/div to lr during pct_start of the run, then down to zero."""
    up = args.pct_start * steps
    if step < up:
        t = step / up
        return args.lr * (1 / args.div + (1 - 1 / args.div) * t)
    t = (step - up) / (steps - up)
    return args.lr * ((1 - t) if args.anneal == "linear" else 0.5 * (1 + math.cos(math.pi * t)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("root")
    p.add_argument("--epochs", type=int, default=4)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--lr", type=float, default=0.06)
    p.add_argument("--div", type=float, default=10)
    p.add_argument("--pct-start", type=float, default=0.2)
    p.add_argument("--anneal", default="linear")
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--decay-norms", action="store_true")
    p.add_argument("--label-smoothing", type=float, default=0.1)
    p.add_argument("--padding", type=int, default=2)
    p.add_argument("--flip", default="alternating")
    p.add_argument("--zero-init", action="store_true")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--max-steps", type=int, default=0)
    args = p.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    gen = torch.Generator().manual_seed(args.seed)
    images, labels = read(args.root, [f"data_batch_{i}.bin" for i in range(1, 6)])
    test_images, test_labels = read(args.root, ["test_batch.bin"])
    net = torchvision.models.resnet18(num_classes=10, zero_init_residual=args.zero_init)
    net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    torch.nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.maxpool = torch.nn.Identity()
    net = net.to(memory_format=torch.channels_last)
    groups = [{"params": [q for q in net.parameters() if q.dim() > 1 or args.decay_norms]},
              {"params": [q for q in net.parameters() if q.dim() <= 1 and not args.decay_norms], "weight_decay": 0.0}]
    groups = [g for g in groups if g["params"]]
    opt = torch.optim.SGD(groups, lr=args.lr, momentum=0.9, nesterov=True, weight_decay=args.weight_decay, fused=True)
    n, per_epoch = len(images), math.ceil(len(images) / args.batch)
    steps, step, start = args.epochs * per_epoch, 0, time.time()
    base_flip = torch.rand(n, generator=gen) < 0.5
    for epoch in range(args.epochs):
        net.train()
        total_loss = total_correct = 0
        order = torch.randperm(n, generator=gen)
        for b in range(per_epoch):
            idx = order[b * args.batch:(b + 1) * args.batch]
            flips = base_flip[idx] ^ bool(epoch % 2) if args.flip == "alternating" else torch.rand(len(idx), generator=gen) < 0.5
            x = augment(images[idx], args.padding, flips, gen).float().div_(255).sub_(MEAN).div_(STD)
            x = x.contiguous(memory_format=torch.channels_last)
            for g in opt.param_groups:
                g["lr"] = lr_at(step, steps, args)
            with torch.autocast("cpu", torch.bfloat16):
                out = net(x)
            loss = F.cross_entropy(out.float(), labels[idx], label_smoothing=args.label_smoothing)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            total_loss += loss.item() * len(idx)
            total_correct += (out.argmax(1) == labels[idx]).sum().item()
            step += 1
            if step % 50 == 0:
                print(json.dumps({"step": step, "loss": round(loss.item(), 4), "images_per_second": round(step * args.batch / (time.time() - start), 1)}), flush=True)
            if args.max_steps and step >= args.max_steps:
                return
        net.eval()
        correct = 0
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for b in range(0, len(test_images), 500):
                x = test_images[b:b + 500].float().div_(255).sub_(MEAN).div_(STD).contiguous(memory_format=torch.channels_last)
                correct += (net(x).float().argmax(1) == test_labels[b:b + 500]).sum().item()
        print(json.dumps({"epoch": epoch + 1, "train_loss": total_loss / n, "train_top1": 100 * total_correct / n,
                          "test_top1": 100 * correct / len(test_images), "seconds": round(time.time() - start, 1)}), flush=True)


if __name__ == "__main__":
    main()
