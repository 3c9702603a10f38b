#!/usr/bin/env python3
"""usage: compare_weights.py A.safetensors B.safetensors TOLERANCE

Ends with 0 if both files hold the same float32 tensors within TOLERANCE, and prints the largest difference.
"""
import array
import json
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = array.array("f", data[begin:end])
    return tensors


def main():
    a, b = read(sys.argv[1]), read(sys.argv[2])
    if not a or {name: len(t) for name, t in a.items()} != {name: len(t) for name, t in b.items()}:
        print("the files hold different tensors")
        return 1
    # A NaN compares false with everything: counted as not within.
    largest = max(abs(x - y) for name in a for x, y in zip(a[name], b[name]))
    within = all(abs(x - y) <= float(sys.argv[3]) for name in a for x, y in zip(a[name], b[name]))
    print(f"{sum(map(len, a.values()))} numbers, largest difference {largest:.3g}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
