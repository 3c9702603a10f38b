#!/usr/bin/env python3
"""Runs the libFuzzer programs of tests/fuzz and measures the line coverage of the readers.

usage: fuzz.py [--build DIR] --runs N [--seed S] [TARGET...]   fuzz (all targets, or those); exit 1 where one finds something
       fuzz.py [--build DIR] --coverage [--log FILE] [TARGET...]     of both corpora; exit 1 below 95 % of the lines
       fuzz.py --list

DIR (default build-fuzz) is a build with -DRN_FUZZ=ON: cmake --preset cpu-fuzz && cmake --build --preset cpu-fuzz.
New inputs go to DIR/corpus/TARGET, findings to DIR/findings/TARGET: give such a file to DIR/bin/TARGET_fuzzer to see
it again, and add it to tests/fuzz/corpus/TARGET with the fix, where the test suite eats it from then on. FILE gets a line
of JSON per target for tools/reliability_tables.py.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent
SEEDS = SOURCE / "tests/fuzz/corpus"
GOAL_PERCENT = 95.0
# Target: the longest input in bytes, and the sources of its reader.
TARGETS = {
    "safetensors": (4096, ["io/safetensors_reader.cpp", "io/safetensors_header.cpp", "io/safetensors_format.h"]),
    "manifest": (4096, ["io/checkpoint_manifest.cpp"]),
    "cifar_binary": (3 * 3073 + 8, ["data/cifar_binary.cpp"]),
    "pickle": (8192, ["data/cifar_pickle.cpp", "data/pickle_reader.cpp", "data/pickle_objects.cpp",
                      "data/pickle_text.cpp"]),
    "tar": (8192, ["data/tar_parser.cpp"]),
    "picture": (2048, ["data/picture.cpp", "data/png_decoder.cpp", "data/jpeg_decoder.cpp"]),
    "config": (4096, ["config/yaml_tree.cpp", "config/scalar.cpp", "config/load.cpp"]),
    "metrics": (4096, ["report/record_writer.cpp"]),
}
# No part of what is fuzzed: opening files (those that a configuration extends too), the command line's words, and how an
# origin is told.
FUNCTIONS_LEFT_OUT = re.compile(
    r"read_safetensors|picture_libraries|png_library|jpeg_library|RecordWriter::|load_config\(|Loader::read_file|Loader::read_override|apply_base|string describe")


def program(build, target):
    return build / "bin" / f"{target}_fuzzer"


def corpora(build, target):
    found = build / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    return [str(found), str(SEEDS / target)]


def environment(build, target):
    profile = build / "profiles" / f"{target}.profraw"
    profile.parent.mkdir(exist_ok=True)
    return dict(os.environ, LLVM_PROFILE_FILE=str(profile), UBSAN_OPTIONS="print_stacktrace=1")


def fuzz(build, target, runs, seed):
    """One run of libFuzzer; its counts are kept for the table. Returns whether nothing was found."""
    findings = build / "findings" / target
    findings.mkdir(parents=True, exist_ok=True)
    length, _ = TARGETS[target]
    command = [str(program(build, target)), f"-runs={runs}", f"-seed={seed}", f"-max_len={length}", "-timeout=10",
               "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-print_final_stats=1", f"-artifact_prefix={findings}/"]
    dictionary = SOURCE / "tests/fuzz" / f"{target}.dict"
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    started = time.monotonic()
    done = subprocess.run(command + corpora(build, target), env=environment(build, target), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", check=False)
    print(done.stdout[-4000:])
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stdout)
    memory = re.search(r"stat::peak_rss_mb:\s*(\d+)", done.stdout)
    record = {"runs": int(executed.group(1)) if executed else 0, "seconds": time.monotonic() - started,
              "peak_mb": int(memory.group(1)) if memory else None, "found": done.returncode != 0}
    (build / f"fuzz-{target}.json").write_text(json.dumps(record))
    return done.returncode == 0


def line_coverage(build, target):
    """Lines of the reader's functions that were run, and all of them."""
    raw = build / "profiles" / f"{target}.profraw"
    subprocess.run([str(program(build, target)), "-runs=0", *corpora(build, target)], env=environment(build, target),
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    merged = raw.with_suffix(".profdata")
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", str(raw), "-o", str(merged)], check=True)
    sources = [str(SOURCE / "src" / name) for name in TARGETS[target][1]]
    report = subprocess.run(["llvm-cov-19", "export", "-format=lcov", str(program(build, target)),
                             f"-instr-profile={merged}", *sources], check=True, text=True, stdout=subprocess.PIPE)
    return count_lines(report.stdout)


def count_lines(lcov):
    """Counts DA records of an lcov report, without those of functions that are left out; lists what was missed."""
    covered, total, missed, path = 0, 0, [], ""
    for line in lcov.splitlines():
        if line.startswith("SF:"):
            path = line[3:]
            skipped = left_out_lines(path)
        elif line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            if int(number) in skipped:
                continue
            total += 1
            covered += int(count) > 0
            if int(count) == 0:
                missed.append(f"{pathlib.Path(path).name}:{number}")
    return covered, total, missed


def left_out_lines(path):
    """Lines of the functions that only open files: from a signature at the margin to the brace at the margin."""
    skipped, inside = set(), False
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if not line.startswith((" ", "}")) and FUNCTIONS_LEFT_OUT.search(line) and not line.endswith(";"):
            inside = True
        if inside:
            skipped.add(number)
        if line.startswith("}"):
            inside = False
    return skipped


def coverage(build, targets, log):
    lines, good = [], True
    for target in targets:
        covered, total, missed = line_coverage(build, target)
        percent = 100.0 * covered / total
        passed = percent >= GOAL_PERCENT
        record = build / f"fuzz-{target}.json"
        run = json.loads(record.read_text()) if record.exists() else {"runs": 0, "seconds": 0, "peak_mb": None}
        passed &= not run.pop("found", False)
        good &= passed
        print(f"{target}: {run['runs']:,} runs, {covered} of {total} lines, {percent:.1f} %"
              + (f"; not reached: {' '.join(missed)}" if missed else ""))
        lines.append(json.dumps({"target": target, "sources": TARGETS[target][1], **run, "lines_run": covered,
                                 "lines": total, "passed": passed}) + "\n")
    if log:
        pathlib.Path(log).write_text("".join(lines))
    return good


def main():
    usage = __doc__.split("usage: ")[1].split("\n\n")[0]
    parser = argparse.ArgumentParser(usage=usage.replace("%", "%%"))
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build-fuzz")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0)  # 0: another one every time
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--log")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    if arguments.list:
        print("\n".join(TARGETS))
        return 0
    good = True
    if arguments.runs:
        good = all([fuzz(arguments.build, target, arguments.runs, arguments.seed) for target in targets])
    if arguments.coverage:
        good &= coverage(arguments.build, targets, arguments.log)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
