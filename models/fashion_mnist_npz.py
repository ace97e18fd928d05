#!/usr/bin/env python3
"""Converts Fashion-MNIST (Debian: dataset-fashion-mnist) to the arrays that the trained models take.

    python3 models/fashion_mnist_npz.py -o test.npz             # the 10,000 test images and their labels
    python3 models/fashion_mnist_npz.py --count 64 -o few.npz
    python3 models/fashion_mnist_npz.py -o images.npz --labels labels.npz

Writes image (float32 [N, 1, 28, 28], normalised as (pixel / 255 - 0.2860) / 0.3530) and labels (int64 [N]);
with --labels the labels go into a file of their own and the first file holds nothing but the model's input.
Needs numpy only.
"""

import argparse
import gzip
import os
import sys

import numpy as np

DIRECTORY = "/usr/share/datasets/fashion-mnist"
MEAN, STD = 0.2860, 0.3530  # of the training images


def read_idx(path):
    """The uint8 array in a gzip'ed IDX file."""
    with gzip.open(path) as f:
        data = f.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of bytes")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def normalise(pixels):
    """float32 [N, 1, 28, 28] from uint8 [N, 28, 28]."""
    # One table entry for every pixel value: no rounding that could differ between numpy versions.
    table = np.array([(p / 255 - MEAN) / STD for p in range(256)], np.float32)
    return table[pixels][:, None]


def load(split="test", directory=DIRECTORY):
    """(images float32 [N, 1, 28, 28], labels int64 [N]) of "test" or "train"."""
    prefix = os.path.join(directory, {"test": "t10k", "train": "train"}[split])
    return (normalise(read_idx(prefix + "-images-idx3-ubyte.gz")),
            read_idx(prefix + "-labels-idx1-ubyte.gz").astype(np.int64))


def main(argv):
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True, help="the .npz file to write")
    parser.add_argument("--labels", help="write the labels into this .npz file instead")
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--count", type=int, help="only the first COUNT images")
    parser.add_argument("--directory", default=DIRECTORY, help=f"where the .gz files are (default {DIRECTORY})")
    args = parser.parse_args(argv)
    try:
        images, labels = load(args.split, args.directory)
    except FileNotFoundError as e:
        print(f"fashion_mnist_npz.py: {e.filename} is missing: install the package dataset-fashion-mnist "
              "or name a folder with --directory", file=sys.stderr)
        return 1
    except (OSError, EOFError, ValueError) as e:
        print(f"fashion_mnist_npz.py: {e}", file=sys.stderr)
        return 1
    images, labels = images[:args.count], labels[:args.count]
    if args.labels:
        np.savez(args.labels, labels=labels)
        np.savez(args.output, image=images)
    else:
        np.savez(args.output, image=images, labels=labels)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
