#!/usr/bin/env python3
"""How runs scale with threads, beside what the machine itself gives, and what a stolen core costs.

    python3 bench/threads.py --build build/release MODEL.floe [MODEL.floe ...]

For each model, in turns: one thread on the first CPU; a thread on each of `--cpus`; and both again while another
process spins on the last of these CPUs. Beside them the probe of floe-bench on one CPU and on all of them at once: a
second vCPU is often no second core, and nobody reads more from memory than the machine gives. A stolen core must not
cost more than threads bring: with one core stolen, the many threads take at most 1.3 times one thread's time. Exits 1
where that fails. Needs Python only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

LIMIT = 1.3
SPIN = "while True: pass"


def bench(args, model, threads, cpus, iterations=None):
    """One measurement: floe-bench's JSON."""
    command = ["taskset", "-c", ",".join(map(str, cpus)), os.path.join(args.build, "bench", "floe-bench"), model,
               "--threads", str(threads), "--json"]
    command += ["--iterations", str(iterations)] if iterations else ["--min-time", str(args.seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process):
    """What it printed."""
    out = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f"threads.py: {' '.join(process.args)} failed")
    return json.loads(out)


def mean_ms(args, model, threads, cpus, thief=None):
    """The mean latency; `thief` is a CPU on which another process spins meanwhile."""
    spinner = subprocess.Popen(["taskset", "-c", str(thief), sys.executable, "-c", SPIN]) if thief is not None else None
    try:
        return result(bench(args, model, threads, cpus))["latency_ms"]["mean"]
    finally:
        if spinner:
            spinner.kill()
            spinner.wait()


def probe(args, model):
    """How many times one CPU's FMA rate and memory bandwidth all of them give together."""
    single = result(bench(args, model, 1, args.cpus[:1], iterations=1))["roofline"]
    together = [bench(args, model, 1, [cpu], iterations=1) for cpu in args.cpus]
    many = [result(p)["roofline"] for p in together]
    return {key: sum(m[key] for m in many) / single[key] for key in ("gflops", "dram_gbytes", "l2_gbytes")}


def measure(args, model):
    """A model's row: medians over the rounds."""
    many, thief = len(args.cpus), args.cpus[-1]
    ways = {"one": (1, args.cpus[:1], None), "many": (many, args.cpus, None),
            "one_stolen": (1, args.cpus[:1], thief), "many_stolen": (many, args.cpus, thief)}
    times = {name: [] for name in ways}
    for number in range(args.rounds):
        order = list(ways) if number % 2 == 0 else list(reversed(ways))
        for name in order:
            times[name].append(mean_ms(args, model, *ways[name]))
    row = {name: statistics.median(t) for name, t in times.items()}
    row |= {"scaling": row["one"] / row["many"], "stolen": row["many_stolen"] / row["one_stolen"],
            "stolen_to_alone": row["many_stolen"] / row["one"]}
    return row


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.floe")
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--cpus", default="0,1", help="one for each thread (default 0,1)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    args = parser.parse_args(argv)
    args.cpus = [int(c) for c in args.cpus.split(",")]
    if len(args.cpus) < 2:
        parser.error("--cpus needs two or more")
    ceiling = probe(args, args.models[0])
    print(f"the probe, {len(args.cpus)} CPUs over one: FMA {ceiling['gflops']:.2f}, memory "
          f"{ceiling['dram_gbytes']:.2f}, L2 {ceiling['l2_gbytes']:.2f}")
    print(f"{'model':24} {'1 thread':>10} {'threads':>10} {'scaling':>8} {'1, stolen':>10} {'threads, st.':>12} {'ratio':>6}")
    rows, bad = {}, 0
    for model in args.models:
        name = os.path.splitext(os.path.basename(model))[0]
        row = rows[name] = measure(args, model)
        failed = row["stolen"] > LIMIT
        bad += failed
        print(f"{name:24} {row['one']:7.3f} ms {row['many']:7.3f} ms {row['scaling']:8.2f} {row['one_stolen']:7.3f} ms "
              f"{row['many_stolen']:9.3f} ms {row['stolen']:6.2f}{'  above ' + str(LIMIT) if failed else ''}", flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"probe": ceiling, "models": rows}, f, indent=1)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
