"""Time and memory of a process and all that it starts, from /proc: the same measure for rn_dist and for every peer."""
import os
import pathlib
import threading
import time

FIRST_INTERVAL, LONGEST_INTERVAL = 0.05, 0.5  # seconds: a peak stays on record, so few looks do


def seconds_since_start():
    """Of this process: interpreter and imports included."""
    fields = pathlib.Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def parents():
    """Of every process: its parent."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text(encoding="utf-8")
        except OSError:  # it has ended meanwhile
            continue
        found[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    return found


def peak_resident_bytes(pid):
    """The largest resident set that a process has had; 0 if it has ended."""
    try:
        lines = pathlib.Path("/proc", str(pid), "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class PeakMemory:
    """The sum of the peaks of a process and of all its descendants, looked at again and again in a thread. What lives
    for less than an interval may be missed; pages that several of them share count for each."""

    def __init__(self, pid, counts_itself=True):
        self._pid, self._counts_itself = pid, counts_itself
        self._peaks = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        interval = FIRST_INTERVAL
        while not self._ended.wait(interval):
            self._look()
            interval = min(1.5 * interval, LONGEST_INTERVAL)

    def _look(self):
        parent_of = parents()
        known = {self._pid, *self._peaks}  # what has lost its parent still counts
        grown = True
        while grown:
            grown = False
            for pid, parent in parent_of.items():
                if parent in known and pid not in known:
                    known.add(pid)
                    grown = True
        for pid in known:
            if pid != self._pid or self._counts_itself:
                self._peaks[pid] = max(self._peaks.get(pid, 0), peak_resident_bytes(pid))

    def finish(self):
        """Ends the watch; bytes."""
        self._ended.set()
        self._thread.join()
        self._look()
        return sum(self._peaks.values())
