#!/usr/bin/env python3
"""Writes tests/data/train/optimizer.safetensors and loss_scale.json: torch.optim.SGD, AveragedModel, losses, GradScaler.

    python tools/golden/make_optimizer_golden.py [FOLDER]          needs torch, safetensors

optimizer: 50 given gradients of five small parameters; in float64 the weights and momentum after 50 steps of each case
(the rate of step s is 0.1 / (1 + s / 10)), the average of five snapshots (steps 9, 19, ...) by swa_utils.AveragedModel, and
sums of cross entropy with their gradients. loss_scale: runs of finite and non-finite steps, and the scale after each.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

SEED = 20240611
STEPS = 50
SHAPES = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,), "norm.weight": (4,), "fc.weight": (5, 4), "fc.bias": (5,)}
CASES = {
    "plain": dict(momentum=0.0, nesterov=False, weight_decay=0.0, decay_norm_and_bias=True),
    "momentum": dict(momentum=0.9, nesterov=False, weight_decay=0.0, decay_norm_and_bias=True),
    "nesterov": dict(momentum=0.9, nesterov=True, weight_decay=5e-3, decay_norm_and_bias=True),
    "decay_some": dict(momentum=0.85, nesterov=True, weight_decay=2e-2, decay_norm_and_bias=False),
    "decay_plain": dict(momentum=0.0, nesterov=False, weight_decay=2e-2, decay_norm_and_bias=False),
}


class Holder(nn.Module):
    def __init__(self, values):
        super().__init__()
        self.values = nn.ParameterDict({name.replace(".", "_"): nn.Parameter(value.double().clone())
                                        for name, value in values.items()})


def run_case(start, gradients, momentum, nesterov, weight_decay, decay_norm_and_bias):
    net = Holder(start)
    named = {name: net.values[name.replace(".", "_")] for name in SHAPES}
    decayed = [p for name, p in named.items() if decay_norm_and_bias or p.dim() > 1]
    others = [p for name, p in named.items() if not decay_norm_and_bias and p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD([g for g in groups if g["params"]], lr=0.1, momentum=momentum, nesterov=nesterov)
    average = AveragedModel(net)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (1 + step / 10)
        for name, parameter in named.items():
            parameter.grad = gradients[name][step].double().clone()
        optimizer.step()
        if step % 10 == 9:
            average.update_parameters(net)
    out = {f"weights/{name}": p.detach().clone() for name, p in named.items()}
    out |= {f"swa/{name}": average.module.values[name.replace(".", "_")].detach().clone() for name in named}
    if momentum > 0:
        out |= {f"momentum/{name}": optimizer.state[p]["momentum_buffer"].clone() for name, p in named.items()}
    return out


def losses(generator):
    logits = torch.randn((7, 10), generator=generator).double() * 3
    labels = torch.randint(0, 10, (7,), generator=generator)
    out = {"loss/logits": logits.clone(), "loss/labels": labels}
    for smoothing in (0.0, 0.1, 0.3):
        leaf = logits.clone().requires_grad_()
        loss = nn.functional.cross_entropy(leaf, labels, reduction="sum", label_smoothing=smoothing)
        loss.backward()
        out |= {f"loss/{smoothing}/sum": loss.detach(), f"loss/{smoothing}/gradient": leaf.grad}
    return out


def loss_scale():
    """[steps, finite, scale after, growth tracker after] of torch.amp.GradScaler."""
    scaler = torch.amp.GradScaler("cpu")
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.0)
    rows = []
    for steps, finite in [(1, True), (1, False), (3, False), (1999, True), (1, True), (5, True), (1, False),
                          (1999, True), (1, False), (2000, True), (4, False)]:
        for _ in range(steps):
            scaler.scale(weight.sum())  # makes the scale
            weight.grad = torch.tensor([1.0 if finite else float("inf")])
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
        state = scaler.state_dict()
        rows.append({"steps": steps, "finite": finite, "scale": state["scale"], "growth": state["_growth_tracker"]})
    return rows


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests" / "data" / "train"
    generator = torch.Generator().manual_seed(SEED)
    start = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    gradients = {name: torch.randn((STEPS, *shape), generator=generator) for name, shape in SHAPES.items()}
    out = {f"start/{name}": value for name, value in start.items()}
    out |= {f"gradients/{name}": value for name, value in gradients.items()}
    for case, options in CASES.items():
        out |= {f"{case}/{name}": value for name, value in run_case(start, gradients, **options).items()}
    out |= losses(generator)
    metadata = {"torch": torch.__version__, "seed": str(SEED)}
    save_file({name: value.contiguous() for name, value in out.items()}, folder / "optimizer.safetensors", metadata)
    rows = {"made_by": "tools/golden/make_optimizer_golden.py", "torch": torch.__version__.split("+")[0],
            "cases": CASES, "sequence": loss_scale()}
    (folder / "loss_scale.json").write_text(json.dumps(rows, indent=1) + "\n")
    for name in ("optimizer.safetensors", "loss_scale.json"):
        print((folder / name).stat().st_size, folder / name)


if __name__ == "__main__":
    main()
