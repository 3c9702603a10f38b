"""What the federated peers share: pfl-research's CIFAR-10 setting, the networks, the clients' images, the JSON line.

Imported before torch is needed for anything else, so that the watch over memory sees all of it.
"""
import argparse
import json
import os
import pathlib
import statistics

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from process_tree import PeakMemory, seconds_since_start

RANKS = 2
CLASSES = 10
RECORD_BYTES = 3073
EVAL_BATCH = 100
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def parse_arguments(description, add=lambda parser: None):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="folder that holds cifar-10-batches-bin")
    parser.add_argument("--net", choices=("pfl_cnn", "lenet"), default="pfl_cnn")
    parser.add_argument("--rounds", type=int, default=10, help="at least 2: the first one warms up")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--client-images", type=int, default=50)
    parser.add_argument("--cohort", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=1, help="of a client in a round")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--server-lr", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--partition", help="file of `rn_dist split` instead of an even random split")
    parser.add_argument("--init", help="weights to start from (safetensors)")
    parser.add_argument("--save", help="file for the final weights (safetensors)")
    add(parser)
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error("--rounds must be at least 2: the first one warms up")
    return args


class LeNet(nn.Module):
    """NIID-Bench's network for CIFAR-10: 62,006 parameters."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 84), nn.Linear(84, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def pfl_cnn():
    """pfl-research's benchmark network, 1,626,442 parameters. Its first place is a change of layout, needless here."""
    net = nn.Sequential(nn.Identity(), nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Dropout(0.25), nn.Flatten(), nn.Linear(64 * 14 * 14, 128), nn.ReLU(), nn.Dropout(0.5),
                        nn.Linear(128, CLASSES))
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
    return net


def make_net(args):
    torch.manual_seed(args.seed)
    net = pfl_cnn() if args.net == "pfl_cnn" else LeNet()
    if args.init:
        from safetensors.torch import load_file  # only where asked for: start-up is measured
        net.load_state_dict(load_file(args.init))
    return net


class Records:
    """CIFAR-10's binary records, mapped: only what is used takes memory."""

    def __init__(self, root, pattern):
        files = sorted(pathlib.Path(root, "cifar-10-batches-bin").glob(pattern))
        if not files:
            raise SystemExit(f"{root}/cifar-10-batches-bin holds no {pattern}")
        self._files = [np.memmap(file, np.uint8, "r").reshape(-1, RECORD_BYTES) for file in files]
        self._starts = np.cumsum([0] + [len(file) for file in self._files])

    def __len__(self):
        return int(self._starts[-1])

    def read(self, indices):
        """Images [n, 3, 32, 32] uint8 and labels [n] int64."""
        files = np.searchsorted(self._starts, indices, side="right") - 1
        raw = np.stack([self._files[f][i - self._starts[f]] for f, i in zip(files, indices)])
        return torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32)), torch.from_numpy(raw[:, 0].astype(np.int64))

    def normalised(self, indices):
        """The images as float32 by MEAN and STD."""
        images, labels = self.read(indices)
        return images.float().div_(255).sub_(MEAN).div_(STD), labels


def training_records(root):
    return Records(root, "data_batch_*.bin")


def split(args, images):
    """The indices of each client's images."""
    if args.partition:
        return read_partition(args.partition)
    if args.clients * args.client_images > images:
        raise SystemExit(f"{args.clients} clients x {args.client_images} images are more than the {images}")
    order = np.random.default_rng(args.seed).permutation(images)
    return order[:args.clients * args.client_images].reshape(args.clients, args.client_images)


def read_partition(path):
    """What `rn_dist split` writes: a header of words, then a line of image indices per client."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != "rn_dist partition 1":
        raise SystemExit(f"{path} is no partition of rn_dist")
    return [np.array(line.split(), dtype=np.int64) for line in lines[1:] if line[:1].isdigit()]


def accuracy(net, root, load=Records.normalised):
    """Of the test set, percent; `load` makes a batch of it from records and indices."""
    records, correct = Records(root, "test_batch.bin"), 0
    net.eval()
    with torch.inference_mode():
        for begin in range(0, len(records), EVAL_BATCH):
            images, labels = load(records, np.arange(begin, min(begin + EVAL_BATCH, len(records))))
            correct += (net(images).argmax(1) == labels).sum().item()
    return 100 * correct / len(records)


class Report:
    """The JSON line that each peer ends with."""

    def __init__(self, args):
        self._args = args
        self._memory = PeakMemory(os.getpid())
        self._seconds = []
        self._first_end = None  # since the start of the process

    def round(self, seconds):
        """A round has just ended."""
        self._seconds.append(seconds)
        if self._first_end is None:
            self._first_end = seconds_since_start()

    def rounds(self):
        return len(self._seconds)

    def finish(self, net, **about):
        """`net`: with the server's weights after the last round. What the first round takes beyond the median, such as
        workers that start with their first task, is part of the start-up."""
        top1 = accuracy(net, self._args.root)
        peak = self._memory.finish()
        if self._args.save:
            from safetensors.torch import save_file
            save_file({name: value.contiguous() for name, value in net.state_dict().items()}, self._args.save)
        median = statistics.median(self._seconds[1:])
        startup = self._first_end - min(self._seconds[0], median)
        print(json.dumps({
            "seconds_per_round": median, "round_seconds": self._seconds, "startup_seconds": startup,
            "peak_memory_bytes": peak, "net": self._args.net, "rounds": self._args.rounds,
            "top1": top1, "torch": torch.__version__, **about}), flush=True)
