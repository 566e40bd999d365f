"""Regularisers: each narrows the gap between training and validation accuracy of a network that learns by heart.

A wide multilayer perceptron learns 200 handwritten digits of which a fifth have a wrong label, ten
seeds at once: as it is, with an L2 and an L1 penalty in the loss, with decoupled weight decay (Loshchilov & Hutter
2019), with dropout (Srivastava et al. 2014), with early stopping (Prechelt 1998), and the ten as an ensemble. With
dropout left on after training (Gal & Ghahramani 2016) a network also says what it is unsure of.

  scripts/run experiments.foundations.regularisers --workdir runs/regularisers
"""

from dataclasses import dataclass, replace

import jax
import numpy as np
import optax

from jaxvision import augment, data, plots
from jaxvision.launch import launch
from jaxvision.losses import l1_penalty, l2_penalty
from jaxvision.metrics import mean_probability, monte_carlo, predictive_entropy
from jaxvision.tasks.classification import classification_task, restore_model
from jaxvision.training.claim import Claim
from jaxvision.training.config import TrainConfig
from jaxvision.training.early_stopping import EarlyStopping
from jaxvision.training.evaluate import make_evaluate
from jaxvision.training.masks import not_bias_or_norm
from jaxvision.training.optimizers import with_weight_decay
from jaxvision.training.population import Member, members_of
from jaxvision.training.ranges import Fraction, FractionBelowOne, NonNegativeFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.schedules import cosine, scheduled
from jaxvision.training.study import begin, study_result, train_part


@dataclass(frozen=True)
class Config(TrainConfig):
    """A wide perceptron on few digits, some with a wrong label, regularised in several ways."""

    epochs: float = 0.0
    steps: int = 500
    batch_size: int = 50
    learning_rate: float = 5e-3
    population: int = 10
    steps_per_dispatch: int = 256
    eval_every: str = "20 steps"
    log_every: str = "100 steps"
    checkpoint_every: str = "500 steps"
    eval_batch_size: int = 200
    patience: int = 5
    """Evaluations without a lower validation loss after which early stopping stops; the others aren't stopped."""
    hidden_units: PositiveInt = 64
    """Width of the hidden layer."""
    examples: PositiveInt = 200
    """Training images."""
    wrong_labels: Fraction = 0.2
    """Part of the training labels that is replaced by random ones."""
    l2: NonNegativeFloat = 3e-2
    """Weight of the sum of squares of the weights in the loss; coupled weight decay of twice that."""
    l1: NonNegativeFloat = 1e-2
    """Weight of the sum of absolute weights in the loss."""
    weight_decay: NonNegativeFloat = 3.0
    """Decoupled weight decay, relative to the learning rate."""
    dropout_rate: FractionBelowOne = 0.5
    """Probability of a hidden unit to be dropped."""
    dropout_samples: PositiveInt = 50
    """Networks drawn from one by Monte-Carlo dropout."""


def build(config, splits):
    adam = with_weight_decay(optax.adam, coupled=False, mask=not_bias_or_norm)
    schedule = cosine(config.total_steps(len(splits.train)))
    return classification_task(
        "mlp",
        {"features": [config.hidden_units]},
        preprocess=augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,)),
        class_names=splits.info.class_names,
        tx=scheduled(adam, schedule, learning_rate=config.learning_rate, weight_decay=0.0),
        hyper={
            "learning_rate": config.learning_rate,
            **dict.fromkeys(("l1", "l2", "weight_decay", "dropout_rate"), 0.0),
        },
        penalties={
            name: lambda params, penalty=penalty: penalty(params, mask=not_bias_or_norm(params))
            for name, penalty in {"l1": l1_penalty, "l2": l2_penalty}.items()
        },
    )


def monte_carlo_dropout(task, variables, images, config):
    """Class probabilities [P, S, N, K] of S networks drawn by dropout from each of P."""
    model, preprocess = restore_model(task.record)
    model = model.clone(dropout_rate=config.dropout_rate)

    def sample(variables):
        def logits(key, images):
            return model.apply(variables, images, train=True, rngs={"dropout": key})

        key = jax.random.key(config.seed)
        return monte_carlo(logits, key, preprocess(images), samples=config.dropout_samples)

    return jax.jit(jax.vmap(sample))(variables)


def validation_losses(part):
    """Steps [E] and the validation losses [E, P] recorded at them."""
    rows = [record for record in part.records if record["split"] == "validation"]
    members = len(part.members)
    return [row["step"] for row in rows[::members]], np.reshape([row["loss"] for row in rows], (-1, members))


def lowest_before_stopping(part, patience):
    """The lowest validation loss [P] of each member of the part up to where it stopped."""
    steps, losses = validation_losses(part)
    members = [EarlyStopping(patience)] * len(part.members)
    for step, row in zip(steps, losses):
        members = [member.update(step, loss) for member, loss in zip(members, row)]
    return np.array([member.best for member in members])


def settings_of(config):
    return {
        "none": {},
        "L2 penalty": {"l2": config.l2},
        "L1 penalty": {"l1": config.l1},
        "weight decay": {"weight_decay": config.weight_decay},
        "dropout": {"dropout_rate": config.dropout_rate},
    }


def ensemble_top1(task, variables, splits, config, env):
    """On train and on validation, by the mean probability of all members."""
    evaluate = make_evaluate(task.ensemble_metrics_fn, env.layout, config.eval_batch_size)
    placed = env.layout.place(variables)
    return [evaluate(placed, dataset)["top1_mean_probability"] for dataset in (splits.train, splits.validation)]


def entropies(task, variables, dataset, config):
    """Those of the right and of the wrong predictions, by the mean over networks drawn by dropout."""
    images = dataset.gather(np.arange(len(dataset)))["image"]
    probabilities = monte_carlo_dropout(task, variables, images, config)
    entropy = np.asarray(jax.vmap(predictive_entropy)(probabilities))
    right = np.asarray(jax.vmap(mean_probability)(probabilities)).argmax(-1) == dataset.labels[None]
    return {"right": entropy[right], "wrong": entropy[~right]}


def run(config, env):
    if env.smoke:
        config = replace(config, examples=min(config.examples, 64))
    digits = data.load("digits", env.data_dir, fake=env.smoke)
    splits = data.few_with_random_labels(digits, config.examples, config.wrong_labels, seed=config.seed)
    begin(env)
    task, settings = build(config, splits), settings_of(config)
    seeds = members_of(config, task.hyper)
    members = [Member(seed, {**hyper, **setting}) for setting in settings.values() for seed, hyper in seeds]
    unstopped = train_part(task, splits, replace(config, patience=0), env, "unstopped", members=members)
    stopped = train_part(task, splits, config, env, "stopped", members=seeds)

    groups = {name: slice(i * len(seeds), (i + 1) * len(seeds)) for i, name in enumerate(settings)}
    top1 = {  # on train and on validation
        **{
            name: [mean_top1(rows[group]) for rows in (unstopped.train, unstopped.validation)]
            for name, group in groups.items()
        },
        "early stopping": [mean_top1(rows) for rows in (stopped.train, stopped.validation)],
        "ensemble": ensemble_top1(task, variables_of(unstopped, groups["none"]), splits, config, env),
    }
    steps, of_all = validation_losses(unstopped)
    losses = {name: of_all[:, group] for name, group in groups.items()}
    stopping = {
        "early stopping": np.array([row["loss"] for row in stopped.validation]),
        "lowest recorded": lowest_before_stopping(stopped, config.patience),
        "unstopped, at the end": losses["none"][-1],
    }
    entropy = entropies(task, variables_of(unstopped, groups["dropout"]), splits.validation, config)
    claim = every_regulariser_does_its_work(top1, stopping, entropy)
    accuracy = {name: dict(zip(("train", "validation"), map(float, pair))) for name, pair in top1.items()}
    result = study_result(env, [unstopped, stopped], accuracy=accuracy)
    conclude(result, config, env, draw(top1, len(seeds), steps, losses, entropy), __doc__, claim=claim)


def every_regulariser_does_its_work(top1, stopping, entropy):
    """The claim, from accuracies, validation losses [P] with and without stopping, and entropies of predictions."""
    gaps = {name: train - validation for name, (train, validation) in top1.items()}
    returned, lowest, at_the_end = stopping.values()
    measured = {
        "gap": gaps,
        "validation loss": {name: losses.mean() for name, losses in stopping.items()},
        "validation accuracy": {"mean member": top1["none"][1], "ensemble": top1["ensemble"][1]},
        "entropy by Monte-Carlo dropout": {name: values.mean() for name, values in entropy.items()},
    }
    return Claim(
        "Every regulariser narrows the gap between training and validation accuracy; early stopping returns to "
        "the lowest validation loss; an ensemble beats its mean member; Monte-Carlo dropout is unsure where wrong",
        jax.tree.map(lambda value: round(float(value), 4), measured),
        "every gap below that of none; each stopped member's loss its lowest, and below its unstopped end; "
        "ensemble above mean member; entropy of the wrong above that of the right",
        bool(
            all(gap < gaps["none"] for name, gap in gaps.items() if name != "none")
            and np.allclose(returned, lowest, rtol=1e-5)
            and np.all(returned < at_the_end)
            and top1["ensemble"][1] > top1["none"][1]
            and entropy["wrong"].mean() > entropy["right"].mean()
        ),
    )


def draw(top1, seeds, steps, losses, entropy):
    """Figures of accuracies by name, of validation losses [E, P] by name, and of entropies of predictions."""
    return {
        "accuracy": (
            f"Accuracy by regulariser, the mean of {seeds} seeds; the ensemble is of the seeds of none",
            plots.table_heatmap(
                [[train, validation, train - validation] for train, validation in top1.values()],
                list(top1),
                ["train", "validation", "gap"],
                format="{:.3f}",
                label="accuracy",
            ),
        ),
        "validation_loss": (
            "Loss on the validation images, mean and standard deviation of the seeds; early stopping returns to "
            "the lowest point of each seed's none",
            plots.lines(
                {name: (steps, of_seeds.mean(1), of_seeds.std(1)) for name, of_seeds in losses.items()},
                x_label="step",
                y_label="validation loss (nats)",
                title="Validation loss by regulariser",
            ),
        ),
        "uncertainty": (
            "Entropy of the mean over networks drawn by dropout: right and wrong predictions of validation images",
            plots.lines(
                {name: (np.sort(values), np.linspace(0, 1, len(values))) for name, values in entropy.items()},
                x_label="at most this entropy (nats)",
                y_label="share of the predictions",
                title="Uncertainty by Monte-Carlo dropout",
            ),
        ),
    }


def variables_of(part, members):
    return jax.tree.map(lambda leaf: leaf[members], part.state.variables)


def mean_top1(rows):
    return float(np.mean([row["top1"] for row in rows]))


if __name__ == "__main__":
    launch(run, Config)
