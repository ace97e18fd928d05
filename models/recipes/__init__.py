"""Recipes of real architectures that write traced ONNX graphs with seeded weights.

A recipe module has options(parser), which adds its command line options, and build(args), which returns the
ModelProto. RECIPES maps the names that models/make.py takes to their modules and a one-line description.
"""

from . import bert, lstm, mobilenet, resnet

RECIPES = {
    "resnet18": (resnet, "ResNet-18, 11.7 M parameters"),
    "resnet50": (resnet, "ResNet-50 v1.5, 25.6 M parameters"),
    "mobilenetv2": (mobilenet, "MobileNetV2, 3.5 M parameters"),
    "bert-base": (bert, "BERT-base encoder with pooler, 109 M parameters"),
    "lstm-lm": (lstm, "LSTM language model 2 x 650, 19.8 M parameters"),
}
