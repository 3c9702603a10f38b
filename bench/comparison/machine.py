"""What the figures depend on besides the programs: the machine, the versions, and what else runs."""
import datetime
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def cpu_flags():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def instructions():
    """Of those that matter here."""
    return sorted(cpu_flags() & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"})


def has_amx():
    return "amx_bf16" in cpu_flags()


def command_line():
    """The words given, with names for the files of this machine: where they lie is its own affair."""
    words = list(sys.argv[1:])
    for option, name in (("--python", "PYTHON"), ("--json", "FILE"), ("--build", "BUILD")):
        for place, word in enumerate(words):
            if word.startswith(option + "="):
                words[place] = f"{option}={name}"
            elif place and words[place - 1] == option:
                words[place] = name
    return shlex.join([f"bench/{pathlib.Path(sys.argv[0]).name}", *words])


def describe(context):
    """What the results' JSON says about where they come from."""
    version = subprocess.run([context.binary("rn_dist"), "--version"], capture_output=True, text=True, check=True)
    built_from = re.search(r"\((\S+?),", version.stdout)  # "rn_dist 0.1.0 (91ffd1c, cpu, ...)"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command_line(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "instructions": instructions(),
        "kernel": platform.release(),
        "rn_dist": version.stdout.strip().splitlines(),
        "commit": built_from.group(1) if built_from else "unknown",
        "load_at_start": round(os.getloadavg()[0], 2),
        "rounds": context.rounds,
        "steps": context.steps,
        "batch": context.batch,
        "federated_rounds": context.federated_rounds,
    }
