"""The networks in PyTorch, as torchvision writes its own."""

from collections import OrderedDict

import torch
from torch import nn

from scripts.benchmarks.networks import BOTTLENECK_WIDTHS, SEPARABLE


def lenet():
    return nn.Sequential(
        OrderedDict(
            C1=nn.Conv2d(1, 6, 5, padding=2),
            relu1=nn.ReLU(inplace=True),
            S2=nn.MaxPool2d(2),
            C3=nn.Conv2d(6, 16, 5),
            relu3=nn.ReLU(inplace=True),
            S4=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            C5=nn.Linear(400, 120),
            relu5=nn.ReLU(inplace=True),
            F6=nn.Linear(120, 84),
            relu6=nn.ReLU(inplace=True),
            head=nn.Linear(84, 10),
        )
    )


def course_cnn(dropout_rate=0.5):
    return nn.Sequential(
        OrderedDict(
            C1=nn.Conv2d(3, 32, 5, padding=2),
            relu1=nn.ReLU(inplace=True),
            P2=nn.MaxPool2d(3, 2, padding=1),
            C3=nn.Conv2d(32, 32, 5, padding=2),
            relu3=nn.ReLU(inplace=True),
            P4=nn.AvgPool2d(3, 2, padding=1),
            C5=nn.Conv2d(32, 64, 5, padding=2),
            relu5=nn.ReLU(inplace=True),
            P6=nn.AvgPool2d(3, 2, padding=1),
            flatten=nn.Flatten(),
            F7=nn.Linear(1024, 64),
            relu7=nn.ReLU(inplace=True),
            dropout=nn.Dropout(dropout_rate),
            head=nn.Linear(64, 10),
        )
    )


def conv(channels, features, window, stride=1, groups=1):
    return nn.Conv2d(channels, features, window, stride, padding=window // 2, groups=groups, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, channels, features, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(channels, features, 3, stride), nn.BatchNorm2d(features)
        self.conv2, self.bn2 = conv(features, features, 3), nn.BatchNorm2d(features)
        self.new = features - channels

    def forward(self, x):
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.new:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new // 2))
        return torch.relu_(y + x)


def classifier(stem, blocks, features):
    """Stem, blocks, global average pooling, linear layer."""
    return nn.Sequential(
        OrderedDict(
            **stem, **blocks, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(features, 10)
        )
    )


def resnet20():
    stem = {"conv1": conv(3, 16, 3), "bn1": nn.BatchNorm2d(16), "relu": nn.ReLU(inplace=True)}
    blocks, channels = {}, 16
    for stage, features in enumerate((16, 32, 64), start=1):
        for number in (1, 2, 3):
            stride = 2 if stage > 1 and number == 1 else 1
            blocks[f"stage{stage}_block{number}"] = BasicBlock(channels, features, stride)
            channels = features
    return classifier(stem, blocks, channels)


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(channels, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.conv_shortcut, self.bn_shortcut = conv(channels, 4 * width, 1, stride), nn.BatchNorm2d(4 * width)

    def forward(self, x):
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = torch.relu_(self.bn2(self.conv2(y)))
        return torch.relu_(self.bn3(self.conv3(y)) + self.bn_shortcut(self.conv_shortcut(x)))


def bottleneck_224():
    stem = {
        "conv1": conv(3, 64, 7, 2),
        "bn1": nn.BatchNorm2d(64),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, 2, padding=1),
    }
    blocks, channels = {}, 64
    for stage, width in enumerate(BOTTLENECK_WIDTHS, start=1):
        blocks[f"stage{stage}"] = Bottleneck(channels, width, 1 if stage == 1 else 2)
        channels = 4 * width
    return classifier(stem, blocks, channels)


def separable(channels, features, stride):
    return nn.Sequential(
        OrderedDict(
            depthwise=conv(channels, channels, 3, stride, groups=channels),
            bn1=nn.BatchNorm2d(channels),
            relu1=nn.ReLU(inplace=True),
            pointwise=conv(channels, features, 1),
            bn2=nn.BatchNorm2d(features),
            relu2=nn.ReLU(inplace=True),
        )
    )


def depthwise_224():
    stem = {"conv1": conv(3, 32, 3, 2), "bn1": nn.BatchNorm2d(32), "relu": nn.ReLU(inplace=True)}
    blocks, channels = {}, 32
    for number, (features, stride) in enumerate(SEPARABLE, start=1):
        blocks[f"block{number}"] = separable(channels, features, stride)
        channels = features
    return classifier(stem, blocks, channels)


NETWORKS = {
    "lenet": lenet,
    "course_cnn": course_cnn,
    "resnet20": resnet20,
    "bottleneck_224": bottleneck_224,
    "depthwise_224": depthwise_224,
}
