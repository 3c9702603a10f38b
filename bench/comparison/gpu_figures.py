"""What is measured on a GPU: rates of the device, training steps beside PyTorch, scaling, time to accuracy."""
import json
import subprocess

from .programs import ROOT, Measurement, RunFailed
from .rows import GFLOP_PER_IMAGE, Row

# Ways to run a step, each with the keys that choose it.
OURS = {"eager": {}, "data on the device": {"data.on_device": "true"},
        "CUDA graph": {"data.on_device": "true", "train.cuda_graph": "true"}}
PEER_MODES = {"eager": (), "compiled": ("--compile",), "compiled, CUDA graphs": ("--compile", "--graphs")}
CONFIGS = ("train.yaml", "train_4_epochs.yaml", "quickstart.yaml")


def describe_gpus():
    """One line per GPU, as nvidia-smi says; empty where there is none."""
    try:
        out = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap",
                              "--format=csv,noheader"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in out.stdout.splitlines() if line.strip()]


def gpu_rates(context):
    """Of matrix products in PyTorch, GFLOP/s: the roof of a training step."""
    return context.peer("torch_rates.py", "--device", "cuda", "--seconds", 0.5)


def ours(precision, batch, ranks, keys):
    def run(context):
        return context.train_steps(precision, ranks=ranks, threads=0, batch=batch * ranks,
                                   keys={"data.workers": 4, "data.prefetch": 8, **keys})
    return run


def peer(precision, batch, ranks, mode):
    def run(context):
        result = context.peer("torch_step.py", "--device", "cuda", "--precision", precision, "--ranks", ranks, "--batch",
                              batch * ranks, "--steps", context.steps, "--warmup", 20, *mode)
        return Measurement(result["images_per_second"])
    return run


def step_rows(precisions, batches, ranks=1):
    """A row per precision, batch and way to run our step, each beside every way of PyTorch."""
    for precision in precisions:
        for batch in batches:
            for way, keys in OURS.items():
                suffix = f", {ranks} GPUs" if ranks > 1 else ""
                yield Row(f"{precision}-{batch}-{way.replace(' ', '-')}{suffix.replace(', ', '-').replace(' ', '-')}",
                          f"step, {precision}, {batch} images per GPU, {way}{suffix}", "images/s",
                          ours(precision, batch, ranks, keys),
                          {name: peer(precision, batch, ranks, mode) for name, mode in PEER_MODES.items()},
                          precision=precision)


def add_peak_share(result, rates, gpus):
    """Of the rate of a product of square matrices on so many GPUs, measured on one in the same run."""
    for side in (result["ours"], *result["peers"].values()):
        side["roof_share"] = side["median"] * GFLOP_PER_IMAGE / (gpus * rates[f"gemm_{result['precision']}"])


def scaling(context, precision, batch, gpus):
    """Images per second at 1, 2, 4, ... GPUs with the same batch on each, and their share of 1 GPU's times the count."""
    counts = sorted({count for count in (1, 2, 4, 8, 16) if count < gpus} | {gpus})
    rates = {count: ours(precision, batch, count, {})(context).value for count in counts}
    return [{"gpus": count, "images_per_second": rate, "efficiency": rate / (count * rates[1])}
            for count, rate in rates.items()]


def time_to_accuracy(context, config, gpus, data):
    """A whole run of a shipped configuration on real images."""
    folder = context.run_folder()
    command = [ROOT / "launch/run", "-n", gpus, ROOT / "configs" / config, f"run.dir={folder}", f"data.root={data}",
               "report.progress=none"]
    context.execute(command, {"RN_BUILD_DIR": str(context.build)})
    with open(folder / "metrics.jsonl", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    tests = [record for record in records if record["event"] == "eval" and record["split"] == "test"]
    if not tests:
        raise RunFailed(f"{config}: no evaluation of the test set in {folder}")
    end = records[-1]
    return {"config": config, "gpus": gpus, "top1": tests[-1]["top1"], "train_seconds": end.get("train_seconds"),
            "seconds": end["seconds"]}
