import json
from dataclasses import asdict, dataclass

import pytest

from jaxvision.errors import InputError
from jaxvision.training.config import TrainConfig, config_differences, resolve, shrink


@dataclass(frozen=True)
class BySteps(TrainConfig):
    steps: int = 500
    epochs: float = 0.0
    widths: tuple[int, ...] = (64, 32)


def test_a_given_length_overrides_the_default_of_the_other():
    by_epochs = resolve(TrainConfig(steps=30))
    assert (by_epochs.steps, by_epochs.epochs) == (30, 0)
    assert by_epochs.total_steps(1000) == 30
    by_steps = resolve(BySteps(epochs=2.0))
    assert (by_steps.steps, by_steps.epochs) == (0, 2.0)
    assert by_steps.total_steps(1000) == 16  # 2000 / 128 = 15.6
    assert resolve(BySteps()).total_steps(1000) == 500
    assert resolve(TrainConfig()).total_steps(1280) == 100


def test_both_lengths_are_one_too_many():
    with pytest.raises(InputError, match=r"--steps 5 and --epochs 2.0"):
        resolve(TrainConfig(steps=5, epochs=2.0))


@pytest.mark.parametrize(
    "field", ["batch_size", "eval_batch_size", "keep_checkpoints", "steps_per_dispatch", "patience", "seed"]
)
def test_numbers_out_of_range_are_named_as_flags(field):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} -1"):
        resolve(TrainConfig(**{field: -1}))


def test_no_length_at_all():
    with pytest.raises(InputError, match="--epochs"):
        resolve(TrainConfig(epochs=0.0))


@pytest.mark.parametrize("field", ["eval_every", "checkpoint_every", "log_every"])
def test_a_wrong_duration_is_refused_before_anything_is_written(field):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')}.*'often'"):
        resolve(TrainConfig(**{field: "often"}))


def test_shrink_is_four_steps_looked_at_twice():
    small = shrink(TrainConfig(steps_per_dispatch=64), devices=3)
    assert small.batch_size == 9
    assert small.total_steps(10_000) == 4
    assert [small.in_steps(every, 10_000) for every in (small.eval_every, small.checkpoint_every)] == [2, 2]
    assert small.steps_per_dispatch == 2


def test_differences_are_of_values_not_of_json_types():
    saved = json.loads(json.dumps(asdict(BySteps())))
    assert saved["widths"] == [64, 32]
    assert config_differences(saved, BySteps()) == []
    assert config_differences(saved, BySteps(seed=3)) == ["seed: 0 there, 3 here"]
    assert config_differences({**saved, "gone": 1}, BySteps()) == ["gone: 1 there, None here"]
