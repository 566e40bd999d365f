import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models, weights
from jaxvision.augment import ImagePreprocess
from jaxvision.errors import InputError
from jaxvision.models.catalog import CONSTRUCTORS
from jaxvision.models.published import PUBLISHED
from jaxvision.models.sources import FAMILIES, sources_of
from tests.ops.numerics import compiled

CIFAR, IMAGENET = (32, 32, 3), (224, 224, 3)
SMALLER = {
    "googlenet": {"modules": ("3a", "4a", "4d", "5b")},
    "mobilenet_v2": {"blocks": (1, 2)},
    "resnet20": {"blocks": 1},
    "vit_ti_16": {"depth": 2},
    "vit_ti_32": {"depth": 2},
}


@pytest.fixture(autouse=True, scope="module")
def smaller():
    """What is traced often: these models with fewer blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, fields in SMALLER.items():
            patch.setitem(CONSTRUCTORS, name, functools.partial(CONSTRUCTORS[name], **fields))
        yield


@functools.cache
def template_of(name, shape, **fields):
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    make = functools.partial(models.initialise, models.create(name, **fields), images=images)
    return jax.eval_shape(make, jax.random.key(0))


def layout_of(name):
    """The first of those that files of this model may have."""
    return next(iter(sources_of(name).values())).layout


def leaves_by_path(tree):
    return {tuple(entry.key for entry in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


@pytest.fixture
def file_of(tmp_path):
    """A function that writes a weight file for images of a shape, with changes; it returns (path, variables)."""

    def write(name, shape, changes=None, **fields):
        rng, template = np.random.default_rng(0), template_of(name, shape, **fields)
        variables = jax.tree.map(lambda leaf: rng.random(leaf.shape, np.float32), template)
        arrays = weights.to_arrays(variables, layout_of(name))
        changed = {key: array for key, array in {**arrays, **(changes or {})}.items() if array is not None}
        weights.write(changed, tmp_path / f"{name}.safetensors")
        return tmp_path / f"{name}.safetensors", variables

    return write


def assert_same(ours, expected):
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, ours, expected)


def complaint(*arguments, **options):
    with pytest.raises(InputError) as caught:
        models.load(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "fields"),
    [
        ("resnet20", CIFAR, {"num_classes": 7}),
        ("resnet20", (32, 32, 1), {}),
        ("resnet20", CIFAR, {"shortcut": "B"}),
        ("resnet18", (224, 224, 4), {"num_classes": 3}),
        ("vit_ti_16", (384, 384, 1), {"num_classes": 5, "grid": 24}),
        ("vit_ti_32", (64, 64, 3), {"grid": 2, "class_token": False, "pool": "mean"}),
        ("googlenet", IMAGENET, {"num_classes": 10, "auxiliary": True}),
        ("googlenet", IMAGENET, {"num_classes": 10}),
        ("mobilenet_v2", IMAGENET, {"num_classes": 2}),
    ],
)
def test_the_file_says_what_model_it_is_of(file_of, name, shape, fields):
    path, expected = file_of(name, shape, **fields)
    model, variables, preprocess = models.load(name, path)
    assert_same(variables, expected)
    assert {field: getattr(model, field) for field in fields} == fields
    assert preprocess.image_shape == shape
    logits = jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct((2, *shape), jnp.float32))
    assert logits.shape == (2, model.num_classes)


def test_logits_are_those_of_the_file(file_of):
    path, expected = file_of("resnet20", CIFAR)
    model, variables, preprocess = models.load("resnet20", str(path))
    images = preprocess(np.random.default_rng(0).integers(0, 256, (2, 40, 48, 3), np.uint8))
    apply = compiled(model.apply)
    np.testing.assert_array_equal(apply(variables, images), apply(expected, images))


@pytest.mark.parametrize(("name", "fields"), [("resnet20", {}), ("googlenet", {"auxiliary": True})])
def test_without_classes_it_embeds(file_of, name, fields):
    shape = CIFAR if name == "resnet20" else IMAGENET
    path, expected = file_of(name, shape, **fields)
    model, variables, _ = models.load(name, path, num_classes=0)
    assert model.num_classes == 0
    assert variables["params"].keys() == expected["params"].keys() - {"head", "aux1", "aux2"}
    embedding = jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct((2, *shape), jnp.float32))
    assert embedding.ndim == 2


def test_a_file_without_a_head(file_of):
    path, _ = file_of("resnet20", CIFAR, {"linear.weight": None, "linear.bias": None})
    assert models.load("resnet20", path, num_classes=0)[0].num_classes == 0
    assert models.load("resnet20", path, num_classes=4, new_head=True)[0].num_classes == 4
    layout = "does not fit the model by the layout cifar resnet"
    assert complaint("resnet20", path) == f"{path}: {layout}: missing: linear.bias, linear.weight"


@pytest.mark.parametrize(("name", "fields"), [("resnet20", {}), ("googlenet", {"auxiliary": True})])
def test_a_new_head(file_of, name, fields):
    path, expected = file_of(name, CIFAR if name == "resnet20" else IMAGENET, **fields)
    model, variables, _ = models.load(name, path, num_classes=5, new_head=True)
    assert model.num_classes == 5
    ours, expected = leaves_by_path(variables), leaves_by_path(expected)
    assert ours.keys() == expected.keys()
    for place, leaf in ours.items():
        if "head" in place:
            assert leaf.shape == (*expected[place].shape[:-1], 5)
        else:
            np.testing.assert_array_equal(leaf, expected[place])


def test_a_new_head_has_a_seed(file_of):
    path, _ = file_of("resnet20", CIFAR)
    seeds = ({}, {"seed": 0}, {"seed": 1})
    loaded = [models.load("resnet20", path, num_classes=5, new_head=True, **seed)[1] for seed in seeds]
    default, same, other = (np.asarray(variables["params"]["head"]["kernel"]) for variables in loaded)
    np.testing.assert_array_equal(default, same)
    assert default.std() > 0 and np.any(default != other)


def test_another_number_of_classes(file_of):
    path, _ = file_of("resnet20", CIFAR)
    assert complaint("resnet20", path, num_classes=5) == (
        f"{path}: does not fit the model by the layout cifar resnet: of another shape: linear.bias [10], expected "
        "[5], linear.weight [10, 64], expected [5, 64]; it has 10 classes, not 5: new_head=True starts a new head"
    )
    assert models.load("resnet20", path, num_classes=10)[0].num_classes == 10
    assert "expected at least 0" in complaint("resnet20", path, num_classes=-1)
    assert "has no head" in complaint("resnet20", path, num_classes=0, new_head=True)


def test_everything_wrong_with_a_file_is_told_at_once(file_of):
    changes = {
        "layer1.0.bn1.bias": None,
        "layer9.weight": np.zeros(3, np.float32),
        "layer2.0.conv1.weight": np.zeros((32, 16, 5, 5), np.float32),
        "bn1.weight": np.zeros(16),
        "bn1.running_var": np.full(16, np.nan, np.float32),
    }
    path, _ = file_of("resnet20", CIFAR, changes)
    assert complaint("resnet20", path) == (
        f"{path}: does not fit the model by the layout cifar resnet: missing: layer1.0.bn1.bias; "
        "extra: layer9.weight; of another shape: layer2.0.conv1.weight [32, 16, 5, 5], expected [32, 16, 3, 3]; "
        "of another type: bn1.weight float64, expected float32; NaN or infinite: bn1.running_var"
    )


def test_a_plain_network_has_no_place_for_projections(file_of):
    path, _ = file_of("resnet20", CIFAR, shortcut="B")
    assert "extra: layer2.0.shortcut.0.weight" in complaint("plain20", path)


@pytest.mark.parametrize(("size_px", "interpolation"), [(64, "bilinear"), (224, "bilinear"), (384, "bicubic")])
def test_vision_transformers_of_larger_images_are_bicubic(file_of, size_px, interpolation):
    path, _ = file_of("vit_ti_32", (size_px, size_px, 3), grid=size_px // 32)
    preprocess = models.load("vit_ti_32", path)[2]
    resize_px = 256 if size_px == 224 else size_px
    assert (preprocess.resize_px, preprocess.crop_px) == (resize_px, size_px)
    assert (preprocess.interpolation, preprocess.antialias) == (interpolation, True)


@pytest.mark.parametrize("channels", [3, 1])
def test_a_preprocessing_that_no_file_tells(file_of, channels):
    path, _ = file_of("resnet20", (32, 32, channels))
    assumed = models.load("resnet20", path, preprocess={"crop_px": None})[2]
    assert assumed == models.load("resnet20", path)[2]
    changes = {"resize_px": 34, "interpolation": "bicubic", "std": [0.5] * channels}
    model, variables, preprocess = models.load("resnet20", path, preprocess=changes)
    assert preprocess == ImagePreprocess(34, 32, assumed.mean, (0.5,) * channels, "bicubic")
    preprocess = models.load("resnet20", path, preprocess={"resize_px": 48, "crop_px": 40})[2]
    logits = jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct((2, *preprocess.image_shape), jnp.float32))
    assert preprocess.crop_px == 40 and logits.shape == (2, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_pct": 0.95}, "preprocess: crop_pct unknown, expected some of resize_px, crop_px, mean, std, int"),
        ({"crop_px": 40}, "crop_px: 40, expected 1 to resize_px, 32"),
        ({"interpolation": "lanczos"}, "interpolation: 'lanczos' is unknown"),
        ({"mean": [0.5], "std": [0.5]}, "mean, std: of 1 channels, the file is for images of 3"),
    ],
)
def test_an_impossible_preprocessing(file_of, changes, message):
    path, _ = file_of("resnet20", CIFAR)
    assert complaint("resnet20", path, preprocess=changes).startswith(message)


def test_a_class_token_is_missing_and_not_left_out(file_of):
    path, _ = file_of("vit_ti_32", IMAGENET, {"class_token": None})
    assert complaint("vit_ti_32", path).endswith(": missing: class_token")


def test_files_of_other_models(file_of, tmp_path):
    path, _ = file_of("resnet20", CIFAR)
    assert (
        complaint("resnet50", path)
        == f"{path}: has the layout cifar resnet, expected torchvision resnet for resnet50"
    )
    assert "missing: layer1.1.bn1.running_mean" in complaint("resnet32", path)
    assert complaint("lenet", path) == "lenet: no layout of weight files is known for it"
    assert "model: 'resnet21' is unknown" in complaint("resnet21", path)
    weights.write({"weight": np.zeros(2, np.float32)}, tmp_path / "a.safetensors")
    assert f"{tmp_path}/a.safetensors: keys such as weight are of no layout known: " in complaint(
        "resnet20", tmp_path / "a.safetensors"
    )
    assert complaint("resnet20", tmp_path / "b.safetensors") == f"{tmp_path}/b.safetensors: no such file"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("alexnet", {}),
        ("bagnet9", {}),
        ("googlenet", {}),
        ("mobilenet_v2", {}),
        ("resnet18", {}),
        ("resnet50", {"blocks": (1, 1, 1, 1)}),
        ("resnet20", {}),
        ("vgg11", {"hidden": 8}),
        ("vgg11_bn", {"hidden": 8}),
        ("vit_ti_32", {}),
    ],
)
def test_layouts_are_told_apart(name, fields):
    """Also where some keys are gone."""
    layout, template = layout_of(name), template_of(name, CIFAR if name == "resnet20" else IMAGENET, **fields)
    keys = sorted(layout.keys(leaves_by_path(template)).values())
    for subset in (keys, keys[2:], keys[:-2], [key for key in keys if "weight" in key]):
        assert weights.recognise(subset) is layout


def test_every_published_file_has_a_layout_and_a_preprocessing():
    for name in PUBLISHED:
        assert sources_of(name)
    layouts = [source.layout for sources in FAMILIES.values() for source in sources]
    assert all(layout in layouts for layout in weights.LAYOUTS)


@pytest.mark.parity
@pytest.mark.parametrize("name", [name for name, source in PUBLISHED.items() if "pytorch.org" in source.directory])
def test_preprocessing_is_torchvisions(name):
    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    theirs = torchvision_and_operators()[0].models.get_model_weights(name).IMAGENET1K_V1.transforms()
    for source in sources_of(name).values():
        ours = source.preprocess
        if "timm" in source.layout.name:
            continue
        assert [ours.resize_px] == theirs.resize_size and [ours.crop_px] == theirs.crop_size
        assert ours.interpolation == theirs.interpolation.value
        assert ours.antialias == theirs.antialias
        if name != "googlenet":
            assert list(ours.mean) == theirs.mean and list(ours.std) == theirs.std


@pytest.mark.parity
def test_preprocessing_of_larger_images_is_torchvisions(file_of):
    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    theirs = torchvision_and_operators()[0].models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1.transforms()
    path, _ = file_of("vit_ti_16", (384, 384, 3), grid=24)
    ours = models.load("vit_ti_16", path)[2]
    assert ([ours.resize_px], [ours.crop_px]) == (theirs.resize_size, theirs.crop_size) == ([384], [384])
    assert (ours.interpolation, ours.antialias) == (theirs.interpolation.value, theirs.antialias)
    assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)


@pytest.mark.parity
@pytest.mark.parametrize(("library", "name"), [("timm", "vit_tiny_patch16_224"), ("timm", "vit_small_patch32_224")])
def test_preprocessing_is_timms(library, name):
    from scripts.benchmarks.torch_oracle import torchvision_and_operators

    torchvision_and_operators()
    import timm

    theirs = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    ours = sources_of(name.replace("tiny", "ti").replace("small", "s").replace("_patch", "_")[:-4])[
        "timm vit"
    ].preprocess
    assert theirs["input_size"] == (3, 224, 224) and ours.crop_px == 224
    assert ours.resize_px == int(224 / theirs["crop_pct"])
    assert (ours.interpolation, ours.mean, ours.std) == tuple(
        theirs[key] for key in ("interpolation", "mean", "std")
    )


@pytest.mark.parity
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_from_torch_and_back(tmp_path, suffix):
    """A file that torch wrote is the same bits after our variables, and torch loads it."""
    import torch

    from scripts.benchmarks.torch_oracle import torchvision_and_operators
    from tests.weights.parity import arrays_of, assert_bit_equal, randomise

    resnet18 = torchvision_and_operators()[0].models.resnet18
    torch_model = randomise(resnet18(), 3)
    torch.save(torch_model.state_dict(), tmp_path / "a.pth")
    _, variables, _ = models.load("resnet18", tmp_path / "a.pth")
    path, layout = tmp_path / f"b.{suffix}", sources_of("resnet18")["torchvision resnet"].layout
    weights.save(variables, layout, path, counters=weights.counters(tmp_path / "a.pth"))
    assert_bit_equal(weights.read(path), arrays_of(torch_model))
    again = resnet18()
    again.load_state_dict({key: torch.from_numpy(array) for key, array in weights.read(path).items()})
    assert_bit_equal(arrays_of(again), arrays_of(torch_model))
    if suffix == "pth":
        again.load_state_dict(torch.load(path, weights_only=True))
