"""Tests of bench/compare_results.py against enumeration, known values and made-up results."""

import contextlib
import io
import itertools
import json
import os
import random
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import compare_results as cr  # noqa: E402


def p_by_enumeration(a, b):
    """The test's definition: every split of the pooled values, and U counted pair by pair."""
    pooled = a + b
    def u(chosen):
        inside = [pooled[i] for i in chosen]
        outside = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        return sum((x > y) + 0.5 * (x == y) for x in inside for y in outside)
    mean = len(a) * len(b) / 2
    distance = abs(u(set(range(len(a)))) - mean)
    splits = [set(c) for c in itertools.combinations(range(len(pooled)), len(a))]
    return sum(abs(u(c) - mean) >= distance - 1e-12 for c in splits) / len(splits)


def row(ms, peer=None, probe=None):
    """A row of a result, from the rounds' medians."""
    probe = probe or [100.0] * len(ms)
    return {"floe": {"p50_ms": ms, "probe_gflops": probe, "probe_gflops_after": probe},
            "onnxruntime": {"p50_ms": peer or [10.0] * len(ms)}, "summary": {"disturbed_rounds": 0}}


def result(rows, version="1.0"):
    """A result with one thread count."""
    return {"schema": 1, "context": {"versions": {"onnxruntime": version}, "cpu_kind": "k"},
            "models": {name: {"threads": {"1": r}} for name, r in rows.items()}}


def options(**changes):
    """The defaults of the command line."""
    o = cr.parse(["a", "b"])
    for key, value in changes.items():
        setattr(o, key, value)
    return o


STEADY = [10.0, 10.1, 9.9, 10.05, 9.95, 10.02, 9.98]


class MannWhitney(unittest.TestCase):
    def test_equals_enumeration_with_and_without_ties(self):
        generator = random.Random(1)
        for levels in (3, 6, 1000):
            for n, m in ((1, 1), (1, 6), (2, 3), (3, 3), (4, 5), (5, 5), (6, 2)):
                a = [float(generator.randrange(levels)) for _ in range(n)]
                b = [float(generator.randrange(levels)) for _ in range(m)]
                with self.subTest(a=a, b=b):
                    self.assertAlmostEqual(cr.mann_whitney_p(a, b), p_by_enumeration(a, b), places=12)

    def test_values_of_the_published_tables(self):
        # Two-sided: complete separation has 2 of C(n + m, n) orders.
        self.assertAlmostEqual(cr.mann_whitney_p([1, 2, 3], [4, 5, 6]), 2 / 20)
        self.assertAlmostEqual(cr.mann_whitney_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 2 / 252)
        self.assertAlmostEqual(cr.mann_whitney_p(list(range(7)), list(range(7, 14))), 2 / 3432)

    def test_is_symmetric_and_certain_for_equal_samples(self):
        a, b = [1.0, 5.0, 7.0, 8.0], [2.0, 3.0, 9.0]
        self.assertAlmostEqual(cr.mann_whitney_p(a, b), cr.mann_whitney_p(b, a))
        self.assertEqual(cr.mann_whitney_p([2.0] * 5, [2.0] * 5), 1.0)

    def test_large_samples_agree_with_the_exact_distribution(self):
        generator = random.Random(2)
        for offset in (0.0, 0.4, 0.8):
            a = [generator.gauss(0, 1) for _ in range(25)]
            b = [generator.gauss(offset, 1) for _ in range(25)]
            doubled = cr.ranks(a + b)
            exact = cr.exact_p(doubled, len(a), sum(doubled[:len(a)]))
            self.assertAlmostEqual(cr.mann_whitney_p(a, b), exact, delta=0.01)
        self.assertEqual(cr.mann_whitney_p([1.0] * 30, [1.0] * 30), 1.0)

    def test_false_alarms_are_as_rare_as_said(self):
        generator = random.Random(3)
        alarms = sum(cr.mann_whitney_p([generator.random() for _ in range(7)], [generator.random() for _ in range(7)])
                     <= 0.05 for _ in range(1000))
        self.assertLess(alarms, 75)
        self.assertGreater(alarms, 15)

    def test_empty_sample_is_refused(self):
        self.assertRaises(ValueError, cr.mann_whitney_p, [], [1.0])


class Holm(unittest.TestCase):
    def test_known_values(self):
        for p, want in (([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]), ([0.9, 0.8], [1.0, 1.0]), ([], []),
                        ([0.2], [0.2])):
            for got, expected in zip(cr.holm(p), want, strict=True):
                self.assertAlmostEqual(got, expected)


class Shift(unittest.TestCase):
    def test_is_a_ratio_that_one_outlier_does_not_move(self):
        self.assertAlmostEqual(cr.shift(STEADY, [x * 1.2 for x in STEADY]), 1.2, delta=0.01)
        self.assertAlmostEqual(cr.shift(STEADY, STEADY[:-1] + [90.0]), 1.0, delta=0.01)


class Compare(unittest.TestCase):
    def verdicts(self, a, b, **changes):
        return {r["model"]: r["verdict"] for r in cr.compare(a, b, options(**changes))}

    def one(self, a, b, **changes):
        return self.verdicts(result({"m": a}), result({"m": b}), **changes)["m"]

    def test_verdicts(self):
        slower = [t * 1.1 for t in STEADY]
        slow_peer = [11.0] * 7
        for name, a, b, want in (
                ("same", row(STEADY), row(STEADY), "noise"),
                ("slower", row(STEADY), row(slower), "slower"),
                ("faster", row(slower), row(STEADY), "faster"),
                ("the peer slowed down too", row(STEADY), row(slower, slow_peer), "machine"),
                ("the peer sped up too", row(slower, slow_peer), row(STEADY), "machine"),
                ("below the threshold", row(STEADY), row([t * 1.02 for t in STEADY]), "noise"),
                ("too few rounds", row(STEADY[:2]), row(slower[:2]), "unclear"),
                ("wide spread", row([8, 9, 10, 11, 12.0, 13, 14]), row([8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 15.5]),
                 "unclear"),
        ):
            with self.subTest(name):
                self.assertEqual(self.one(a, b), want)

    def test_a_slower_clock_is_not_a_slower_program(self):
        half = row([t * 2 for t in STEADY], peer=[20.0] * 7, probe=[50.0] * 7)
        self.assertEqual(self.one(row(STEADY), half), "noise")
        self.assertEqual(self.one(row(STEADY), half, raw=True), "machine")
        # The clock halved and the program also lost a tenth.
        lost = row([t * 2.2 for t in STEADY], peer=[20.0] * 7, probe=[50.0] * 7)
        self.assertEqual(self.one(row(STEADY), lost), "slower")

    def test_another_version_of_the_peer_is_no_witness(self):
        a = result({"m": row(STEADY)})
        b = result({"m": row([t * 1.1 for t in STEADY], peer=[11.0] * 7)}, version="2.0")
        table = cr.compare(a, b, options())
        self.assertIsNone(table[0]["peer_change"])
        self.assertEqual(table[0]["verdict"], "slower")

    def test_corrects_for_the_number_of_rows(self):
        # p = 2 / 252 alone, 10 times that among ten rows.
        five, slower = STEADY[:5], [t * 1.1 for t in STEADY[:5]]
        self.assertEqual(self.one(row(five), row(slower)), "slower")
        names = [f"m{i}" for i in range(10)]
        a = result({n: row(five) for n in names})
        b = result({n: row(slower if n == "m0" else five) for n in names})
        self.assertEqual(self.verdicts(a, b)["m0"], "unclear")

    def test_only_common_rows_are_compared(self):
        self.assertEqual(self.verdicts(result({"m": row(STEADY), "x": row(STEADY)}), result({"m": row(STEADY)})),
                         {"m": "noise"})

    def test_warnings(self):
        a, b = result({"m": row(STEADY)}), result({"m": row(STEADY[:3])})
        b["context"]["cpu_kind"] = "other"
        b["models"]["m"]["threads"]["1"]["summary"]["disturbed_rounds"] = 2
        text = "\n".join(cr.warnings(a, b))
        for part in ("cpu_kind differs", "B has 3 rounds", "B: the probe changed"):
            self.assertIn(part, text)
        self.assertEqual(cr.warnings(a, a), [])


class CommandLine(unittest.TestCase):
    def run_main(self, a, b, *flags):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("a.json", "b.json")]
            for path, content in zip(paths, (a, b)):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(content if isinstance(content, str) else json.dumps(content))
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cr.main([*paths, *flags])
            return code, out.getvalue(), err.getvalue()

    def test_exit_codes(self):
        good, bad = result({"m": row(STEADY)}), result({"m": row([t * 1.2 for t in STEADY])})
        for a, b, flags, want in ((good, bad, [], 0), (good, bad, ["--fail-on-regression"], 1),
                                  (bad, good, ["--fail-on-regression"], 0), (good, good, ["--fail-on-regression"], 0),
                                  (good, result({"x": row(STEADY)}), [], 2), ("{", good, [], 2), ("[]", good, [], 2),
                                  ("{}", good, [], 2), (result({"m": row([])}), good, [], 2)):
            with self.subTest(b=b, flags=flags):
                code, out, err = self.run_main(a, b, *flags)
                self.assertEqual(code, want, err)
                self.assertEqual(bool(err), want == 2)
                self.assertEqual("slower" in out, want != 2 and b is bad)


if __name__ == "__main__":
    unittest.main()
