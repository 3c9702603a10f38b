"""The rows of the table: what is measured, against whom, and what is aimed at."""
import json

from .federated_rows import federated_rows
from .programs import Measurement
from .row import Row

GFLOP_PER_IMAGE = 3.33  # ResNet-18 on 32x32, forward and backward: docs/performance.md


def mode_name(mode):
    return " ".join(word.lstrip("-") for word in mode if word != "--layout") or "eager"


def step_modes():
    """Eager and compiled, both layouts."""
    return [("--layout", layout, *compiled) for compiled in ((), ("--compile",)) for layout in ("channels-last", "nchw")]


def step_row(precision, threads, goal, stretch, slow):
    def peer(mode):
        def run(context):
            result = context.peer("torch_step.py", "--precision", precision, "--threads", threads, "--batch",
                                  context.batch, "--steps", context.steps, *mode, threads=threads)
            return Measurement(result["images_per_second"], result["peak_memory_bytes"])
        return run

    suffix = "" if threads == 2 else f"-{threads}-thread"
    return Row(f"step-{precision}{suffix}", f"training step, {precision}, 1 process x {threads} thread" + "s" * (threads > 1),
               "images/s", lambda context: context.train_steps(precision, threads=threads),
               {mode_name(mode): peer(mode) for mode in step_modes()}, goal=goal, stretch=stretch, slow=slow,
               precision=precision)


def ranks_row(precision, goal):
    def peer(mode):
        def run(context):
            result = context.peer("torch_step.py", "--ranks", 2, "--precision", precision, "--threads", 1, "--batch",
                                  context.batch, "--steps", context.steps, *mode, threads=1)
            return Measurement(result["images_per_second"], result["peak_memory_bytes"])
        return run

    return Row(f"ranks-{precision}", f"training step, {precision}, 2 ranks x 1 thread; peer: DDP over gloo", "images/s",
               lambda context: context.train_steps(precision, ranks=2, threads=1),
               {mode_name(mode): peer(mode) for mode in step_modes()}, goal=goal, precision=precision)


ALL_REDUCE_ELEMENTS = 11_173_962


def all_reduce(context):
    out = context.execute([*context.mpirun(2), context.binary("all_reduce_bench"), "--json", "--elements",
                           ALL_REDUCE_ELEMENTS, "--rounds", 20])
    return json.loads(out.strip().splitlines()[-1])


def gloo(context):
    result = context.peer("torch_all_reduce.py", "--elements", ALL_REDUCE_ELEMENTS, "--rounds", 20, threads=1)
    return Measurement(result["median_seconds"] * 1e3)


def all_reduce_row(name, title, peer, goal):
    return Row(f"all-reduce-{name}", f"all-reduce of 44.7 MB, 2 local ranks; peer: {title}", "ms",
               lambda context: Measurement(all_reduce(context)["communicator"] * 1e3), {title: peer},
               higher_is_better=False, goal=goal)


def augment(context):
    out = context.execute([context.binary("data_bench"), "--benchmark_filter=^augment/reflect$",
                           "--benchmark_format=json", "--benchmark_min_time=1"])
    return Measurement(json.loads(out)["benchmarks"][0]["items_per_second"])


def synthetic_root(context, train=50000, test=20):
    root = context.folder / f"set-{train}-{test}"
    if not root.exists():
        context.execute([context.binary("rn_dist"), "data", "synth", "--root", root, "--train", train, "--test", test])
    return root


def loader(workers):
    def run(context):
        root = synthetic_root(context, test=10000, train=min(50000, context.images))
        result = context.peer("torch_loader.py", root, "--workers", workers, "--images", min(20000, context.images * 2),
                              threads=1)
        return Measurement(result["images_per_second"] / max(1, workers))  # per core
    return run


def epoch_images(context):
    return min(50000, context.images), min(10000, context.images)


def epoch(context):
    train, test = epoch_images(context)
    run = context.train({"data.dataset": "cifar10", "data.root": synthetic_root(context, train, test),
                         "train.epochs": 1, "train.precision": "bf16", "report.every_steps": 50})
    return Measurement(run.of("epoch")[-1]["seconds"] + run.of("eval")[-1]["seconds"], run.peak_memory())


def peer_epoch(*mode):
    def run(context):
        result = context.peer("torch_epoch.py", synthetic_root(context, *epoch_images(context)), "--batch",
                              context.batch, "--precision", "bf16", *mode)
        return Measurement(result["epoch_seconds"][-1], result["peak_memory_bytes"])
    return run


def evaluation(context):
    run = context.train({"train.max_steps": 1, "train.precision": "bf16", "data.synthetic_test": context.images})
    result = run.of("eval")[-1]
    return Measurement(result["n"] / result["seconds"], run.peak_memory())


def peer_evaluation(*mode):
    def run(context):
        result = context.peer("torch_eval.py", "--images", context.images, *mode)
        return Measurement(result["images_per_second"], result["peak_memory_bytes"])
    return run


def ema_share(context):
    """Percent of a step that the average takes when it is updated every step."""
    steps = context.steps
    run = context.train({"train.max_steps": steps + 2, "train.precision": "bf16", "ema.enabled": "true",
                         "train.epochs": context.epochs_of(steps + 2), "report.trace": steps,
                         "report.trace_first_step": 2})
    return Measurement(100 * sum(run.spans("averages")) / sum(run.spans("step")))


def swa_share(context):
    """Percent of a run of 12 epochs of 50,000 images that the re-estimated statistics take, from one at its end."""
    steps, images = context.steps + 2, max(10000, context.images)
    epochs = steps * context.batch / images
    run = context.train({"train.max_steps": steps, "train.precision": "bf16", "train.epochs": epochs,
                         "data.synthetic_train": images, "swa.enabled": "true", "swa.start": 0.5,
                         "swa.interval_epochs": context.batch / images, "swa.anneal_epochs": 0, "report.trace": steps})
    step = sorted(run.spans("step"))[steps // 2]
    estimate = sum(run.spans("re-estimated statistics"))
    if estimate == 0:
        raise ValueError("no statistics were re-estimated")
    return Measurement(100 * estimate / (estimate + 12 * 50000 / context.batch * step))


def all_rows():
    return [
        step_row("bf16", 2, 1.2, 1.35, slow=False),
        step_row("fp32", 2, 1.4, 2, slow=False),
        ranks_row("bf16", 1.25),
        ranks_row("fp32", 1.4),
        step_row("bf16", 1, 0, 0, slow=True),
        step_row("fp32", 1, 0, 0, slow=True),
        all_reduce_row("gloo", "gloo", gloo, 4),
        all_reduce_row("mpi", "MPI_Allreduce", lambda context: Measurement(all_reduce(context)["mpi"] * 1e3), 2),
        Row("augment", "augmentation, per core; peer: DataLoader with torchvision", "images/s", augment,
            {f"{workers} workers": loader(workers) for workers in (0, 2)}, goal=50),
        Row("evaluation", "evaluation, bf16, 2 threads", "images/s", evaluation,
            {mode_name(mode): peer_evaluation(*mode) for mode in step_modes()}, goal=1.3, stretch=1.5),
        Row("start", "start of the process until the first step is done", "s",
            lambda context: context.first_step_seconds(synthetic_root(context)),
            {"eager": lambda context: context.peer_first_step_seconds(synthetic_root(context))},
            higher_is_better=False, goal=5),
        Row("epoch", "an epoch of 50,000 images with augmentation and evaluation, bf16", "s", epoch,
            {mode_name(mode): peer_epoch(*mode) for mode in ((), ("--compile",))}, higher_is_better=False, goal=1.5,
            stretch=2, slow=True),
        Row("ema", "EMA after every step: share of the step", "%", ema_share, {}, higher_is_better=False),
        Row("swa", "SWA with re-estimated statistics: share of a run of 12 epochs", "%", swa_share, {},
            higher_is_better=False, slow=True),
        *federated_rows(),
    ]
