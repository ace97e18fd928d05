"""The table of models/export_traced.py: architectures, their inputs, dynamic sizes and tolerances."""

import torch

from pytorch import demos
from pytorch.bert import Bert
from pytorch.googlenet import GoogLeNet
from pytorch.gpt2 import Gpt2, Gpt2Cache
from pytorch.inception import InceptionV3
from pytorch.llama import Llama, LlamaCache
from pytorch.lstm import LSTMLanguageModel
from pytorch.mobilenet import MobileNetV2
from pytorch.resnet import resnet18, resnet50, resnext101
from pytorch.shufflenet import ShuffleNetV2
from pytorch.small import LeNet5
from pytorch.unet import UNet
from pytorch.vit import VisionTransformer

FORMS = ("pt2", "decomposed.pt2", "trace.pt", "script.pt", "onnx")


class Model:
    """An architecture in two sizes.

    `make` and `small` make the full and the reduced module. `inputs` are (name, shape, kind) with sizes or the names
    of symbols in the shape; kind is float, mask, place (positions that follow one another) or the height of a table of
    token ids. `bounds` are the symbols' (least, greatest) sizes, `sizes` the runs. `full_inputs` replaces what differs
    in the full size. `export_make` is what torch.export gets where it cannot take `make`;
    `branches` says that it has branches on data. `fixed` are symbols that it makes numbers (it unrolls recurrent layers).
    """

    def __init__(self, make, small, inputs, bounds, sizes, tolerance=1e-5, full_inputs=None, forms=FORMS,
                 stateful=False, export_small=None, export_make=None, half=True, fixed=(), branches=False):
        self.make, self.small, self.inputs, self.bounds, self.sizes = make, small, inputs, bounds, sizes
        self.tolerance, self.full_inputs, self.forms, self.stateful = tolerance, full_inputs or inputs, forms, stateful
        self.fixed, self.branches = fixed, branches
        self.export_small, self.export_make, self.half = export_small or small, export_make or make, half


def _images(make, small, size, full=224, channels=3, **options):
    return Model(make, small, [("image", ("N", channels, size, size), "float")], {"N": (1, 8)},
                 [{"N": 2}, {"N": 1}, {"N": 5}],
                 full_inputs=[("image", ("N", channels, full, full), "float")], **options)


def _states(names, layers, hidden):
    return [(n, (layers, "N", hidden), "float") for n in names]


_BERT = [(n, ("N", "T"), k) for n, k in (("input_ids", 200), ("attention_mask", "mask"), ("token_type_ids", 2))]
_PAST = [(n, (2, "N", 4, "P", 12), "float") for n in ("past_k", "past_v")]
_GROUPED = [(n, (2, "N", 2, "P", 12), "float") for n in ("past_k", "past_v")]
_GROUPED_FULL = [(n, (8, "N", 2, "P", 64), "float") for n in ("past_k", "past_v")]
_PAST_FULL = [(n, (12, "N", 12, "P", 64), "float") for n in ("past_k", "past_v")]

MODELS = {
    "mlp": Model(demos.Mlp, lambda: demos.Mlp(49, 33, 10), [("x", ("N", 49), "float")], {"N": (1, 64)},
                 [{"N": 3}, {"N": 1}, {"N": 64}], full_inputs=[("x", ("N", 784), "float")]),
    "decision_gate": Model(lambda: demos.GatedCell(256), demos.GatedCell,
                           [(n, ("N", 8), "float") for n in "xh"], {"N": (1, 16)},
                           [{"N": 2}, {"N": 1}, {"N": 3}, {"N": 7}],
                           full_inputs=[(n, ("N", 256), "float") for n in "xh"], export_small=demos.CondGate,
                           export_make=lambda: demos.CondGate(256), branches=True),
    "lenet5": _images(LeNet5, LeNet5, 28, 28, 1),
    "lstm_demo": Model(lambda: demos.LstmDemo(512, 512, 5), demos.LstmDemo,
                       [("x", ("T", "N", 8), "float"), *_states("hc", 1, 8)], {"T": (1, 32), "N": (1, 8)},
                       [{"T": 20, "N": 2}, {"T": 1, "N": 1}, {"T": 7, "N": 5}],
                       full_inputs=[("x", ("T", "N", 512), "float"), *_states("hc", 5, 512)], fixed="T"),
    "word_lm": Model(lambda: LSTMLanguageModel(256, 5, 33278, embedded=512),
                     lambda: LSTMLanguageModel(16, 5, 60, embedded=32),
                     [("ids", ("T", "N"), 60), *_states(("h0", "c0"), 5, 16)], {"T": (1, 40), "N": (1, 8)},
                     [{"T": 5, "N": 3}, {"T": 1, "N": 1}, {"T": 12, "N": 2}],
                     full_inputs=[("ids", ("T", "N"), 33278), *_states(("h0", "c0"), 5, 256)], fixed="T"),
    "resnet18": _images(resnet18, lambda: resnet18(width=8, classes=10), 64),
    "resnet50": _images(resnet50, lambda: resnet50(width=8, classes=10), 64),
    "resnext101": _images(resnext101, lambda: resnext101(groups=8, group_width=16, width=8, classes=10), 48),
    "mobilenetv2": _images(MobileNetV2, lambda: MobileNetV2(width=0.25, classes=10), 64),
    "shufflenetv2": _images(ShuffleNetV2, lambda: ShuffleNetV2((8, 16, 32, 64, 128), classes=10), 64),
    "googlenet": _images(GoogLeNet, lambda: GoogLeNet(8, 10), 64),
    "inceptionv3": _images(InceptionV3, lambda: InceptionV3(8, 10), 107, 299),
    "vit": _images(VisionTransformer, lambda: VisionTransformer(48, 16, 48, 4, 96, 2, 10), 48, tolerance=1e-4),
    "bert": Model(Bert, lambda: Bert(hidden=64, heads=4, ffn=256, layers=2, vocab=200, max_position=64), _BERT,
                  {"N": (1, 8), "T": (2, 64)}, [{"N": 2, "T": 16}, {"N": 1, "T": 2}, {"N": 3, "T": 33}], tolerance=1e-4),
    "gpt2": Model(Gpt2, lambda: Gpt2(48, 4, 2, 120, 96), [("ids", ("N", "T"), 120), *_PAST],
                  {"N": (1, 4), "T": (1, 32), "P": (0, 64)},
                  [{"N": 2, "T": 5, "P": 7}, {"N": 1, "T": 1, "P": 12}, {"N": 3, "T": 9, "P": 0}, {"N": 2, "T": 3, "P": 33}],
                  tolerance=1e-4, full_inputs=[("ids", ("N", "T"), 50257), *_PAST_FULL]),
    "gpt2_cache": Model(Gpt2Cache, lambda: Gpt2Cache(48, 4, 2, 120, 96, cache=32),
                        [("ids", (1, "T"), 120), ("place", ("T",), "place")], {"T": (1, 16)},
                        [{"T": 5}, {"T": 1}, {"T": 1}, {"T": 3}], tolerance=1e-4, stateful=True,
                        full_inputs=[("ids", (1, "T"), 50257), ("place", ("T",), "place")],
                        forms=("pt2", "decomposed.pt2", "trace.pt", "script.pt")),
    "llama": Model(Llama, lambda: Llama(48, 4, 2, 128, 2, 120), [("ids", ("N", "T"), 120), *_GROUPED],
                   {"N": (1, 4), "T": (1, 32), "P": (0, 64)},
                   [{"N": 2, "T": 5, "P": 7}, {"N": 1, "T": 1, "P": 12}, {"N": 3, "T": 9, "P": 0}], tolerance=1e-4,
                   full_inputs=[("ids", ("N", "T"), 32000), *_GROUPED_FULL]),
    "llama_pairs": Model(lambda: LlamaCache(pairs=True),
                         lambda: LlamaCache(48, 4, 2, 128, 2, 120, pairs=True, cache=32),
                         [("ids", (1, "T"), 120), ("place", ("T",), "place")], {"T": (1, 16)},
                         [{"T": 5}, {"T": 1}, {"T": 1}, {"T": 3}], tolerance=1e-4, stateful=True, half=False,
                         full_inputs=[("ids", (1, "T"), 32000), ("place", ("T",), "place")],
                         forms=("pt2", "decomposed.pt2", "trace.pt", "script.pt")),
    "unet": Model(UNet, lambda: UNet(8, 3), [("image", ("N", 3, 37, 45), "float")], {"N": (1, 4)},
                  [{"N": 2}, {"N": 1}, {"N": 3}], full_inputs=[("image", ("N", 3, 256, 256), "float")]),
    "super_resolution": Model(demos.SuperResolution, lambda: demos.SuperResolution(3, 16),
                              [("image", ("N", 1, "H", "W"), "float")], {"N": (1, 4), "H": (2, 64), "W": (2, 64)},
                              [{"N": 2, "H": 12, "W": 17}, {"N": 1, "H": 2, "W": 9}, {"N": 3, "H": 25, "W": 8}]),
    "wav2letter": Model(demos.Wav2Letter, lambda: demos.Wav2Letter(10, 16, 24),
                        [("x", ("N", 1, "T"), "float")], {"N": (1, 4), "T": (3200, 9000)},
                        [{"N": 2, "T": 4000}, {"N": 1, "T": 3200}, {"N": 3, "T": 7777}]),
}

DTYPES = {"": torch.float32, "f16.": torch.float16, "bf16.": torch.bfloat16}
TOLERANCE = {"f16.": 2e-3, "bf16.": 1.6e-2}
