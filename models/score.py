#!/usr/bin/env python3
"""Prints the accuracy of a classifier's outputs, and how many classes differ from stored predictions.

    python3 models/score.py out.npz labels.npz
    python3 models/score.py out.npz labels.npz --golden models/trained/resnet8_golden.npz
    python3 models/score.py out.npz labels.npz --min 0.90 --json

out.npz holds the logits [N, classes] as "logits" (or as its only array), labels.npz holds "labels" [N].
With --min the exit code is 1 when the accuracy is lower. Needs numpy only.
"""

import argparse
import json
import sys
import zipfile

import numpy as np


def array(path, name):
    """The array `name` of an .npz file, or its only array."""
    with np.load(path, allow_pickle=False) as f:
        if name in f:
            return f[name]
        if len(f.files) == 1:
            return f[f.files[0]]
        raise ValueError(f"{path} has no array {name!r}; it has {', '.join(f.files)}")


def score(logits, labels, golden=None):
    """A dictionary with the figures."""
    if logits.ndim != 2 or len(logits) != len(labels):
        raise ValueError(f"logits {logits.shape} do not fit {len(labels)} labels")
    classes = logits.argmax(axis=1)
    correct = int((classes == labels).sum())
    result = {"images": len(labels), "correct": correct, "accuracy": correct / len(labels),
              "finite": bool(np.isfinite(logits).all())}
    if golden is not None:
        result["classes_unlike_golden"] = int((classes != golden[:len(classes)]).sum())
    return result


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", help=".npz with logits")
    parser.add_argument("labels", help=".npz with labels")
    parser.add_argument("--golden", help=".npz with the expected classes")
    parser.add_argument("--min", type=float, default=0.0, help="the lowest accuracy that passes")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args(argv)
    try:
        golden = array(args.golden, "classes") if args.golden else None
        result = score(array(args.outputs, "logits"), array(args.labels, "labels"), golden)
    except (OSError, ValueError, zipfile.BadZipFile) as e:
        print(f"score.py: {e}", file=sys.stderr)
        return 3
    if args.json:
        print(json.dumps(result))
    else:
        print(f"accuracy {100 * result['accuracy']:.2f} % ({result['correct']} of {result['images']} images)")
        if args.golden:
            print(f"classes unlike the stored ones: {result['classes_unlike_golden']}")
    return 0 if result["finite"] and result["accuracy"] >= args.min else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
