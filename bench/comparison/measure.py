"""Measures rows: ours and the peers in turn, A B A B, and compares the medians."""
import json
import statistics

from .programs import RunFailed, say
from .rows import GFLOP_PER_IMAGE

KEPT_PEERS = 2  # of the modes of a peer, after one run of each: which one is best may change with the machine's mood


def better(row, a, b):
    return a > b if row.higher_is_better else a < b


def choose_peers(row, context):
    """The peers that take part in the rounds, and what one run of each gave."""
    if len(row.peers) <= KEPT_PEERS or row.goals:
        return list(row.peers), {}
    trial, failures = {}, {}
    for name, run in row.peers.items():
        try:
            trial[name] = run(context).value
            say(f"{row.name}: trial of {name}: {trial[name]:.4g} {row.unit}")
        except RunFailed as error:  # e.g. no compiler for torch.compile: the others still count
            failures[name] = str(error).splitlines()[0]
            say(f"{row.name}: {name} left out: {error}")
    if not trial:
        raise RunFailed(f"no peer of {row.name} runs: {failures}")
    return sorted(trial, key=trial.get, reverse=row.higher_is_better)[:KEPT_PEERS], {"trial": trial, "failed": failures}


def measure_row(row, context):
    """The row's result as a JSON object."""
    names, notes = choose_peers(row, context)
    ours, peers = [], {name: [] for name in names}
    for round_ in range(context.rounds):
        context.seed = round_ + 1
        ours.append(row.ours(context))
        for name in list(peers):
            try:
                peers[name].append(row.peers[name](context))
            except RunFailed as error:  # of several peers one that is not installed does not cost the others
                if round_ > 0 or len(peers) == 1:
                    raise
                del peers[name]
                notes.setdefault("failed", {})[name] = str(error).splitlines()[0]
                say(f"{row.name}: {name} left out: {error}")
        line = "  ".join(f"{name} {runs[-1].value:.4g}" for name, runs in peers.items())
        say(f"{row.name}: round {round_ + 1}: rn_dist {ours[-1].value:.4g}  {line}")
    result = {"name": row.name, "title": row.title, "unit": row.unit, "precision": row.precision, "goal": row.goal,
              "stretch": row.stretch, "federated": row.federated, "limit": row.limit, "gflop": row.gflop,
              "ours": summary(ours), "peers": {n: summary(runs) for n, runs in peers.items()}, **notes}
    if peers:
        medians = {name: statistics.median(run.value for run in runs) for name, runs in peers.items()}
        best = (max if row.higher_is_better else min)(medians, key=medians.get)
        result["best_peer"] = best
        result.update(ratio_of(row, ours, peers[best]))
        result["ratios"] = {name: {**ratio_of(row, ours, runs), "goal": row.goals.get(name, row.goal)}
                            for name, runs in peers.items()}
    return result


def ratio_of(row, ours, peer):
    """Of the medians, and its range over the rounds; above 1 ours is better."""
    pairs = [(a.value, b.value) if row.higher_is_better else (b.value, a.value) for a, b in zip(ours, peer)]
    a, b = (statistics.median(values) for values in zip(*pairs))
    ratios = [x / y for x, y in pairs]
    return {"ratio": a / b, "ratio_range": [min(ratios), max(ratios)]}


def summary(runs):
    values = [run.value for run in runs]
    result = {"median": statistics.median(values), "values": values}
    if runs[0].memory:
        result["memory"] = statistics.median(run.memory for run in runs)
    for key in runs[0].extra:
        result[f"{key}_values"] = [run.extra[key] for run in runs]
        result[key] = statistics.median(result[f"{key}_values"])
    return result


def library_rates(context, threads=2, environment=None):
    """Of matrix products in PyTorch's libraries; smaller ones where the comparison itself is a small trial."""
    return context.peer("torch_rates.py", "--threads", threads, "--images", min(64, context.batch), "--seconds",
                        min(0.3, 0.01 * context.steps), threads=threads, environment=environment)


def machine_rates(context, threads=2):
    """GFLOP/s and GB/s that the machine reaches now: products, multiply-adds, copies."""
    rates = library_rates(context, threads)
    own = context.execute([context.binary("machine_rates"), "--threads", threads], {"OMP_NUM_THREADS": str(threads)})
    rates.update(json.loads(own))
    return {key: value for key, value in rates.items() if key not in ("peak_memory_bytes", "torch")}


def median_rates(samples):
    """Of the rates before and after the rows: the median of each."""
    return {key: statistics.median(sample[key] for sample in samples)
            for key in samples[0] if isinstance(samples[0][key], (int, float))}


def add_roof_shares(result, rates):
    """How near a training step is to what the machine's arithmetic allows; see docs/performance.md."""
    if result["gflop"]:
        roof = rates["gemm_bf16"] if result["precision"] == "bf16" else rates["fma_fp32"]
        for side in (result["ours"], *result["peers"].values()):
            side["gflops"] = result["gflop"] / side["median"]
            side["roof_share"] = side["gflops"] / roof
        return
    if not result["precision"] or "1-thread" in result["name"]:
        return
    roof = rates["gemm_bf16"] if result["precision"] == "bf16" else rates["fma_fp32"]
    shapes = rates[f"gemm_{result['precision']}_shapes_median"]
    for side in (result["ours"], *result["peers"].values()):
        gflops = side["median"] * GFLOP_PER_IMAGE
        side["gflops"] = gflops
        side["roof_share"] = gflops / roof
        side["gemm_shapes_share"] = gflops / shapes
