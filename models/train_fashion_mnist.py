#!/usr/bin/env python3
"""Trains LeNet-5 and ResNet-8 on Fashion-MNIST and exports them to ONNX with their expected outputs.

    python3 models/train_fashion_mnist.py [lenet5] [resnet8] [--directory models/trained]

Writes NAME.onnx (one file; input "image" float32 [N, 1, 28, 28], output "logits" float32 [N, 10]; N is
symbolic) and NAME_golden.npz: image (the first 8 test images), logits (of the first 64 test images, computed
by PyTorch) and classes (uint8, of all 10,000). Needs PyTorch, onnx and dataset-fashion-mnist.
"""

import argparse
import math
import os
import sys
import time

import numpy as np
import onnx
import torch
from torch.nn import functional as F

import fashion_mnist_npz
from pytorch.small import LeNet5, ResNet8

SEED = 1
BATCH = 128
OPSET = 17
# name -> (class, epochs, peak learning rate, augment)
MODELS = {"lenet5": (LeNet5, 12, 2e-3, False), "resnet8": (ResNet8, 8, 1e-2, True)}


def augmented(images, generator):
    """Mirrors half of the images and shifts each batch by up to two pixels."""
    flip = torch.rand(len(images), generator=generator) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    dy, dx = torch.randint(-2, 3, (2,), generator=generator).tolist()
    background = float(images.min())
    padded = F.pad(images, (2, 2, 2, 2), value=background)
    return padded[:, :, 2 + dy:30 + dy, 2 + dx:30 + dx]


def train(name, images, labels):
    """The trained model in eval mode."""
    make, epochs, peak, augment = MODELS[name]
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = make()
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=1e-2)
    steps = epochs * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=steps)
    for epoch in range(epochs):
        start, total = time.time(), 0.0
        for index in torch.randperm(len(images), generator=generator).split(BATCH):
            batch = images[index]
            loss = F.cross_entropy(model(augmented(batch, generator) if augment else batch), labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"{name} epoch {epoch + 1}/{epochs}: loss {total / len(images):.4f}, {time.time() - start:.0f} s",
              file=sys.stderr, flush=True)
    return model.eval()


def export(model, path):
    """Writes the model with its batch norms as separate nodes (PRESERVE keeps the exporter from folding them)."""
    torch.onnx.export(model, (torch.zeros(1, 1, 28, 28),), path, dynamo=False, opset_version=OPSET,
                      training=torch.onnx.TrainingMode.PRESERVE, input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    onnx.checker.check_model(path, full_check=True)


def main(argv):
    """The command; returns the exit code."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", help="lenet5 or resnet8 (default: both)")
    parser.add_argument("--directory", default=os.path.join(here, "trained"), help="where the results go")
    args = parser.parse_args(argv)
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"unknown model: {', '.join(sorted(unknown))}")
    images, labels = map(torch.from_numpy, fashion_mnist_npz.load("train"))
    tests, truth = map(torch.from_numpy, fashion_mnist_npz.load("test"))
    for name in args.models or MODELS:
        model = train(name, images, labels)
        with torch.no_grad():
            logits = torch.cat([model(batch) for batch in tests.split(500)])
        classes = logits.argmax(1)
        print(f"{name}: {int((classes == truth).sum())} of {len(truth)} test images correct, torch {torch.__version__}")
        path = os.path.join(args.directory, name)
        export(model, path + ".onnx")
        np.savez_compressed(path + "_golden.npz", image=tests[:8].numpy(), logits=logits[:64].numpy(),
                            classes=classes.numpy().astype(np.uint8))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
