#!/usr/bin/env python3
"""Writes tests/data/federated/referee.json: federated algorithms as plain PyTorch loops, from the papers' formulas.

    python tools/golden/make_federated_golden.py [FOLDER]          needs torch

Every client is an ordinary training with torch.optim.SGD on its own images, and every server a few lines over whole
parameter vectors. Weights and images come from an integer formula, orders of images and numbers of epochs from the
program's documented draws (Philox), so nothing is exchanged but results: of each case the weights (every STRIDE-th
element, in the order of named_parameters) after 1 round in float32 and after 5 rounds in float64.
"""

import copy
import json
import pathlib
import sys

import torch
from torch import nn
import torch.nn.functional as F

SEED = 5
STRIDE = 311
SIZES = [5, 8, 12, 15]  # images of the clients; all take part in every round
BATCH = 5
ROUNDS = 5
LR = 0.05
MASK = 0xFFFFFFFF
SPEED = 10.0  # images per simulated second of every client
ORDER, COHORT, LOCAL_EPOCHS, CLIENT = 1, 10, 13, 21  # purposes of draws (src/core/random.h)

CASES = {
    "fedavg": dict(momentum=0.9, weight_decay=1e-3, nesterov=True),
    "fedavg_uniform": dict(weighting="uniform", momentum=0.0, server_lr=0.7),
    "fedsgd": dict(algorithm="fedsgd", momentum=0.0),
    "fedprox": dict(algorithm="fedprox", mu=0.3, epochs=2, momentum=0.9, weight_decay=1e-3),
    "fedavgm": dict(algorithm="fedavgm", momentum=0.0, server_momentum=0.9),
    "fedadagrad": dict(algorithm="fedadagrad", momentum=0.0, server_lr=0.01),
    "fedadam": dict(algorithm="fedadam", momentum=0.0, server_lr=0.01),
    "fedadam_flower": dict(algorithm="fedadam", momentum=0.0, server_lr=0.01, bias_correction=True),
    "fedyogi": dict(algorithm="fedyogi", momentum=0.0, server_lr=0.01),
    "scaffold": dict(algorithm="scaffold", momentum=0.0, epochs=2, weight_decay=1e-3),
    "scaffold_momentum": dict(algorithm="scaffold", momentum=0.9, epochs=2),
    "scaffold_option_1": dict(algorithm="scaffold", momentum=0.0, epochs=2, scaffold_option=1),
    "feddyn": dict(algorithm="feddyn", momentum=0.0, mu=0.2, weighting="uniform", epochs=2),
    "fednova": dict(algorithm="fednova", momentum=0.0, epochs_min=1, epochs=5),
    "fednova_momentum": dict(algorithm="fednova", momentum=0.9, epochs_min=1, epochs=5),
    "fednova_proximal": dict(algorithm="fednova", momentum=0.0, mu=0.5, epochs_min=1, epochs=5),
    "fedbuff": dict(algorithm="fedbuff", cohort=3, buffer_size=2, weighting="uniform", server_lr=0.7, epochs_min=1,
                    epochs=3),
    "fedbuff_samples": dict(algorithm="fedbuff", cohort=4, buffer_size=1, momentum=0.9, max_staleness=4),
    "fedbuff_unweighted": dict(algorithm="fedbuff", cohort=4, buffer_size=2, staleness_weight="none"),
}
DEFAULTS = dict(algorithm="fedavg", weighting="samples", epochs=1, epochs_min=0, momentum=0.0, nesterov=False,
                weight_decay=0.0, server_lr=1.0, server_momentum=0.9, beta1=0.9, beta2=0.99, tau=1e-3, mu=0.0,
                scaffold_option=2, bias_correction=False, cohort=len(SIZES), buffer_size=1,
                staleness_weight="inverse_sqrt", max_staleness=0)


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


class Draws:
    def __init__(self, seed, purpose, a, b):
        derived = philox([a & MASK, a >> 32, purpose, 0], [seed & MASK, seed >> 32])
        self.key, self.b, self.block, self.words = derived[:2], b, 0, []

    def next(self):
        if not self.words:
            self.words = philox([self.block, 0, self.b & MASK, self.b >> 32], self.key)
            self.block += 1
        return self.words.pop(0)

    def below(self, bound):
        product = self.next() * bound
        if product & MASK < bound:
            threshold = (2**32 - bound) % bound
            while product & MASK < threshold:
                product = self.next() * bound
        return product >> 32


def client_seed(round_, client):
    draws = Draws(SEED, CLIENT, round_, client)
    high = draws.next()
    return high << 32 | draws.next()


def epoch_order(n, seed, epoch):
    order, draws = list(range(n)), Draws(seed, ORDER, epoch, 0)
    for left in range(n, 1, -1):
        other = draws.below(left)
        order[left - 1], order[other] = order[other], order[left - 1]
    return order


def formula(count, salt):
    """Numbers in [-0.5, 0.5) that every language computes alike."""
    k = torch.arange(count, dtype=torch.int64) + salt * 1000003
    return (((k * 2654435761) % 2**32).double() / 2**32) - 0.5


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


def start(dtype):
    net = LeNet()
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            fan_in = p[0].numel() if p.dim() > 1 else 100
            p.copy_((formula(p.numel(), i) * 4 / fan_in**0.5).reshape(p.shape))
    return net.to(dtype)


def images(dtype):
    n = sum(SIZES)
    k = torch.arange(n * 3 * 32 * 32, dtype=torch.int64)
    pixels = ((k * 2654435761) >> 13) & 255
    scaled = pixels.float() / torch.tensor(255.0)  # float32, as torchvision's ToTensor
    labels = torch.tensor([(i * 7 + i // 10) % 10 for i in range(n)])
    return scaled.reshape(n, 3, 32, 32).to(dtype), labels


def vector(net):
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])


def load(net, values):
    at = 0
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(values[at:at + p.numel()].reshape(p.shape))
            at += p.numel()


def gradient(net):
    return torch.cat([p.grad.reshape(-1) for p in net.parameters()])


def add_to_gradient(net, values):
    at = 0
    for p in net.parameters():
        p.grad.add_(values[at:at + p.numel()].reshape(p.shape))
        at += p.numel()


def train_client(net, x, data, indices, round_, client, o, correction):
    """Local SGD from x; correction(y) is added to every gradient. Returns y and the steps taken."""
    pixels, labels = data
    load(net, x)
    seed, size = client_seed(round_, client), len(indices)
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=o["momentum"], nesterov=o["nesterov"],
                                weight_decay=o["weight_decay"])
    epochs = local_epochs(o, round_, client)
    batch = size if o["algorithm"] == "fedsgd" else BATCH
    steps = 0
    for epoch in range(epochs):
        order = epoch_order(size, seed, epoch)
        for begin in range(0, size, batch):
            chosen = [indices[i] for i in order[begin:begin + batch]]
            optimizer.zero_grad()
            F.cross_entropy(net(pixels[chosen]), labels[chosen]).backward()
            if correction is not None:
                add_to_gradient(net, correction(vector(net)))
            optimizer.step()
            steps += 1
    return vector(net), steps


def nova_coefficients(steps, momentum, mu):
    """a_i of Wang et al. 2020, section 3.2 and appendix: its sum."""
    if mu:
        return (1 - (1 - LR * mu)**steps) / (LR * mu)
    if momentum:
        return (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
    return float(steps)


def whole_gradient(net, x, data, indices):
    pixels, labels = data
    load(net, x)
    net.zero_grad()
    F.cross_entropy(net(pixels[indices]), labels[indices]).backward()
    return gradient(net)


def local_epochs(o, round_, client):
    if not o["epochs_min"]:
        return o["epochs"]
    return o["epochs_min"] + Draws(SEED, LOCAL_EPOCHS, round_, client).below(o["epochs"] - o["epochs_min"] + 1)


def subset(draws, n, count):
    """Floyd's: `count` of range(n)."""
    chosen = set()
    for top in range(n - count, n):
        drawn = draws.below(top + 1)
        chosen.add(top if drawn in chosen else drawn)
    return sorted(chosen)


def run_fedbuff(o, dtype, steps):
    """Nguyen et al. 2022, Algorithm 1, every client trained in the moment in which it is asked."""
    net, data = start(dtype), images(dtype)
    x = vector(net)
    ends = [sum(SIZES[:i + 1]) for i in range(len(SIZES))]
    parts = [list(range(end - size, end)) for end, size in zip(ends, SIZES)]
    flight, buffer, stale = [], [], []  # (arrival, client, version, update); (client, staleness, update)
    now, version, wave = 0.0, 0, 0
    while version < steps:
        if not any(arrival == now for arrival, *_ in flight):  # all arrivals of an instant come first
            idle = sorted(set(range(len(SIZES))) - {f[1] for f in flight} - {b[0] for b in buffer})
            count = min(o["cohort"] - len(flight), len(idle))
            if count > 0:
                for i in subset(Draws(SEED, COHORT, wave, 0), len(idle), count):
                    client = idle[i]
                    y, _ = train_client(net, x, data, parts[client], wave, client, o, None)
                    seconds = local_epochs(o, wave, client) * SIZES[client] / SPEED
                    flight.append((now + seconds, client, version, y - x))
                wave += 1
        flight.sort(key=lambda f: f[:2])
        now, client, begun, update = flight.pop(0)
        staleness = version - begun
        if o["max_staleness"] and staleness > o["max_staleness"]:
            continue
        buffer.append((client, staleness, update))
        stale.append(staleness)
        if len(buffer) < o["buffer_size"]:
            continue
        sizes = [SIZES[client] if o["weighting"] == "samples" else 1 for client, _, _ in buffer]
        delta = 0
        for size, (_, staleness, update) in zip(sizes, buffer):
            s = 1 / (1 + staleness)**0.5 if o["staleness_weight"] == "inverse_sqrt" else 1
            delta = delta + size / sum(sizes) * s * update
        x = x + o["server_lr"] * delta
        version, buffer = version + 1, []
    assert steps == 1 or max(stale) > 1, stale
    return x


def run(o, dtype, rounds):
    if o["algorithm"] == "fedbuff":
        return run_fedbuff(o, dtype, rounds)
    net, data = start(dtype), images(dtype)
    x = vector(net)
    parts, at = [], 0
    for size in SIZES:
        parts.append(list(range(at, at + size)))
        at += size
    n_clients = len(SIZES)
    weights = [s / sum(SIZES) for s in SIZES] if o["weighting"] == "samples" else [1 / n_clients] * n_clients
    zeros = torch.zeros_like(x)
    c, c_i = zeros.clone(), [zeros.clone() for _ in SIZES]
    h, h_i = zeros.clone(), [zeros.clone() for _ in SIZES]
    m, v = zeros.clone(), torch.full_like(x, 0 if o["bias_correction"] else o["tau"]**2)
    for t in range(rounds):
        ys, steps, new_c = [], [], []
        for i in range(n_clients):
            correction = None
            if o["algorithm"] in ("fedprox", "fednova") and o["mu"]:
                correction = lambda y: o["mu"] * (y - x)
            if o["algorithm"] == "scaffold":
                correction = lambda y, i=i: c - c_i[i]
            if o["algorithm"] == "feddyn":
                correction = lambda y, i=i: o["mu"] * (y - x) - h_i[i]
            y, k = train_client(net, x, data, parts[i], t, i, o, correction)
            ys.append(y)
            steps.append(k)
            if o["algorithm"] == "scaffold":
                k = nova_coefficients(k, o["momentum"], mu=0)  # K, or with momentum what counts in its place
                new_c.append(c_i[i] - c + (x - y) / (k * LR) if o["scaffold_option"] == 2
                             else whole_gradient(net, x, data, parts[i]))
        mean = sum(w * (y - x) for w, y in zip(weights, ys))
        name, eta = o["algorithm"], o["server_lr"]
        if name in ("fedavg", "fedsgd", "fedprox"):
            x = x + eta * mean
        elif name == "fedavgm":
            m = o["server_momentum"] * m + mean
            x = x + eta * m
        elif name in ("fedadagrad", "fedadam", "fedyogi"):
            m = o["beta1"] * m + (1 - o["beta1"]) * mean
            square = mean * mean
            if name == "fedadagrad":
                v = v + square
            elif name == "fedadam":
                v = o["beta2"] * v + (1 - o["beta2"]) * square
            else:
                v = v - (1 - o["beta2"]) * square * torch.sign(v - square)
            if o["bias_correction"]:  # Flower, server_round from 1
                eta = eta * (1 - o["beta2"]**(t + 2))**0.5 / (1 - o["beta1"]**(t + 2))
            x = x + eta * m / (v.sqrt() + o["tau"])
        elif name == "scaffold":
            x = x + eta * mean
            c = c + sum(new - old for new, old in zip(new_c, c_i)) / n_clients
            c_i = new_c
        elif name == "feddyn":
            h_i = [old - o["mu"] * (y - x) for old, y in zip(h_i, ys)]
            h = h - o["mu"] * sum(y - x for y in ys) / n_clients
            x = sum(ys) / n_clients - h / o["mu"]
        elif name == "fednova":
            norms = [nova_coefficients(k, o["momentum"], o["mu"]) for k in steps]
            effective = sum(w * a for w, a in zip(weights, norms))
            x = x + eta * effective * sum(w * (y - x) / a for w, y, a in zip(weights, ys, norms))
    return x


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          pathlib.Path(__file__).resolve().parents[2] / "tests/data/federated")
    cases = {}
    for name, changes in CASES.items():
        o = {**DEFAULTS, **changes}
        cases[name] = {
            "options": o,
            "float32_1": run(o, torch.float32, 1)[::STRIDE].tolist(),
            "float64_5": run(o, torch.float64, ROUNDS)[::STRIDE].tolist(),
        }
        print(name, cases[name]["float64_5"][:3], flush=True)
    result = {"torch": torch.__version__, "seed": SEED, "stride": STRIDE, "sizes": SIZES, "batch": BATCH, "lr": LR,
              "speed": SPEED, "rounds": ROUNDS, "cases": cases}
    (folder / "referee.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__":
    main()
