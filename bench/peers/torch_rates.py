#!/usr/bin/env python3
"""What the machine's matrix products reach in PyTorch's libraries (oneDNN, MKL): the roof of a training step.

usage: torch_rates.py [--threads 2] [--images 64] [--seconds 0.3] [--device cpu|cuda]

Square products of 2048, and the 20 convolutions of ResNet-18 for 32x32 images as the products that they amount to (rows:
pixels of the output; sum: input channels times kernel). Prints one JSON line, GFLOP/s; `images` bounds the rows. On a GPU
the squares are of 8192, float32 is computed as its convolutions are (TF32), and each product is waited for.
"""
import argparse
import statistics
import time

import torch

from torch_common import finish


def convolutions():
    """(side of the output, input channels, output channels, kernel) of each."""
    yield 32, 3, 64, 3
    for stage, channels in enumerate((64, 128, 256, 512)):
        side = 32 >> stage
        for convolution in range(4):
            first = stage > 0 and convolution == 0
            yield side, channels // 2 if first else channels, channels, 3
        if stage > 0:
            yield side, channels // 2, channels, 1


def rate(m, k, n, dtype, args):
    """GFLOP/s of the fastest of the products that fit into the time, at least three after the first."""
    a, b = torch.randn(m, k).to(args.device, dtype), torch.randn(k, n).to(args.device, dtype)
    out = torch.empty(m, n, dtype=dtype, device=args.device)

    def product():
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        if args.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    product()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < args.seconds:
        times.append(product())
    return 2 * m * k * n / min(times) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    side_of_square = 2048
    if args.device == "cuda":
        side_of_square = 8192
        torch.backends.cuda.matmul.allow_tf32 = True
    rates = {"threads": args.threads, "device": args.device}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        rates[f"gemm_{name}"] = rate(side_of_square, side_of_square, side_of_square, dtype, args)
        by_shape = {}
        for side, inputs, outputs, kernel in convolutions():
            shape = (args.images * side * side, inputs * kernel * kernel, outputs)
            if shape not in by_shape:
                by_shape[shape] = rate(*shape, dtype, args)
        all_of_net = [by_shape[(args.images * s * s, i * k * k, o)] for s, i, o, k in convolutions()]
        rates[f"gemm_{name}_shapes_median"] = statistics.median(all_of_net)
        rates[f"gemm_{name}_shapes"] = {"x".join(map(str, shape)): round(r, 1) for shape, r in by_shape.items()}
    finish(**rates)


if __name__ == "__main__":
    main()
