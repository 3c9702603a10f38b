"""The report of launch/gpu-check: what was checked, what was not, and the figures, in Markdown."""
from .gpu_checks import FAILED, NOT_CHECKED, PASSED
from .report import number


def counts(checks):
    return {state: sum(check["state"] == state for check in checks) for state in (PASSED, FAILED, NOT_CHECKED)}


def verdict(document):
    """One sentence for the end of the output, and for the head of the report."""
    tally = counts(document["checks"])
    text = ", ".join(f"{count} {state}" for state, count in tally.items())
    failed = len(document["failed_figures"])
    if failed:
        text += f"; {failed} figure{'s' * (failed > 1)} could not be measured"
    if not document["gpus"]:
        return f"NO GPU on this machine: nothing that needs one was run ({text})"
    return f"{len(document['gpus'])} GPU(s): {text}"


def table(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |",
                      *("| " + " | ".join(row) + " |" for row in rows)])


def first_line(text):
    return text.splitlines()[0] if text else ""


def checks_table(document):
    return table(["Check", "Result", ""],
                 [[check["name"], f"**{check['state']}**" if check["state"] == FAILED else check["state"],
                   first_line(check["detail"])] for check in document["checks"]])


def steps_table(document):
    lines = []
    for row in document["steps"]:
        mine, best = row["ours"], row["peers"][row["best_peer"]]
        low, high = row["ratio_range"]
        lines.append([row["title"], number(mine["median"]), f"{100 * mine['roof_share']:.0f} %",
                      f"{number(best['median'])} ({row['best_peer']})", f"**{row['ratio']:.2f}** ({low:.2f} to {high:.2f})"])
    return table(["Step", "images/s", "share of peak", "best PyTorch, images/s", "ratio (rounds)"], lines)


def scaling_table(document):
    return table(["GPUs", "images/s", "efficiency"],
                 [[str(entry["gpus"]), number(entry["images_per_second"]), f"{100 * entry['efficiency']:.0f} %"]
                  for entry in document["scaling"]])


def accuracy_table(document):
    return table(["Configuration", "GPUs", "test top-1", "training, s", "whole run, s"],
                 [[f"`{entry['config']}`", str(entry["gpus"]), f"{entry['top1']:.2f} %", number(entry["train_seconds"]),
                   number(entry["seconds"])] for entry in document["accuracy"]])


def markdown(document):
    machine = document["machine"]
    parts = ["# GPU check", f"{verdict(document)}.",
             f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, commit {machine['commit']}: "
             f"`{machine['command']}`.", "\n".join(f"- {gpu}" for gpu in document["gpus"]), "## Checks",
             checks_table(document)]
    details = [f"### {check['name']}\n\n```\n{check['detail']}\n```" for check in document["checks"]
               if check["state"] == FAILED and check["detail"]]
    parts += details
    if document["rates"]:
        rates = ", ".join(f"{key.removeprefix('gemm_')} {document['rates'][key] / 1e3:,.1f} TFLOP/s"
                          for key in ("gemm_bf16", "gemm_fp32"))
        parts += ["## Steps", f"Products of 8192 x 8192 matrices in this run (the peak of the shares): {rates}. Batches of "
                  "PyTorch lie on the device beforehand; rn_dist's are augmented in the timed steps.", steps_table(document)]
    if document["scaling"]:
        parts += ["## Scaling, the same batch on each GPU", scaling_table(document)]
    if document["accuracy"]:
        parts += ["## Shipped configurations", accuracy_table(document)]
    if document["failed_figures"] or document["left_out"]:
        parts += ["## Not measured", "\n".join(f"- {name}: {first_line(why)}" for name, why in
                                               [*document["failed_figures"].items(), *document["left_out"].items()])]
    return "\n\n".join(part for part in parts if part) + "\n"
