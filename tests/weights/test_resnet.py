import functools

import flax
import jax
import jax.numpy as jnp
import pytest

from jaxvision import models
from jaxvision.weights.resnet import BAGNET, TORCHVISION
from jaxvision.weights.resnet_cifar import IDELBAYEV

LAYOUTS = (TORCHVISION, BAGNET, IDELBAYEV)


@pytest.mark.parametrize(
    ("path", "layout", "key"),
    [
        ("params/bn1/scale", TORCHVISION, "bn1.weight"),
        ("params/stage2_block1/conv_shortcut/kernel", TORCHVISION, "layer2.0.downsample.0.weight"),
        ("batch_stats/stage2_block1/bn_shortcut/mean", TORCHVISION, "layer2.0.downsample.1.running_mean"),
        ("batch_stats/stage3_block12/bn3/var", TORCHVISION, "layer3.11.bn3.running_var"),
        ("params/head/kernel", TORCHVISION, "fc.weight"),
        ("params/conv2/kernel", BAGNET, "conv2.weight"),
        ("params/stage2_block1/conv_shortcut/kernel", IDELBAYEV, "layer2.0.shortcut.0.weight"),
        ("params/head/bias", IDELBAYEV, "linear.bias"),
    ],
)
def test_keys(path, layout, key):
    path = tuple(path.split("/"))
    assert layout.keys([path]) == {path: key}


@pytest.mark.parametrize(
    ("name", "fields", "layout"),
    [
        ("resnet18", {}, TORCHVISION),
        ("resnet50", {"blocks": [1, 1, 1, 1]}, TORCHVISION),
        ("bagnet9", {"blocks": [1, 1, 1, 1]}, BAGNET),
        ("resnet20", {"shortcut": "A"}, IDELBAYEV),
        ("resnet20", {"shortcut": "B"}, IDELBAYEV),
    ],
)
@pytest.mark.parametrize("num_classes", [0, 7])
def test_a_layout_recognises_its_own_files_only(name, fields, layout, num_classes):
    model = models.create(name, num_classes=num_classes, **fields)
    make = functools.partial(models.initialise, model, images=jnp.zeros((1, 32, 32, 3)))
    variables = jax.eval_shape(make, jax.random.key(0))
    keys = layout.keys(flax.traverse_util.flatten_dict(variables)).values()
    assert len(set(keys)) == len(jax.tree.leaves(variables))
    assert [other.name for other in LAYOUTS if other.recognises(frozenset(keys))] == [layout.name]
