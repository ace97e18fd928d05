"""Tests of what bench/compare_peers.py computes from measurements."""

import contextlib
import io
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import compare_peers as cp  # noqa: E402

ROW = {
    "floe": {"p50_ms": [10.0, 12.0, 40.0], "min_ms": [9.0, 9.5, 30.0], "open_ms": [1.0, 2.0, 1.5],
             "first_run_ms": [11.0, 12.0, 80.0], "peak_rss_bytes": [50, 60, 55],
             "probe_gflops": [100.0, 99.0, 100.0], "probe_gflops_after": [98.0, 99.0, 60.0]},
    "onnxruntime": {"p50_ms": [10.0, 10.0, 10.0], "min_ms": [9.0, 8.0, 9.0], "session_ms": [100.0, 300.0, 200.0],
                    "first_run_ms": [20.0, 10.0, 10.0], "peak_rss_bytes": [100, 100, 100],
                    "baseline_rss_bytes": [40, 40, 40], "call_overhead_ms": [0.1, 0.2, 0.3]},
}


class Summary(unittest.TestCase):
    def test_figures_of_a_row(self):
        s = cp.summarise(ROW)
        for key, want in {"floe_ms": 12.0, "onnxruntime_ms": 10.0, "ratio": 1.2, "ratio_min": 1.0, "ratio_max": 4.0,
                          "ratio_of_minima": 1.125, "open_ms": 1.5, "open_times_faster": 200 / 1.5, "first_run": 1.1,
                          "onnxruntime_first_run": 1.0, "rss_ratio": 0.55, "rss_net_ratio": 55 / 60,
                          "onnxruntime_net_rss_bytes": 60, "probe_gflops": 100.0, "disturbed_rounds": 1}.items():
            with self.subTest(key):
                self.assertAlmostEqual(s[key], want)

    def test_targets(self):
        s = cp.summarise(ROW) | {"open_times_faster": 150.0}
        def met(name, **changes):
            return [(t[0], t[3]) for t in cp.targets(name, s | changes)]
        self.assertEqual(met("resnet50"), [("time", True), ("open", True), ("open", True), ("first run", True),
                                           ("peak RSS", True)])
        self.assertEqual(met("resnet50", ratio=1.26, open_ms=2.1, open_times_faster=99.0, first_run=1.4,
                             rss_ratio=0.71),
                         [("time", False), ("open", False), ("open", False), ("first run", False),
                          ("peak RSS", False)])
        self.assertEqual(met("lenet5"), [("time", False), ("open", True), ("peak RSS", True)])
        self.assertEqual(met("resnet8"), [("open", True), ("peak RSS", True)])

    def test_a_missed_target_is_printed(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            cp.print_row("resnet18", 2, cp.summarise(ROW) | {"ratio": 1.5})
        self.assertIn("NOT MET: time 1.500x, target <= 1.25x", out.getvalue())
        self.assertIn("1 disturbed", out.getvalue())


class Kernels(unittest.TestCase):
    def test_sums_instructions_of_a_kernel(self):
        op = {"op": "conv", "kernel": "k1", "ms": 1.0, "gflops": 50.0, "roof": 0.5}
        table = cp.by_kernel({"ops": [op, op | {"ms": 3.0, "gflops": 90.0, "roof": 0.9},
                                      op | {"op": "pool", "kernel": "k2", "ms": 1.0, "gflops": 0.0}]})
        self.assertEqual([(r["op"], r["count"]) for r in table], [("conv", 2), ("pool", 1)])
        self.assertAlmostEqual(table[0]["ms"], 4.0)
        self.assertAlmostEqual(table[0]["share"], 0.8)
        self.assertAlmostEqual(table[0]["gflops"], 80.0)  # 50 for a quarter of the time, 90 for the rest.
        self.assertAlmostEqual(table[0]["roof"], 0.8)

    def test_a_result_without_instructions(self):
        self.assertEqual(cp.by_kernel({}), [])


class CpuKind(unittest.TestCase):
    def test_kinds(self):
        amd = {"vendor_id": "AuthenticAMD", "cpu family": "25"}
        for fields, want in (
                (amd | {"flags": "sse2 avx2 avx512f avx512_vnni"}, "zen4"), (amd | {"flags": "sse2 avx2"}, "zen3"),
                (amd | {"cpu family": "26", "flags": "avx512f"}, "zen5"),
                (amd | {"cpu family": "23", "flags": "sse2 avx2"}, "avx2"),
                ({"flags": "avx512f avx512_vnni avx512_vbmi2 amx_tile"}, "spr"),
                ({"flags": "avx512f amx_tile amx_fp16"}, "gnr"), ({"flags": "avx512f avx512_vnni avx512_vbmi2"}, "icx"),
                ({"flags": "avx512f avx512_vnni"}, "clx"), ({"flags": "sse2"}, "sse2"),
        ):
            with self.subTest(want):
                self.assertEqual(cp.cpu_kind(fields), want)


class CommandLine(unittest.TestCase):
    def test_mistakes_are_usage_errors(self):
        for argv in (["--models", "nonet"], ["--threads", "0"], ["--threads", "100000"], ["--rounds", "0"],
                     ["--seconds", "0"], ["--cpus", "100000"]):
            with self.subTest(argv), contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as e:
                cp.parse(argv)
            self.assertEqual(e.exception.code, 2)

    def test_a_failing_program_is_named(self):
        with self.assertRaisesRegex(cp.CommandFailed, "exit code 3"):
            cp.run([sys.executable, "-c", "import sys; sys.exit(3)"])
        with self.assertRaisesRegex(cp.CommandFailed, "(?s)exit code 1.*nope"):
            cp.run_measured([sys.executable, "-c", "raise SystemExit('nope')"])

    def test_measured_runs_see_the_childs_memory(self):
        seconds, rss = cp.run_measured([sys.executable, "-c", "x = bytearray(200 << 20); import time; time.sleep(0.2)"])
        self.assertGreater(rss, 200 << 20)
        self.assertGreater(seconds, 0.2)


if __name__ == "__main__":
    unittest.main()
