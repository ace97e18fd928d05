"""Timing and memory of one process, the same for every peer."""

import statistics
import threading
import time


def peak_rss_bytes():
    """Of this program alone. getrusage's figure would include the parent's, which exec inherits."""
    with open("/proc/self/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM")


def timed_runs(run, seconds, warmup, before=None):
    """Milliseconds of each call of `run`, for at least `seconds` and 5 calls; `before` is called, untimed, before each."""
    for _ in range(warmup):
        run()
    times = []
    begin = now = time.perf_counter_ns()
    while now - begin < seconds * 1e9 or len(times) < 5:
        if before is not None:
            before()
        start = time.perf_counter_ns()
        run()
        now = time.perf_counter_ns()
        times.append((now - start) * 1e-6)
    return times


def cache_sweeper(bytes_=192 << 20):
    """A function that reads so much memory that no cache still holds what a model used before."""
    import numpy as np

    buffer = np.ones(bytes_ // 8, np.int64)
    return lambda: int(buffer.sum())


def throughput(runs, seconds, warmup):
    """Calls a second of several functions, each called again and again by a thread of its own."""
    counts = [0] * len(runs)
    for run in runs:
        for _ in range(warmup):
            run()
    end = time.perf_counter() + seconds

    def work(index):
        while time.perf_counter() < end:
            runs[index]()
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(runs))]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def summary(times):
    """The figures that are kept of a list of milliseconds."""
    return {"p50_ms": statistics.median(times), "min_ms": min(times), "runs": len(times)}
