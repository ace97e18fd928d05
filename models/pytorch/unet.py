"""A U-Net as a plain PyTorch module."""

import torch
from torch import nn
from torch.nn import functional as F


def double(inputs, outputs):
    """Two 3x3 convolutions with batch norm and ReLU."""
    layers = []
    for n in (inputs, outputs):
        layers += [nn.Conv2d(n, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Four levels down, four up; sizes need not be multiples of 16. Odd levels up are transposed convolutions."""

    def __init__(self, width=64, classes=2):
        super().__init__()
        w = [width << k for k in range(5)]
        self.first = double(3, w[0])
        self.down = nn.ModuleList([nn.Sequential(nn.MaxPool2d(2), double(w[k], w[k + 1])) for k in range(4)])
        self.rise = nn.ModuleList([nn.ConvTranspose2d(w[4 - k], w[3 - k], 2, 2) if k % 2 == 0 else
                                   nn.Sequential(nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True),
                                                 nn.Conv2d(w[4 - k], w[3 - k], 1)) for k in range(4)])
        self.up = nn.ModuleList([double(2 * w[3 - k], w[3 - k]) for k in range(4)])
        self.out = nn.Conv2d(w[0], classes, 1)

    def forward(self, image):
        """Scores [N, classes, H, W] of images [N, 3, H, W]."""
        x = self.first(image)
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(x)
        for k, (rise, up) in enumerate(zip(self.rise, self.up)):
            x, skip = rise(x), skips[3 - k]
            dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
            x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            x = up(torch.cat([skip, x], dim=1))
        return self.out(x)
