"""The federated rows as a table, and as the generated part of docs/federated.md."""
import pathlib

from .report import megabytes, number, percent, replace_section, section


def lines_of(run, result):
    ours, unit = result["ours"], result["unit"]
    for place, (name, peer) in enumerate(result["peers"].items()):
        found = result["ratios"][name]
        low, high = found["ratio_range"]
        limit = f" (limit {result['limit']:g})" if result["limit"] else ""
        yield [f"`{result['name']}`: {result['title']}" if place == 0 else "", f"{run}" if place == 0 else "",
               f"{number(ours['median'])} {unit}{limit}" if place == 0 else "",
               f"{number(peer['median'])} {unit} ({name})", f"**{found['ratio']:.2f}** ({low:.2f} to {high:.2f})",
               f"{found['goal']:.3g}", f"{percent(ours, 'roof_share')}, {percent(peer, 'roof_share')}",
               f"{megabytes(ours)}, {megabytes(peer)}"]


def table(numbered):
    """Of rows with the number of the run that measured each."""
    lines = ["| Row | run | rn_dist | peer | ratio (rounds) | goal | share of the roof: rn_dist, peer | "
             "peak MiB of all processes: rn_dist, peer |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for run, result in numbered:
        if result["federated"]:
            lines += ["| " + " | ".join(cells) + " |" for cells in lines_of(run, result)]
    return "\n".join(lines)


def verdict(found, bad):
    return "the same" if found["holds"] else f"**{bad}**"


def checks_text(document):
    lines = []
    for check in document["federated_weights"]:
        if "failed" in check:
            lines.append(f"- weights beside {check['peer']}: not compared: {check['failed']}")
            continue
        lines.append(f"- weights after {check['rounds']} rounds beside {check['peer']}: {check['relative_difference']:.1e} of "
                     f"the way apart (tolerance {check['tolerance']:g}): {verdict(check, 'NOT THE SAME')}")
    for found in document["federated_accuracies"]:
        lines.append(f"- test accuracy after the timed rounds of `{found['row']}`, {found['seeds']} seeds: "
                     f"{found['ours']:.1f} %, {found['peer']} {found['theirs']:.1f} % (tolerance "
                     f"{found['tolerance']:.1f}): {verdict(found, 'NOT THE SAME')}")
    for found in document["federated_speeds"]:
        verdict_on_speed = "valid" if found["holds"] else "**TOO SLOW**"
        lines.append(f"- {found['peer']} of `{found['row']}`: {found['seconds']:.2f} s where at most {found['most']:.2f} are "
                     f"asked for by {found['rate']:.0f} GFLOP/s: {verdict_on_speed}")
    for result in document["rows"]:
        for name, why in result.get("failed", {}).items():
            if result["federated"]:
                lines.append(f"- {name} does not stand in `{result['name']}`: {why}")
    if not document["valid"]:
        lines.append("- **The table is void**: " + "; ".join(document["void_because"]) + ".")
    return "\n".join(lines)


def write_docs(runs, order, root):
    page = pathlib.Path(root, "docs/federated.md")
    text = section(runs, order, table, checks_text, federated=True)
    page.write_text(replace_section(page.read_text(encoding="utf-8"), text), encoding="utf-8")
