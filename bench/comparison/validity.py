"""Whether the peers are as good as they should be, and whether both sides compute the same."""
from .machine import has_amx
from .measure import library_rates, say
from .programs import RunFailed

# What PyTorch 2.15 reached on two AVX-512-bf16 cores, the lower end of its range, images/s, and the rates of that machine,
# GFLOP/s: products in bf16, multiply-adds in float32.
REFERENCE = {"step-bf16": 131, "step-fp32": 73, "ranks-bf16": 136, "ranks-fp32": 81}
REFERENCE_RATE = {"bf16": 760, "fp32": 480}
TOLERANCE = 0.10

# oneDNN without AMX: the instructions that the reference machine had.
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}


def check_peers(results, rates, context):
    """One finding per training row: the peer's rate, what is asked of it, and whether it holds."""
    findings = []
    for result in results:
        reference = REFERENCE.get(result["name"])
        if reference is None:
            continue
        precision = result["precision"]
        peer = result["peers"][result["best_peer"]]["median"]
        if precision == "bf16" and has_amx():
            try:
                findings.append(check_without_amx(result, reference, context))
            except RunFailed as error:
                findings.append({"row": result["name"], "peer": 0, "needed": reference, "rate": 0, "holds": False,
                                 "failed": str(error)})
            continue
        rate = rates["gemm_bf16"] if precision == "bf16" else rates["fma_fp32"]
        findings.append(finding(result["name"], peer, reference, rate, REFERENCE_RATE[precision]))
    return findings


def check_without_amx(result, reference, context):
    """AMX raises the rate of products far more than that of a whole step, so scaling by it would ask for what nobody
    reaches. The best peer is run with the instructions of the reference machine, and so is the product that scales it."""
    ranks = 2 if result["name"].startswith("ranks") else 1
    mode = ["--layout", "nchw" if "nchw" in result["best_peer"] else "channels-last"]
    if "compile" in result["best_peer"]:
        mode.append("--compile")
    threads = 2 // ranks
    step = context.peer("torch_step.py", "--precision", "bf16", "--ranks", ranks, "--threads", threads, "--batch",
                        context.batch, "--steps", context.steps, *mode, threads=threads, environment=WITHOUT_AMX)
    rates = library_rates(context, environment=WITHOUT_AMX)
    return {**finding(result["name"], step["images_per_second"], reference, rates["gemm_bf16"], REFERENCE_RATE["bf16"]),
            "limited_to": WITHOUT_AMX["ONEDNN_MAX_CPU_ISA"]}


def finding(name, peer, reference, rate, reference_rate):
    needed = reference * rate / reference_rate * (1 - TOLERANCE)
    return {"row": name, "peer": round(peer, 1), "needed": round(needed, 1), "rate": round(rate, 1),
            "holds": peer >= needed}


# Of the losses, relative, after the steps of the check. bf16 rounds to 8 bits, and both sides round in other places.
LOSS_TOLERANCE = {"fp32": 1e-3, "bf16": 2e-2}
CHECK_STEPS = 4
CHECK_LR = 0.002


def check_losses(precision, context, ranks=1):
    """Trains both sides from the same weights on the same batches: the whole of a small set in every step. With two ranks
    on group norm, since batch norm sees how a batch is cut."""
    norm = "group" if ranks > 1 else "batch"
    root = context.folder / "check-set"
    if not root.exists():
        context.execute([context.binary("rn_dist"), "data", "synth", "--root", root, "--train", context.batch // 5 * 5,
                         "--test", 20])
    options = {"data.dataset": "cifar10", "data.root": root, "model.norm": norm, "augment.crop_padding": 0,
               "augment.flip": "none", "train.global_batch": context.batch // 5 * 5, "train.label_smoothing": 0,
               "train.precision": precision, "optimizer.lr": CHECK_LR, "optimizer.decay_norm_and_bias": "true",
               "schedule.name": "constant", "train.epochs": CHECK_STEPS}
    start = context.train({**options, "train.max_steps": 1})  # for weights that both can read
    weights = start.folder / "model.safetensors"
    run = context.train({**options, "model.init_from": weights}, ranks, threads=2 // ranks)
    ours = [record["loss"] for record in run.of("step")]
    peer = context.peer("torch_losses.py", root, weights, "--precision", precision, "--steps", CHECK_STEPS, "--lr",
                        CHECK_LR, "--norm", norm)["losses"]
    if len(ours) != len(peer):
        raise RunFailed(f"{len(ours)} steps beside {len(peer)}")
    say(f"losses, {precision}, {ranks} rank(s): rn_dist {ours}  PyTorch {peer}")
    difference = max(abs(a - b) / abs(b) for a, b in zip(ours, peer))
    return {"precision": precision, "ranks": ranks, "norm": norm, "steps": CHECK_STEPS, "ours": ours, "peer": peer,
            "largest_relative_difference": difference, "tolerance": LOSS_TOLERANCE[precision],
            "holds": difference <= LOSS_TOLERANCE[precision] and ours[-1] < ours[0]}


