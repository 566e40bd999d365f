import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import InputError
from jaxvision.models.blocks import Conv, tap
from jaxvision.ops.attention import attention, merge_heads, split_heads
from jaxvision.ops.pooling import avg_pool, global_avg_pool, max_pool

G_MULTIPLY_ADDS = {  # published: torchvision's model pages, and Howard et al. 2017
    "alexnet": 0.714,
    "googlenet": 1.498,
    "mobilenet_v1": 0.5687,
    "mobilenet_v2": 0.301,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "vgg11": 7.609,
    "vgg13": 11.308,
    "vgg16": 15.470,
    "vgg19": 19.632,
    "vit_b_16": 17.564,
    "vit_b_32": 4.409,
    "vit_l_16": 61.555,
}
RECEPTIVE_FIELDS = {  # Araujo, Norris & Sim 2019, table 1; Brendel & Bethge 2019
    "alexnet": 195,
    "bagnet9": 9,
    "bagnet17": 17,
    "bagnet33": 33,
    "mobilenet_v1": 315,
    "mobilenet_v2": 491,
    "vgg16": 212,
}


def test_lenet_by_hand():
    summary = models.summary("lenet", 28, channels=1)
    assert summary.layers == (
        ("C1", (28, 28, 6), 156, 28 * 28 * 6 * 25, 4 * 28 * 28 * 6, 5),
        ("S2", (14, 14, 6), 0, 0, 4 * 14 * 14 * 6, 6),
        ("C3", (10, 10, 16), 2_416, 10 * 10 * 16 * 150, 4 * 10 * 10 * 16, 14),
        ("S4", (5, 5, 16), 0, 0, 4 * 5 * 5 * 16, 16),
        ("C5", (120,), 48_120, 400 * 120, 480, None),
        ("F6", (84,), 10_164, 120 * 84, 336, None),
        ("head", (10,), 850, 840, 40, None),
    )
    assert summary.parameters == 61_706
    assert summary.multiply_adds == 416_520
    assert summary.activation_bytes == 32_376
    assert summary.receptive_field_px == 16
    assert (summary.model, summary.input_shape, summary.output_shape) == ("LeNet5", (28, 28, 1), (10,))


def test_course_cnn_by_hand():
    summary = models.summary("course_cifar_cnn", (32, 32))
    named = {layer.name: layer for layer in summary.layers}
    assert {name: layer.receptive_field_px for name, layer in named.items()} == {
        "C1": 5,
        "P2": 7,
        "C3": 15,
        "P4": 19,
        "C5": 35,
        "P6": 43,
        "F7": None,
        "head": None,
    }
    assert [named[name].multiply_adds for name in ("C1", "C3", "C5", "F7", "head")] == [
        2_457_600,
        6_553_600,
        3_276_800,
        65_536,
        640,
    ]


def test_resnet20_by_hand():
    summary = models.summary("resnet20", 32)
    stages = 2 * (1_179_648 + 5 * 2_359_296)  # the second and the third
    assert summary.multiply_adds == 442_368 + 6 * 2_359_296 + stages + 640
    assert summary.parameters == 269_722
    seen = {layer.name: layer.receptive_field_px for layer in summary.layers}
    ends = ["conv1", "stage1_block3/bn2", "stage2_block1/conv1", "stage2_block3/bn2", "stage3_block3/bn2", "head"]
    assert [seen[name] for name in ends] == [3, 15, 17, 37, 81, None]
    conv1, bn1 = summary.layers[:2]
    assert (conv1.name, conv1.parameters, bn1.name, bn1.parameters) == ("conv1", 432, "bn1", 32)
    assert summary.activation_bytes == 4 * (2 * (7 * 16_384 + 6 * 8_192 + 6 * 4_096) + 10)


@functools.cache
def at_224(name):
    return models.summary(name, 224)


@pytest.mark.parametrize("name", G_MULTIPLY_ADDS)
def test_multiply_adds_are_the_published_ones(name):
    assert at_224(name).multiply_adds == pytest.approx(1e9 * G_MULTIPLY_ADDS[name], rel=0.01)


@pytest.mark.parametrize("name", RECEPTIVE_FIELDS)
def test_receptive_fields_are_the_published_ones(name):
    assert at_224(name).receptive_field_px == RECEPTIVE_FIELDS[name]


@pytest.mark.parametrize(
    ("name", "count"),
    [("alexnet", 61_100_840), ("googlenet", 6_624_904), ("resnet50", 25_557_032), ("vit_b_16", 86_567_656)],
)
def test_no_parameter_is_left_out(name, count):
    assert at_224(name).parameters == count


class Branches(nn.Module):
    """A short way and a long one with a pool, added; then attention and a global mean, in a module of their own."""

    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        x = Conv(4, 3, stride=2, padding=1, name="stem")(images)
        x = Conv(4, (1, 3), padding=(0, 1), name="wide")(max_pool(x, 3, stride=1, padding=1)) + x
        x = tap(self, "pooled", avg_pool(x, 2))
        attend = nn.remat(Attend) if self.remat else Attend
        return Conv(3, 1, name="last")(attend(name="attend")(x)).mean((1, 2))


class Attend(nn.Module):
    @nn.compact
    def __call__(self, x):
        tokens = x.reshape(len(x), -1, x.shape[-1])
        queries, keys, values = jnp.split(split_heads(nn.Dense(12, name="qkv")(tokens), 2), 3, axis=-1)
        return merge_heads(attention(queries, keys, values)).reshape(x.shape)


@pytest.mark.parametrize("remat", [False, True])
def test_branches_and_attention_by_hand(remat):
    summary = models.summary(Branches(remat=remat), 16)
    assert summary.layers == (
        ("stem", (8, 8, 4), 112, 64 * 4 * 27, 1024, 3),
        ("max_pool", (8, 8, 4), 0, 0, 1024, 7),
        ("wide", (8, 8, 4), 52, 64 * 4 * 12, 1024, 11),
        ("pooled", (4, 4, 4), 0, 0, 256, 13),
        ("attend", (4, 4, 4), 0, 2 * 16 * 16 * 4, 4 * (2 * 16 * 16 + 64), None),
        ("attend/qkv", (16, 12), 60, 16 * 12 * 4, 768, None),
        ("last", (4, 4, 3), 15, 16 * 12, 192, None),
    )


class OfLinen(nn.Module):
    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Conv(6, (5, 3), (2, 1), padding="VALID", feature_group_count=3, name="conv")(images)
        return global_avg_pool(nn.BatchNorm(use_running_average=True, name="bn")(x))


def test_layers_of_linen():
    conv, bn, pool = models.summary(OfLinen(), (9, 7)).layers
    assert conv == ("conv", (3, 5, 6), 6 * 15 + 6, 3 * 5 * 6 * 15, 4 * 90, 5)
    assert bn == ("bn", (3, 5, 6), 12, 0, 4 * 90, 5)
    assert pool == ("global_avg_pool", (6,), 0, 0, 24, None)


class Part(nn.Module):
    """Holds a parameter itself, and a layer that evaluation leaves out."""

    @nn.compact
    def __call__(self, images, train=False):
        x = images + self.param("shift", nn.initializers.zeros, (1, 1, 1, 3))
        if train or self.is_initializing():
            nn.Dense(2, name="auxiliary")(x)
        return x.sum((1, 2))


def test_what_evaluation_leaves_out_has_parameters_only():
    shift, auxiliary = models.summary(Part(), 4).layers
    assert shift == ("Part", (3,), 3, 0, 12, None)
    assert auxiliary == ("auxiliary", None, 8, 0, 0, None)


def test_the_table_is_aligned():
    title, rule, header, _, *lines, _, total = str(models.summary("lenet", 28, channels=1)).splitlines()
    assert title == "LeNet5 on 28x28x1"
    assert {len(line) for line in (rule, header, *lines, total)} == {len(rule)}
    assert lines[0].split() == ["C1", "28x28x6", "156", "117,600", "18,816", "5"]
    assert lines[-1].split() == ["head", "10", "850", "840", "40", "-"]
    assert total.split() == ["total", "10", "61,706", "416,520", "32,376", "16"]


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, images, train=False):
        return jax.lax.scan(lambda x, _: (x * 2, None), images, np.arange(3))[0]


@pytest.mark.parametrize(
    ("model", "size_px", "message"),
    [
        ("resnet21", 32, "'resnet21' is unknown"),
        ("lenet", 8, "expected .* at least 12"),
        ("lenet", 0, "images of 0x0x3"),
        (Scanned(), 8, "a loop .scan. over layers"),
    ],
)
def test_what_cannot_be_summarised(model, size_px, message):
    with pytest.raises(InputError, match=message):
        models.summary(model, size_px)
