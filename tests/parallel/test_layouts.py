"""One device = many devices = many processes, in every layout."""

import json
import os
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxvision
from jaxvision.errors import InputError
from jaxvision.parallel import LAYOUTS, make_layout
from jaxvision.parallel.sharded import MIN_ELEMENTS_TO_SPLIT
from jaxvision.training.records import read_records
from jaxvision.training.state import digest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("train_in_layouts.py")
TOLERANCE = 1e-5
QUICK_COMPILATION = "--xla_llvm_disable_expensive_passes=true --xla_backend_optimization_level=0"


def start(devices, arguments, *, program=(PROGRAM,), **variables):
    """A program, with so many fake devices."""
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {QUICK_COMPILATION}",
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        env=environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


def read(path):
    """{run: {name of a leaf: array}}"""
    trained = defaultdict(dict)
    with np.load(path) as arrays:
        for name, leaf in arrays.items():
            run, leaf_name = name.split(":", 1)
            trained[run][leaf_name] = leaf
    return dict(trained)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    directory = tmp_path_factory.mktemp("layouts")
    finish(start(8, [directory / "one.npz", 1, 2, 8]))
    return read(directory / "one.npz")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    directory, address = tmp_path_factory.mktemp("processes"), f"127.0.0.1:{free_port()}"
    finish(
        *(
            start(
                2,
                [directory / "two.npz", 4],
                JAX_COORDINATOR_ADDRESS=address,
                JAX_NUM_PROCESSES="2",
                JAX_PROCESS_ID=str(process),
            )
            for process in range(2)
        )
    )
    return read(directory / "two.npz")


def largest_difference(a, b):
    """Over all leaves, the largest difference relative to the leaf's largest parameter."""
    assert a.keys() == b.keys()
    assert all(a[name].shape == b[name].shape for name in a)
    return max(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max() for name in a)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_number_of_devices_trains_the_same(one_process, layout):
    expected = one_process["replicate 1 "]
    runs = [f"{layout} {run}" for run in ("1 ", "2 ", "2 8 steps a dispatch", "8 ")]
    assert {run: largest_difference(one_process[run], expected) for run in runs} == pytest.approx(
        dict.fromkeys(runs, 0), abs=TOLERANCE
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_run_twice_is_bit_equal(one_process, layout):
    for name, leaf in one_process[f"{layout} 2 "].items():
        np.testing.assert_array_equal(leaf, one_process[f"{layout} 2 again"][name])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_processes_train_the_same(one_process, two_processes, layout):
    assert largest_difference(two_processes[f"{layout} 4 "], one_process["replicate 1 "]) <= TOLERANCE


def test_training_changes_what_it_should(one_process):
    """The comparisons above would also hold for a network that learns nothing."""
    leaves = one_process["replicate 1 "]
    assert len(leaves) == 9
    assert np.abs(leaves["['params']['Conv_0']['kernel']"]).max() > 0.01
    assert (leaves["['batch_stats']['BatchNorm_0']['mean']"] != 0).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_that_does_not_divide(layout):
    with pytest.raises(InputError, match=r"33 does not divide over 2 devices.*--batch-size"):
        make_layout(layout).rows(33)
    assert make_layout(layout).rows(34) == slice(0, 34)


def test_an_unknown_layout():
    with pytest.raises(InputError, match="'magic': expected one of replicate, pmap, sharded"):
        make_layout("magic")


def test_sharded_cuts_large_arrays_along_their_longest_dimension():
    layout = make_layout("sharded")
    assert layout.sharding((16, 512)).spec == P(None, "batch")
    assert layout.sharding((512, 16)).spec == P("batch")
    assert layout.sharding((1023, 16)).spec == P(None, "batch")  # 1023 is odd
    assert layout.sharding((33, 33)).spec == P()
    assert layout.sharding((MIN_ELEMENTS_TO_SPLIT - 2,)).spec == P()
    placed = layout.place({"w": jnp.zeros((16, 512)), "b": jnp.zeros(16)})
    assert placed["w"].addressable_shards[0].data.shape == (16, 256)
    assert placed["b"].addressable_shards[0].data.shape == (16,)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_arrive_in_order_and_state_keeps_its_shape(layout):
    """`bind` hands each device its rows; what comes out has the shape of what went in."""
    layout = make_layout(layout)

    def step(state, batch, steps):
        rows = jax.lax.all_gather(batch["x"], "batch", tiled=True)
        return {"w": state["w"] + rows.sum() * steps}, rows[0]

    state = {"w": np.zeros((64, 32), np.float32)}
    batch = {"x": np.arange(6, dtype=np.float32)}
    after, first = layout.bind(step, (None, 0, None))(
        layout.place(state), layout.place_batch(batch), layout.place(np.float32(2))
    )
    assert after["w"].shape == (64, 32)
    np.testing.assert_array_equal(after["w"], 30)
    assert first == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_may_lie_along_another_axis(layout):
    layout = make_layout(layout)
    indices = np.arange(12).reshape(3, 4)

    def total(indices):
        return jax.lax.psum(indices.sum(1) * (1 + jax.lax.axis_index("batch") * 0), "batch")

    found = layout.bind(total, (1,))(layout.place_batch(indices, axis=1))
    np.testing.assert_array_equal(found, indices.sum(1))


def test_two_processes_leave_one_run(tmp_path):
    """An experiment in two processes: every line of metrics.jsonl once, one result, checkpoints that load."""
    address = f"127.0.0.1:{free_port()}"
    flags = ["--smoke", "--parallel", "sharded", "--workdir", str(tmp_path / "run")]
    finish(
        *(
            start(
                2,
                flags,
                program=("-m", "experiments.digits.cnn"),
                JAX_COORDINATOR_ADDRESS=address,
                JAX_NUM_PROCESSES="2",
                JAX_PROCESS_ID=str(process),
            )
            for process in range(2)
        )
    )
    records = read_records(tmp_path / "run/metrics.jsonl")
    assert [(record["step"], record["split"]) for record in records] == [
        (2, "train"),
        (2, "validation"),
        (4, "train"),
        (4, "validation"),
    ]
    assert (tmp_path / "run/result.json").exists()
    assert len(list((tmp_path / "run/tensorboard").iterdir())) == 1
    _, variables, _, _ = jaxvision.load_run(tmp_path / "run")
    assert json.loads((tmp_path / "run/test_opened.json").read_text())["parameters_sha256"] == digest(variables)
