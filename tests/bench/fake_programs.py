#!/usr/bin/env python3
"""Stands in for Python with PyTorch, for mpirun and for the programs of bench/ in compare_test.py, by its own name."""
import array
import json
import os
import pathlib
import struct
import sys

FEDERATED_SECONDS = {"federated_loop.py": 1.0, "federated_pfl.py": 1.25, "federated_flower.py": 2.0}


def federated(script, words):
    if script in os.environ.get("FAKE_MISSING_PEER", "nothing"):
        sys.exit("ModuleNotFoundError: no such package")
    if "--save" in words:
        value = float(os.environ.get("FAKE_PEER_WEIGHT", "1"))
        header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        weights = array.array("f", [value, value]).tobytes()
        pathlib.Path(words[words.index("--save") + 1]).write_bytes(struct.pack("<Q", len(header)) + header + weights)
    seconds = FEDERATED_SECONDS[script] * float(os.environ.get("FAKE_FEDERATED_FACTOR", "1"))
    return {"seconds_per_round": 0.75 * seconds if "--compile" in words else seconds, "startup_seconds": 4.0, "top1": 40.5,
            "peak_memory_bytes": 800 << 20}


def peer(script, words):
    rate = float(os.environ.get("FAKE_PEER_RATE", "100"))
    if script == "torch_step.py" and "--compile" in words:
        if os.environ.get("FAKE_NO_COMPILER"):
            sys.exit("InductorError: no working C++ compiler")
        rate *= 1.25
    if script == "federated_niid.py":
        if "--save-init" in words:
            pathlib.Path(words[words.index("--save-init") + 1]).touch()
            return {"top1": []}
        if not all(pathlib.Path(words[words.index(option) + 1]).exists() for option in ("--partition", "--init")):
            sys.exit("FileNotFoundError: no such file")
        return {"top1": [10.0, 40.5 + 0.25 * int(words[words.index("--seed") + 1])]}
    if script in FEDERATED_SECONDS:
        return federated(script, words)
    if script == "torch_losses.py":
        return {"losses": [2.5, 2.25, 2.0, 1.75]}
    if script == "torch_rates.py":
        return {"threads": 2, **{f"gemm_{p}{s}": g for p, g in (("bf16", 500.0), ("fp32", 250.0))
                                 for s in ("", "_shapes_median")}, "gemm_bf16_shapes": {"1x1x1": 1.0}}
    if script == "torch_all_reduce.py":
        return {"median_seconds": 0.02}
    if script == "torch_epoch.py":
        print("first step", flush=True)
        return {"epoch_seconds": [5.0]}
    return {"images_per_second": rate}


def main():
    name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
    if name == "mpirun":
        words = words[words.index("-np") + 2:]
        os.execv(words[0], words)
    if name == "machine_rates":
        result = {"threads": 2, "fma_fp32": 300.0, "copy": 20.0}
    elif name == "all_reduce_bench":
        result = {"mpi": 0.018, "communicator": 0.006}
    elif name == "empty_client_bench":
        result = {"seconds_per_client": 0.002, "bytes_per_client": 40_000_000}
    elif name == "data_bench":
        print(json.dumps({"benchmarks": [{"items_per_second": 6e4}]}))
        return
    else:
        result = {"torch": "0.0", "peak_memory_bytes": 400 << 20, **peer(pathlib.Path(words[0]).name, words[1:])}
    print(json.dumps(result))


main()
