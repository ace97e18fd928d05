#!/usr/bin/env python3
"""Measures Floe against ONNX Runtime on this machine and prints which of the project's targets are met.

    cmake --preset release && cmake --build --preset release
    pip install onnxruntime onnx
    python3 bench/compare_peers.py --build build/release
    python3 bench/compare_peers.py --models resnet18,mobilenetv2 --threads 1 --check -o mine.json

Makes the models (models/make.py), compiles them (floec), then measures floe-bench and ONNX Runtime in turns: peer,
ours, ours, peer, ... in several short rounds, each in a fresh process pinned to the same cores. Both get the same
inputs. The ratio of a round is its median run of ours over the peer's; the table shows the median of the rounds and
their range. floe-bench probes the machine before and after, so that a disturbed round can be seen. The JSON keeps
every round, for compare_results.py. This script itself needs Python's standard library only.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEER = os.path.join(ROOT, "bench", "peer_onnxruntime.py")

# name: (command line of models/make.py or a committed file, sizes of its symbols, greatest allowed error of an output
# relative to its greatest magnitude, most times of ONNX Runtime's time or None).
MODELS = {
    "lenet5": ("models/trained/lenet5.onnx", ["N=1"], 1e-5, 0.3),
    "resnet8": ("models/trained/resnet8.onnx", ["N=1"], 1e-5, None),
    "resnet18": (["resnet18"], [], 1e-5, 1.25),
    "resnet50": (["resnet50"], [], 1e-5, 1.25),
    "mobilenetv2": (["mobilenetv2"], [], 1e-5, 1.25),
    "bert-base": (["bert-base", "--length", "128"], [], 1e-4, 1.25),
    "lstm-lm": (["lstm-lm", "--length", "35"], [], 1e-5, 1.25),
}
OPEN_MS, OPEN_TIMES, FIRST_RUN, PEAK_RSS = 2.0, 100.0, 1.3, 0.7
PROBE_TOLERANCE = 0.05


class CommandFailed(Exception):
    """A program that this script started failed; the text says which and how."""


def run(command, cpus=None):
    """Runs a program, pinned to `cpus` if given; returns its output."""
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def run_measured(command):
    """Runs a program; returns (seconds, peak resident bytes)."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        error = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}: exit code {child.returncode}\n{error.decode().strip()}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def cpuinfo():
    """The first processor's lines of /proc/cpuinfo."""
    fields = {}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if not line.strip():
                break
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    return fields


def cpu_kind(fields):
    """A short name for the CPU's generation, as results are grouped: zen4, spr, ..., or its widest ISA."""
    flags = set(fields.get("flags", "").split())
    if fields.get("vendor_id") == "AuthenticAMD":
        family = int(fields.get("cpu family", 0))
        if family == 26:
            return "zen5"
        if family == 25:
            return "zen4" if "avx512f" in flags else "zen3"
    if "amx_tile" in flags:
        return "gnr" if "amx_fp16" in flags else "spr"
    if "avx512_vnni" in flags:
        return "icx" if "avx512_vbmi2" in flags else "clx"
    for flag, kind in (("avx512f", "avx512"), ("avx2", "avx2"), ("sse2", "sse2")):
        if flag in flags:
            return kind
    return platform.machine()


def separate_cores(allowed):
    """One CPU of each physical core among `allowed`."""
    cores = {}
    for cpu in sorted(allowed):
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            with open(path, encoding="ascii") as f:
                core = f.read().strip()
        except OSError:
            core = str(cpu)
        cores.setdefault(core, cpu)
    return list(cores.values())


def git(*arguments):
    """The output of a git command, or an empty string outside a repository."""
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def context(args, versions):
    """Where, when and with what the figures were taken."""
    fields = cpuinfo()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "HEAD"),
        "modified": bool(git("status", "--porcelain", "--untracked-files=no")),
        "cpu_kind": cpu_kind(fields),
        "cpu_model": fields.get("model name", "unknown"),
        "cpu_family_model": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}",
        "cpu_flags": sorted(f for f in fields.get("flags", "").split()
                            if f.startswith(("avx", "fma", "amx", "sse", "f16c"))),
        "cpus": args.cpus,
        "kernel": platform.release(),
        "versions": versions,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "load_avg_before": list(os.getloadavg()),
    }


class Bench:
    """The programs and the files of one comparison."""

    def __init__(self, args):
        self.args = args
        self.cache = args.cache
        os.makedirs(self.cache, exist_ok=True)

    def program(self, path):
        """The path of a built program."""
        full = os.path.join(self.args.build, path)
        if not os.path.exists(full):
            raise CommandFailed(f"{full} is missing: build it, or give --build")
        return full

    def peer(self, *arguments, cpus=None):
        """One process of the ONNX Runtime side; returns its JSON."""
        return json.loads(run([self.args.python, PEER, *arguments], cpus))

    def prepare(self, name):
        """Makes model and inputs, compiles; returns (onnx, floe, inputs, facts)."""
        source, dims, _, _ = MODELS[name]
        base = os.path.join(self.cache, name)
        onnx = base + ".onnx"
        if isinstance(source, str):
            onnx = os.path.join(ROOT, source)
        elif not os.path.exists(onnx):
            run([self.args.python, os.path.join(ROOT, "models", "make.py"), *source, "-o", onnx])
        flags = [f for d in dims for f in ("--dim", d)]
        if not os.path.exists(base + ".inputs.npz"):
            self.peer("inputs", onnx, "-o", base + ".inputs.npz", *flags)
        seconds, rss = run_measured([self.program("tools/floec"), onnx, "-o", base + ".floe", *flags])
        facts = {
            "onnx_bytes": os.path.getsize(onnx),
            "floe_bytes": os.path.getsize(base + ".floe"),
            "compile": {"seconds": seconds, "peak_rss_bytes": rss},
        }
        return onnx, base + ".floe", base + ".inputs.npz", facts

    def check(self, name, onnx, floe, inputs):
        """The outputs of both, for every thread count."""
        limit = MODELS[name][2]
        out = os.path.join(self.cache, name + ".outputs.npz")
        rows = {}
        for threads in self.args.threads:
            run([self.program("tools/floe"), "run", floe, "--in", inputs, "--out", out, "--threads", str(threads)])
            rows[str(threads)] = self.peer("compare", onnx, "--in", inputs, "--outputs", out)
        worst = max(r["max_error"] for r in rows.values())
        return {"threads": rows, "max_error": worst, "limit": limit, "passed": worst <= limit}

    def ours(self, floe, inputs, threads, cpus, *flags):
        """One process of floe-bench; returns its JSON."""
        return json.loads(run([self.program("bench/floe-bench"), floe, "--in", inputs, "--threads", str(threads),
                               "--min-time", str(self.args.seconds), "--json", *flags], cpus))

    def rounds(self, onnx, floe, inputs, threads):
        """Both sides in turns; returns one object for each."""
        cpus = self.args.cpus[:threads]
        ours, theirs = [], []
        for number in range(self.args.rounds):
            turns = [
                lambda: theirs.append(self.peer("measure", onnx, "--in", inputs, "--threads", str(threads),
                                                "--seconds", str(self.args.seconds), "--overhead", cpus=cpus)),
                lambda: ours.append(self.ours(floe, inputs, threads, cpus)),
            ]
            for turn in turns if number % 2 == 0 else reversed(turns):
                turn()
        return {"floe": floe_rows(ours), "onnxruntime": {key: [r[key] for r in theirs] for key in theirs[0]}}


def floe_rows(results):
    """The parts of floe-bench's results that are kept, as one list for each."""
    return {
        "p50_ms": [r["latency_ms"]["p50"] for r in results],
        "min_ms": [r["latency_ms"]["min"] for r in results],
        "runs": [r["runs"] for r in results],
        "open_ms": [r["open_ms"] for r in results],
        "bind_ms": [r["bind_ms"] for r in results],
        "first_run_ms": [r["first_run_ms"] for r in results],
        "peak_rss_bytes": [r["peak_rss_bytes"] for r in results],
        "arena_bytes": results[0]["arena_bytes"],
        "isa": results[0]["isa"],
        "probe_gflops": [r["roofline"]["gflops"] for r in results],
        "probe_gflops_after": [r["roofline"]["gflops_after"] for r in results],
        "dram_gbytes": [r["roofline"]["dram_gbytes"] for r in results],
    }


def by_kernel(result):
    """floe-bench's table of instructions, summed over (op, kernel)."""
    rows = {}
    for op in result.get("ops", []):
        row = rows.setdefault((op["op"], op["kernel"]), {"count": 0, "ms": 0.0, "gflop": 0.0, "roof_ms": 0.0})
        row["count"] += 1
        row["ms"] += op["ms"]
        row["gflop"] += op["gflops"] * op["ms"] * 1e-3
        row["roof_ms"] += op["roof"] * op["ms"]
    total = sum(r["ms"] for r in rows.values())
    table = [{"op": op, "kernel": kernel, "count": r["count"], "ms": r["ms"],
              "share": r["ms"] / total if total else 0.0,
              "gflops": r["gflop"] / (r["ms"] * 1e-3) if r["ms"] else 0.0,
              "roof": r["roof_ms"] / r["ms"] if r["ms"] else 0.0} for (op, kernel), r in rows.items()]
    return sorted(table, key=lambda r: -r["ms"])


def ratios(ours, theirs):
    """Elementwise ours / theirs."""
    return [a / b for a, b in zip(ours, theirs)]


def summarise(row):
    """The figures of one model and thread count that are judged, from its rounds."""
    floe, ort = row["floe"], row["onnxruntime"]
    time_ratios = ratios(floe["p50_ms"], ort["p50_ms"])
    probes = floe["probe_gflops"] + floe["probe_gflops_after"]
    net = [a - b for a, b in zip(ort["peak_rss_bytes"], ort["baseline_rss_bytes"])]
    median = statistics.median
    return {
        "floe_ms": median(floe["p50_ms"]),
        "onnxruntime_ms": median(ort["p50_ms"]),
        "ratio": median(time_ratios),
        "ratio_min": min(time_ratios),
        "ratio_max": max(time_ratios),
        "ratio_of_minima": min(floe["min_ms"]) / min(ort["min_ms"]),
        "open_ms": median(floe["open_ms"]),
        "session_ms": median(ort["session_ms"]),
        "open_times_faster": median(ratios(ort["session_ms"], floe["open_ms"])),
        "first_run": median(ratios(floe["first_run_ms"], floe["p50_ms"])),
        "onnxruntime_first_run": median(ratios(ort["first_run_ms"], ort["p50_ms"])),
        "rss_bytes": median(floe["peak_rss_bytes"]),
        "onnxruntime_rss_bytes": median(ort["peak_rss_bytes"]),
        "onnxruntime_net_rss_bytes": median(net),
        "rss_ratio": median(ratios(floe["peak_rss_bytes"], ort["peak_rss_bytes"])),
        "rss_net_ratio": median(ratios(floe["peak_rss_bytes"], net)),
        "call_overhead_ms": median(ort["call_overhead_ms"]),
        "probe_gflops": max(probes),
        "disturbed_rounds": sum(min(a, b) < (1 - PROBE_TOLERANCE) * max(probes)
                                for a, b in zip(floe["probe_gflops"], floe["probe_gflops_after"])),
    }


def targets(name, s):
    """(what, figure, bound, met) for every target of a model."""
    rows = []
    limit = MODELS[name][3]
    if limit is not None:
        rows.append(("time", f"{s['ratio']:.3f}x", f"<= {limit}x", s["ratio"] <= limit))
    rows.append(("open", f"{s['open_ms']:.3f} ms", f"<= {OPEN_MS} ms", s["open_ms"] <= OPEN_MS))
    if name == "resnet50":
        rows.append(("open", f"{s['open_times_faster']:.0f}x faster", f">= {OPEN_TIMES:.0f}x",
                     s["open_times_faster"] >= OPEN_TIMES))
    if limit is not None and limit > 1:  # Of the full-size models.
        rows.append(("first run", f"{s['first_run']:.2f}x", f"<= {FIRST_RUN}x", s["first_run"] <= FIRST_RUN))
    rows.append(("peak RSS", f"{s['rss_ratio']:.2f}x", f"<= {PEAK_RSS}x", s["rss_ratio"] <= PEAK_RSS))
    return rows


def print_row(name, threads, s):
    """One line of the table, and the targets that are not met."""
    mib = 1 << 20
    noise = f"  {s['disturbed_rounds']} disturbed" if s["disturbed_rounds"] else ""
    print(f"{name:12} {threads:2}  {s['floe_ms']:9.4f} {s['onnxruntime_ms']:9.4f}  {s['ratio']:6.3f} "
          f"[{s['ratio_min']:.3f}, {s['ratio_max']:.3f}]  {s['open_ms']:7.3f} {s['session_ms']:8.1f}  "
          f"{s['first_run']:5.2f} {s['onnxruntime_first_run']:6.2f}  {s['rss_bytes'] / mib:7.1f} "
          f"{s['onnxruntime_rss_bytes'] / mib:7.1f} {s['onnxruntime_net_rss_bytes'] / mib:7.1f}{noise}")
    for what, figure, bound, met in targets(name, s):
        if not met:
            print(f"{'':17}NOT MET: {what} {figure}, target {bound}")
    sys.stdout.flush()


def print_kernels(name, table):
    """Where a model's time goes."""
    print(f"\n{name}, 1 thread, by kernel:\n{'ms':>9} {'share':>7} {'GFLOP/s':>9} {'%roof':>6} {'count':>6}  op, kernel")
    for r in table[:12]:
        print(f"{r['ms']:9.4f} {r['share']:7.1%} {r['gflops']:9.2f} {r['roof']:6.1%} {r['count']:6}  "
              f"{r['op']}, {r['kernel']}")


HEADER = (f"{'model':12} {'thr':>3} {'floe ms':>9} {'ORT ms':>9}  {'ratio':>6} {'[min, max]':14}  {'open':>7} "
          f"{'session':>8}  {'first':>5} {'(ORT)':>6}  {'RSS MiB':>7} {'ORT':>7} {'net':>7}")


def measure(args):
    """Everything; returns the result."""
    bench = Bench(args)
    result = {"schema": 1, "context": context(args, bench.peer("versions")), "models": {}}
    prepared = {}
    for name in args.models:
        onnx, floe, inputs, facts = prepared[name] = bench.prepare(name)
        result["models"][name] = facts
        rss = facts["compile"]["peak_rss_bytes"]
        line = (f"{name:12} compiled in {facts['compile']['seconds']:.2f} s, peak RSS {rss / (1 << 20):.0f} MiB "
                f"({rss / facts['onnx_bytes']:.2f}x of the model)")
        if args.check:
            facts["check"] = bench.check(name, onnx, floe, inputs)
            word = "ok" if facts["check"]["passed"] else "FAILED"
            line += f"; outputs differ by {facts['check']['max_error']:.1e} of max|y|: {word}"
        print(line)
    print("\n" + HEADER)
    for name in args.models:
        onnx, floe, inputs, facts = prepared[name]
        facts["threads"] = {}
        for threads in args.threads:
            row = bench.rounds(onnx, floe, inputs, threads)
            row["summary"] = summarise(row)
            row["targets"] = [dict(zip(("what", "figure", "bound", "met"), t))
                              for t in targets(name, row["summary"])]
            facts["threads"][str(threads)] = row
            print_row(name, threads, row["summary"])
    for name in args.models if args.profile else []:
        _, floe, inputs, facts = prepared[name]
        facts["kernels"] = by_kernel(bench.ours(floe, inputs, 1, args.cpus[:1], "--profile"))
        print_kernels(name, facts["kernels"])
    result["context"]["load_avg_after"] = list(os.getloadavg())
    return result


def parse(argv):
    """The command line, checked."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build/release", help="build folder with tools/floec, bench/floe-bench")
    p.add_argument("--models", default=",".join(MODELS), help="default: %(default)s")
    p.add_argument("--threads", default="1,2", help="thread counts (default %(default)s)")
    p.add_argument("--rounds", type=int, default=7, help="default %(default)s; compare_results.py needs at least 5")
    p.add_argument("--seconds", type=float, default=1.0, help="of each side in a round (default %(default)s)")
    p.add_argument("--cpus", help="CPUs to pin to, for example 0,1 (default: separate cores)")
    p.add_argument("--cache", default="build/models", help="where models are kept (default %(default)s)")
    p.add_argument("--python", default=sys.executable, help="a Python with onnxruntime, onnx and numpy")
    p.add_argument("--check", action="store_true", help="compare the outputs of both first")
    p.add_argument("--no-profile", dest="profile", action="store_false", help="no tables by kernel")
    p.add_argument("-o", "--output", help="JSON to write (default bench/results/KIND.json)")
    args = p.parse_args(argv)
    args.models = args.models.split(",")
    for name in args.models:
        if name not in MODELS:
            p.error(f"--models: there is no {name}; models: {', '.join(MODELS)}")
    args.threads = [int(t) for t in args.threads.split(",")]
    allowed = os.sched_getaffinity(0)
    args.cpus = [int(c) for c in args.cpus.split(",")] if args.cpus else separate_cores(allowed)
    if not set(args.cpus) <= allowed:
        p.error(f"--cpus: this process may use {sorted(allowed)} only")
    if min(args.threads) < 1 or max(args.threads) > len(args.cpus):
        p.error(f"--threads: 1 to {len(args.cpus)}, one for each CPU of {args.cpus}")
    if args.rounds < 1 or args.seconds <= 0:
        p.error("--rounds and --seconds must be positive")
    if not args.output:
        args.output = os.path.join(ROOT, "bench", "results", cpu_kind(cpuinfo()) + ".json")
    return args


def write_whole(path, text):
    """A file that appears whole or not at all."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    partial = f"{path}.{os.getpid()}.partial"
    with open(partial, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(partial, path)


def main(argv):
    """The command; returns the exit code: 1 if something failed or outputs differ. Targets do not decide it."""
    args = parse(argv)
    try:
        result = measure(args)
    except CommandFailed as e:
        print(f"compare_peers: {e}", file=sys.stderr)
        return 1
    write_whole(args.output, json.dumps(result, indent=1) + "\n")
    print(f"\nwrote {args.output}")
    wrong = [name for name, m in result["models"].items() if "check" in m and not m["check"]["passed"]]
    if wrong:
        print(f"compare_peers: outputs differ from ONNX Runtime's: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
