"""The results as a table, as the generated part of docs/performance.md, and as a roofline chart."""
import pathlib

from . import record
from .roofline import roofline

BEGIN, END = "<!-- bench/compare: begin -->", "<!-- bench/compare: end -->"


def number(value):
    if value >= 1e5:
        return f"{value / 1e3:,.0f} k"
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def megabytes(side):
    return f"{side['memory'] / 2**20:.0f}" if side.get("memory") else "-"


def percent(side, key):
    return f"{100 * side[key]:.0f} %" if key in side else "-"


def table(numbered):
    """Of rows with the number of the run that measured each."""
    lines = ["| Row | run | rn_dist | best peer | ratio (rounds) | goal | share of the roof: rn_dist, peer | "
             "share of the GEMM rate over the net's shapes | peak MiB: rn_dist, peer |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for run, result in numbered:
        if result["federated"]:
            continue
        ours, unit = result["ours"], result["unit"]
        cells = [f"`{result['name']}`: {result['title']}", f"{run}", f"{number(ours['median'])} {unit}"]
        if "best_peer" in result:
            peer = result["peers"][result["best_peer"]]
            low, high = result["ratio_range"]
            cells += [f"{number(peer['median'])} {unit} ({result['best_peer']})",
                      f"**{result['ratio']:.2f}** ({low:.2f} to {high:.2f})",
                      f"{result['goal']:g}" if result["goal"] else "-",
                      f"{percent(ours, 'roof_share')}, {percent(peer, 'roof_share')}", percent(ours, "gemm_shapes_share"),
                      f"{megabytes(ours)}, {megabytes(peer)}"]
        else:
            cells += ["-"] * 6
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rate_text(rates, key, unit):
    return f"{number(rates[key])} {unit}" if key in rates else "-"


def rates_table(runs):
    rows = [("GEMM bf16, 2048 cubed", "gemm_bf16", "GFLOP/s"),
            ("GEMM bf16, median over the net's convolutions", "gemm_bf16_shapes_median", "GFLOP/s"),
            ("GEMM float32, 2048 cubed", "gemm_fp32", "GFLOP/s"),
            ("GEMM float32, median over the net's convolutions", "gemm_fp32_shapes_median", "GFLOP/s"),
            ("multiply-adds float32", "fma_fp32", "GFLOP/s"), ("copy, read and write counted", "copy", "GB/s")]
    lines = [["Rate, 2 threads", *(f"run {place}" for place, _ in enumerate(runs, 1))], ["---"] * (1 + len(runs)),
             *([title, *(rate_text(run["rates"], key, unit) for run in runs)] for title, key, unit in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def checks_text(document):
    lines = []
    for check in document["losses"]:
        lines.append(f"- losses of {check['steps']} steps, {check['precision']}, {check['ranks']} rank(s), {check['norm']} "
                     f"norm: {check['largest_relative_difference']:.1e} apart at most (tolerance {check['tolerance']:g}): "
                     f"{'the same' if check['holds'] else '**NOT THE SAME**'}")
    for found in document["peer_checks"]:
        limit = f", limited to {found['limited_to']}" if "limited_to" in found else ""
        lines.append(f"- peer of `{found['row']}`{limit}: {found['peer']} images/s where {found['needed']} are asked for by "
                     f"{found['rate']} GFLOP/s: {'valid' if found['holds'] else '**TOO SLOW**'}")
    if not document["valid"]:
        lines.append("- **The table is void**: " + "; ".join(document["void_because"]) + ".")
    return "\n".join(lines)


def about(machine, federated):
    text = (f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores ({', '.join(machine['instructions'])}), Linux "
            f"{machine['kernel']}, commit {machine['commit']}, load {machine['load_at_start']} at the start. ")
    if federated:
        text += (f"Medians of {machine['rounds']} alternating rounds, each of another seed and of "
                 f"{machine['federated_rounds']} federated rounds")
    else:
        text += (f"Medians of {machine['rounds']} alternating rounds, {machine['steps']} steps each, batch "
                 f"{machine['batch']}")
    return f"{text}: `{machine['command']}`."


def section(runs, order, table_of, checks_of, federated=False):
    """All that is measured: the rows in this order, then the machine's rates and the checks of each run."""
    parts = [table_of(record.rows_of(runs, order)), rates_table(runs)]
    for place, run in enumerate(runs, 1):
        parts += [f"Run {place}: {about(run['machine'], federated)}", checks_of(run)]
    return "\n\n".join(part for part in parts if part)


def replace_section(page, text, begin=BEGIN, end=END):
    """The page with what stands between the markers replaced."""
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the page lacks {begin} or {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def write_docs(runs, order, root):
    """docs/performance.md's generated part and its chart."""
    page = pathlib.Path(root, "docs/performance.md")
    chart = pathlib.Path(root, "docs/results/performance/roofline.svg")
    chart.parent.mkdir(parents=True, exist_ok=True)
    chart.write_text(roofline(runs), encoding="utf-8")
    text = section(runs, order, table, checks_text) + "\n\n![Roofline of the training step](results/performance/roofline.svg)"
    page.write_text(replace_section(page.read_text(encoding="utf-8"), text), encoding="utf-8")
