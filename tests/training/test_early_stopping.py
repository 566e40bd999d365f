import math

import jax
import pytest

from jaxvision.parallel import make_layout
from jaxvision.training.checkpoints import Checkpoints
from jaxvision.training.early_stopping import EarlyStopping
from jaxvision.training.state import digest


def stopped_at(losses, patience):
    """The evaluation after which training stops, and the record then."""
    record = EarlyStopping(patience)
    for step, loss in enumerate(losses):
        record = record.update(step, loss)
        if record.should_stop:
            return step, record
    return None, record


def test_by_hand():
    losses = [3.0, 2.0, 2.5, 1.0, 1.0, 1.5, 0.1]
    assert stopped_at(losses, 2) == (5, EarlyStopping(2, best=1.0, best_step=3, waited=2))
    assert stopped_at(losses, 1) == (2, EarlyStopping(1, best=2.0, best_step=1, waited=1))
    assert stopped_at(losses, 3) == (None, EarlyStopping(3, best=0.1, best_step=6, waited=0))
    assert stopped_at(losses, 0)[0] is None


def test_not_a_number_is_no_improvement():
    assert stopped_at([math.nan, math.nan], 2) == (1, EarlyStopping(2, waited=2))


OFTEN = {"eval_every": "2 steps", "checkpoint_every": "2 steps", "keep_checkpoints": 6}


@pytest.fixture
def losses(monkeypatch):
    """Validation losses that replace the real ones, by step."""
    losses = {2: 2.0, 4: 1.0, 6: 1.5, 8: 1.25, 10: 0.5, 12: 0.25}
    update = EarlyStopping.update
    monkeypatch.setattr(EarlyStopping, "update", lambda self, step, loss: update(self, step, losses[step]))
    return losses


def test_a_run_returns_its_best_checkpoint(runs, losses):
    stopped = runs.train("stopped", **{**OFTEN, "keep_checkpoints": 1}, patience=2)
    assert stopped.result["steps"] == 8
    assert [r["step"] for r in stopped.records if r["split"] == "validation"] == [2, 4, 6, 8]

    runs.train("straight", **OFTEN, patience=0)
    checkpoints = Checkpoints(runs.directory / "straight/checkpoints", make_layout("replicate"), keep=6)
    best, _ = checkpoints.restore(4, jax.tree.map(jax.numpy.asarray, stopped.state))
    checkpoints.close()
    assert stopped.state.step == best.step == 4
    assert digest(stopped.state.variables) == digest(best.variables)
    assert stopped.result["evaluated_step"] == 4
    assert {path.name for path in (runs.directory / "stopped/checkpoints").iterdir()} == {"4", "8"}


def test_the_best_is_returned_however_rare_checkpoints_are(runs, losses):
    """Its checkpoint is then the last thing saved, and may not be complete when training stops."""
    stopped = runs.train("rare", **{**OFTEN, "checkpoint_every": "100 steps"}, patience=2)
    assert (stopped.result["steps"], stopped.result["evaluated_step"], int(stopped.state.step)) == (8, 4, 4)


def test_the_best_checkpoint_outlives_the_newest(runs, losses):
    losses.update(dict.fromkeys((6, 8, 10, 12), 3.0))
    outcome = runs.train(**{**OFTEN, "keep_checkpoints": 1}, patience=5)
    assert (outcome.result["steps"], int(outcome.state.step)) == (12, 4)


def test_a_run_killed_after_it_stopped_stays_stopped(runs, losses, monkeypatch):
    straight = runs.train("straight", **OFTEN, patience=2)
    with monkeypatch.context() as killed:
        killed.setattr("jaxvision.training.run.digest", lambda variables: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runs.train("killed", **OFTEN, patience=2)
    again = runs.train("killed", **OFTEN, patience=2)  # an evaluation at step 10 would be the best
    assert digest(again.state.variables) == digest(straight.state.variables)
    assert again.records == straight.records


def test_a_run_without_any_finite_validation_loss_keeps_what_it_has(runs, losses):
    losses.update({2: math.nan, 4: math.nan})
    outcome = runs.train(**OFTEN, patience=2)
    assert int(outcome.state.step) == 4
    assert (runs.directory / "run/checkpoints/4").is_dir()
