"""The width-reduced twins whose expected outputs are stored in models/goldens.

Twins that differ only in the opset, or in being static, have the same weights and share golden files: the
outputs must not depend on how an opset spells an operator.
"""

# model name -> (recipe arguments of the twin, [sizes of the symbols], [opsets of dynamic twins], tolerance)
#
# ResNet-50's 53 layers of few channels amplify rounding: the same graph with every sum in double (Floe's reference ops)
# is 1.2e-5 to 2.0e-5 away from ONNX Runtime's fp32, so ONNX Runtime itself is not exact to 1e-5 there.
_CNN = ["--width", "0.125", "--size", "64", "--classes", "10"]
_RECIPES = {
    "resnet18": (_CNN, [{"N": 1}, {"N": 3}, {"N": 8}], [7, 8, 13, 17, 21], 1e-5),
    "resnet50": (_CNN, [{"N": 1}, {"N": 3}, {"N": 8}], [9, 17], 3e-5),
    "mobilenetv2": (["--width", "0.25", "--size", "64", "--classes", "10"], [{"N": 1}, {"N": 3}, {"N": 8}],
                    [7, 10, 11, 17, 22], 1e-5),
    "bert-base": (["--hidden", "64", "--heads", "4", "--layers", "2", "--vocab", "200", "--max-position", "64"],
                  [{"N": 1, "T": 16}, {"N": 1, "T": 1}, {"N": 3, "T": 5}, {"N": 8, "T": 33}],
                  [10, 12, 13, 17, 18, 20], 1e-5),
    "lstm-lm": (["--hidden", "64", "--vocab", "200"],
                [{"N": 1, "T": 7}, {"N": 1, "T": 1}, {"N": 3, "T": 5}, {"N": 8, "T": 12}], [7, 13, 14, 17, 18], 1e-5),
}

# graphs in models/exported -> sizes of the symbols; the dynamo exporter fixes the LSTM's length
_IMAGES = [{"N": 2}]
_EXPORTED = {
    "lenet5": _IMAGES, "resnet8": _IMAGES, "resnet18_tiny": _IMAGES, "resnet50_tiny": _IMAGES,
    "mobilenetv2_tiny": _IMAGES,
    "bert_tiny": [{"N": 1, "T": 16}, {"N": 3, "T": 9}], "bert_eager_tiny": [{"N": 3, "T": 9}],
    "lstm_tiny": [{"N": 1, "T": 7}, {"N": 3, "T": 7}],
}


def entries():
    """The manifest's entries: name, how to make the model, golden files with their sizes, tolerance.

    The tolerance is the greatest allowed error of an output relative to its greatest magnitude.
    """
    result = []
    for name, (arguments, sizes, opsets, tolerance) in _RECIPES.items():
        cases = [_case(name, s) for s in sizes]
        static = ["--length", str(sizes[0]["T"])] if "T" in sizes[0] else []
        result.append(_entry(f"{name}-static", {"make": [name, *arguments, *static]}, cases[:1], tolerance))
        for opset in opsets:
            command = [name, *arguments, "--dynamic", "--opset", str(opset)]
            result.append(_entry(f"{name}-opset{opset}", {"make": command}, cases, tolerance))
    for name, sizes in _EXPORTED.items():
        for exporter in ("torchscript17", "dynamo18"):
            stem = f"{name}.{exporter}"
            source = {"restore": f"exported/{stem}.onnx"}
            result.append(_entry(stem, source, [_case(stem, s) for s in sizes], 3e-5 if name.startswith("resnet50") else 1e-5))
    return result


def _case(stem, sizes):
    suffix = "_".join(f"{k.lower()}{v}" for k, v in sizes.items())
    return {"file": f"{stem}.{suffix}.npz", "dims": sizes}


def _entry(name, source, cases, tolerance):
    return {"name": name, **source, "cases": [dict(c) for c in cases], "tolerance": tolerance}
