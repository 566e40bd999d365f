"""Any model of the house on any folder of images: one directory a class.

Prepare the folder once (a directory or an archive, with or without train, val and test below), then train:

  scripts/run scripts/prepare_data.py faces --raw orl_faces.tar.xz
  scripts/run experiments.folder.classify --dataset faces --model lenet --workdir runs/faces
"""

from dataclasses import dataclass

import optax

from jaxvision import augment, data, models, plots
from jaxvision.launch import launch
from jaxvision.tasks.classification import classification_figures, classification_task, first_of_each_class
from jaxvision.training.config import TrainConfig
from jaxvision.training.ranges import NonNegativeInt, PositiveInt
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled


@dataclass(frozen=True)
class Config(TrainConfig):
    """A model on a folder of images."""

    dataset: str = "digits"
    """Name of a prepared data set."""
    model: str = "lenet"
    """Name of a model of the house."""
    image_size_px: PositiveInt = 64
    """Height and width the images are brought to: the shorter side is fitted, the middle kept."""
    epochs: float = 30.0
    batch_size: int = 32
    eval_every: str = "5 epochs"
    checkpoint_every: str = "5 epochs"
    flip: bool = False
    """Mirror half of the training images."""
    padding_px: NonNegativeInt = 4
    """Pixels an image is padded by before it is cropped back at random; 0 leaves it in place."""


def augmentation(config):
    """The augmentations the config asks for."""
    steps = [augment.horizontal_flip] if config.flip else []
    if config.padding_px:
        steps.append(lambda key, images: augment.pad_and_crop(key, images, padding=config.padding_px))
    return augment.chain(*steps)


def build(config, splits):
    return classification_task(
        config.model,
        {},
        preprocess=augment.Preprocess(splits.info.image_shape, *data.channel_statistics(splits.train)),
        class_names=splits.info.class_names,
        tx=scheduled(optax.adam, cosine(config.total_steps(len(splits.train))), learning_rate=config.learning_rate),
        hyper={"learning_rate": config.learning_rate},
        augment=augmentation(config),
    )


def run(config, env):
    models.create(config.model)  # a wrong name is cheaper to hear of before the data is read
    size = (config.image_size_px, config.image_size_px)
    splits = data.load(config.dataset, env.data_dir, image_size=size, fake=env.smoke)
    task = build(config, splits)
    outcome = train(task, splits, config, env)
    first = splits.train.gather(first_of_each_class(splits.train)[:40])
    titles = [splits.info.class_names[label] for label in first["label"]]
    figures = {
        "classes": ("The first training image of each class", plots.image_grid(first["image"], titles)),
        **classification_figures(task, outcome),
    }
    finish(outcome, config, env, figures, __doc__)


if __name__ == "__main__":
    launch(run, Config)
