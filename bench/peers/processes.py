"""The processes that a peer of several ranks consists of."""
import multiprocessing
import socket


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_forked(worker, ranks, args, report, **options):
    """worker(rank, args, port, report) on every rank: here on rank 0, without the report on forked processes, which have what
    was imported. REQUIRES: no thread runs yet. `options`: of the forked processes."""
    port = free_port()
    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=worker, args=(rank, args, port, None), daemon=True, **options) for rank in range(1, ranks)]
    for other in others:
        other.start()
    worker(0, args, port, report)
    for other in others:
        other.join()
