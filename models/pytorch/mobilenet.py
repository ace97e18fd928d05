"""MobileNetV2 as a plain PyTorch module."""

from torch import nn

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def unit(inputs, outputs, kernel, stride=1, groups=1):
    """Convolution, batch norm, ReLU6."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; with a shortcut where shapes allow."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.use_shortcut = stride == 1 and inputs == outputs
        layers = [unit(inputs, hidden, 1)] if expansion != 1 else []
        layers += [unit(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, outputs, 1, bias=False),
                   nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        """The block's output."""
        return x + self.conv(x) if self.use_shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2; `width` divides 32 channels at width 1 to as few as 8 at 0.25."""

    def __init__(self, width=1.0, classes=1000):
        super().__init__()

        def channels(c):
            return max(8, int(c * width + 4) // 8 * 8)

        inputs = channels(32)
        features = [unit(3, inputs, 3, 2)]
        for expansion, c, count, stride in STAGES:
            for i in range(count):
                features.append(InvertedResidual(inputs, channels(c), stride if i == 0 else 1, expansion))
                inputs = channels(c)
        features.append(unit(inputs, channels(1280), 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels(1280), classes))

    def forward(self, image):
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = self.features(image)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)
        return self.classifier(x)
