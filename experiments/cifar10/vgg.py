"""VGG on CIFAR-10, with batch normalisation.

Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image recognition", made for
small images as Liu & Deng 2015 ("Very deep convolutional neural network based image classification using small
training sample size") do: the five pools leave one pixel, and the dense layers are 512 wide. By the recipe of
`tasks.small_images`, with a smaller learning rate and more weight decay. Published test error of D with
batch normalisation: 8.45 % (Liu & Deng).

  scripts/run experiments.cifar10.vgg --workdir runs/vgg16
"""

from dataclasses import dataclass
from typing import Literal

from jaxvision import data
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures
from jaxvision.tasks.small_images import Recipe, small_image_task
from jaxvision.training.ranges import FractionBelowOne, PositiveInt
from jaxvision.training.run import finish, train


@dataclass(frozen=True)
class Config(Recipe):
    """VGG on small images."""

    learning_rate: float = 0.05
    model: Literal["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"] = "vgg16_bn"
    """Which of them."""
    hidden: PositiveInt = 512
    """Width of the dense layers."""
    dropout_rate: FractionBelowOne = 0.5
    """Probability of a unit of the dense layers to be dropped."""
    weight_decay: float = 5e-4


def run(config, env):
    splits = data.load(config.dataset, env.data_dir, fake=env.smoke)
    fields = {"hidden": config.hidden, "pooled_px": 1, "dropout_rate": config.dropout_rate}
    if env.smoke:
        fields["features"] = [8] * 5
    task = small_image_task(config, splits, config.model, **fields)
    outcome = train(task, splits, config, env)
    finish(outcome, config, env, classification_figures(task, outcome), __doc__)


if __name__ == "__main__":
    launch(run, Config)
