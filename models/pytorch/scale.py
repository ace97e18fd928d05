"""Weights that keep the activations of an untrained network at a variance of about 1."""

import torch
from torch import nn

from .bert import Bert
from .lstm import LSTMLanguageModel
from .mobilenet import InvertedResidual
from .resnet import Basic, Bottleneck
from .small import Block


def scale_weights(model, seed=1):
    """Draws all weights and running statistics anew; returns the model in eval mode."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            _draw(module)
        for module in model.modules():
            _correct(module)
    return model.eval()


def _draw(module):
    if isinstance(module, nn.Conv2d):
        fan_in = module.weight[0].numel()
        module.weight.normal_(0.0, (2.0 / fan_in) ** 0.5)
        if module.weight.shape[1] > 1:  # filters with mean zero ignore constant offsets, which else win
            module.weight -= module.weight.mean((1, 2, 3), keepdim=True)
            module.weight *= 1.2  # the variance behind a ReLU is less than its mean square
    elif isinstance(module, nn.Linear):
        module.weight.normal_(0.0, (1.4 / module.in_features) ** 0.5)
    elif isinstance(module, nn.BatchNorm2d):
        module.running_mean.normal_(0.0, 0.1)
        module.running_var.uniform_(0.75, 1.35)
        module.weight.uniform_(0.75, 1.25)
    elif isinstance(module, nn.LayerNorm):
        module.weight.uniform_(0.75, 1.25)
    elif isinstance(module, nn.Embedding):
        module.weight.normal_(0.0, 1.0)
    elif isinstance(module, nn.LSTM):
        for name, weight in module.named_parameters():
            weight.normal_(0.0, 0.2 if "bias" in name else 1.5 / weight.shape[1] ** 0.5)
    if isinstance(getattr(module, "bias", None), nn.Parameter):
        module.bias.normal_(0.0, 0.1)


def _correct(module):
    """What a layer's place in the network asks for."""
    if isinstance(module, (Basic, Block)):
        module.bn2.weight *= 0.5  # residual branches are smaller than what they are added to
    elif isinstance(module, Bottleneck):
        module.bn3.weight *= 0.5
    elif isinstance(module, InvertedResidual) and module.use_shortcut:
        module.conv[-1].weight *= 0.6
    elif isinstance(module, Bert):
        module.pooler.weight *= 0.8
        for layer in module.layers:
            for part in (layer.query, layer.key):
                part.weight *= 0.85
            layer.attention_out.weight *= 1.7  # attention averages
    elif isinstance(module, LSTMLanguageModel):
        module.decoder.weight *= 4.0  # the hidden state is small: about 0.2
