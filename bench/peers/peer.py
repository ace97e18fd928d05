#!/usr/bin/env python3
"""One peer in one process: opens a model, runs it, prints one JSON object.

    python3 bench/peers/peer.py onnxruntime MODEL.onnx --in x.npz --threads 2 --seconds 1 --out y.npz
    python3 bench/peers/peer.py openvino MODEL.onnx --precision bf16 ...
    python3 bench/peers/peer.py torch-inductor MODEL.pt2 ...
    python3 bench/peers/peer.py torch-jit MODEL.pt ...
    python3 bench/peers/peer.py versions

Peers: onnxruntime; openvino (latency hint, precision pinned, because it takes bf16 by itself where the CPU has AMX);
torch-inductor (torch.export's program, torch.compile with freezing); torch-jit (torch.jit.freeze and
optimize_for_inference). Precisions: fp32, bf16 (where the peer has it on this CPU), int8 (a quantised model; the flag
only keeps the rest in fp32). A process for each measurement, because threads of one peer spin between its runs and would
slow down what is measured beside them. --cold reads 192 MiB before each run, so that weights come from memory.
"""

import argparse
import json
import sys
import time

import timing


class Unsupported(Exception):
    """The peer has no such precision here; the text says why."""


class Peer:
    """What measure() calls: run() and results(); open() makes one for each concurrent stream."""

    @classmethod
    def open(cls, path, precision, threads, inputs, streams):
        return [cls(path, precision, threads, inputs) for _ in range(streams)]


class OnnxRuntime(Peer):
    """All graph optimisations, sequential, `threads` threads in an operator, inputs and outputs bound once."""

    def __init__(self, path, precision, threads, inputs):
        import onnxruntime as ort

        if precision == "bf16":
            raise Unsupported("ONNX Runtime's CPU provider has no bf16 kernels on x86")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.binding = self.session.io_binding()
        for i in self.session.get_inputs():
            self.binding.bind_ortvalue_input(i.name, ort.OrtValue.ortvalue_from_numpy(inputs[i.name]))
        for name in self.outputs:
            self.binding.bind_output(name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def results(self):
        return list(self.binding.copy_outputs_to_cpu())


class OpenVino(Peer):
    """The latency hint, `threads` threads for each stream, the inference precision pinned.

    Streams are requests of one compiled model: several models of one stream each would be pinned to the same core.
    """

    @classmethod
    def open(cls, path, precision, threads, inputs, streams):
        model = cls.compile(path, precision, threads, streams)
        return [cls(model, inputs) for _ in range(streams)]

    @staticmethod
    def compile(path, precision, threads, streams):
        import openvino as ov

        core = ov.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unsupported("OpenVINO has no bf16 on this CPU")
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads * streams, "NUM_STREAMS": streams,
                  "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
        return core.compile_model(path, "CPU", config)

    def __init__(self, model, inputs):
        import openvino as ov

        self.model = model
        self.request = self.model.create_infer_request()
        for port in self.model.inputs:
            self.request.set_tensor(port, ov.Tensor(inputs[port.any_name], shared_memory=True))

    def run(self):
        self.request.infer()

    def results(self):
        return [self.request.get_output_tensor(i).data.copy() for i in range(len(self.model.outputs))]


class Torch(Peer):
    """What both ways of PyTorch share: inputs as tensors, in the module's order."""

    def prepare(self, precision, threads, inputs):
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.torch, self.precision = torch, precision
        self.inputs = [torch.from_numpy(x) for x in inputs.values()]
        self.outputs = ()

    def autocast(self):
        return self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.precision == "bf16")

    def run(self):
        with self.torch.inference_mode(), self.autocast():
            self.outputs = self.module(*self.inputs)

    def results(self):
        outputs = self.outputs if isinstance(self.outputs, (tuple, list)) else (self.outputs,)
        return [y.float().numpy() if y.is_floating_point() else y.numpy() for y in outputs]


class TorchInductor(Torch):
    """torch.compile of an exported program, with freezing, tuned for one call at a time."""

    def __init__(self, path, precision, threads, inputs):
        self.prepare(precision, threads, inputs)
        torch = self.torch
        import torch._inductor.config as config

        config.freezing = True
        self.module = torch.compile(torch.export.load(path).module())
        with torch.no_grad(), self.autocast():
            self.module(*self.inputs)

    def run(self):
        with self.torch.no_grad(), self.autocast():  # frozen graphs take no inference tensors
            self.outputs = self.module(*self.inputs)


class TorchJit(Torch):
    """torch.jit.freeze and optimize_for_inference of a traced module."""

    def __init__(self, path, precision, threads, inputs):
        self.prepare(precision, threads, inputs)
        if precision != "fp32":
            raise Unsupported("optimize_for_inference converts to MKL-DNN in fp32 only")
        torch = self.torch
        self.module = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.load(path).eval()))
        with torch.inference_mode():
            for _ in range(3):  # the profiling executor specialises in its first runs
                self.module(*self.inputs)


PEERS = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "torch-inductor": TorchInductor, "torch-jit": TorchJit}


def measure(args):
    """Opening, first run, steady runs, memory; the outputs go to --out, under their positions."""
    import numpy as np

    with np.load(args.input, allow_pickle=False) as f:
        inputs = {name: f[name] for name in f.files}
    if args.peer.startswith("torch"):
        import torch  # noqa: F401  (what the import costs is not the model's)
    elif args.peer == "openvino":
        import openvino  # noqa: F401
    else:
        import onnxruntime  # noqa: F401
    baseline = timing.peak_rss_bytes()
    start = time.perf_counter_ns()
    peers = PEERS[args.peer].open(args.model, args.precision, args.threads, inputs, args.streams)
    open_ms = (time.perf_counter_ns() - start) * 1e-6
    start = time.perf_counter_ns()
    peers[0].run()
    first_ms = (time.perf_counter_ns() - start) * 1e-6
    result = {"open_ms": open_ms, "first_run_ms": first_ms, "peak_rss_bytes": timing.peak_rss_bytes(),
              "baseline_rss_bytes": baseline}
    if args.out:
        np.savez(args.out, **{str(i): y for i, y in enumerate(peers[0].results())})
    if args.streams > 1:
        return result | {"throughput": timing.throughput([p.run for p in peers], args.seconds, args.warmup)}
    before = timing.cache_sweeper() if args.cold else None
    return result | timing.summary(timing.timed_runs(peers[0].run, args.seconds, args.warmup, before))


def versions():
    """Of every peer that is installed."""
    import importlib.metadata as metadata

    found = {}
    for name in ("onnxruntime", "openvino", "torch", "onnx", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return found


def main(argv):
    """The command; returns the exit code: 4 if the peer lacks the precision."""
    if argv == ["versions"]:
        print(json.dumps(versions()))
        return 0
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("peer", choices=PEERS)
    p.add_argument("model")
    p.add_argument("--in", dest="input", required=True, help="inputs by name, in the module's order (.npz)")
    p.add_argument("--out", help="where the outputs go (.npz)")
    p.add_argument("--precision", choices=("fp32", "bf16", "int8"), default="fp32")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--streams", type=int, default=1, help="runs at once; more than one gives a throughput only")
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--warmup", type=int, default=3)
    p.add_argument("--cold", action="store_true", help="read 192 MiB before each run")
    args = p.parse_args(argv)
    try:
        print(json.dumps(measure(args)))
    except Unsupported as e:
        print(e, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
