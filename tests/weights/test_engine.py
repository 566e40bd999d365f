import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import weights
from jaxvision.errors import InputError
from jaxvision.weights import Layout, to_arrays, to_variables
from jaxvision.weights.layout import by_module

NAMES = {"conv1": "features.0", "bn1": "features.1", "fc": "classifier.0", "head": "classifier.1"}
LAYOUT = Layout(
    "example", lambda keys: True, by_module(lambda path: NAMES[path[0]]), flattened={("fc",): (3, 2, 2)}
)
SHAPES = {
    "params": {
        "conv1": {"kernel": (5, 4, 2, 3)},
        "bn1": {"scale": (3,), "bias": (3,)},
        "fc": {"kernel": (12, 4), "bias": (4,)},
        "head": {"kernel": (4, 6), "bias": (6,)},
    },
    "batch_stats": {"bn1": {"mean": (3,), "var": (3,)}},
}
FILE_SHAPES = {
    "features.0.weight": (3, 2, 5, 4),
    "features.1.weight": (3,),
    "features.1.bias": (3,),
    "features.1.running_mean": (3,),
    "features.1.running_var": (3,),
    "classifier.0.weight": (4, 12),
    "classifier.0.bias": (4,),
    "classifier.1.weight": (6, 4),
    "classifier.1.bias": (6,),
}
COUNTER = {"features.1.num_batches_tracked": np.array(7, np.int64)}
TEMPLATE = jax.tree.map(
    lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), SHAPES, is_leaf=lambda node: isinstance(node, tuple)
)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {key: rng.normal(size=shape).astype(np.float32) for key, shape in FILE_SHAPES.items()}


def zeros():
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), TEMPLATE)


def complaint(arrays, template=TEMPLATE, **options):
    with pytest.raises(InputError) as caught:
        to_variables(arrays, LAYOUT, template, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("does not fit the model by the layout example: ")
    return message.removeprefix("does not fit the model by the layout example: ")


def test_values_by_their_leaves(arrays):
    variables = to_variables(arrays, LAYOUT, TEMPLATE)
    assert jax.tree.map(np.shape, variables) == SHAPES
    assert variables["params"]["conv1"]["kernel"][4, 3, 1, 2] == arrays["features.0.weight"][2, 1, 4, 3]
    assert variables["params"]["head"]["kernel"][3, 5] == arrays["classifier.1.weight"][5, 3]
    np.testing.assert_array_equal(variables["params"]["bn1"]["scale"], arrays["features.1.weight"])
    np.testing.assert_array_equal(variables["batch_stats"]["bn1"]["var"], arrays["features.1.running_var"])


def test_after_a_flattened_map_rows_are_in_another_order(arrays):
    """Ours is flattened from [H, W, C], that of the file from [C, H, W]: the products are the same."""
    x = np.random.default_rng(1).normal(size=(2, 2, 3)).astype(np.float32)
    kernel = to_variables(arrays, LAYOUT, TEMPLATE)["params"]["fc"]["kernel"]
    expected = arrays["classifier.0.weight"] @ x.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(x.ravel() @ kernel, expected, rtol=1e-5)


def test_the_way_back_is_bit_equal(arrays):
    variables = jax.tree.map(jnp.asarray, to_variables(arrays | COUNTER, LAYOUT, TEMPLATE))
    back = to_arrays(variables, LAYOUT, counters=COUNTER)
    assert back.keys() == arrays.keys() | COUNTER.keys()
    for key, array in (arrays | COUNTER).items():
        assert (back[key].dtype, back[key].shape) == (array.dtype, array.shape)
        assert back[key].tobytes() == array.tobytes()


def test_counters_of_something_else_are_refused(arrays):
    variables = to_variables(arrays, LAYOUT, TEMPLATE)
    with pytest.raises(InputError, match=r"counters: bn7.num_batches_tracked of no batch normalisation"):
        to_arrays(variables, LAYOUT, counters={"bn7.num_batches_tracked": np.array(1)})


def test_every_problem_is_told_at_once(arrays):
    broken = {key: array for key, array in arrays.items() if key not in ("classifier.0.bias", "features.1.bias")}
    broken["classifier.2.weight"] = np.zeros((2, 2), np.float32)
    broken["a.num_batches_tracked"] = np.array(1)
    broken["features.0.weight"] = np.zeros((3, 2, 4, 5), np.float32)
    broken["classifier.1.bias"] = np.full(7, np.inf, np.float32)
    broken["features.1.running_mean"] = np.zeros(3)
    broken["features.1.num_batches_tracked"] = np.zeros(1, np.int32)
    broken["features.1.weight"][1] = np.nan
    assert set(complaint(broken).split("; ")) == {
        "missing: features.1.bias, classifier.0.bias",
        "extra: classifier.2.weight, a.num_batches_tracked",
        "of another shape: features.0.weight [3, 2, 4, 5], expected [3, 2, 5, 4], "
        "classifier.1.bias [7], expected [6], features.1.num_batches_tracked [1], expected []",
        "of another type: features.1.running_mean float64, expected float32, "
        "a.num_batches_tracked int64, expected float32, features.1.num_batches_tracked int32, expected int64",
        "NaN or infinite: features.1.weight, classifier.1.bias",
    }


def test_a_part_of_a_file(arrays):
    only = {key: array for key, array in arrays.items() if key.startswith("features")}
    variables = to_variables(only | COUNTER, LAYOUT, zeros(), only="^features")
    assert variables["params"]["conv1"]["kernel"].any() and not variables["params"]["fc"]["kernel"].any()
    arrays["classifier.1.weight"] = np.zeros((9, 9))
    variables = to_variables(arrays, LAYOUT, zeros(), skip=r"classifier\.1|features")
    assert variables["params"]["fc"]["kernel"].any() and not variables["params"]["head"]["kernel"].any()
    assert not variables["params"]["conv1"]["kernel"].any()
    assert complaint(only, zeros(), skip=r"classifier\.1") == "missing: classifier.0.bias, classifier.0.weight"
    needed = "in neither the file nor the template: classifier.1.bias, classifier.1.weight"
    assert complaint(arrays, skip=r"classifier\.1") == needed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": "layer("}, r"only: 'layer\(' is no regular expression: missing \)"),
        ({"skip": "layer"}, "skip: 'layer' is found in no key, expected such as '.layer1'"),
    ],
)
def test_expressions_that_can_be_of_no_use(arrays, options, message):
    with pytest.raises(InputError, match=message):
        to_variables(arrays, LAYOUT, zeros(), **options)


@pytest.mark.parametrize("of_file", [None, 3])
def test_a_new_head(arrays, of_file):
    for key in ("classifier.1.weight", "classifier.1.bias"):
        arrays[key] = np.ones(of_file or (), np.float64)
    if of_file is None:
        del arrays["classifier.1.weight"], arrays["classifier.1.bias"]
    variables = to_variables(arrays, LAYOUT, zeros(), new_head=True)
    assert variables["params"]["fc"]["bias"].any() and not variables["params"]["head"]["bias"].any()


def test_two_parameters_of_one_name_are_a_mistake_in_the_layout(arrays):
    layout = LAYOUT._replace(keys=by_module(lambda path: "features.0"))
    with pytest.raises(
        ValueError, match=r"example: several parameters are called features\.0\.bias, features\.0\."
    ):
        to_variables(arrays, layout, TEMPLATE)


def test_a_file_there_and_back(arrays, tmp_path):
    weights.write(arrays | COUNTER, tmp_path / "a.safetensors")
    variables = weights.load(tmp_path / "a.safetensors", LAYOUT, TEMPLATE)
    counters = weights.counters(tmp_path / "a.safetensors")
    weights.save(variables, LAYOUT, tmp_path / "b.safetensors", counters=counters)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with pytest.raises(InputError, match=rf"^{tmp_path}/a\.safetensors: does not fit .*: missing: bn1"):
        layout = LAYOUT._replace(keys=by_module(lambda path: path[0]))
        weights.load(tmp_path / "a.safetensors", layout, TEMPLATE)
