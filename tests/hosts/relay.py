#!/usr/bin/env python3
"""A bad network between two hosts: a TUN device in each, and this process in between.

usage: relay.py PID_A PID_B [--delay MS] [--loss SHARE] [--mbit RATE] [--seed N]

PID_A and PID_B are processes in the hosts' network namespaces; there the device is called eth0, and its address is the
caller's to set. Every packet waits for its turn at RATE, then MS; SHARE of them are lost. Prints "ready" once both
devices are there. SIGUSR1 cuts the link, SIGUSR2 mends it, SIGTERM ends with a line of counts.
"""
import argparse
import collections
import ctypes
import fcntl
import os
import random
import select
import signal
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
QUEUE_PACKETS = 1000  # a router's, after which packets are dropped


def open_tun(pid):
    """The TUN device eth0 in the network namespace of `pid`."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(there, 0) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter the network namespace of process {pid}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22s", b"eth0", IFF_TUN | IFF_NO_PI, b""))
    libc.setns(home, 0)
    os.close(home)
    os.close(there)
    return tun


class Direction:
    """Packets from one device to the other."""

    def __init__(self, source, target, options, draws):
        self.source, self.target, self.options, self.draws = source, target, options, draws
        self.queue = collections.deque()  # (when due, packet), in order
        self.free_at = 0.0  # when the line has sent what it holds
        self.passed = self.lost = self.bytes = 0

    def take(self, now, cut):
        """Reads what the source has sent."""
        while True:
            try:
                packet = os.read(self.source, 65536)
            except BlockingIOError:
                return
            if cut or self.draws.random() < self.options.loss or len(self.queue) >= QUEUE_PACKETS:
                self.lost += 1
                continue
            self.free_at = max(now, self.free_at) + len(packet) * 8 / (self.options.mbit * 1e6)
            self.queue.append((self.free_at + self.options.delay / 1e3, packet))

    def deliver(self, now):
        while self.queue and self.queue[0][0] <= now:
            packet = self.queue.popleft()[1]
            try:
                os.write(self.target, packet)
                self.passed += 1
                self.bytes += len(packet)
            except OSError:  # the device is not up yet, or its queue is full
                self.lost += 1

    def cut(self):
        self.lost += len(self.queue)
        self.queue.clear()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pid_a", type=int)
    parser.add_argument("pid_b", type=int)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds, each way")
    parser.add_argument("--loss", type=float, default=0, help="share of the packets")
    parser.add_argument("--mbit", type=float, default=1e4, help="megabits per second, each way")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    cut, running = False, True

    def on_signal(number, _):
        nonlocal cut, running
        cut = number == signal.SIGUSR1
        running = number != signal.SIGTERM

    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, on_signal)

    a, b = open_tun(options.pid_a), open_tun(options.pid_b)
    draws = random.Random(options.seed)
    directions = [Direction(a, b, options, draws), Direction(b, a, options, draws)]
    print("ready", flush=True)
    while running:
        due = [direction.queue[0][0] for direction in directions if direction.queue]
        wait = max(0.0, min(due) - time.monotonic()) if due else 0.2
        select.select([a, b], [], [], min(wait, 0.2))
        now = time.monotonic()
        for direction in directions:
            if cut:
                direction.cut()
            direction.take(now, cut)
            direction.deliver(now)
    for name, direction in zip(("there", "back"), directions):
        print(f"{name}: {direction.passed} packets, {direction.bytes} bytes, {direction.lost} lost")


if __name__ == "__main__":
    sys.exit(main())
