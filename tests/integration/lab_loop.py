# SPDX-License-Identifier: ISC
"""How long a turn of a program's loop takes, on a machine of any load.

A clock on the wall would count what other programs take. So the kernel is asked what the process is at, again and again: asleep anywhere but in
epoll_wait and the journal's fsync it blocks, for as long as it is seen in one and the same sleep (the count of its voluntary switches tells); and what it
computed between two sleeps is its own processor time, which does not grow while others run."""
import os
import platform
import threading
import time

# Where a loop may sleep, by the numbers of this machine's system calls; -1: not in a call, so a page is read from the disk.
SLEEPS = {"x86_64": {232, 281, 441}, "aarch64": {22, 441}}.get(platform.machine())
DISK = {"x86_64": {-1, 74, 75}, "aarch64": {-1, 82, 83}}.get(platform.machine())


class LoopWatch(threading.Thread):
    """blocked: (seconds, number of the call) of the longest sleep elsewhere; computed: seconds of the longest run between two sleeps."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.files = {name: open("/proc/%d/%s" % (pid, name), "rb", 0) for name in ("stat", "syscall", "schedstat", "status")}
        self.ended, self.samples, self.blocked, self.computed = threading.Event(), 0, (0, 0), 0
        self.sleep = self.rest = None
        self.start()

    def read(self, name):
        return os.pread(self.files[name].fileno(), 4096, 0)

    def switches(self):
        return int(self.read("status").split(b"\nvoluntary_ctxt_switches:")[1].split()[0])

    def look(self):
        before = self.switches()
        now, state, ran = time.monotonic(), self.read("stat").rsplit(b")", 1)[1].split()[0], int(self.read("schedstat").split()[0])
        word = self.read("syscall").split()[0]
        if state not in (b"S", b"D") or word == b"running" or self.switches() != before:
            return
        self.samples, call = self.samples + 1, int(word)
        if call in SLEEPS:
            if self.rest and before > self.rest[0]:
                self.computed = max(self.computed, (ran - self.rest[1]) / (before - self.rest[0]) / 1e9)
            self.rest = (before, ran)
        elif call not in DISK:
            if not self.sleep or self.sleep[0] != before:
                self.sleep = (before, now)
            self.blocked = max(self.blocked, (now - self.sleep[1], call))

    def run(self):
        try:
            while not self.ended.wait(0.003):
                self.look()
        except (OSError, IndexError):  # it is gone
            pass

    def close(self):
        self.ended.set()
        self.join()
        for f in self.files.values():
            f.close()

    def check(self):
        """No turn over 50 ms."""
        self.close()
        print("loop: %d samples, blocked %.3f s in call %s, computed %.3f s" % (self.samples, *self.blocked, self.computed))
        assert self.samples > 20
        assert self.blocked[0] <= 0.05, "it slept %.3f s in system call %d" % self.blocked
        assert self.computed <= 0.05, "it computed for %.3f s in a turn" % self.computed
