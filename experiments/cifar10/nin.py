"""Network in Network on CIFAR-10.

COURSE C6; Lin, Chen & Yan 2013, "Network in network", section 4.2: convolutions with small perceptrons between
them, dropout, and global average pooling instead of dense layers. Published test error: 10.41 %, with shifts and
flips 8.81 %. By the recipe of `experiments.cifar10.resnet`, which the paper leaves open, with a smaller learning
rate.

  scripts/run experiments.cifar10.nin --workdir runs/nin
"""

from dataclasses import dataclass

from experiments.cifar10 import resnet
from jaxvision import data
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures
from jaxvision.training.config import TrainConfig
from jaxvision.training.run import finish, train


@dataclass(frozen=True)
class Config(TrainConfig):
    """Network in Network on small images."""

    epochs: float = 0.0
    steps: int = 64_000
    learning_rate: float = 0.01
    dataset: str = "cifar10"
    """Name of a prepared data set, such as a folder of images."""
    dropout_rate: float = 0.5
    """Probability of a unit between the stages to be dropped."""
    momentum: float = 0.9
    """Part of the last step that is added to the next."""
    weight_decay: float = 5e-4
    """Weight of half the sum of squares of the parameters in the loss."""
    padding: int = 4
    """Pixels an image is padded by before it is cropped back at random."""


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    task = resnet.build(config, splits, "nin", dropout_rate=config.dropout_rate)
    outcome = train(task, splits, config, env)
    finish(outcome, config, env, classification_figures(task, outcome), __doc__)


if __name__ == "__main__":
    launch(run, Config)
