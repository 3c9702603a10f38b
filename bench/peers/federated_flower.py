#!/usr/bin/env python3
"""The peer: Flower's simulation with Ray, a worker process with a thread for each core.

usage: federated_flower.py DATA_ROOT [--net pfl_cnn|lenet] [--rounds 10] ...

The workers keep network and data between tasks. Prints one JSON line; the first round is left out of the median.
"""
import json
import logging
import os
import pathlib
import time
from importlib.metadata import version

os.environ.update(FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0")
here = str(pathlib.Path(__file__).resolve().parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))  # Ray's workers

import federated_flower_client  # noqa: E402
from federated_common import RANKS, Report, make_net, parse_arguments  # noqa: E402
from flwr.app import ArrayRecord  # noqa: E402
from flwr.serverapp import ServerApp  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402
from flwr.simulation import run_simulation  # noqa: E402


def main():
    args = parse_arguments(__doc__)
    if args.server_lr != 1:
        raise SystemExit("--server-lr: Flower's FedAvg has none but 1")
    os.environ[federated_flower_client.SETTING] = json.dumps(vars(args))
    logging.getLogger("flwr").setLevel(logging.ERROR)
    report, net = Report(args), make_net(args)
    server, last = ServerApp(), {}

    def clock(server_round, _):  # called before the first round and after every round
        now = time.perf_counter()
        if server_round > 0:
            report.round(now - last["time"])
        last["time"] = now

    @server.main()
    def serve(grid, _):
        strategy = FedAvg(fraction_train=args.cohort / args.clients, fraction_evaluate=0, min_train_nodes=args.cohort,
                          min_evaluate_nodes=0, min_available_nodes=args.clients)
        result = strategy.start(grid=grid, initial_arrays=ArrayRecord(net.state_dict()), num_rounds=args.rounds,
                                evaluate_fn=clock)
        net.load_state_dict(result.arrays.to_torch_state_dict())

    ray = {"num_cpus": RANKS, "include_dashboard": False, "log_to_driver": False}
    run_simulation(server_app=server, client_app=federated_flower_client.app, num_supernodes=args.clients,
                   backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0}, "init_args": ray})
    if report.rounds() != args.rounds:
        raise SystemExit(f"Flower ended after {report.rounds()} of {args.rounds} rounds")
    report.finish(net, peer="Flower", flwr=version("flwr"), ray=version("ray"))


if __name__ == "__main__":
    main()
