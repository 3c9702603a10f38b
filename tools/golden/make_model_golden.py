#!/usr/bin/env python3
"""Writes tests/data/model/*.safetensors: what PyTorch computes, for tests/model to compare with.

    python tools/golden/make_model_golden.py [FOLDER]          needs torch, torchvision, safetensors

Per network: float32 weights, uint8 images of three steps (pixel / 128 - 1) and labels; then, computed in float64 from
exactly those: logits, loss and gradients of the first step in training mode, and after three steps of plain SGD
(lr 0.05, mean cross entropy with label smoothing 0.1) the losses, running statistics, two weights and the logits of the
first images in evaluation mode. Batch norm: gradients of BatchNorm2d on one batch, for split batches to reproduce. Text
files: names and shapes of torchvision's full-size ResNet-18.
"""

import pathlib
import sys

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import model_golden_nets as nets

SEED = 20240517
STEPS = 3
LEARNING_RATE = 0.05
LABEL_SMOOTHING = 0.1
CLASSES = 10


def metadata(**extra):
    return {"torch": torch.__version__, "torchvision": torchvision.__version__, "seed": str(SEED),
            **{key: str(value) for key, value in extra.items()}}


def network_case(net, first_weight, batch, size, generator):
    nets.randomize(net, generator)
    out = {f"weights/{name}": value.clone().contiguous() for name, value in net.state_dict().items()}
    pixels = torch.randint(0, 256, (STEPS, batch, 3, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, (STEPS, batch), generator=generator)
    out |= {"pixels": pixels, "labels": labels}
    net.double().train()
    images = pixels.double() / 128 - 1
    losses = []
    for step in range(STEPS):
        net.zero_grad()
        logits = net(images[step])
        loss = nn.functional.cross_entropy(logits, labels[step], label_smoothing=LABEL_SMOOTHING)
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            out["logits"] = logits.detach().clone()
            out |= {f"gradient/{name}": p.grad.clone().contiguous() for name, p in net.named_parameters()}
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= LEARNING_RATE * parameter.grad
    out["losses"] = torch.stack(losses)
    out |= {f"statistics/{name}": value.clone() for name, value in net.named_buffers() if "running" in name}
    out |= {f"final/{name}": dict(net.named_parameters())[name].detach().clone().contiguous()
            for name in (first_weight, "fc.weight")}
    with torch.no_grad():
        out["eval_logits"] = net.eval()(images[0])
    return out


def batch_norm_case(generator):
    shape = (16, 6, 4, 5)
    x = torch.randn(shape, generator=generator) * 2 + torch.arange(6.0).view(1, 6, 1, 1)
    norm = nn.BatchNorm2d(6)
    nets.randomize(norm, generator)
    dy = torch.randn(shape, generator=generator)
    out = {"input": x, "output_gradient": dy,
           "weight": norm.weight.detach().clone(), "bias": norm.bias.detach().clone()}
    norm = norm.double()
    norm.running_mean.zero_()
    norm.running_var.fill_(1)
    leaf = x.double().requires_grad_()
    y = norm(leaf)
    y.backward(dy.double())
    # momentum 0.1 from (0, 1): the batch's own statistics are recovered exactly enough by inverting it in float64.
    out |= {"output": y.detach(), "input_gradient": leaf.grad, "weight_gradient": norm.weight.grad,
            "bias_gradient": norm.bias.grad, "mean": norm.running_mean / 0.1,
            "unbiased_variance": (norm.running_var - 0.9) / 0.1}
    return out


def write_shapes(net, path):
    """A line per parameter and running statistic: name and sizes."""
    lines = [f"# torchvision {torchvision.__version__}"]
    lines += [" ".join([name, *map(str, value.shape)]) for name, value in net.state_dict().items()
              if not name.endswith("num_batches_tracked")]
    path.write_text("\n".join(lines) + "\n")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests" / "data" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    torch.use_deterministic_algorithms(True)

    def group(channels):
        return nn.GroupNorm(2, channels)

    cases = {
        "resnet18_cifar": (lambda: nets.resnet18(3, CLASSES, "cifar"), "conv1.weight", 5, 16),
        "resnet18_imagenet": (lambda: nets.resnet18(2, CLASSES, "imagenet"), "conv1.weight", 4, 40),
        "resnet18_group": (lambda: nets.resnet18(2, CLASSES, "cifar", group), "conv1.weight", 3, 16),
        "resnet9": (lambda: nets.ResNet9(2, CLASSES), "prep.conv.weight", 5, 16),
    }
    for index, (name, (make, first_weight, batch, size)) in enumerate(cases.items()):
        generator = torch.Generator().manual_seed(SEED + index)
        tensors = network_case(make(), first_weight, batch, size, generator)
        save_file(tensors, folder / f"{name}.safetensors", metadata(case=name, lr=LEARNING_RATE))
    tensors = batch_norm_case(torch.Generator().manual_seed(SEED + len(cases)))
    save_file(tensors, folder / "batch_norm.safetensors", metadata(case="batch_norm"))
    for stem, classes in (("cifar", 10), ("imagenet", 1000)):
        write_shapes(nets.resnet18(64, classes, stem), folder / f"resnet18_{stem}.shapes.txt")
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:8d} {path}")


if __name__ == "__main__":
    main()
