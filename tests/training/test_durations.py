import pytest

from jaxvision.errors import InputError
from jaxvision.training.durations import to_steps


@pytest.mark.parametrize(
    ("duration", "steps"),
    [
        ("100 steps", 100),
        ("1 step", 1),
        (7, 7),
        ("1 epoch", 16),  # 1000 / 64 = 15.6
        ("0.5 epochs", 8),
        ("1e1 EPOCHS", 156),
        ("6400 examples", 100),
        ("1e-05 epochs", 1),  # never 0
        (" 2 epochs ", 31),
        ("5e+4 examples", 781),
    ],
)
def test_nearest_number_of_steps(duration, steps):
    assert to_steps(duration, batch_size=64, examples=1000) == steps


@pytest.mark.parametrize(
    "duration", ["", "soon", "0 steps", "-1 epochs", "5 minutes", "nan epochs", "1 epoch 2", None]
)
def test_what_is_no_duration_is_named(duration):
    with pytest.raises(InputError, match=f"not a duration: {str(duration)!r}"):
        to_steps(duration, batch_size=64, examples=1000)
