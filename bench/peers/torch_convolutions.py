#!/usr/bin/env python3
"""The peer of build/bin/kernels_bench: ResNet-18's convolutions in PyTorch, channels-last.

usage: torch_convolutions.py [--precision bf16|fp32] [--images 64] [--threads 1] [--rounds 10]

Prints the fastest of the rounds for the output, the gradient by the input and the gradient by the weight, and the rate of
a product of 1024 x 1024 matrices.
"""
import argparse
import time

import torch


def fastest(run, rounds):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def shapes():
    for channels in (64, 128, 256, 512):
        side = 2048 // channels
        if channels > 64:
            yield channels // 2, channels, 2 * side, 3, 2
            yield channels // 2, channels, 2 * side, 1, 2
        yield channels, channels, side, 3, 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32

    def last(tensor):
        return tensor.to(dtype).contiguous(memory_format=torch.channels_last)

    for inputs, outputs, side, kernel, stride in shapes():
        x = last(torch.randn(args.images, inputs, side, side))
        w = last(torch.randn(outputs, inputs, kernel, kernel))
        y = torch.conv2d(x, w, None, stride, kernel // 2)
        dy = torch.randn_like(y)
        flops = 2 * y.numel() * inputs * kernel * kernel

        def backward(mask):
            torch.ops.aten.convolution_backward(dy, x, w, None, (stride, stride), (kernel // 2, kernel // 2), (1, 1), False,
                                                (0, 0), 1, mask)

        times = {"forward": fastest(lambda: torch.conv2d(x, w, None, stride, kernel // 2), args.rounds),
                 "by the input": fastest(lambda: backward((True, False, False)), args.rounds),
                 "by the weight": fastest(lambda: backward((False, True, False)), args.rounds)}
        print(f"{inputs:3} to {outputs:3} channels, {side:2}x{side}, kernel {kernel}, stride {stride}:",
              "  ".join(f"{name} {t * 1e3:.2f} ms ({flops / t / 1e9:.0f} GFLOP/s)" for name, t in times.items()))
    a, b = (torch.randn(1024, 1024).to(dtype) for _ in range(2))
    print(f"1024 x 1024 matrices: {2 * 1024**3 / fastest(lambda: a @ b, 3 * args.rounds) / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
