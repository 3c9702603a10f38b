"""A roofline chart of the training step as a small SVG: rate over arithmetic intensity, both logarithmic."""
import math

from .rows import GFLOP_PER_IMAGE

# Activation elements that a training image moves outside of the convolutions: batch norm, ReLU and sum as passes of their
# own, and fused (docs/performance.md).
SEPARATE_ELEMENTS, FUSED_ELEMENTS = 13.0e6, 8.6e6
BYTES = {"bf16": 2, "fp32": 4}

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 70, 20, 20, 50
X_RANGE, Y_FLOOR = (1.0, 1000.0), 10.0


def intensity(precision, elements):
    """FLOP per byte."""
    return GFLOP_PER_IMAGE * 1e9 / (elements * BYTES[precision])


class Axes:
    def __init__(self, top):
        self.y_range = (Y_FLOOR, 10 ** math.ceil(math.log10(top)))

    @staticmethod
    def _place(value, bounds, begin, end):
        low, high = map(math.log10, bounds)
        return begin + (math.log10(value) - low) / (high - low) * (end - begin)

    def x(self, value):
        return self._place(value, X_RANGE, LEFT, WIDTH - RIGHT)

    def y(self, value):
        return self._place(value, self.y_range, HEIGHT - BOTTOM, TOP)


def line(x1, y1, x2, y2, color, width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"/>'


def label(x, y, text, anchor="start", color="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{text}</text>'


def grid(axes):
    parts = []
    for power in range(0, 4):
        x = axes.x(10.0**power)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM, "#ddd"), label(x, HEIGHT - BOTTOM + 18, f"{10**power}", "middle")]
    for power in range(int(math.log10(axes.y_range[0])), int(math.log10(axes.y_range[1])) + 1):
        y = axes.y(10.0**power)
        parts += [line(LEFT, y, WIDTH - RIGHT, y, "#ddd"), label(LEFT - 6, y + 4, f"{10**power}", "end")]
    parts.append(label((LEFT + WIDTH) / 2, HEIGHT - 10, "FLOP per byte of activations moved between layers", "middle"))
    parts.append(label(LEFT + 6, TOP + 12, "GFLOP/s"))
    return parts


def roofs(axes, rates):
    """Memory as a slope, arithmetic as levels from where the slope reaches them."""
    parts, copy = [], rates["copy"]
    levels = [("GEMM bf16", rates["gemm_bf16"], "#1565c0"), ("multiply-adds float32", rates["fma_fp32"], "#6a1b9a")]
    highest = max(rate for _, rate, _ in levels)
    start = max(X_RANGE[0], Y_FLOOR / copy)
    parts.append(line(axes.x(start), axes.y(start * copy), axes.x(highest / copy), axes.y(highest), "#555", 2))
    parts.append(label(axes.x(start) + 14, axes.y(start * copy) - 2, f"copy {copy:.0f} GB/s"))
    for name, rate, color in levels:
        parts.append(line(axes.x(rate / copy), axes.y(rate), axes.x(X_RANGE[1]), axes.y(rate), color, 2))
        parts.append(label(WIDTH - RIGHT - 4, axes.y(rate) - 5, f"{name} {rate:.0f}", "end", color))
    return parts


def points(axes, rows):
    parts = []
    for result in rows:
        precision = result["precision"]
        sides = [("rn_dist", result["ours"], FUSED_ELEMENTS, "#2e7d32")]
        if "best_peer" in result:
            sides.append(("PyTorch", result["peers"][result["best_peer"]], SEPARATE_ELEMENTS, "#c62828"))
        for name, side, elements, color in sides:
            x, y = axes.x(intensity(precision, elements)), axes.y(max(side["gflops"], Y_FLOOR))
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>')
            parts.append(label(x - 9, y + 4, f"{name} {precision} {side['gflops']:.0f}", "end", color))
    return parts


def drawn(run):
    return [row for row in run["rows"] if row["name"].startswith("step-") and "gflops" in row["ours"]]


def roofline(runs):
    """All runs' steps, under the newest roofs of the runs that measured some: a machine's mood changes both."""
    steps = [row for run in runs for row in drawn(run)]
    rates = {name: rate for run in [run for run in runs if drawn(run)] or runs for name, rate in run["rates"].items()}
    axes = Axes(1.2 * max(rates["gemm_bf16"], rates["fma_fp32"]))
    body = "\n".join([*grid(axes), *roofs(axes, rates), *points(axes, steps)])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n')
