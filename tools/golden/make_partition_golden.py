#!/usr/bin/env python3
"""Writes tests/data/federated/partitions.json: moments of the partitions that flwr-datasets draws.

    pip install flwr-datasets==0.6.1
    python tools/golden/make_partition_golden.py tests/data/federated/partitions.json

Each case names the options in this project's words, and lists the mean over many draws, with its standard error, of
    count_square    the squared number of images of one class at one client, over clients and classes
    size_square     the squared number of images of a client, over clients
    smallest        the number of images of the smallest client
    largest_share   the share of a client's largest class among its images, over clients
    classes_held    the number of classes that a client holds, over clients
tests/federated/make_partition_test.cpp draws as often with federated/make_partition.h and compares.
"""
import json
import sys
import warnings
from importlib.metadata import version

import numpy as np
from datasets import Dataset
from flwr_datasets.partitioner import (DirichletPartitioner, IidPartitioner, InnerDirichletPartitioner,
                                       PathologicalPartitioner, ShardPartitioner)

warnings.filterwarnings("ignore")

CLASSES = 10


def partitioner_for(case, seed):
    clients, kind = case["clients"], case["partition"]
    if kind == "iid":
        return IidPartitioner(num_partitions=clients)
    if kind == "dirichlet_class":
        return DirichletPartitioner(num_partitions=clients, partition_by="label", alpha=case["alpha"],
                                    min_partition_size=case["min_samples"],
                                    self_balancing=case["self_balancing"], seed=seed)
    if kind == "dirichlet_client":
        return InnerDirichletPartitioner(partition_sizes=[case["client_samples"]] * clients, partition_by="label",
                                         alpha=case["alpha"], seed=seed)
    if kind == "labels":
        return PathologicalPartitioner(num_partitions=clients, partition_by="label",
                                       num_classes_per_partition=case["labels_per_client"],
                                       class_assignment_mode="first-deterministic", seed=seed)
    assert kind == "shards"
    return ShardPartitioner(num_partitions=clients, partition_by="label",
                            num_shards_per_partition=case["shards_per_client"], seed=seed)


def counts_of(case, seed):
    """Images of each class at each client, [clients, classes]."""
    labels = np.repeat(np.arange(CLASSES), case["per_class"])
    np.random.default_rng(seed).shuffle(labels)
    partitioner = partitioner_for(case, seed)
    partitioner.dataset = Dataset.from_dict({"label": labels})
    first = np.array(partitioner.load_partition(0)["label"])
    labels = np.array(partitioner.dataset["label"])  # some sort the data set
    held = getattr(partitioner, "_partition_id_to_indices", None)  # made by the first call; quicker than the rest
    of_clients = [labels[held[client]] if held else np.array(partitioner.load_partition(client)["label"])
                  for client in range(case["clients"])]
    assert sorted(first) == sorted(of_clients[0])
    return np.stack([np.bincount(each, minlength=CLASSES) for each in of_clients])


def moments(counts):
    sizes = counts.sum(axis=1)
    return {"count_square": np.mean(counts.astype(float) ** 2),
            "size_square": np.mean(sizes.astype(float) ** 2),
            "smallest": sizes.min(),
            "largest_share": np.mean(counts.max(axis=1) / sizes),
            "classes_held": np.mean((counts > 0).sum(axis=1))}


def draw(case):
    drawn, seed = [], 0
    while len(drawn) < case["draws"]:
        try:
            drawn.append(moments(counts_of(case, seed)))
        except ValueError:  # the minimum was not met in ten attempts: both sides draw until it is
            pass
        seed += 1
    case["moments"] = {}
    for name in drawn[0]:
        values = np.array([float(each[name]) for each in drawn])
        case["moments"][name] = {"mean": values.mean(),
                                 "standard_error": values.std(ddof=1) / np.sqrt(len(values))}
    return case


def dirichlet_class(alpha, clients, min_samples, self_balancing):
    return {"partition": "dirichlet_class", "clients": clients, "alpha": alpha, "min_samples": min_samples,
            "self_balancing": self_balancing, "per_class": 300, "draws": 100}


def main():
    cases = [
        {"partition": "iid", "clients": 20, "per_class": 100, "draws": 100},
        dirichlet_class(0.5, 10, 10, False),
        dirichlet_class(0.5, 10, 10, True),
        dirichlet_class(0.1, 5, 10, True),
        dirichlet_class(5.0, 20, 1, False),
        {"partition": "dirichlet_client", "clients": 30, "alpha": 0.1, "client_samples": 20, "per_class": 300,
         "draws": 50},
        {"partition": "dirichlet_client", "clients": 30, "alpha": 1.0, "client_samples": 20, "per_class": 300,
         "draws": 50},
        {"partition": "labels", "clients": 15, "labels_per_client": 2, "per_class": 120, "draws": 100},
        {"partition": "labels", "clients": 15, "labels_per_client": 4, "per_class": 120, "draws": 100},
        {"partition": "shards", "clients": 20, "shards_per_client": 2, "per_class": 120, "draws": 100},
    ]
    result = {"flwr_datasets": version("flwr-datasets"), "numpy": np.__version__,
              "cases": [draw(case) for case in cases]}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
