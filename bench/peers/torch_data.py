"""CIFAR-10's binary files as a torchvision-style dataset, for the peers that load data."""
import pathlib

import numpy as np
import torch
from torchvision.transforms import v2

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Cifar(torch.utils.data.Dataset):
    """Images [3, 32, 32] uint8 of `names` under root/cifar-10-batches-bin, each passed through `transform`."""

    def __init__(self, root, pattern, transform):
        files = sorted(pathlib.Path(root, "cifar-10-batches-bin").glob(pattern))
        if not files:
            raise SystemExit(f"{root}/cifar-10-batches-bin holds no {pattern}")
        raw = np.concatenate([np.fromfile(file, np.uint8) for file in files]).reshape(-1, 3073)
        self.images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy())
        self.labels = raw[:, 0].astype(np.int64)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.images[index]), self.labels[index]


def scaled():
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]


def augmented():
    """The usual recipe: padding of 4 with reflection, random crop, random flip."""
    return v2.Compose([v2.RandomCrop(32, padding=4, padding_mode="reflect"), v2.RandomHorizontalFlip(), *scaled()])


def plain():
    return v2.Compose(scaled())
