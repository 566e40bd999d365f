"""What a run trained, ready to predict with."""

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxvision import models
from jaxvision.augment import Preprocess
from jaxvision.training.checkpoints import load_variables
from jaxvision.training.workdir import read_json


def load_run(workdir: str | Path):
    """The model a run trained: the parameters its result was measured with, or the newest while it goes on.

    Returns:
      (model, variables, preprocess, class_names): `model.apply(variables, preprocess(images))` are the logits of
      images uint8 [B,H,W,C], or float in [0,1], of the size `preprocess.image_shape`.

    Raises:
      InputError: the directory holds no run, or no checkpoint that is whole.
    """
    workdir = Path(workdir)
    record = read_json(workdir / "model.json")
    model = models.create(record["model"], **record["fields"])
    preprocess = Preprocess(**record["preprocess"])
    template = jax.eval_shape(
        lambda: models.initialise(model, jax.random.key(0), jnp.zeros((1, *preprocess.image_shape)))
    )
    finished = (workdir / "result.json").exists()
    step = read_json(workdir / "result.json")["evaluated_step"] if finished else None
    variables = load_variables(workdir / "checkpoints", template, step)
    return model, variables, preprocess, tuple(record["class_names"])
