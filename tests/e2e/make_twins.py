#!/usr/bin/env python3
"""Makes the width-reduced models of models/goldens/manifest.json as .onnx files in a folder.

    python3 tests/e2e/make_twins.py OUTPUT_FOLDER

Writes index.json beside them: for each model its file, the symbolic dimensions of its inputs, its golden cases and its
tolerance. Needs onnx and numpy.
"""

import json
import os
import subprocess
import sys

import onnx

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = os.path.join(ROOT, "models")


def symbols_of(path):
    """The names of the symbolic dimensions of a model's inputs, in order of appearance."""
    names = []
    model = onnx.load(path, load_external_data=False)
    constants = {i.name for i in model.graph.initializer}
    for value in model.graph.input:
        if value.name in constants:
            continue
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and dim.dim_param not in names:
                names.append(dim.dim_param)
    return names


def main(argv):
    """The command; returns the exit code."""
    folder = argv[1]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(MODELS, "goldens", "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    index = []
    for model in manifest["models"]:
        path = os.path.join(folder, model["name"] + ".onnx")
        if not os.path.exists(path):
            if "make" in model:
                command = [os.path.join(MODELS, "make.py"), *model["make"], "-o", path]
            else:
                command = [os.path.join(MODELS, "restore_weights.py"), os.path.join(MODELS, model["restore"]), "-o", path]
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        index.append({"name": model["name"], "file": path, "symbols": symbols_of(path), "tolerance": model["tolerance"],
                      "cases": [{"file": os.path.join(MODELS, "goldens", c["file"]), "dims": c["dims"]}
                                for c in model["cases"]]})
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1)
    print(f"{len(index)} models in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
