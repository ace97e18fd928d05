"""Plain PyTorch definitions of the architectures, for training and for the exporters (no torchvision)."""
