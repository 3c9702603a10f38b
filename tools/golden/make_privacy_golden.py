#!/usr/bin/env python3
"""Writes tests/data/federated/privacy.json: what Google's dp-accounting says of repeated subsampled Gaussians.

    pip install dp-accounting==0.6.0
    python tools/golden/make_privacy_golden.py tests/data/federated/privacy.json

Each case has a noise multiplier over the sensitivity, a sampling rate, a number of rounds and delta, and the epsilon
of dp-accounting's Rényi accountant. tests/federated/rdp_accountant_test.cpp compares them with
federated/rdp_accountant.h, whose noise multiplier for sampling without replacement is over the clip: twice this one.
"""
import json
import sys
from importlib.metadata import version

from dp_accounting import dp_event, privacy_accountant
from dp_accounting.rdp import rdp_privacy_accountant

CLIENTS = 100000  # sampling without replacement is of whole clients
RATES = [0.0001, 0.001, 0.01, 0.1, 0.5, 1.0]
NOISES = [0.4, 0.7, 1.0, 1.5, 4.0, 12.0]
ROUNDS = [1, 50, 1500]
DELTAS = [1e-5, 1e-8]


def event(sampling, rate, noise):
    gaussian = dp_event.GaussianDpEvent(noise)
    if sampling == "poisson":
        return dp_event.PoissonSampledDpEvent(rate, gaussian)
    return dp_event.SampledWithoutReplacementDpEvent(CLIENTS, round(rate * CLIENTS), gaussian)


def epsilon(sampling, rate, noise, rounds, delta):
    relation = privacy_accountant.NeighboringRelation
    neighbours = relation.ADD_OR_REMOVE_ONE if sampling == "poisson" else relation.REPLACE_ONE
    accountant = rdp_privacy_accountant.RdpAccountant(neighboring_relation=neighbours)
    accountant.compose(event(sampling, rate, noise), rounds)
    return accountant.get_epsilon(delta)


def main():
    cases = [{"sampling": sampling, "rate": rate, "noise_over_sensitivity": noise, "rounds": rounds, "delta": delta,
              "epsilon": float(epsilon(sampling, rate, noise, rounds, delta))}
             for sampling in ("poisson", "without_replacement")
             for rate in RATES for noise in NOISES for rounds in ROUNDS for delta in DELTAS]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"dp_accounting": version("dp-accounting"), "cases": cases}, file, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main()
