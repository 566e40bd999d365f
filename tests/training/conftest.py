"""A linear classifier on 64 made-up digits: a whole run in under a second."""

import dataclasses
import os
import signal

import jax
import optax
import pytest

from jaxvision import augment, data
from jaxvision.parallel import make_layout
from jaxvision.tasks.classification import classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.run import Env, train
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.workdir import WorkDir

CONFIG = TrainConfig(
    steps=12,
    epochs=0.0,
    batch_size=8,
    learning_rate=0.05,
    eval_batch_size=16,
    log_every="3 steps",
    eval_every="4 steps",
    checkpoint_every="4 steps",
)


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """Compile what many runs share once; without this the room takes five times as long."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


class Interrupted:
    """A data set that does something when the batch of a step is asked for."""

    def __init__(self, dataset, at_step, action):
        self._dataset, self._at_step, self._action = dataset, at_step, action

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def __len__(self):
        return len(self._dataset)

    def train_batches(self, order, start_step, rows):
        for step, batch in enumerate(self._dataset.train_batches(order, start_step, rows), start_step):
            if step == self._at_step:
                self._action()
            yield batch


@dataclasses.dataclass
class Runs:
    """Runs of the classifier below one directory."""

    directory: os.PathLike

    def task(self, config):
        splits = data.load("digits", fake=True)
        return classification_task(
            "mlp",
            {"features": [8], "dropout_rate": 0.25},
            preprocess=augment.Preprocess((8, 8, 1), (0.5,), (0.5,)),
            class_names=splits.info.class_names,
            tx=scheduled(optax.adam, cosine(config.steps), learning_rate=config.learning_rate),
            hyper={"learning_rate": config.learning_rate},
        )

    def train(
        self, name="run", *, layout="replicate", devices=2, at_step=None, action=None, change_task=None, **fields
    ):
        """The Outcome of a run in `directory/name`; `action` is called before step `at_step`."""
        config = dataclasses.replace(CONFIG, **fields)
        splits = data.load("digits", fake=True)
        if action:
            splits = dataclasses.replace(splits, train=Interrupted(splits.train, at_step, action))
        task = self.task(config)
        if change_task:
            task = change_task(task)
        return train(task, splits, config, self.env(name, config, layout, devices))

    def env(self, name, config, layout="replicate", devices=2):
        """Where the run `directory/name` takes place."""
        return Env(
            workdir=WorkDir(self.directory / name, "test.linear", config, smoke=False),
            data_dir=None,
            layout=make_layout(layout, jax.devices()[:devices]),
            smoke=False,
            environment={},
        )

    def terminate(self, name="run", *, at_step, **fields):
        """A run asked to end by SIGTERM while it prepares the batch of `at_step`."""
        with pytest.raises(SystemExit) as left:
            self.train(name, at_step=at_step, action=lambda: os.kill(os.getpid(), signal.SIGTERM), **fields)
        assert left.value.code == 143


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)
