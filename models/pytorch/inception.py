"""Inception-v3 as a plain PyTorch module, without the auxiliary head of training."""

import torch
from torch import nn
from torch.nn import functional as F

from .googlenet import Unit


class A(nn.Module):
    """35 x 35: 1x1, 5x5, double 3x3, pool."""

    def __init__(self, n, pool, d):
        super().__init__()
        self.b1 = Unit(n, 64 // d, 1)
        self.b5 = nn.Sequential(Unit(n, 48 // d, 1), Unit(48 // d, 64 // d, 5, padding=2))
        self.b3 = nn.Sequential(Unit(n, 64 // d, 1), Unit(64 // d, 96 // d, 3, padding=1), Unit(96 // d, 96 // d, 3, padding=1))
        self.pool = Unit(n, pool // d, 1)

    def forward(self, x):
        """The block's output."""
        p = self.pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        return torch.cat([self.b1(x), self.b5(x), self.b3(x), p], 1)


class B(nn.Module):
    """To 17 x 17."""

    def __init__(self, n, d):
        super().__init__()
        self.b3 = Unit(n, 384 // d, 3, 2)
        self.bd = nn.Sequential(Unit(n, 64 // d, 1), Unit(64 // d, 96 // d, 3, padding=1), Unit(96 // d, 96 // d, 3, 2))

    def forward(self, x):
        """The block's output."""
        return torch.cat([self.b3(x), self.bd(x), F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class C(nn.Module):
    """17 x 17: 1x7 and 7x1."""

    def __init__(self, n, c, d):
        super().__init__()
        c, w, wide, tall = c // d, 192 // d, dict(kernel=(1, 7), padding=(0, 3)), dict(kernel=(7, 1), padding=(3, 0))
        self.b1 = Unit(n, w, 1)
        self.b7 = nn.Sequential(Unit(n, c, 1), Unit(c, c, **wide), Unit(c, w, **tall))
        self.bd = nn.Sequential(Unit(n, c, 1), Unit(c, c, **tall), Unit(c, c, **wide), Unit(c, c, **tall), Unit(c, w, **wide))
        self.pool = Unit(n, w, 1)

    def forward(self, x):
        """The block's output."""
        p = self.pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        return torch.cat([self.b1(x), self.b7(x), self.bd(x), p], 1)


class D(nn.Module):
    """To 8 x 8."""

    def __init__(self, n, d):
        super().__init__()
        w = 192 // d
        self.b3 = nn.Sequential(Unit(n, w, 1), Unit(w, 320 // d, 3, 2))
        self.b7 = nn.Sequential(Unit(n, w, 1), Unit(w, w, (1, 7), padding=(0, 3)), Unit(w, w, (7, 1), padding=(3, 0)), Unit(w, w, 3, 2))

    def forward(self, x):
        """The block's output."""
        return torch.cat([self.b3(x), self.b7(x), F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class E(nn.Module):
    """8 x 8: split 3x3."""

    def __init__(self, n, d):
        super().__init__()
        w = 384 // d
        self.b1, self.b3 = Unit(n, 320 // d, 1), Unit(n, w, 1)
        self.b3a, self.b3b = Unit(w, w, (1, 3), padding=(0, 1)), Unit(w, w, (3, 1), padding=(1, 0))
        self.bd = nn.Sequential(Unit(n, 448 // d, 1), Unit(448 // d, w, 3, padding=1))
        self.bda, self.bdb = Unit(w, w, (1, 3), padding=(0, 1)), Unit(w, w, (3, 1), padding=(1, 0))
        self.pool = Unit(n, 192 // d, 1)

    def forward(self, x):
        """The block's output."""
        b3, bd = self.b3(x), self.bd(x)
        p = self.pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        return torch.cat([self.b1(x), self.b3a(b3), self.b3b(b3), self.bda(bd), self.bdb(bd), p], 1)


class InceptionV3(nn.Module):
    """`divide` divides all widths."""

    def __init__(self, divide=1, classes=1000):
        super().__init__()
        d = divide
        self.stem = nn.Sequential(Unit(3, 32 // d, 3, 2), Unit(32 // d, 32 // d, 3), Unit(32 // d, 64 // d, 3, padding=1), nn.MaxPool2d(3, 2),
                                  Unit(64 // d, 80 // d, 1), Unit(80 // d, 192 // d, 3), nn.MaxPool2d(3, 2))
        self.blocks = nn.Sequential(A(192 // d, 32, d), A(256 // d, 64, d), A(288 // d, 64, d), B(288 // d, d), C(768 // d, 128, d), C(768 // d, 160, d),
                                    C(768 // d, 160, d), C(768 // d, 192, d), D(768 // d, d), E(1280 // d, d), E(2048 // d, d))
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d((1, 1)), nn.Dropout()
        self.fc = nn.Linear(2048 // d, classes)

    def forward(self, image):
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = self.dropout(self.avgpool(self.blocks(self.stem(image))))
        return self.fc(torch.flatten(x, 1))
