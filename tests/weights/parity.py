"""The same weights in PyTorch give the same logits, and come back bit by bit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import models
from jaxvision.weights.engine import to_arrays, to_variables
from tests.ops.numerics import assert_close, compiled

TOLERANCE = 2e-5  # of the largest value; rounding in float32 is a tenth of it, the other GELU ten times it


def randomise(torch_model, seed: int):
    """The model, in evaluation, with other biases, scales and running statistics than it starts with."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, tensor in torch_model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(seed + 1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.ndim == 1 or not tensor.any():  # biases, scales, running means; heads that start at zero
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return torch_model.eval()


def arrays_of(torch_model) -> dict[str, np.ndarray]:
    return {key: tensor.numpy() for key, tensor in torch_model.state_dict().items()}


def assert_same_logits(model, torch_model, layout, images: np.ndarray, taps: dict[str, str] | None = None) -> None:
    """Logits of images [B, H, W, C] agree, and so do the named taps with the outputs of torch's named modules.

    The round trip of the weights is checked on the way.
    """
    arrays = arrays_of(torch_model)
    template = jax.eval_shape(functools.partial(models.initialise, model, images=jnp.asarray(images)), KEY)
    variables = to_variables(arrays, layout, template)
    counters = {key: array for key, array in arrays.items() if key.endswith("num_batches_tracked")}
    assert_bit_equal(to_arrays(variables, layout, counters=counters), arrays)

    expected = torch_features(torch_model, images, taps or {})
    logits, features = compiled(functools.partial(model.apply, mutable="intermediates"))(variables, images)
    ours = {tap: features["intermediates"][tap] for tap in taps or {}} | {"logits": logits}
    for name, feature in expected.items():
        assert_close(ours[name], feature, TOLERANCE)


KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles faster than threefry


def torch_features(torch_model, images, taps):
    """The logits and, as [B, H, W, C], what the modules return whose names are the values of `taps`."""
    import torch

    features = {}

    def keep(name):
        def hook(module, inputs, output):
            features[name] = channels_last(output)

        return hook

    handles = [torch_model.get_submodule(path).register_forward_hook(keep(tap)) for tap, path in taps.items()]
    with torch.no_grad():
        features["logits"] = torch_model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    for handle in handles:
        handle.remove()
    return features


def channels_last(tensor):
    array = tensor.numpy().copy()  # a ReLU in place would change it
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def assert_bit_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for key, array in theirs.items():
        assert ours[key].dtype == array.dtype, key
        assert ours[key].shape == array.shape, key
        assert ours[key].tobytes() == array.tobytes(), key
