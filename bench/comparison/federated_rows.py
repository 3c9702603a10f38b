"""The rows of docs/federated.md: rounds, memory and start beside a loop by hand, pfl-research and Flower."""
import dataclasses
import json

from . import federated_runs as runs
from .programs import Measurement
from .row import Row

MIB = 1 << 20
MOST_CLIENTS = 100_000


def round_row(name, title, net, goals):
    return Row(name, title, "s", lambda context: runs.simulate(context, {"model.name": net}).measurement(),
               runs.peers(net), higher_is_better=False, goals=goals, precision="fp32",
               gflop=runs.gflop_per_round(net))


def bf16_row():
    def ours(precision):
        return lambda context: runs.simulate(context, {"train.precision": precision}).measurement()
    return Row("federated-pfl-bf16", "the same in bf16; peer: rn_dist in float32", "s", ours("bf16"),
               {"float32": ours("fp32")}, higher_is_better=False, goal=1.4, precision="bf16",
               gflop=runs.gflop_per_round("pfl_cnn"))


def ranks_row():
    def ours(ranks):
        return lambda context: runs.simulate(context, ranks=ranks).measurement()
    return Row("federated-ranks", "2 ranks x 1 thread; peer: 1 rank x 1 thread", "s", ours(2), {"1 rank": ours(1)},
               higher_is_better=False, goal=1.8)


def memory(clients):
    def run(context):
        return Measurement(runs.simulate(context, {"federated.clients": clients}).memory / MIB)
    return run


def memory_rows():
    def of_loop(context):  # as it is: a compiler would take several times as much
        return Measurement(runs.peer(context, "loop")["peak_memory_bytes"] / MIB)
    return [
        Row("federated-memory", "peak memory of both processes", "MiB", memory(1000), {"loop by hand": of_loop},
            higher_is_better=False, goal=2),
        Row("federated-memory-clients", "the same with 100,000 clients; peer: rn_dist with 1,000", "MiB",
            memory(MOST_CLIENTS), {"1,000 clients": memory(1000)}, higher_is_better=False, goal=1 / 1.1),
    ]


def start_row():
    return Row("federated-start", "start of the processes until the first round", "s", runs.start_seconds,
               runs.peers("pfl_cnn", "startup_seconds", fastest_loop=False), higher_is_better=False,
               goals={"loop by hand": 1, "pfl-research": 1, "Flower": 1}, limit=2)


def empty_row():
    """What the federation adds to a client's training, and what its bytes take at the copy rate of the moment."""
    def ours(context):
        out = json.loads(context.execute([context.binary("empty_client_bench")], {"OMP_NUM_THREADS": "1"}))
        context.empty_client_bytes = out["bytes_per_client"]
        return Measurement(out["seconds_per_client"] * 1e3)

    def copied(context):
        rates = json.loads(context.execute([context.binary("machine_rates"), "--threads", 1]))
        return Measurement(context.empty_client_bytes / (rates["copy"] * 1e9) * 1e3)
    return Row("federated-empty", "an empty client: weights in, weighted difference out; peer: its bytes at the copy rate",
               "ms", ours, {"copy rate": copied}, higher_is_better=False,
               goal=1 / 1.3)


def federated_rows():
    rows = [
        round_row("federated-pfl", "a round of pfl-research's CIFAR-10 setting, float32", "pfl_cnn",
                  {"loop by hand": 2, "pfl-research": 2.2, "Flower": 4}),
        bf16_row(),
        round_row("federated-lenet", "the same with NIID-Bench's network", "lenet",
                  {"loop by hand": 3, "pfl-research": 4, "Flower": 15}),
        ranks_row(),
        *memory_rows(),
        start_row(),
        empty_row(),
    ]
    return [dataclasses.replace(row, federated=True, slow=True) for row in rows]
