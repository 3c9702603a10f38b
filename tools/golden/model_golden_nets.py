"""The networks of the golden files and of the interoperability check, built from torchvision's own classes."""

import torch
from torch import nn
from torchvision.models import resnet


def resnet18(width, classes, stem, norm_layer=None):
    """torchvision's ResNet-18 with `width` channels in the first stage; stem: cifar (3x3, no pooling) | imagenet."""
    net = resnet.ResNet(resnet.BasicBlock, [2, 2, 2, 2], num_classes=classes, norm_layer=norm_layer)
    norm = norm_layer or nn.BatchNorm2d
    if width != 64:
        net.inplanes = width
        net.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        net.bn1 = norm(width)
        for stage in range(4):
            stride = 1 if stage == 0 else 2
            setattr(net, f"layer{stage + 1}", net._make_layer(resnet.BasicBlock, width << stage, 2, stride=stride))
        net.fc = nn.Linear(width << 3, classes)
    if stem == "cifar":
        net.conv1 = nn.Conv2d(3, width, 3, stride=1, padding=1, bias=False)
        net.maxpool = nn.Identity()
    return net


class ConvUnit(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class ResNet9(nn.Module):
    """Page 2018, "How to train your ResNet"; https://github.com/davidcpage/cifar10-fast, `net()` of dawn.py."""

    def __init__(self, width, classes):
        super().__init__()

        def stage(in_channels, out_channels, residual):
            parts = {"conv": ConvUnit(in_channels, out_channels)}
            if residual:
                parts["res"] = nn.Sequential(ConvUnit(out_channels, out_channels), ConvUnit(out_channels, out_channels))
            return nn.ModuleDict(parts)

        self.prep = ConvUnit(3, width)
        self.layer1 = stage(width, 2 * width, True)
        self.layer2 = stage(2 * width, 4 * width, False)
        self.layer3 = stage(4 * width, 8 * width, True)
        self.fc = nn.Linear(8 * width, classes, bias=False)

    def forward(self, x):
        x = self.prep(x)
        for stage in (self.layer1, self.layer2, self.layer3):
            x = nn.functional.max_pool2d(stage["conv"](x), 2)
            if "res" in stage:
                x = x + stage["res"](x)
        return 0.125 * self.fc(x.amax(dim=(2, 3)))


def randomize(net, generator):
    """Weights that leave nothing at 0 or 1: an element that is not read, or read in another order, shows."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.dim() == 4:
                fan_out = parameter.shape[0] * parameter.shape[2] * parameter.shape[3]
                parameter.normal_(0, (2 / fan_out) ** 0.5, generator=generator)
            elif parameter.dim() == 2:
                parameter.uniform_(-0.5, 0.5, generator=generator)
            elif name.endswith("weight"):
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.uniform_(-0.5, 0.5, generator=generator)
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.5, 0.5, generator=generator)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5, generator=generator)
    return net
