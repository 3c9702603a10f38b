#!/usr/bin/env python3
"""Weights go from torchvision to C++ and back: equal logits, strict loading on both sides.

    python tools/golden/check_interop.py build/bin/model_interop        needs torch, torchvision, safetensors

For ResNet-18 with the CIFAR stem (10 classes) and the ImageNet stem (1000 classes): a random torchvision model is saved
as safetensors, C++ loads it strictly and computes logits, which must equal Python's to 1e-4; the weights that C++
writes must load with strict=True in Python, bit for bit those that it read. Exit code 1 when something differs.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

import model_golden_nets as nets

TOLERANCE = 1e-4


def check(tool, stem, classes, size):
    generator = torch.Generator().manual_seed(7)
    net = nets.randomize(nets.resnet18(64, classes, stem), generator).eval()
    images = torch.randn((4, 3, size, size), generator=generator)
    with torch.no_grad():
        expected = net(images)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        save_file(net.state_dict(), folder / "weights.safetensors")
        save_file({"images": images}, folder / "images.safetensors")
        subprocess.run([tool, stem, str(classes), folder / "weights.safetensors", folder / "images.safetensors",
                        folder], check=True)
        logits = load_file(folder / "logits.safetensors")["logits"]
        written = load_file(folder / "model.safetensors")

    error = ((logits - expected).norm() / expected.norm()).item()
    back = nets.resnet18(64, classes, stem)
    back.load_state_dict(written, strict=True)
    differing = [key for key, value in net.state_dict().items()
                 if not key.endswith("num_batches_tracked") and not torch.equal(value, written[key])]
    good = error < TOLERANCE and not differing and set(written) == set(net.state_dict())
    print(f"{'ok' if good else 'FAILED'}: {stem} stem, {classes} classes: logits differ by {error:.1e} (relative norm), "
          f"{len(written)} tensors back, differing: {differing or 'none'}")
    return good


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tool = pathlib.Path(sys.argv[1]).resolve()
    results = [check(tool, "cifar", 10, 32), check(tool, "imagenet", 1000, 64)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
