"""GoogLeNet with batch norms as a plain PyTorch module, without the auxiliary heads of training."""

import torch
from torch import nn
from torch.nn import functional as F

# 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; after the pool
STAGES = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None, (192, 96, 208, 16, 48, 64),
          (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
          (256, 160, 320, 32, 128, 128), None, (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        """The unit's output."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches joined."""

    def __init__(self, inputs, sizes):
        super().__init__()
        a, b1, b, c1, c, d = sizes
        self.branch1 = Unit(inputs, a, 1)
        self.branch2 = nn.Sequential(Unit(inputs, b1, 1), Unit(b1, b, 3, padding=1))
        self.branch3 = nn.Sequential(Unit(inputs, c1, 1), Unit(c1, c, 3, padding=1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Unit(inputs, d, 1))

    def forward(self, x):
        """[N, a + b + c + d, H, W]."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """`divide` divides all widths."""

    def __init__(self, divide=1, classes=1000):
        super().__init__()
        w = 64 // divide
        layers = [Unit(3, w, 7, 2, 3), nn.MaxPool2d(3, 2, ceil_mode=True), Unit(w, w, 1), Unit(w, 3 * w, 3, padding=1),
                  nn.MaxPool2d(3, 2, ceil_mode=True)]
        inputs = 3 * w
        for number, sizes in enumerate(STAGES):
            if sizes is None:
                layers.append(nn.MaxPool2d(3 if number == 2 else 2, 2, ceil_mode=True))
                continue
            sizes = [s // divide for s in sizes]
            layers.append(Inception(inputs, sizes))
            inputs = sizes[0] + sizes[2] + sizes[4] + sizes[5]
        self.features = nn.Sequential(*layers)
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d((1, 1)), nn.Dropout(0.2)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, image):
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = torch.flatten(self.avgpool(self.features(image)), 1)
        return self.fc(self.dropout(x))
