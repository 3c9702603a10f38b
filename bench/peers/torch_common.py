"""What the peers share: the network, the ways to run it, and the JSON line that each of them ends with."""
import contextlib
import json
import resource

import torch
import torchvision

GROUPS = 32  # of channels, with --norm group


def make_net(norm="batch"):
    """torchvision's ResNet-18 with the CIFAR stem: 3x3, stride 1, no max-pooling."""
    group_norm = (lambda channels: torch.nn.GroupNorm(GROUPS, channels)) if norm == "group" else None
    net = torchvision.models.resnet18(num_classes=10, norm_layer=group_norm)
    net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    net.maxpool = torch.nn.Identity()
    return net


def add_mode_arguments(parser):
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--layout", choices=("channels-last", "nchw"), default="channels-last")
    parser.add_argument("--compile", action="store_true")


def memory_format(args):
    return torch.channels_last if args.layout == "channels-last" else torch.contiguous_format


def autocast(args, device="cpu"):
    return torch.autocast(device, torch.bfloat16) if args.precision == "bf16" else contextlib.nullcontext()


def make_optimizer(parameters, lr=0.01):
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)


def finish(**result):
    """Prints the result as the last line. Peak memory: of this process, where it was not started by another peer."""
    result["torch"] = torch.__version__
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result), flush=True)
