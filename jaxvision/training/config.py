"""The numbers experiments have in common; an experiment's own Config adds to them and sets its defaults."""

import json
from dataclasses import asdict, dataclass, replace

from jaxvision.errors import InputError
from jaxvision.training.durations import to_steps
from jaxvision.training.ranges import NonNegativeInt, PositiveFloat, PositiveInt, Seed, check_ranges, flag


@dataclass(frozen=True)
class RunConfig:
    """What every experiment has; all that one has which trains nothing by steps."""

    seed: Seed = 0
    """Root of every random number of the run."""

    def completed(self) -> "RunConfig":
        """The config with values for the defaults that depend on other flags, if it has such."""
        return self


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """How long, how fast, and how often to look."""

    epochs: float = 10.0
    """Length of training in passes over the training split; giving --steps overrides it."""
    steps: int = 0
    """Length of training in updates, 0 to go by epochs; giving --epochs overrides it."""
    batch_size: PositiveInt = 128
    """Examples an update, over all devices."""
    learning_rate: PositiveFloat = 1e-3
    """Step size of the optimiser at its highest."""
    eval_every: str = "1 epoch"
    """How often to evaluate on the validation split: '100 steps', '1 epoch', '50000 examples'."""
    eval_batch_size: PositiveInt = 1024
    """Examples an evaluation call, over all devices."""
    checkpoint_every: str = "1 epoch"
    """How often to save a checkpoint: '100 steps', '1 epoch', '50000 examples'."""
    keep_checkpoints: PositiveInt = 5
    """How many of the newest checkpoints to keep."""
    log_every: str = "50 steps"
    """How often to write the training loss to metrics.jsonl."""
    steps_per_dispatch: PositiveInt = 1
    """Updates in one call to the devices; more than 1 keeps the training set on the devices."""
    patience: NonNegativeInt = 0
    """Stop after so many evaluations without a lower validation loss and restore the best; 0 never stops."""
    population: PositiveInt = 1
    """Seeds trained at once, from --seed on; the result is their mean and standard deviation."""
    vary: tuple[str, ...] = ()
    """Numbers to try with every seed, trained at once as well, such as 'learning_rate=0.01,0.1'."""
    shared_batches: bool = False
    """Whether the members of a population are all shown the batches of the first."""

    def total_steps(self, examples: int) -> int:
        """Number of updates for a training split of `examples`."""
        length = f"{self.epochs} epochs" if not self.steps else f"{self.steps} steps"
        return self.in_steps(length, examples)

    def in_steps(self, duration: str, examples: int) -> int:
        """A duration in updates."""
        return to_steps(duration, batch_size=self.batch_size, examples=examples)


def resolve(config: RunConfig) -> RunConfig:
    """The config with one length of training, if it has any, and with numbers that make sense.

    Raises:
      InputError: both lengths were given, or a number out of its range.
    """
    config = config.completed()
    if isinstance(config, TrainConfig):
        config = one_length(config)
    check_numbers(config)
    return config


def one_length(config: TrainConfig) -> TrainConfig:
    """Keep the one of `steps` and `epochs` that was given, the other being a default."""
    default = type(config)()
    steps_given = config.steps != default.steps
    epochs_given = config.epochs != default.epochs
    if steps_given and epochs_given:
        raise InputError(f"--steps {config.steps} and --epochs {config.epochs} were both given: give one of them")
    if steps_given:
        return replace(config, epochs=0.0)
    return replace(config, steps=0) if epochs_given else config


def check_numbers(config: RunConfig) -> None:
    """Raise InputError for the first number out of its range or duration that makes no sense, as a flag."""
    check_ranges(config)
    if isinstance(config, TrainConfig):
        check_durations(config)


def check_durations(config: TrainConfig) -> None:
    """Raise InputError for the first duration that makes no sense, as a flag."""
    length = "steps" if config.steps else "epochs"
    durations = {length: f"{getattr(config, length)} {length}"}
    durations |= {name: getattr(config, name) for name in ("log_every", "eval_every", "checkpoint_every")}
    for name, duration in durations.items():
        try:
            config.in_steps(duration, 1)
        except InputError as error:
            raise InputError(f"--{flag(name)}: {error}") from None


def shrink(config: RunConfig, devices: int) -> RunConfig:
    """The same experiment at a size for `--smoke`: four updates, looked at twice; none where there are none."""
    if not isinstance(config, TrainConfig):
        return config
    return replace(
        config,
        steps=4,
        epochs=0.0,
        batch_size=8 + -8 % devices,
        eval_batch_size=16,
        eval_every="2 steps",
        checkpoint_every="2 steps",
        log_every="2 steps",
        steps_per_dispatch=min(config.steps_per_dispatch, 2),
    )


def config_differences(saved: dict, config: RunConfig) -> list[str]:
    """Fields in which a saved config differs from `config`, as "name: saved != now"."""
    now = json.loads(json.dumps(asdict(config)))  # as it was saved: tuples are lists
    names = [*now, *(name for name in saved if name not in now)]
    return [
        f"{name}: {saved.get(name)!r} there, {now.get(name)!r} here"
        for name in names
        if saved.get(name) != now.get(name)
    ]
