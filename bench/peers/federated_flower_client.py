"""The client of federated_flower.py: a module of its own, so that Ray's workers keep network and data between tasks."""
import argparse
import functools
import json
import os

import torch
import torch.nn.functional as F
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from federated_common import make_net, split, training_records

SETTING = "RN_FLOWER_SETTING"  # in the environment, which the workers inherit

app = ClientApp()


@functools.cache
def kept():
    """Of this worker process: the setting, the network, the images, who holds them."""
    args = argparse.Namespace(**json.loads(os.environ[SETTING]))
    torch.set_num_threads(1)
    net, records = make_net(args).train(), training_records(args.root)
    torch.seed()  # orders and dropout: of each worker its own
    return args, net, records, split(args, len(records))


@app.train()
def train(message: Message, context: Context):
    args, net, records, holders = kept()
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, foreach=True)
    images, labels = records.normalised(holders[context.node_config["partition-id"]])
    for _ in range(args.epochs):
        for batch in torch.randperm(len(labels)).split(args.batch):
            loss = F.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    reply = RecordDict({"arrays": ArrayRecord(net.state_dict()),
                        "metrics": MetricRecord({"num-examples": len(labels)})})
    return Message(content=reply, reply_to=message)
