#!/usr/bin/env python3
"""The peer: apple/pfl-research, its CIFAR-10 benchmark in two processes with a thread each.

usage: federated_pfl.py DATA_ROOT [--net pfl_cnn|lenet] [--rounds 10] ...

Prints one JSON line; the first round is left out of the median. Neither users nor server are evaluated in the rounds.
"""
import contextlib
import logging
import os
import time
import types
from importlib.metadata import version

import numpy as np
import torch
import torch.nn.functional as F

from federated_common import RANKS, Report, make_net, parse_arguments, split, training_records
from processes import run_forked


def loss_of(net, images, labels):
    """As pfl-research wants it: a method of the network."""
    return F.cross_entropy(net(images), labels)


def worker(rank, args, port, report):
    # Read when pfl is imported.
    os.environ.update(PFL_WORKER_RANK=str(rank), PFL_PYTORCH_DEVICE="cpu",
                      PFL_WORKER_ADDRESSES=",".join(f"127.0.0.1:{port + r}" for r in range(RANKS)))
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.aggregate.weighting import WeightByUser
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data import FederatedDataset
    from pfl.data.dataset import Dataset
    from pfl.data.sampling import get_user_sampler
    from pfl.hyperparam import NNTrainHyperParams
    from pfl.model.pytorch import PyTorchModel

    class Clock(TrainingProcessCallback):
        """Round times; a central iteration is a round and the update of the server's model."""

        def on_train_begin(self, *, model):
            self.last = time.perf_counter()
            return super().on_train_begin(model=model)

        def after_central_iteration(self, *positional, **named):
            now = time.perf_counter()
            if report:
                report.round(now - self.last)
            self.last = now
            return super().after_central_iteration(*positional, **named)

    records = training_records(args.root)
    holders = split(args, len(records))
    net = make_net(args).train()
    net.loss = types.MethodType(loss_of, net)
    net.metrics = types.MethodType(lambda *_: {}, net)
    np.random.seed(args.seed + 1)  # the same cohorts on both
    torch.manual_seed(args.seed * RANKS + rank)

    def user_data(user):
        images, labels = records.normalised(holders[user])
        order = torch.randperm(len(labels))  # its datasets keep theirs
        return Dataset(raw_data=[images[order], labels[order]], user_id=user)

    everyone = args.cohort == len(holders)
    users = get_user_sampler("minimize_reuse" if everyone else "random", range(len(holders)))
    backend = SimulatedBackend(FederatedDataset(user_data, users), FederatedDataset(user_data, users),
                               postprocessors=[WeightByUser()])
    model = PyTorchModel(net, torch.optim.SGD, torch.optim.SGD(net.parameters(), args.server_lr))
    params = NNAlgorithmParams(central_num_iterations=args.rounds, evaluation_frequency=args.rounds + 1,
                               train_cohort_size=args.cohort, val_cohort_size=0)
    training = NNTrainHyperParams(local_num_epochs=args.epochs, local_learning_rate=args.lr,
                                  local_batch_size=args.batch)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # its metrics
        FederatedAveraging().run(params, backend, model, training, callbacks=[Clock()])
    if report:
        report.finish(net, peer="pfl-research", pfl=version("pfl"))


def main():
    args = parse_arguments(__doc__)
    # pfl takes part in its all-reduce only in a process of this name.
    run_forked(worker, RANKS, args, Report(args), name="MainProcess")


if __name__ == "__main__":
    main()
