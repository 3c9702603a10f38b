"""What must hold on a GPU: the tests of tests/gpu, faults, a resumed run. Each check ends as a line of the report."""
import dataclasses
import os
import subprocess
import xml.etree.ElementTree

from .programs import ROOT

PASSED, FAILED, NOT_CHECKED = "passed", "FAILED", "not checked"
TEST_DEADLINE = 600  # of one start of the tests, seconds
RUN_DEADLINE = 300  # of one short run


@dataclasses.dataclass
class Check:
    name: str
    state: str
    detail: str = ""


def execute(command, deadline, environment=None):
    """Exit code and output; 124 after the deadline. `timeout` sends TERM first, which mpirun passes on to its ranks."""
    done = subprocess.run(["timeout", "-k", "10", str(deadline), *map(str, command)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=dict(os.environ, **(environment or {})), check=False)
    return done.returncode, done.stdout


def tail(output, lines=12):
    return "\n".join(output.strip().splitlines()[-lines:])


def gpu_tests(context, ranks, gpus, shared=False):
    """The binary of tests/gpu on so many ranks; `shared`: all of them on the first GPU."""
    name = f"GPU tests, {ranks} rank{'s' * (ranks > 1)}{' on one GPU' if shared else ''}"
    binary = context.build / "bin/gpu_mpi_test"
    if not binary.exists():
        return Check(name, NOT_CHECKED, f"{binary} is not built: only the CUDA flavour has it")
    results = context.run_folder().with_suffix(".xml")
    environment = {"RN_REQUIRE_GPU": str(ranks if shared else gpus), "OMP_NUM_THREADS": "1"}
    if shared:
        environment.update(NCCL_MULTI_RANK_GPU_ENABLE="1", RN_SHARE_GPU="1")
    code, output = execute([*context.mpirun(ranks), binary, f"--gtest_output=xml:{results}"], TEST_DEADLINE, environment)
    if code == 124:
        return Check(name, FAILED, f"not done after {TEST_DEADLINE} s\n{tail(output)}")
    if not results.exists():
        return Check(name, FAILED, f"exit code {code}, and no results were written\n{tail(output)}")
    suite = xml.etree.ElementTree.parse(results).getroot()
    total, failed = int(suite.get("tests", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = sum(case.get("result") == "skipped" for case in suite.iter("testcase"))
    counts = f"{total - failed - skipped} passed, {failed} failed, {skipped} skipped"
    if code != 0 or failed or total == 0:
        return Check(name, FAILED, f"{counts}, exit code {code}\n{tail(output)}")
    return Check(name, NOT_CHECKED if skipped == total else PASSED, counts)


def launch(context, folder, ranks, steps, overrides=None, environment=None):
    """A short run of configs/train.yaml by launch/run: exit code and output."""
    keys = {"run.dir": folder, "data.dataset": "synthetic", "data.synthetic_train": 5000, "data.synthetic_test": 100,
            "schedule.name": "constant", "optimizer.lr": 0.01, "train.global_batch": 64 * ranks, "train.max_steps": steps,
            "eval.every_epochs": 0, "checkpoint.every_epochs": 0, "report.progress": "none", "report.tensorboard": "false",
            **(overrides or {})}
    return execute([ROOT / "launch/run", "-n", ranks, ROOT / "configs/train.yaml", *(f"{k}={v}" for k, v in keys.items())],
                   RUN_DEADLINE, {"RN_BUILD_DIR": str(context.build), **(environment or {})})


def trained_weights(context, ranks, *parts, overrides=None):
    """The final weights' bytes of one run in so many parts, each resuming the one before; raises CheckFailed."""
    folder = context.run_folder()
    for steps in parts:
        code, output = launch(context, folder, ranks, steps, overrides)
        if code != 0:
            raise CheckFailed(f"the run to step {steps} ended with exit code {code}\n{tail(output)}")
    return (folder / "model.safetensors").read_bytes()


class CheckFailed(Exception):
    pass


def same_weights(name, context, ranks, one, other, noise):
    """Two ways to the same weights, bit by bit. cuDNN may choose algorithms whose sums have no fixed order: where the same
    command twice gives other bits, nothing can be said about two different ones."""
    try:
        first = one(context, ranks)
        if first == other(context, ranks):
            return Check(name, PASSED, "the same bits")
        if first != one(context, ranks):
            return Check(name, NOT_CHECKED, noise)
    except (CheckFailed, OSError) as error:
        return Check(name, FAILED, str(error))
    return Check(name, FAILED, "other bits, though the same command twice gives the same ones")


def shared_run(context):
    code, output = launch(context, context.run_folder(), 2, 20, {"dist.share_gpu": "true"}, {"CUDA_VISIBLE_DEVICES": "0"})
    return Check("training, 2 ranks on one GPU (dist.share_gpu)", PASSED if code == 0 else FAILED,
                 f"exit code {code}" + ("" if code == 0 else f"\n{tail(output)}"))


NOISE = "the same command twice gives other bits on this GPU (cuDNN's choice), so bits cannot be compared"


def resume(context, ranks):
    return same_weights(f"resume, {ranks} rank(s)", context, ranks, lambda c, r: trained_weights(c, r, 40),
                        lambda c, r: trained_weights(c, r, 20, 40), NOISE)


def on_device_data(context, ranks):
    return same_weights(f"data.on_device against the loader, {ranks} rank(s)", context, ranks,
                        lambda c, r: trained_weights(c, r, 40),
                        lambda c, r: trained_weights(c, r, 40, overrides={"data.on_device": "true"}), NOISE)


def graph(context, ranks):
    """Traced steps are eager, with the same float32 rate from the device: the graph's twin."""
    keys = {"train.cuda_graph": "true"}
    return same_weights(f"train.cuda_graph against eager steps, {ranks} rank(s)", context, ranks,
                        lambda c, r: trained_weights(c, r, 40, overrides={**keys, "report.trace": 40}),
                        lambda c, r: trained_weights(c, r, 40, overrides=keys), NOISE)


# The fault, on how many ranks at least, and the exit code that launch/run is to return.
FAULTS = [("throw_numbers@step:step=5", 1, 5), ("hang@step:step=5", 1, 7), ("kill@step:rank=1:step=5", 2, 8)]


def faults(context, ranks):
    for fault, needed, expected in FAULTS:
        name = f"{fault}: exit code {expected}"
        if ranks < needed:
            yield Check(name, NOT_CHECKED, f"needs {needed} GPUs")
            continue
        code, output = launch(context, context.run_folder(), ranks, 20, {"dist.step_deadline_seconds": 20},
                              {"RN_FAULT": fault})
        yield Check(name, PASSED if code == expected else FAILED,
                    f"exit code {code}" + ("" if code == expected else f"\n{tail(output)}"))


def all_checks(context, gpus):
    """Without a GPU: that the programs start and say what they miss."""
    if gpus == 0:
        yield gpu_tests(context, 1, 0)
        code, output = launch(context, context.run_folder(), 1, 2, {"model.width": 8})
        yield Check("training where there is no GPU", PASSED if code == 0 else FAILED,
                    f"exit code {code}" + ("" if code == 0 else f"\n{tail(output)}"))
        return
    for ranks in (1, 2, 4):
        if ranks <= gpus:
            yield gpu_tests(context, ranks, gpus)
        else:
            yield Check(f"GPU tests, {ranks} ranks", NOT_CHECKED, f"{gpus} GPU(s) here")
    yield gpu_tests(context, 2, gpus, shared=True)
    yield shared_run(context)
    yield resume(context, 1)
    if gpus > 1:
        yield resume(context, gpus)
    yield on_device_data(context, 1)
    yield graph(context, 1)
    if gpus > 1:
        yield graph(context, gpus)
    yield from faults(context, gpus)
