#!/usr/bin/env python3
"""Runs floec, floe and floe-bench as a user would and checks what they print, write and return.

    python3 tests/tools/programs_test.py FLOEC FLOE [FLOE_BENCH]

Needs Python's standard library only; the models are those of models/trained.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LENET = os.path.join(ROOT, "models", "trained", "lenet5.onnx")
OK, FAILED, USAGE, INVALID, UNSUPPORTED, RESOURCE = range(6)
FLOEC, FLOE, BENCH = "", "", ""


def run(*command):
    """(exit code, stdout, stderr) of a program."""
    done = subprocess.run([str(c) for c in command], capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


class ProgramsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.floe = self.path("lenet5.floe")
        code, _, err = run(FLOEC, LENET, "-o", self.floe, "--dim", "N=1..4")
        self.assertEqual(code, OK, err)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_equal_models_give_equal_bytes_whatever_the_path(self):
        copy = self.path("a copy.onnx")
        with open(LENET, "rb") as f, open(copy, "wb") as g:
            g.write(f.read())
        again = self.path("again.floe")
        self.assertEqual(run(FLOEC, copy, "-o", again, "--dim", "N=1..4")[0], OK)
        with open(self.floe, "rb") as f, open(again, "rb") as g:
            self.assertEqual(f.read(), g.read())

    def test_explain_and_print_after(self):
        code, out, _ = run(FLOEC, LENET, "-o", self.path("x.floe"), "--dim", "N=1", "--explain", "--print-after", "dce")
        self.assertEqual(code, OK)
        self.assertIn("fused relu '/Relu' into conv '/conv1/Conv'", out)
        self.assertIn("// after dce", out)
        self.assertIn("conv(%image", out)

    def test_a_dimension_without_bounds_is_refused_by_name(self):
        code, _, err = run(FLOEC, LENET, "-o", self.path("x.floe"))
        self.assertEqual(code, INVALID)
        self.assertIn("'N'", err)
        self.assertIn("--dim", err)
        self.assertFalse(os.path.exists(self.path("x.floe")))

    def test_usage_errors(self):
        for command in ([FLOEC], [FLOEC, LENET], [FLOEC, LENET, "-o", self.path("x"), "--dim", "N=4..1"],
                        [FLOEC, LENET, "-o", self.path("x"), "--dim", "N=1", "--print-after", "nonsense"],
                        [FLOE], [FLOE, "dance"], [FLOE, "run", self.floe], [FLOE, "inspect", self.floe, "--format", "x"]):
            code, out, err = run(*command)
            self.assertEqual(code, USAGE, command)
            self.assertTrue(out + err)
            self.assertFalse(os.path.exists(self.path("x")))

    def test_unsupported_modes_say_so(self):
        for flag in ("--precision=bf16x3", "--target=moon"):
            self.assertEqual(run(FLOEC, LENET, "-o", self.path("x"), "--dim", "N=1", flag)[0], UNSUPPORTED)

    def test_bad_files(self):
        with open(self.path("text.onnx"), "w", encoding="utf-8") as f:
            f.write("this is no model\n")
        with open(LENET, "rb") as f:
            whole = f.read()
        with open(self.path("cut.onnx"), "wb") as f:
            f.write(whole[:len(whole) // 2])
        for name in ("text.onnx", "cut.onnx", "missing.onnx"):
            code, _, err = run(FLOEC, self.path(name), "-o", self.path("x.floe"), "--dim", "N=1")
            self.assertEqual(code, INVALID, name)
            self.assertTrue(err.startswith("floec: "), err)
            self.assertFalse(os.path.exists(self.path("x.floe")))
        with open(self.floe, "r+b") as f:
            f.seek(0)
            f.write(b"NOPE")
        for verb in ("verify", "inspect"):
            code, _, err = run(FLOE, verb, self.floe)
            self.assertEqual(code, INVALID)
            self.assertIn("kHeaderMagic", err)

    def test_what_is_no_model_is_named(self):
        contents = {
            "empty": b"",
            "does not know": b"this is no model\n",
            "pickle": b"\x80\x02}q\x00.",
            "HDF5": b"\x89HDF\r\n\x1a\n",
            "zip": b"PK\x03\x04and no more",
            "safetensors": b"\x40\0\0\0\0\0\0\0{\"w\": {}}",
            "already": b"FLOE" + bytes(60),
            "damaged ONNX": b"\x08\x07\x3a\x7f",
        }
        for found, content in contents.items():
            with open(self.path("model.bin"), "wb") as f:
                f.write(content)
            code, _, err = run(FLOEC, self.path("model.bin"), "-o", self.path("x.floe"))
            self.assertEqual(code, INVALID, found)
            for word in (found, ".pt2", ".pt)", ".onnx", "torch.export.save"):
                self.assertIn(word, err)

    def test_example_inputs_become_a_golden(self):
        model = os.path.join(ROOT, "tests", "torch_export", "fixtures", "torch2.13", "conv.pt2")
        out = self.path("sampled.floe")
        code, explained, err = run(FLOEC, model, "-o", out, "--explain")
        self.assertEqual(code, OK, err)
        self.assertIn("golden  the example inputs in the file", explained)
        if BENCH:
            code, printed, err = run(BENCH, out, "--check")
            self.assertEqual(code, OK, printed + err)
        code, explained, err = run(FLOEC, model, "-o", out, "--explain", "--samples", "never")
        self.assertEqual(code, OK, err)
        self.assertNotIn("golden  ", explained)
        if BENCH:
            self.assertNotEqual(run(BENCH, out, "--check")[0], OK)

    def test_unwritable_outputs_leave_nothing(self):
        code, _, err = run(FLOEC, LENET, "-o", "/nonexistent/x.floe", "--dim", "N=1")
        self.assertNotEqual(code, OK)
        self.assertIn("/nonexistent/x.floe", err)
        self.assertEqual(sorted(os.listdir(self.folder.name)), ["lenet5.floe"])

    def test_verify_sees_damaged_weights(self):
        self.assertEqual(run(FLOE, "verify", self.floe)[0], OK)
        with open(self.floe, "r+b") as f:
            f.seek(os.path.getsize(self.floe) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        code, _, err = run(FLOE, "verify", self.floe)
        self.assertEqual(code, INVALID)
        self.assertIn("kSectionChecksum", err)

    def test_inspect_in_every_format(self):
        code, out, _ = run(FLOE, "inspect", self.floe)
        self.assertEqual(code, OK)
        for text in ("symbol N: 1..4", "input  image: f32[N,1,28,28]", "output logits: f32[N,10]", "arena"):
            self.assertIn(text, out)
        code, out, _ = run(FLOE, "inspect", self.floe, "--json")
        self.assertEqual(code, OK)
        parsed = json.loads(out)
        self.assertEqual(parsed["methods"][0]["outputs"][0]["name"], "logits")
        self.assertEqual(len(parsed["instructions"]), len(parsed["debug_map"]))
        code, out, _ = run(FLOE, "inspect", self.floe, "--format", "dot")
        self.assertEqual(code, OK)
        self.assertTrue(out.startswith("digraph"))

    def test_tune_keeps_a_record_that_decides(self):
        resnet = os.path.join(ROOT, "models", "trained", "resnet8.onnx")
        record, program = self.path("record.json"), self.path("resnet8.floe")
        compile_it = (FLOEC, resnet, "-o", program, "--dim", "N=1", "--explain", "--tune-record", record)
        code, out, err = run(*compile_it, "--tune")
        self.assertEqual(code, OK, err)
        self.assertIn("tune    ", out)
        self.assertIn("cost model in us: direct", out)
        self.assertIn("; measured: direct", out)
        self.assertIn("kept in " + record, err)
        with open(record, encoding="utf-8") as f:
            parsed = json.load(f)
        self.assertEqual(parsed["floe_tune_record"], 1)
        self.assertTrue(parsed["entries"])
        for entry in parsed["entries"]:
            self.assertEqual([t["candidate"] for t in entry["timings"]], ["direct", "F(2x2,3x3)", "F(4x4,3x3)"])
            self.assertTrue(all(t["median_ns"] > 0 and t["count"] >= 9 for t in entry["timings"]))
        with open(program, "rb") as f:
            first = f.read()
        # Without the clock: the same bytes, twice; nothing is measured again.
        for _ in range(2):
            code, out, err = run(*compile_it)
            self.assertEqual(code, OK, err)
            self.assertNotIn("kept in", err)
            with open(program, "rb") as f:
                self.assertEqual(f.read(), first)
        # A record that says otherwise decides otherwise.
        for fastest, kernels in (("direct", 0), ("F(2x2,3x3)", len(parsed["entries"]))):
            for entry in parsed["entries"]:
                for timing in entry["timings"]:
                    timing["median_ns"] = 1000 if timing["candidate"] == fastest else 9000
            with open(record, "w", encoding="utf-8") as f:
                json.dump(parsed, f)
            code, out, err = run(*compile_it)
            self.assertEqual(code, OK, err)
            self.assertGreaterEqual(out.count("-> " + fastest + "\n"), len(parsed["entries"]))
            self.assertEqual(out.count("  winograd_conv  ") > 0, kernels > 0)
        code, out, err = run(*compile_it, "--tune-cpu", "another")
        self.assertEqual(code, OK, err)
        self.assertIn("measured on another CPU", out)
        self.assertEqual(run(*compile_it, "--tune", "--tune-cpu", "another")[0], USAGE)

    def test_tune_records_merge_and_are_checked(self):
        entry = {"cpu": "c", "kernels": "k", "weights": "memory", "family": "conv", "types": "t", "shape": "s",
                 "layout": "l", "epilogue": "", "threads": 1, "floe": "0.1.0", "probe_mflops": 5,
                 "timings": [{"candidate": "direct", "median_ns": 5, "spread_ns": 1, "count": 3}]}
        for i, name in enumerate(("a.json", "b.json")):
            with open(self.path(name), "w", encoding="utf-8") as f:
                json.dump({"floe_tune_record": 1, "entries": [dict(entry, shape=name), dict(entry, probe_mflops=i)]}, f)
        merged = [self.path("ab.json"), self.path("ba.json")]
        self.assertEqual(run(FLOE, "tune", "merge", self.path("a.json"), self.path("b.json"), "-o", merged[0])[0], OK)
        self.assertEqual(run(FLOE, "tune", "merge", self.path("b.json"), self.path("a.json"), "-o", merged[1])[0], OK)
        with open(merged[0], "rb") as f, open(merged[1], "rb") as g:
            self.assertEqual(f.read(), g.read())
        code, out, _ = run(FLOE, "tune", "show", merged[0])
        self.assertEqual(code, OK)
        self.assertEqual(out.count("direct"), 3)
        with open(self.path("bad.json"), "w", encoding="utf-8") as f:
            f.write('{"floe_tune_record": 1, "entries": [{"cpu": 3}]}')
        for command in ((FLOE, "tune", "merge", self.path("bad.json"), "-o", self.path("x.json")),
                        (FLOE, "tune", "show", self.path("bad.json")),
                        (FLOEC, LENET, "-o", self.path("x.json"), "--dim", "N=1", "--tune-record",
                         self.path("bad.json"))):
            code, _, err = run(*command)
            self.assertEqual(code, INVALID)
            self.assertIn("entry 0: 'cpu' is not a text", err)
            self.assertFalse(os.path.exists(self.path("x.json")))
        code, _, err = run(FLOEC, LENET, "-o", self.path("x.json"), "--dim", "N=1", "--tune-record", self.path("no.json"))
        self.assertNotEqual(code, OK)
        self.assertIn("no.json", err)

    def test_check_lists_ops(self):
        code, out, _ = run(FLOEC, "check", LENET, "--dim", "N=1")
        self.assertEqual(code, OK)
        self.assertIn("Conv", out)

    def test_bench_prints_one_json_object(self):
        if not BENCH:
            self.assertFalse(BENCH)
            return
        trace = self.path("trace.json")
        code, out, err = run(BENCH, self.floe, "--dim", "N=2", "--iterations", "5", "--json", "--trace", trace)
        self.assertEqual(code, OK, err)
        parsed = json.loads(out)
        for key in ("context", "benchmarks", "latency_ms", "open_ms", "first_run_ms", "peak_rss_bytes", "arena_bytes",
                    "throughput"):
            self.assertIn(key, parsed)
        self.assertEqual(set(parsed["latency_ms"]), {"min", "p50", "p90", "p99", "mean", "cv"})
        with open(trace, encoding="utf-8") as f:
            self.assertTrue(json.load(f)["traceEvents"])
        self.assertEqual(run(BENCH, self.floe, "--dim", "N=9")[0], INVALID)
        self.assertEqual(run(BENCH, self.floe, "--dim", "M=1")[0], USAGE)
        self.assertEqual(run(BENCH, self.floe, "--check")[0], USAGE)  # No goldens inside.


if __name__ == "__main__":
    FLOEC, FLOE = sys.argv[1:3]
    BENCH = sys.argv[3] if len(sys.argv) > 3 else ""
    unittest.main(argv=sys.argv[:1])
