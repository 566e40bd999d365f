import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.data.memory import InMemory
from jaxvision.metrics import masked_sum
from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.training.evaluate import make_evaluate, merged


def metrics_fn(variables, batch):
    values = batch["image"].reshape(len(batch["mask"]), -1).mean(-1) * variables["scale"]
    counts = jnp.zeros(5).at[batch["label"]].add(batch["mask"])
    return {"mean": masked_sum(values, batch["mask"]), "counts": counts}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("devices", [1, 2])
def test_every_example_counts_once(layout, devices):
    """37 examples in batches of 8: the last batch has 3 of its own, all of them on the first device of two."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (37, 3, 3, 1), np.uint8), rng.integers(0, 5, 37)
    layout = make_layout(layout, jax.devices()[:devices])
    evaluate = make_evaluate(metrics_fn, layout, 8)
    found = evaluate(layout.place({"scale": jnp.float32(2.0)}), InMemory(images, labels))
    assert found["mean"] == pytest.approx(2 * images.mean(), rel=1e-6)
    np.testing.assert_array_equal(found["counts"], np.bincount(labels, minlength=5))


class Call:
    """A number that is being computed until somebody waits for it."""

    def __init__(self, ended):
        self.ended = ended

    def block_until_ready(self):
        self.ended.append(self)

    def __add__(self, other):
        return other


def test_on_several_devices_a_call_ends_before_the_next_begins():
    """Otherwise XLA may give up on a reduction after a minute and abort the process."""
    ended, ended_before = [], []

    def calls():
        for _ in range(3):
            ended_before.append(len(ended))
            yield Call(ended)

    assert jax.device_count() > 1
    merged(calls())
    assert ended_before == [0, 1, 2]
