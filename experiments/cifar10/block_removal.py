"""Residual networks behave like ensembles: without any one block they still work, plain networks do not.

Veit, Wilber & Belongie 2016, "Residual networks behave like ensembles of relatively shallow networks",
sections 4.1 and 4.2. A residual and a plain network are trained by the recipe of `tasks.small_images`; then
each block is taken out by itself, and up to six at random. Of a block that is taken out its shortcut remains; in
the plain network, what came into it goes on.

  scripts/run experiments.cifar10.block_removal --workdir runs/block_removal
  scripts/run experiments.cifar10.block_removal --layers 32 --epochs 3 --learning-rate 0.02 --workdir runs/short
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import data, plots
from jaxvision.launch import launch
from jaxvision.metrics import top_k_correct
from jaxvision.tasks.classification import restore_model
from jaxvision.tasks.small_images import SHORTCUTS, Recipe, by_depth
from jaxvision.training.claim import Claim
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(Recipe):
    """A residual and a plain network that lose blocks after training."""

    layers: PositiveInt = 56
    """Depth of both networks, 2 more than a multiple of 6."""
    most_removed: PositiveInt = 6
    """How many blocks are taken out at most."""
    draws: PositiveInt = 10
    """Random choices of each number of blocks."""
    images: PositiveInt = 1000
    """Validation images the networks are judged on, drawn at random, at most."""


def one_left_out(blocks):
    """Masks [blocks, blocks] of the blocks that are kept, each without another one."""
    return ~np.eye(blocks, dtype=bool)


def some_left_out(blocks, count, draws, rng):
    """Masks [draws, blocks] without `count` blocks at random."""
    ranks = rng.permuted(np.tile(np.arange(blocks), (draws, 1)), axis=1)
    return ranks >= count


def accuracies(task, variables, batch, masks):
    """Accuracy [S] on a batch of the network with the blocks that each of the masks [S, blocks] keeps."""
    model, preprocess = restore_model(task.record)

    @jax.jit
    def of_all(variables, batch, masks):
        images = preprocess(batch["image"])

        def accuracy(kept):
            return top_k_correct(model.clone(kept=kept).apply(variables, images), batch["label"]).mean()

        return jax.lax.map(accuracy, masks)

    return np.asarray(of_all(variables, batch, jnp.asarray(masks)))


def above_chance(accuracy, whole, chance):
    """How much of what the whole network is better than chance by is left."""
    return (accuracy - chance) / max(whole - chance, 1e-6)


def run(config, env):
    if env.smoke:
        config = replace(config, layers=8)
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    blocks = (config.layers - 2) // 2
    counts = np.arange(min(config.most_removed, blocks) + 1)
    drawn = np.random.default_rng(config.seed).permutation(len(splits.validation))[: config.images]
    batch = splits.validation.gather(drawn)  # drawn, as a folder's images lie class by class
    tasks = {kind: by_depth(config, splits, config.layers, kind) for kind in SHORTCUTS}
    begin(env)
    parts, single, several = [], {}, {}
    for kind, task in tasks.items():
        parts.append(train_part(task, splits, config, env, kind))
        rng = np.random.default_rng(config.seed)
        chosen = [some_left_out(blocks, count, config.draws, rng) for count in counts]
        masks = np.concatenate([one_left_out(blocks), *chosen])
        measured = accuracies(task, parts[-1].variables(), batch, masks)
        single[kind], several[kind] = measured[:blocks], measured[blocks:].reshape(len(counts), config.draws)

    chance = 1 / len(splits.info.class_names)
    left = {
        kind: float(np.median(above_chance(single[kind], several[kind][0].mean(), chance))) for kind in SHORTCUTS
    }
    claim = Claim(
        "Without any one of its blocks a residual network works nearly as before, a plain one does not",
        {f"{kind}, left of the accuracy above chance": round(value, 4) for kind, value in left.items()},
        "median over blocks: residual at least 0.8, plain at most 0.5",
        left["residual"] >= 0.8 and left["plain"] <= 0.5,
    )
    conclude(
        study_result(
            env,
            parts,
            accuracy={kind: float(values[0].mean()) for kind, values in several.items()},
            without_one={kind: values.tolist() for kind, values in single.items()},
            without_some={kind: values.mean(1).tolist() for kind, values in several.items()},
        ),
        config,
        env,
        draw(single, several),
        __doc__,
        claim=claim,
    )


def draw(single, several):
    """Figures of accuracies without one block [blocks], and without 0, 1, ... blocks [counts, draws], by kind."""
    return {
        "without_one": (
            "Accuracy on validation images without one block",
            plots.lines(
                {kind: (np.arange(1, len(values) + 1), values) for kind, values in single.items()},
                x_label="block that is taken out",
                y_label="accuracy",
                markers=True,
                title="Without one block",
            ),
        ),
        "without_some": (
            "Accuracy on validation images without so many blocks, mean and standard deviation of random choices",
            plots.lines(
                {kind: (np.arange(len(values)), values.mean(1), values.std(1)) for kind, values in several.items()},
                x_label="blocks taken out",
                y_label="accuracy",
                markers=True,
                title="Without several blocks",
            ),
        ),
    }


if __name__ == "__main__":
    launch(run, Config)
