"""Network in Network on CIFAR-10.

Lin, Chen & Yan 2013, "Network in network", section 4.2: convolutions with small perceptrons between
them, dropout, and global average pooling instead of dense layers. Published test error: 10.41 %, with shifts and
flips 8.81 %. The paper leaves the recipe open: it is that of `tasks.small_images`, with a smaller learning rate.

  scripts/run experiments.cifar10.nin --workdir runs/nin
"""

from dataclasses import dataclass

from jaxvision import data
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures
from jaxvision.tasks.small_images import Recipe, small_image_task
from jaxvision.training.ranges import FractionBelowOne
from jaxvision.training.run import finish, train


@dataclass(frozen=True)
class Config(Recipe):
    """Network in Network on small images."""

    learning_rate: float = 0.01
    dropout_rate: FractionBelowOne = 0.5
    """Probability of a unit between the stages to be dropped."""
    weight_decay: float = 5e-4


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    task = small_image_task(config, splits, "nin", dropout_rate=config.dropout_rate)
    outcome = train(task, splits, config, env)
    finish(outcome, config, env, classification_figures(task, outcome), __doc__)


if __name__ == "__main__":
    launch(run, Config)
