#!/usr/bin/env python3
"""The ONNX Runtime side of compare_peers.py: every verb is a process of its own and prints one JSON object.

    python3 bench/peer_onnxruntime.py inputs MODEL.onnx -o inputs.npz [--dim N=1]
    python3 bench/peer_onnxruntime.py measure MODEL.onnx --in inputs.npz --threads 2 --seconds 1
    python3 bench/peer_onnxruntime.py compare MODEL.onnx --in inputs.npz --outputs out.npz
    python3 bench/peer_onnxruntime.py versions

A process for each measurement, because the threads of an ONNX Runtime session go on spinning between its runs
and would slow down whatever is measured next. Needs onnx, onnxruntime and numpy (pip install onnxruntime onnx).
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))

import timing  # noqa: E402


def make_inputs(args):
    """Writes random inputs: the generator of models/make_goldens.py, with token ids inside their tables."""
    sys.path.insert(0, os.path.join(HERE, "..", "models"))
    import make_goldens
    import numpy as np
    import onnx

    dims = {name: int(size) for name, size in (d.split("=", 1) for d in args.dim)}
    arrays = make_goldens.random_inputs(onnx.load(args.model), dims, args.seed)
    # Whole rows: a run of a static model computes padded tokens too.
    for name in arrays:
        if name == "attention_mask":
            arrays[name] = np.ones_like(arrays[name])
    np.savez(args.output, **arrays)
    return {"inputs": {k: [str(a.dtype), *a.shape] for k, a in arrays.items()}}


def open_session(onnxruntime, path, threads):
    """A session as a user would tune it: all optimisations, sequential, `threads` threads in an operator."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def bind(session, onnxruntime, inputs):
    """Inputs and outputs bound once, so that a run passes no arrays through Python."""
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return binding


def load_inputs(np, path, session):
    """The arrays of `path` that the session takes."""
    names = {i.name for i in session.get_inputs()}
    with np.load(path, allow_pickle=False) as f:
        return {name: f[name] for name in f.files if name in names}


def timed_runs(session, binding, seconds, warmup):
    """Milliseconds of each run, for at least `seconds` and 5 runs."""
    return timing.timed_runs(lambda: session.run_with_iobinding(binding), seconds, warmup)


def call_overhead_ms(onnxruntime, np):
    """What a call costs before any work: a session whose graph copies one float."""
    from onnx import TensorProto, helper

    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [value("x")], [value("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = open_session(onnxruntime, model.SerializeToString(), 1)
    binding = bind(session, onnxruntime, {"x": np.zeros(1, np.float32)})
    return statistics.median(timed_runs(session, binding, 0.05, 100))


def measure(args):
    """Session creation, first run, steady runs and memory of a fresh process."""
    import numpy as np
    import onnxruntime

    baseline = timing.peak_rss_bytes()
    start = time.perf_counter_ns()
    session = open_session(onnxruntime, args.model, args.threads)
    session_ms = (time.perf_counter_ns() - start) * 1e-6
    binding = bind(session, onnxruntime, load_inputs(np, args.input, session))
    start = time.perf_counter_ns()
    session.run_with_iobinding(binding)
    first_ms = (time.perf_counter_ns() - start) * 1e-6
    rss = timing.peak_rss_bytes()
    times = timed_runs(session, binding, args.seconds, args.warmup)
    del binding, session
    result = {
        "session_ms": session_ms,
        "first_run_ms": first_ms,
        "p50_ms": statistics.median(times),
        "min_ms": min(times),
        "runs": len(times),
        "peak_rss_bytes": rss,
        "baseline_rss_bytes": baseline,
    }
    if args.overhead:
        result["call_overhead_ms"] = call_overhead_ms(onnxruntime, np)
    return result


def compare(args):
    """Every output's greatest error relative to the greatest magnitude of ONNX Runtime's output."""
    import numpy as np
    import onnxruntime

    session = open_session(onnxruntime, args.model, args.threads)
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(names, load_inputs(np, args.input, session))))
    errors = {}
    with np.load(args.outputs, allow_pickle=False) as got:
        for name in names:
            want, have = expected[name], got[name]
            if want.shape != have.shape or want.dtype != have.dtype:
                raise ValueError(f"output {name}: {have.dtype}{have.shape} instead of {want.dtype}{want.shape}")
            scale = float(np.abs(want).max())
            difference = float(np.abs(have.astype(np.float64) - want.astype(np.float64)).max())
            errors[name] = difference / scale if scale > 0 else difference
            if not np.isfinite(have).all():
                errors[name] = float("inf")
    return {"errors": errors, "max_error": max(errors.values())}


def versions(_):
    """What is compared with."""
    import numpy
    import onnx
    import onnxruntime

    return {
        "onnxruntime": onnxruntime.__version__,
        "onnx": onnx.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def main(argv):
    """The command; returns the exit code."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(required=True)

    def verb(name, function, *flags):
        p = verbs.add_parser(name, help=function.__doc__)
        p.set_defaults(function=function)
        if name != "versions":
            p.add_argument("model")
        for flag, keywords in flags:
            p.add_argument(*flag, **keywords)

    inputs = (["--in"], {"dest": "input", "required": True})
    threads = (["--threads"], {"type": int, "default": 1})
    verb("inputs", make_inputs, (["-o", "--output"], {"required": True}),
         (["--dim"], {"action": "append", "default": []}), (["--seed"], {"type": int, "default": 1}))
    verb("measure", measure, inputs, threads, (["--seconds"], {"type": float, "default": 1.0}),
         (["--warmup"], {"type": int, "default": 3}), (["--overhead"], {"action": "store_true"}))
    verb("compare", compare, inputs, threads, (["--outputs"], {"required": True}))
    verb("versions", versions)
    args = top.parse_args(argv)
    print(json.dumps(args.function(args)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
