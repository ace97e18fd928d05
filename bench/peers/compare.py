#!/usr/bin/env python3
"""Measures Floe against its peers in every precision, in turns, pinned, and says how far each is from fp64.

    pip install torch==2.13.0 onnxruntime openvino onnx matplotlib
    python3 bench/peers/compare.py --build build/release
    python3 bench/peers/compare.py --models resnet18,bert-t32 --precisions fp32 --threads 1 --rounds 3
    python3 bench/peers/compare.py --show bench/results/peers-zen4.json

A round measures every peer and Floe once, each in a process of its own on the same cores, in an order that rotates
from round to round. A row's ratio is the median over the rounds of Floe's median run over the fastest peer's of the same
precision in the same round; its range shows how quiet the machine was. Beside every time stands the greatest error of
the outputs relative to max|y| of the module in fp64. bench/peers/models.py makes the models. --cold reads 192 MiB
before each run. --streams 2 compares the throughput of two concurrent sessions instead. Writes JSON and a plot, anew
after each model: what was measured before an interruption is kept. --show draws the plot of such files and prints their
table; several files, of the same machine and way of measuring, become one (-o).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import compare_peers as common  # noqa: E402

MODELS = ("lenet5", "resnet18", "resnet50", "mobilenetv2", "vit", "bert-t32", "bert-t128", "lstm-t1", "lstm-t35",
          "gpt2-decode")
MORE_MODELS = ("resnet50-n8", "mobilenetv2-n8")
PRECISIONS = ("fp32", "bf16", "int8")
# The file that a peer reads, by precision; None where it has no such precision.
FILES = {
    "onnxruntime": {"fp32": ".onnx", "bf16": None, "int8": ".int8.onnx"},
    "openvino": {"fp32": ".onnx", "bf16": ".onnx", "int8": ".int8.onnx"},
    "torch-inductor": {"fp32": ".pt2", "bf16": ".pt2", "int8": None},
    "torch-jit": {"fp32": ".pt", "bf16": None, "int8": None},
}
FLOE_FILES = {"fp32": ".onnx", "bf16": ".onnx", "int8": ".int8.onnx"}
UNSUPPORTED = 4


def error_of(np, outputs, expected):
    """Greatest |y - y64| / max|y64| over all outputs; inf where they do not fit."""
    worst = 0.0
    with np.load(outputs) as got, np.load(expected) as want:
        if len(got.files) != len(want.files):
            return float("inf")
        for have, y in ((got[a], want[b]) for a, b in zip(got.files, want.files)):
            if have.shape != y.shape or not np.isfinite(have).all():
                return float("inf")
            scale = float(np.abs(y).max()) or 1.0
            worst = max(worst, float(np.abs(have.astype(np.float64) - y).max()) / scale)
    return worst


class Comparison:
    """The programs, files and results of one comparison."""

    def __init__(self, args):
        self.args = args
        self.failures = {}  # (model, precision, peer): why there is no figure

    def command(self, who, name, precision, threads):
        """The command line that measures `who`, or None."""
        args, base = self.args, os.path.join(self.args.cache, name)
        timing = ["--threads", str(threads), "--streams", str(args.streams)]
        cold = ["--cold"] if args.cold else []
        if who == "floe":
            return [os.path.join(args.build, "bench", "floe-bench"), f"{base}.{precision}.floe", "--in", base + ".in.npz",
                    "--min-time", str(args.seconds), "--json", *timing, *cold]
        suffix = FILES[who][precision]
        if suffix is None:
            return None
        return [args.python, os.path.join(HERE, "peer.py"), who, base + suffix, "--in", base + ".in.npz", "--precision",
                precision, "--seconds", str(args.seconds), "--out", f"{base}.{precision}.{who}.npz", *timing, *cold]

    def compile(self, name, precision):
        """floec and the outputs of its program; returns why not, or None."""
        base = os.path.join(self.args.cache, name)
        flags = [f"--precision={precision}"] if precision == "bf16" else []
        program = f"{base}.{precision}.floe"
        done = subprocess.run([os.path.join(self.args.build, "tools", "floec"), base + FLOE_FILES[precision], "-o", program,
                               *self.args.floec, *flags], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        common.run([os.path.join(self.args.build, "tools", "floe"), "run", program, "--in", base + ".in.npz", "--out",
                    f"{base}.{precision}.floe.npz"])
        return None

    def measure(self, who, name, precision, threads):
        """One process; returns its figures, or None."""
        key = (name, precision, who)
        command = self.command(who, name, precision, threads)
        if command is None or key in self.failures:
            return None
        pin = lambda: os.sched_setaffinity(0, self.args.cpus[:max(threads, self.args.streams)])
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin, check=False)
        if done.returncode != 0:
            self.failures[key] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]
            return None
        result = json.loads(done.stdout)
        if who != "floe":
            return result
        row = {"open_ms": result["open_ms"], "first_run_ms": result["first_run_ms"], "isa": result["isa"],
               "peak_rss_bytes": result["peak_rss_bytes"], "probe_gflops": result["roofline"]["gflops"]}
        if self.args.streams > 1:
            return row | {"throughput": result["throughput"] / result["batch"]}  # runs a second, as the peers count
        return row | {"p50_ms": result["latency_ms"]["p50"], "min_ms": result["latency_ms"]["min"]}

    def rows(self, name, precision):
        """{threads: summary} of a model in a precision."""
        why = self.compile(name, precision)
        if why is not None:
            self.failures[name, precision, "floe"] = why
        found = {}
        for threads in self.args.threads:
            who = ["floe", *self.args.peers]
            rounds = []
            for turn in range(self.args.rounds):
                order = who[turn % len(who):] + who[:turn % len(who)]
                taken = {w: self.measure(w, name, precision, threads) for w in order}
                rounds.append({w: r for w, r in taken.items() if r is not None})
            found[str(threads)] = {"rounds": rounds, "summary": summarise(rounds, self.args.streams)}
        return found

    def errors(self, np, name, precision):
        """{who: error} against fp64."""
        base = os.path.join(self.args.cache, name)
        found = {}
        for who in ["floe", *self.args.peers]:
            path = f"{base}.{precision}.{who}.npz"
            if os.path.exists(path) and (name, precision, who) not in self.failures:
                found[who] = error_of(np, path, base + ".fp64.npz")
        return found


def cost(row, streams):
    """What is compared: milliseconds of a run, or of all streams together for one item."""
    return 1e3 / row["throughput"] if streams > 1 else row["p50_ms"]


def summarise(rounds, streams=1):
    """Medians of all, and Floe over the fastest peer of each round."""
    present = [w for w in rounds[0] if all(w in r for r in rounds)] if rounds else []
    ms = {w: statistics.median(cost(r[w], streams) for r in rounds) for w in present}
    summary = {"ms": ms}
    peers = [w for w in present if w != "floe"]
    if "floe" in ms and peers:
        ratios = [cost(r["floe"], streams) / min(cost(r[w], streams) for w in peers) for r in rounds]
        summary |= {"fastest": min(peers, key=ms.get), "ratio": statistics.median(ratios), "ratio_min": min(ratios),
                    "ratio_max": max(ratios)}
    return summary


def print_row(name, precision, threads, summary, errors):
    """A line of the table."""
    ratio = "      -" if "ratio" not in summary else (
        f"{summary['ratio']:7.3f} [{summary['ratio_min']:.2f}, {summary['ratio_max']:.2f}] of {summary['fastest']}")
    times = "  ".join(f"{w} {t:.4g}" + (f" ({errors[w]:.0e})" if w in errors else "") for w, t in summary["ms"].items())
    print(f"{name:15} {precision:5} {threads:2}  {ratio}\n{'':26}{times}", flush=True)


def plot(result, path):
    """Bars of Floe's time over the fastest peer's, by model, precision and threads."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = list(result["models"])
    series = sorted({(p, t) for m in result["models"].values() for p, rows in m["precisions"].items() for t in rows["threads"]},
                    key=lambda s: (PRECISIONS.index(s[0]), int(s[1])))
    figure, axes = pyplot.subplots(figsize=(1.4 * len(models) + 3, 4.5))
    width = 0.8 / max(len(series), 1)
    for k, (precision, threads) in enumerate(series):
        bars = [(i, m["precisions"][precision]["threads"][threads]["summary"]["ratio"])
                for i, m in enumerate(result["models"].values())
                if "ratio" in m["precisions"].get(precision, {"threads": {}})["threads"].get(threads, {}).get("summary", {})]
        axes.bar([i - 0.4 + (k + 0.5) * width for i, _ in bars], [r for _, r in bars], width,
                 label=f"{precision}, {threads} thread{'s' if threads != '1' else ''}")
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(models)), models, rotation=30, ha="right")
    axes.set_ylabel("Floe's time / the fastest peer's")
    axes.set_title(f"{result['context']['cpu_kind']}: below 1 Floe is faster")
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def table(result):
    """The rows of a result as a Markdown table: a line for each model and precision."""
    streams = result["context"]["streams"]
    counts = sorted({t for m in result["models"].values() for p in m["precisions"].values() for t in p["threads"]}, key=int)
    unit = "ms for one item, both streams at work" if streams > 1 else "ms"
    titles = [f"{t} thread{'s' if t != '1' else ''}" for t in counts]
    lines = ["| model | precision | " + " | ".join(f"{t}: Floe, the fastest peer ({unit}) | ratio [range]" for t in titles)
             + " | error of Floe, of that peer |", "|---|---|" + "---|---|" * len(counts) + "---|"]
    for name, model in result["models"].items():
        for precision, row in model["precisions"].items():
            cells, fastest = [], None
            for count in counts:
                found = row["threads"].get(count, {}).get("summary", {})
                if "ratio" not in found:
                    cells += ["-", "-"]
                    continue
                fastest = fastest or found["fastest"]
                cells += [f"{found['ms']['floe']:.3g}, {found['ms'][found['fastest']]:.3g} {found['fastest']}",
                          f"{found['ratio']:.2f} [{found['ratio_min']:.2f}, {found['ratio_max']:.2f}]"]
            errors = [f"{row['errors'][w]:.0e}" if w in row["errors"] else "-" for w in ("floe", fastest)]
            lines.append(f"| {name} | {precision} | " + " | ".join(cells) + f" | {', '.join(errors)} |")
    return "\n".join(lines)


def merge(results):
    """One result of several; of two that have a model's precision the later file's."""
    whole = results[0]
    for other in results[1:]:
        for key in ("cpu_kind", "cold", "streams"):
            if other["context"][key] != whole["context"][key]:
                raise common.CommandFailed(f"the files differ in {key}: {whole['context'][key]}, {other['context'][key]}")
        for name, model in other["models"].items():
            whole["models"].setdefault(name, {"precisions": {}})["precisions"].update(model["precisions"])
    return whole


def keep(result, output):
    """Writes the JSON and the plot beside it; returns the plot's path."""
    common.write_whole(output, json.dumps(result, indent=1) + "\n")
    picture = os.path.splitext(output)[0] + ".png"
    plot(result, picture)
    return picture


def show(args):
    """The plot and table of earlier results."""
    results = []
    for path in args.show:
        with open(path, encoding="utf-8") as f:
            results.append(json.load(f))
    result = merge(results)
    if len(results) > 1:
        keep(result, args.output)
    else:
        plot(result, os.path.splitext(args.show[0])[0] + ".png")
    print(table(result))


def compare(args):
    """Everything, kept after each model."""
    import numpy as np

    comparison = Comparison(args)
    versions = json.loads(common.run([args.python, os.path.join(HERE, "peer.py"), "versions"]))
    result = {"schema": 1, "context": common.context(args, versions) | {"cold": args.cold, "streams": args.streams},
              "models": {}}
    for name in args.models:
        common.run([args.python, "-B", os.path.join(HERE, "models.py"), args.cache, name])
        row = result["models"][name] = {"precisions": {}}
        for precision in args.precisions:
            threads = comparison.rows(name, precision)
            errors = comparison.errors(np, name, precision)
            missing = {w: why for (m, p, w), why in comparison.failures.items() if (m, p) == (name, precision)}
            row["precisions"][precision] = {"threads": threads, "errors": errors, "missing": missing}
            for count, found in threads.items():
                print_row(name, precision, count, found["summary"], errors)
            for who, why in missing.items():
                print(f"{'':26}no {who}: {why}")
        result["context"]["load_avg_after"] = list(os.getloadavg())
        picture = keep(result, args.output)
    print(f"\nwrote {args.output} and {picture}")


def parse(argv):
    """The command line, checked."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build/release", help="build folder with tools/floec, bench/floe-bench")
    p.add_argument("--models", default=",".join(MODELS), help="default: %(default)s; also " + ", ".join(MORE_MODELS))
    p.add_argument("--precisions", default=",".join(PRECISIONS), help="default: %(default)s")
    p.add_argument("--peers", default=",".join(FILES), help="default: %(default)s")
    p.add_argument("--threads", default="1,2", help="thread counts (default %(default)s)")
    p.add_argument("--streams", type=int, default=1, help="concurrent sessions; above 1 throughputs are compared")
    p.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    p.add_argument("--seconds", type=float, default=1.0, help="of each in a round (default %(default)s)")
    p.add_argument("--cold", action="store_true", help="weights out of the caches before each run")
    p.add_argument("--cpus", help="CPUs to pin to, for example 0,1 (default: separate cores)")
    p.add_argument("--cache", default="build/peers", help="where models are kept (default %(default)s)")
    p.add_argument("--python", default=sys.executable, help="a Python with the peers")
    p.add_argument("--floec", action="append", default=[], help="a further flag of floec, for example --accuracy=fast")
    p.add_argument("-o", "--output", help="JSON to write (default bench/results/peers-KIND.json); the plot is beside it")
    p.add_argument("--show", metavar="JSON", nargs="+", help="only draw the plot and print the table of earlier results")
    args = p.parse_args(argv)
    for flag, known in (("models", MODELS + MORE_MODELS), ("precisions", PRECISIONS), ("peers", tuple(FILES))):
        values = getattr(args, flag).split(",")
        setattr(args, flag, values)
        if unknown := [v for v in values if v not in known]:
            p.error(f"--{flag}: there is no {', '.join(unknown)}; known: {', '.join(known)}")
    args.threads = [int(t) for t in args.threads.split(",")]
    allowed = os.sched_getaffinity(0)
    args.cpus = [int(c) for c in args.cpus.split(",")] if args.cpus else common.separate_cores(allowed)
    if min(args.threads) < 1 or max(*args.threads, args.streams) > len(args.cpus):
        p.error(f"--threads, --streams: 1 to {len(args.cpus)}, one for each CPU of {args.cpus}")
    if args.rounds < 1 or args.seconds <= 0:
        p.error("--rounds and --seconds must be positive")
    kind = common.cpu_kind(common.cpuinfo())
    args.output = args.output or os.path.join(common.ROOT, "bench", "results", f"peers-{kind}.json")
    return args


def main(argv):
    """The command; returns the exit code."""
    args = parse(argv)
    try:
        if args.show:
            show(args)
        else:
            compare(args)
    except (common.CommandFailed, OSError) as e:
        print(f"compare: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
