import errno
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.errors import InputError
from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.training.checkpoints import Checkpoints, load_variables
from jaxvision.training.state import create_state

TX = optax.inject_hyperparams(optax.adam)(learning_rate=0.1)
NOTES = {"sums": {"loss": [0.1, 3.0]}, "best": float("inf")}


def some_state(seed=0):
    """A State whose every array is its own noise."""
    variables = {"params": {"w": jnp.zeros((64, 32)), "b": jnp.zeros(3)}, "batch_stats": {"n": jnp.int32(0)}}
    state = create_state(variables, TX, jax.random.key(0), {"learning_rate": 0.1})
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 50, leaf.shape), leaf.dtype), state)


@pytest.fixture
def make(tmp_path):
    made = []

    def make(layout="replicate", keep=5):
        made.append(Checkpoints(tmp_path / "checkpoints", make_layout(layout), keep=keep))
        return made[-1]

    yield make
    for checkpoints in made:
        checkpoints.close()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_restored_is_bit_equal(make, layout):
    state = some_state()
    checkpoints = make(layout)
    checkpoints.save(7, checkpoints._layout.place(state), NOTES)
    checkpoints.wait()
    restored, notes = make(layout).restore(7, some_state(1))
    jax.tree.map(np.testing.assert_array_equal, restored, state)
    assert jax.tree.map(lambda leaf: leaf.dtype, restored) == jax.tree.map(lambda leaf: leaf.dtype, state)
    assert notes == NOTES


def test_old_ones_go_and_the_pinned_one_stays(make):
    checkpoints = make(keep=2)
    for step in (10, 9 * 3, 30, 100):
        checkpoints.save(step, some_state(), {}, pinned=frozenset({10}))
    checkpoints.wait()
    assert checkpoints.steps() == [10, 30, 100]
    checkpoints.save(200, some_state(), {}, pinned=frozenset({100}))
    checkpoints.wait()
    assert checkpoints.steps() == [100, 200]


def test_load_variables_reads_the_newest_whole_checkpoint(make, tmp_path):
    checkpoints = make()
    for step in (1, 2):
        checkpoints.save(step, some_state(step), NOTES)
    checkpoints.wait()
    for step in (2, 1):
        loaded = load_variables(tmp_path / "checkpoints", some_state().variables)
        jax.tree.map(np.testing.assert_array_equal, loaded, some_state(step).variables)
        (tmp_path / "checkpoints" / str(step) / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="no checkpoint that is whole"):
        load_variables(tmp_path / "checkpoints", some_state().variables)


@pytest.mark.parametrize("change", ["missing", "added"])
def test_a_file_too_few_or_too_many_is_noticed(make, tmp_path, capsys, change):
    checkpoints = make()
    checkpoints.save(1, some_state(), NOTES)
    checkpoints.wait()
    directory = tmp_path / "checkpoints/1"
    if change == "missing":
        next(path for path in directory.rglob("*") if path.is_file() and path.name != "manifest.json").unlink()
    else:
        (directory / "extra").touch()
    assert make().steps() == []
    assert "is corrupt" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("write: No space left on device [os_error_code='28']"),
    ],
)
def test_a_full_disk_is_one_line_that_names_the_checkpoint(make, tmp_path, monkeypatch, error):
    def fail():
        raise error

    full = SimpleNamespace(save=lambda *_, **__: None, wait_until_finished=fail)
    checkpoints = make()
    with monkeypatch.context() as patched, pytest.raises(InputError) as raised:
        patched.setattr(checkpoints, "_checkpointer", full)
        checkpoints.save(3, some_state(), NOTES)
        checkpoints.wait()
    assert str(tmp_path / "checkpoints/3") in str(raised.value) and "\n" not in str(raised.value)
