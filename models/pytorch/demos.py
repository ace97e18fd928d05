"""The small models of PyTorch's tutorials: MLP, DecisionGate, the LSTM demo, super-resolution, wav2letter."""

import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    """Two hidden layers."""

    def __init__(self, inputs=784, hidden=512, classes=10):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                                    nn.Linear(hidden, classes))

    def forward(self, x):
        """Logits [N, classes] of x [N, inputs]."""
        return self.layers(x)


class DecisionGate(nn.Module):
    """A branch on data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x, or -x where its sum is not positive."""
        if bool(x.sum() > 0):
            return x
        else:
            return -x


class GatedCell(nn.Module):
    """A recurrent cell behind a DecisionGate; the gate is scripted and stays a branch in a trace, too."""

    def __init__(self, hidden=8):
        super().__init__()
        self.gate = torch.jit.script(DecisionGate())
        self.linear = nn.Linear(hidden, hidden)

    def forward(self, x, h):
        """The new state [N, hidden] of x and h."""
        return torch.tanh(self.gate(self.linear(x)) + h)


class CondGate(nn.Module):
    """The same cell as torch.export takes it."""

    def __init__(self, hidden=8):
        super().__init__()
        self.linear = nn.Linear(hidden, hidden)

    def forward(self, x, h):
        """The new state [N, hidden] of x and h."""
        y = self.linear(x)
        y = torch.cond(y.sum() > 0, lambda y: y.clone(), lambda y: -y, (y,))
        return torch.tanh(y + h)


class LstmDemo(nn.Module):
    """The model of the tutorial on dynamic quantisation, in floats."""

    def __init__(self, width=8, hidden=8, depth=1):
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, depth)

    def forward(self, x, h, c):
        """(output [T, N, hidden], h, c) of x [T, N, width]."""
        y, (h, c) = self.lstm(x, (h, c))
        return y, h, c


class SuperResolution(nn.Module):
    """Sub-pixel convolution: four convolutions and a pixel shuffle."""

    def __init__(self, factor=3, width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 5, padding=2)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv4 = nn.Conv2d(width // 2, factor * factor, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)

    def forward(self, image):
        """[N, 1, factor * H, factor * W] of [N, 1, H, W]."""
        x = F.relu(self.conv1(image))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        return self.shuffle(self.conv4(x))


class Wav2Letter(nn.Module):
    """Twelve 1-D convolutions from a waveform to letter probabilities."""

    def __init__(self, classes=40, width=250, wide=2000):
        super().__init__()
        layers = [nn.Conv1d(1, width, 250, 160, 45), nn.ReLU(True), nn.Conv1d(width, width, 48, 2, 23), nn.ReLU(True)]
        for _ in range(7):
            layers += [nn.Conv1d(width, width, 7, 1, 3), nn.ReLU(True)]
        layers += [nn.Conv1d(width, wide, 32, 1, 16), nn.ReLU(True), nn.Conv1d(wide, wide, 1), nn.ReLU(True),
                   nn.Conv1d(wide, classes, 1), nn.ReLU(True)]
        self.acoustic = nn.Sequential(*layers)

    def forward(self, x):
        """Log-probabilities [N, classes, frames] of waveforms [N, 1, T]."""
        return F.log_softmax(self.acoustic(x), dim=1)
