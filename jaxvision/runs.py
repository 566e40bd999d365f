"""What a run trained, ready to predict with."""

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxvision import models
from jaxvision.augment import preprocess_of
from jaxvision.errors import InputError
from jaxvision.training.checkpoints import load_variables
from jaxvision.training.population import take
from jaxvision.training.workdir import read_json


def load_run(workdir: str | Path, *, member: int | None = None):
    """The model a run trained: the parameters its result was measured with, or the newest while it goes on.

    Args:
      workdir: that of the run.
      member: which one of a population; None for the first of those its result is about.

    Returns:
      (model, variables, preprocess, class_names): `model.apply(variables, preprocess(images))` are the logits of
      images uint8 [B,H,W,C], or float in [0,1], of the size `preprocess.image_shape`.

    Raises:
      InputError: the directory holds no run, no checkpoint that is whole, or no such member.
    """
    workdir = Path(workdir)
    if (workdir / "config.json").exists() and not (workdir / "model.json").exists():
        raise InputError(
            f"{workdir}: its run keeps no model, or never began; expected one that trains a single model"
        )
    record = read_json(workdir / "model.json")
    model = models.create(record["model"], **record["fields"])
    preprocess = preprocess_of(record["preprocess"])
    members = record.get("members", 1)
    result = read_json(workdir / "result.json") if (workdir / "result.json").exists() else {}
    member = result.get("chosen", [0])[0] if member is None else member
    if not 0 <= member < members:
        raise InputError(f"member {member}: {workdir} has {members}, counted from 0")
    template = jax.eval_shape(
        lambda: models.initialise(model, jax.random.key(0), jnp.zeros((1, *preprocess.image_shape)))
    )
    steps = result.get("evaluated_step")
    if members == 1:
        variables = load_variables(workdir / "checkpoints", template, steps)
    else:
        template = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((members, *leaf.shape), leaf.dtype), template)
        variables = take(load_variables(workdir / "checkpoints", template, steps and steps[member]), member)
    return model, variables, preprocess, tuple(record["class_names"])
