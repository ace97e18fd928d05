#!/usr/bin/env python3
"""Says which differences between two results of compare_peers.py are real.

    python3 bench/compare_results.py bench/results/zen4.json mine.json
    python3 bench/compare_results.py before.json after.json --threshold 0.02 --fail-on-regression

For each model and thread count it compares the rounds' medians of A with those of B. Times are first brought to one
clock: multiplied by the GFLOP/s that the probe reached in the same process over the mean of both files (--raw leaves
them). A difference is real when

 1. the Mann-Whitney U test on the rounds rejects chance (two-sided, exact, p <= --alpha after Holm's correction for the
    number of rows), and
 2. the shift, the median of all pairwise ratios B/A, is beyond --threshold, and
 3. where both files measured the same version of ONNX Runtime beside it, the ratio to it moved the same way by at least
    half the threshold. If not, the machine moved, not Floe: "machine".

Everything else is "noise" if the shift is small, "unclear" if it is large but could be chance: measure more rounds.
Python's standard library only. Exit code: 1 with --fail-on-regression when a row is really slower; 2 for files that
cannot be compared.
"""

import argparse
import json
import math
import statistics
import sys

EXACT_LIMIT = 40  # Rounds of both sides up to which the test's distribution is counted out.


def ranks(values):
    """The rank of each value from 1, ties sharing their mean rank, all times 2 (whole numbers)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    doubled = [0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for i in order[begin:end]:
            doubled[i] = begin + 1 + end  # (begin + 1 + end) / 2 is the mean rank.
        begin = end
    return doubled


def exact_p(doubled, count, observed):
    """Share of all choices of `count` ranks whose sum is at least as far from its mean as `observed`."""
    total = sum(doubled)
    # ways[k][s]: choices of k ranks with sum s.
    ways = [{0: 1}] + [{} for _ in range(count)]
    for rank in doubled:
        for k in range(count, 0, -1):
            for s, n in ways[k - 1].items():
                ways[k][s + rank] = ways[k].get(s + rank, 0) + n
    # The mean is count * total / n: compare without fractions.
    n = len(doubled)
    distance = abs(observed * n - count * total)
    extreme = sum(w for s, w in ways[count].items() if abs(s * n - count * total) >= distance)
    return extreme / math.comb(n, count)


def mann_whitney_p(a, b):
    """Two-sided p-value of the Mann-Whitney U test; exact for small samples, ties included."""
    if not a or not b:
        raise ValueError("the test needs a sample on both sides")
    doubled = ranks(list(a) + list(b))
    observed = sum(doubled[:len(a)])
    n = len(doubled)
    if n <= EXACT_LIMIT:
        return exact_p(doubled, len(a), observed)
    mean = len(a) * sum(doubled) / n
    squares = sum((r - sum(doubled) / n) ** 2 for r in doubled)
    variance = len(a) * len(b) * squares / (n * (n - 1))
    if variance == 0:
        return 1.0
    z = max(0.0, abs(observed - mean) - 1) / math.sqrt(variance)  # A rank step is 2: half of it is 1.
    return math.erfc(z / math.sqrt(2))


def shift(a, b):
    """The median of all ratios of an element of b to one of a."""
    return statistics.median(y / x for x in a for y in b)


def holm(p_values):
    """Holm's correction: p-values that hold for all tests together."""
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for done, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[i] * (len(p_values) - done)))
        corrected[i] = worst
    return corrected


def rows_of(result):
    """{(model, threads): row} of a result."""
    if not isinstance(result, dict) or result.get("schema") != 1:
        raise ValueError("not a result of compare_peers.py (schema 1)")
    return {(name, int(threads)): row for name, model in result["models"].items()
            for threads, row in model.get("threads", {}).items()}


def probes_of(row):
    """The probe's mean GFLOP/s of each round."""
    floe = row["floe"]
    return [(a + b) / 2 for a, b in zip(floe["probe_gflops"], floe["probe_gflops_after"])]


def normalised(a, b):
    """The times of both rows at one clock."""
    reference = statistics.fmean(probes_of(a) + probes_of(b))
    return tuple([t * g / reference for t, g in zip(row["floe"]["p50_ms"], probes_of(row))] for row in (a, b))


def peer_ratios(row):
    """Ours over the peer's time for each round."""
    return [x / y for x, y in zip(row["floe"]["p50_ms"], row["onnxruntime"]["p50_ms"])]


def verdict(change, peer_change, p, options):
    """"slower", "faster", "machine", "unclear" or "noise" for a shift B/A, the shift of the ratio to the peer (or
    None) and a corrected p-value."""
    if max(change, 1 / change) < 1 + options.threshold:
        return "noise"
    if p > options.alpha:
        return "unclear"
    if peer_change is not None:
        toward = peer_change if change > 1 else 1 / peer_change
        if toward < 1 + options.threshold / 2:
            return "machine"
    return "slower" if change > 1 else "faster"


def compare(a, b, options):
    """One object for each (model, threads) that both results have."""
    rows_a, rows_b = rows_of(a), rows_of(b)
    same_peer = (a["context"]["versions"].get("onnxruntime") == b["context"]["versions"].get("onnxruntime"))
    table = []
    for key in [k for k in rows_a if k in rows_b]:
        x, y = rows_a[key], rows_b[key]
        times = (x["floe"]["p50_ms"], y["floe"]["p50_ms"]) if options.raw else normalised(x, y)
        table.append({
            "model": key[0],
            "threads": key[1],
            "a_ms": statistics.median(times[0]),
            "b_ms": statistics.median(times[1]),
            "change": shift(*times),
            "p": mann_whitney_p(*times),
            "peer_change": shift(peer_ratios(x), peer_ratios(y)) if same_peer else None,
        })
    for row, p in zip(table, holm([r["p"] for r in table])):
        row["p"] = p
        row["verdict"] = verdict(row["change"], row["peer_change"], p, options)
    return table


def warnings(a, b):
    """What makes the comparison doubtful."""
    lines = []
    for what in ("cpu_kind", "cpu_model", "cpus"):
        if a["context"].get(what) != b["context"].get(what):
            lines.append(f"{what} differs: {a['context'].get(what)} and {b['context'].get(what)}")
    for name, result in (("A", a), ("B", b)):
        rounds = min((len(r["floe"]["p50_ms"]) for r in rows_of(result).values()), default=0)
        if rounds < 5:
            lines.append(f"{name} has {rounds} rounds only: nothing can be told from chance; use at least 5")
        disturbed = sum(r["summary"].get("disturbed_rounds", 0) for r in rows_of(result).values())
        if disturbed:
            lines.append(f"{name}: the probe changed by more than 5 % in {disturbed} rounds: the machine was not quiet")
    return lines


def parse(argv):
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("a", metavar="A.json", help="before")
    p.add_argument("b", metavar="B.json", help="after")
    p.add_argument("--threshold", type=float, default=0.03, help="smallest shift that matters (default %(default)s)")
    p.add_argument("--alpha", type=float, default=0.05, help="chance of any false alarm (default %(default)s)")
    p.add_argument("--raw", action="store_true", help="do not divide by the probe")
    p.add_argument("--fail-on-regression", action="store_true", help="exit code 1 when a row is slower")
    return p.parse_args(argv)


def main(argv):
    """The command; returns the exit code."""
    options = parse(argv)
    results = []
    try:
        for path in (options.a, options.b):
            with open(path, encoding="utf-8") as f:
                results.append(json.load(f))
        table = compare(*results, options)
        doubts = warnings(*results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as e:
        print(f"compare_results: {options.a}, {options.b}: {type(e).__name__}: {e}", file=sys.stderr)
        return 2
    if not table:
        print("compare_results: the files have no model and thread count in common", file=sys.stderr)
        return 2
    print(f"{'model':12} {'thr':>3} {'A ms':>10} {'B ms':>10} {'B/A':>7} {'to peer':>8} {'p':>7}  verdict")
    for r in table:
        peer = "-" if r["peer_change"] is None else f"{r['peer_change']:.3f}"
        print(f"{r['model']:12} {r['threads']:3} {r['a_ms']:10.4f} {r['b_ms']:10.4f} {r['change']:7.3f} {peer:>8} "
              f"{r['p']:7.4f}  {r['verdict']}")
    for line in doubts:
        print(f"note: {line}")
    slower = any(r["verdict"] == "slower" for r in table)
    return 1 if slower and options.fail_on_regression else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
