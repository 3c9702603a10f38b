"""One row of the table: what is measured, against whom, and what is aimed at."""
import dataclasses
import typing

from .programs import Context, Measurement

Runner = typing.Callable[[Context], Measurement]


@dataclasses.dataclass
class Row:
    name: str
    title: str
    unit: str
    ours: Runner
    peers: dict[str, Runner]
    higher_is_better: bool = True
    goal: float = 0  # of the ratio; 0: none
    stretch: float = 0
    slow: bool = False  # only with --all or by name
    precision: str = ""  # of a training step: the roof that its rate is compared with
    federated: bool = False  # a row of docs/federated.md
    goals: dict[str, float] = dataclasses.field(default_factory=dict)  # by peer: then all of them take part
    limit: float = 0  # of our own figure; 0: none
    gflop: float = 0  # the work of one unit, where the figure is its time in seconds
