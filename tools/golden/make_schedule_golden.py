#!/usr/bin/env python3
"""Writes tests/data/train/schedules.json: learning rates of PyTorch's own schedulers, step by step.

    python tools/golden/make_schedule_golden.py tests/data/train/schedules.json

Each case names the options in this project's words and lists the rate of every step, read from the optimizer before
the step is taken. tests/train/lr_schedule_test.cpp compares them with train/lr_schedule.h.
"""
import json
import sys
import warnings

import torch
from torch.optim.lr_scheduler import (ConstantLR, CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR)
from torch.optim.swa_utils import SWALR

warnings.filterwarnings("ignore")


def optimizer(lr):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def rates(opt, scheduler, steps, swa_start=None, make_swa=None):
    """The rate of each of `steps` steps; from `swa_start` on another scheduler takes over, as in PyTorch's guide."""
    out = []
    for step in range(steps):
        if step == swa_start:
            scheduler = make_swa(opt)
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return out


def one_cycle(lr, steps, pct_start, div_factor, final_div_factor, anneal):
    opt = optimizer(lr)
    scheduler = OneCycleLR(opt, max_lr=lr, total_steps=steps, pct_start=pct_start,
                           div_factor=div_factor, final_div_factor=final_div_factor, anneal_strategy=anneal,
                           cycle_momentum=False)
    out = []
    for step in range(steps):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        if step + 1 < steps:
            scheduler.step()
    return {"lr": lr, "steps_per_epoch": 10, "total_steps": steps,
            "schedule": {"name": "one_cycle", "pct_start": pct_start, "div_factor": div_factor,
                         "final_div_factor": final_div_factor, "anneal": anneal},
            "rates": out}


def cosine(lr, steps, min_lr, warmup_epochs=0.0, warmup_start=0.0, steps_per_epoch=10, swa=None):
    opt = optimizer(lr)
    warmup = round(warmup_epochs * steps_per_epoch)
    scheduler = CosineAnnealingLR(opt, T_max=steps - warmup, eta_min=min_lr)
    if warmup:
        opt = optimizer(lr)
        scheduler = SequentialLR(opt, [LinearLR(opt, start_factor=warmup_start, total_iters=warmup),
                                       CosineAnnealingLR(opt, T_max=steps - warmup, eta_min=min_lr)],
                                 milestones=[warmup])
    case = {"lr": lr, "steps_per_epoch": steps_per_epoch, "total_steps": steps,
            "schedule": {"name": "cosine", "min_lr": min_lr, "warmup_epochs": warmup_epochs,
                         "warmup_start": warmup_start}}
    if swa:
        case["swa"] = swa
        start = round(swa["start"] * steps) if swa["start"] < 1 else round(swa["start"] * steps_per_epoch)
        anneal = round(swa["anneal_epochs"] * steps_per_epoch)
        case["rates"] = rates(opt, scheduler, steps, start,
                              lambda o: SWALR(o, swa_lr=swa["lr"], anneal_epochs=anneal, anneal_strategy="cos"))
    else:
        case["rates"] = rates(opt, scheduler, steps)
    return case


def constant(lr, steps, warmup_epochs, warmup_start, steps_per_epoch=10):
    opt = optimizer(lr)
    warmup = round(warmup_epochs * steps_per_epoch)
    scheduler = (LinearLR(opt, start_factor=warmup_start, total_iters=warmup) if warmup
                 else ConstantLR(opt, factor=1.0, total_iters=0))
    return {"lr": lr, "steps_per_epoch": steps_per_epoch, "total_steps": steps,
            "schedule": {"name": "constant", "warmup_epochs": warmup_epochs, "warmup_start": warmup_start},
            "rates": rates(opt, scheduler, steps)}


def main():
    cases = [
        one_cycle(0.4, 40, 0.3, 25.0, 1e4, "cos"),
        one_cycle(0.4, 40, 0.3, 25.0, 1e4, "linear"),
        one_cycle(0.1, 37, 0.25, 10.0, 100.0, "cos"),
        one_cycle(0.1, 37, 0.77, 4.0, 50.0, "linear"),
        one_cycle(0.2, 12, 0.0, 25.0, 1e4, "cos"),
        one_cycle(0.2, 12, 1.0, 25.0, 1e4, "cos"),
        one_cycle(0.2, 3, 0.2, 25.0, 1e4, "cos"),
        one_cycle(0.2, 1, 0.3, 25.0, 1e4, "cos"),
        cosine(0.1, 40, 0.0),
        cosine(0.1, 33, 0.002),
        cosine(0.1, 40, 0.001, warmup_epochs=0.8, warmup_start=0.1),
        cosine(0.1, 23, 0.0, warmup_epochs=0.5, warmup_start=0.25, steps_per_epoch=7),
        constant(0.05, 12, 0.0, 1.0),
        constant(0.05, 20, 1.2, 0.01),
        cosine(0.1, 40, 0.0, swa={"start": 0.75, "lr": 0.05, "anneal_epochs": 0.5}),
        cosine(0.1, 40, 0.01, swa={"start": 2.0, "lr": 0.02, "anneal_epochs": 1.0}),
        cosine(0.1, 40, 0.0, swa={"start": 0.5, "lr": 0.05, "anneal_epochs": 0.0}),
    ]
    golden = {"made_by": "tools/golden/make_schedule_golden.py", "torch": torch.__version__.split("+")[0],
              "cases": cases}
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(json.dumps(golden, indent=1) + "\n")
    print(f"{len(cases)} cases, {sum(len(c['rates']) for c in cases)} rates -> {sys.argv[1]}")


if __name__ == "__main__":
    main()
