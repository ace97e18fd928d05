"""The pure logic of bench/peers: summaries of rounds, the files of each peer, command lines that make no sense."""

import contextlib
import io
import os
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench", "peers"))

import compare  # noqa: E402
import timing  # noqa: E402


def rounds(**times):
    """One dict for each round from lists of milliseconds by name."""
    return [{w: {"p50_ms": t, "throughput": 1e3 / t} for w, t in zip(times, row)} for row in zip(*times.values())]


class SummaryTest(unittest.TestCase):
    """What a row of the table says."""

    def test_the_fastest_peer_of_each_round_counts(self):
        s = compare.summarise(rounds(floe=[2.0, 2.0, 4.0], a=[4.0, 5.0, 5.0], b=[5.0, 4.0, 16.0]))
        self.assertEqual(s["ms"], {"floe": 2.0, "a": 5.0, "b": 5.0})
        self.assertEqual((s["ratio"], s["ratio_min"], s["ratio_max"]), (0.5, 0.5, 0.8))
        self.assertIn(s["fastest"], ("a", "b"))

    def test_a_peer_that_failed_in_a_round_is_left_out(self):
        taken = rounds(floe=[2.0, 2.0], a=[4.0, 4.0], b=[1.0, 1.0])
        del taken[1]["b"]
        s = compare.summarise(taken)
        self.assertEqual((s["fastest"], s["ratio"]), ("a", 0.5))

    def test_without_peers_or_without_floe_there_is_no_ratio(self):
        self.assertNotIn("ratio", compare.summarise(rounds(floe=[2.0])))
        self.assertNotIn("ratio", compare.summarise(rounds(a=[2.0], b=[3.0])))

    def test_streams_compare_throughputs(self):
        self.assertAlmostEqual(compare.summarise(rounds(floe=[1.0, 1.0], a=[2.0, 4.0]), streams=2)["ratio"], 0.375)


def result(cold=False, **models):
    """What compare.py writes, from {model: {precision: summary at one thread}}."""
    def row(summary):
        return {"threads": {"1": {"rounds": [], "summary": summary}}, "errors": {"floe": 2e-6, "a": 1e-6}, "missing": {}}

    return {"context": {"cpu_kind": "zen4", "cold": cold, "streams": 1},
            "models": {name: {"precisions": {p: row(s) for p, s in found.items()}} for name, found in models.items()}}


class ResultsTest(unittest.TestCase):
    """Files that become one, and their table."""

    def setUp(self):
        self.slow = compare.summarise(rounds(floe=[4.0, 5.0], a=[2.0, 2.0]))
        self.fast = compare.summarise(rounds(floe=[1.0, 1.5], a=[2.0, 2.0]))

    def test_the_later_file_counts(self):
        whole = compare.merge([result(x={"fp32": self.slow, "bf16": self.slow}), result(x={"fp32": self.fast}, y={})])
        self.assertEqual(list(whole["models"]), ["x", "y"])
        found = whole["models"]["x"]["precisions"]
        self.assertEqual(found["fp32"]["threads"]["1"]["summary"], self.fast)
        self.assertEqual(found["bf16"]["threads"]["1"]["summary"], self.slow)

    def test_ways_of_measuring_are_not_mixed(self):
        with self.assertRaisesRegex(compare.common.CommandFailed, "cold"):
            compare.merge([result(x={}), result(cold=True, x={})])

    def test_a_row_without_a_peer_has_no_ratio(self):
        alone = compare.summarise(rounds(floe=[2.0, 2.0]))
        lines = compare.table(result(x={"fp32": self.fast, "bf16": alone})).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("| x | fp32 | 1.25, 2 a | 0.62 [0.50, 0.75] | 2e-06, 1e-06 |", lines)
        self.assertIn("| x | bf16 | - | - | 2e-06, - |", lines)


class CommandLineTest(unittest.TestCase):
    """compare.py refuses what it cannot do before it makes a model."""

    def refused(self, *argv):
        """The message of a refusal."""
        with contextlib.redirect_stderr(io.StringIO()) as err, self.assertRaises(SystemExit) as stop:
            compare.parse(argv)
        self.assertEqual(stop.exception.code, 2)
        return err.getvalue()

    def test_unknown_names_are_listed(self):
        self.assertIn("there is no resnet", self.refused("--models", "resnet18,resnet"))
        self.assertIn("there is no fp8", self.refused("--precisions", "fp8"))
        self.assertIn("there is no ncnn", self.refused("--peers", "ncnn"))

    def test_more_threads_than_cpus(self):
        self.assertIn("--threads", self.refused("--threads", "4096"))
        self.assertIn("--rounds", self.refused("--rounds", "0"))

    def test_every_peer_has_a_file_or_none_for_every_precision(self):
        for files in compare.FILES.values():
            self.assertEqual(set(files), set(compare.PRECISIONS))


class TimingTest(unittest.TestCase):
    """The loops of peer.py."""

    def test_runs_at_least_five_times_and_sweeps_before_each(self):
        calls = []
        times = timing.timed_runs(lambda: calls.append("run"), 0.0, 2, lambda: calls.append("sweep"))
        self.assertEqual(calls, ["run"] * 2 + ["sweep", "run"] * 5)
        self.assertEqual(len(times), 5)

    def test_throughput_counts_all_streams(self):
        counts = [0, 0]

        def run(i):
            counts[i] += 1
            time.sleep(0.001)
        rate = timing.throughput([lambda: run(0), lambda: run(1)], 0.3, 1)
        self.assertGreater(min(counts), 1)
        self.assertGreater(rate, 0)


if __name__ == "__main__":
    unittest.main()
