"""ShuffleNetV2 as a plain PyTorch module."""

import torch
from torch import nn


def shuffle(x, groups: int):
    """Interleaves the channels of the groups."""
    n, c, h, w = x.size()
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def _pointwise(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _depthwise(channels, stride):
    return [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]


class Unit(nn.Module):
    """Half of the channels pass; at stride 2 both halves are made anew."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride, half = stride, outputs // 2
        if stride > 1:
            self.branch1 = nn.Sequential(*_depthwise(inputs, stride), *_pointwise(inputs, half))
        else:
            self.branch1 = nn.Sequential()
        self.branch2 = nn.Sequential(*_pointwise(inputs if stride > 1 else half, half), *_depthwise(half, stride),
                                     *_pointwise(half, half))

    def forward(self, x):
        """The unit's output."""
        if self.stride == 1:
            a, b = x.chunk(2, dim=1)
            y = torch.cat((a, self.branch2(b)), dim=1)
        else:
            y = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return shuffle(y, 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 x1.0 by default."""

    def __init__(self, channels=(24, 116, 232, 464, 1024), repeats=(4, 8, 4), classes=1000):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, channels[0], 3, 2, 1, bias=False), nn.BatchNorm2d(channels[0]),
                                   nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages, inputs = [], channels[0]
        for outputs, repeat in zip(channels[1:4], repeats):
            stages.append(nn.Sequential(Unit(inputs, outputs, 2), *[Unit(outputs, outputs, 1) for _ in range(repeat - 1)]))
            inputs = outputs
        self.stage2, self.stage3, self.stage4 = stages
        self.conv5 = nn.Sequential(*_pointwise(inputs, channels[4]))
        self.fc = nn.Linear(channels[4], classes)

    def forward(self, image):
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = self.maxpool(self.conv1(image))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))
