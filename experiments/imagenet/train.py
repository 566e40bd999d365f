"""ImageNet from scratch: the recipes of a ResNet-50, a small Vision Transformer and GoogLeNet.

ResNet-50 as in Goyal et al. 2017, "Accurate, large minibatch SGD", section 5.1: momentum, a
learning rate of 0.1 for every 256 images of a batch that rises over five epochs, weight decay on weights only, 90
epochs; with a cosine instead of steps and labels smoothed by 0.1 it is the usual baseline of 76 to 77 %. GoogLeNet
by the same recipe, with the losses of its two auxiliary classifiers added at 0.3 (Szegedy et al. 2014, section 5).
ViT-S/16 as in Beyer, Zhai & Kolesnikov 2022, "Better plain ViT baselines for ImageNet-1k": Adam with decoupled
weight decay, gradients no longer than 1, mean pooling, fixed positions, a warm-up of 10,000 updates (8 epochs), 90
epochs, published 76.5 %; without their MixUp and RandAugment. Images are stored once at `stored_px`, and random
parts of them scaled to 224 pixels on the devices.

  scripts/run experiments.imagenet.train --workdir runs/resnet50
  scripts/run experiments.imagenet.train --model vit_s_16 --workdir runs/vit_s_16
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import optax

from jaxvision import augment, data
from jaxvision.launch import launch
from jaxvision.losses import softmax_cross_entropy
from jaxvision.models.sources import IMAGENET
from jaxvision.tasks.classification import classification_figures, classification_task
from jaxvision.training.config import TrainConfig
from jaxvision.training.masks import not_bias_or_norm
from jaxvision.training.optimizers import momentum_gradient, with_weight_decay
from jaxvision.training.ranges import FractionBelowOne, NonNegativeFloat, PositiveFloat, PositiveInt
from jaxvision.training.run import finish, train
from jaxvision.training.schedules import cosine, scheduled, warm_up

FIELDS = {
    "resnet50": {"zero_init": True},
    "vit_s_16": {"pool": "mean", "positions": "sine_cosine"},
    "googlenet": {"auxiliary": True},
}
AUXILIARY = {"googlenet": {"aux1_logits": 0.3, "aux2_logits": 0.3}}
SMALL = {  # for --smoke
    "resnet50": {"blocks": [1, 1, 1, 1]},
    "vit_s_16": {"depth": 1},
    "googlenet": {"modules": ["4a", "4d"], "width": 0.125},
}
LARGE_BATCHES = {
    "optimizer": "momentum",
    "learning_rate": 0.4,
    "weight_decay": 1e-4,
    "clip_norm": 0.0,
    "warmup_epochs": 5.0,
    "label_smoothing": 0.1,
}
RECIPES = {
    "resnet50": LARGE_BATCHES,
    "googlenet": LARGE_BATCHES,
    "vit_s_16": {
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "clip_norm": 1.0,
        "warmup_epochs": 8.0,
        "label_smoothing": 0.0,
    },
}


@dataclass(frozen=True)
class Config(TrainConfig):
    """A large network on ImageNet; what is not given is as in the recipe of the model."""

    epochs: float = 90.0
    batch_size: int = 1024
    learning_rate: PositiveFloat | None = None
    """Step size of the optimiser at its highest."""
    eval_batch_size: int = 1024
    dataset: str = "imagenet"
    """Name of a prepared data set, such as a folder of images."""
    model: Literal["resnet50", "vit_s_16", "googlenet"] = "resnet50"
    """Which network."""
    optimizer: Literal["momentum", "adam"] | None = None
    """Momentum with an L2 penalty on weights, or Adam with decoupled weight decay."""
    momentum: FractionBelowOne = 0.9
    """Part of the last step that momentum adds to the next."""
    weight_decay: NonNegativeFloat | None = None
    """Strength of the penalty; of the decoupled decay, relative to the learning rate."""
    clip_norm: NonNegativeFloat | None = None
    """Longer gradients are scaled to this length; 0 leaves all alone."""
    warmup_epochs: NonNegativeFloat | None = None
    """Epochs over which the learning rate rises."""
    label_smoothing: FractionBelowOne | None = None
    """Part of the target that all classes share."""
    image_size_px: PositiveInt = 224
    """Height and width of the images the network sees."""
    stored_px: PositiveInt = 256
    """Height and width of the images parts are taken from."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type the network computes in; parameters, statistics and logits are float32."""

    def completed(self):
        recipe = RECIPES[self.model]
        return replace(self, **{name: value for name, value in recipe.items() if getattr(self, name) is None})


def optimiser(config, steps, steps_per_epoch):
    warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), steps // 2)
    schedule = warm_up(warmup_steps, cosine(steps - warmup_steps))
    numbers = {"learning_rate": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "adam":
        tx = scheduled(with_weight_decay(optax.adam, coupled=False, mask=not_bias_or_norm), schedule, **numbers)
    else:
        sgd = with_weight_decay(momentum_gradient, coupled=True, mask=not_bias_or_norm)
        tx = scheduled(sgd, schedule, momentum=config.momentum, **numbers)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), tx) if config.clip_norm else tx


def build(config, splits, **fields):
    size = config.image_size_px
    examples = len(splits.train)
    return classification_task(
        config.model,
        {"dtype": config.dtype, **FIELDS[config.model], **fields},
        preprocess=replace(IMAGENET, resize_px=config.stored_px, crop_px=size),
        class_names=splits.info.class_names,
        tx=optimiser(config, config.total_steps(examples), examples / config.batch_size),
        hyper={"learning_rate": config.learning_rate, "weight_decay": config.weight_decay},
        augment=augment.chain(augment.horizontal_flip, partial(augment.random_resized_crop, size_px=size)),
        loss=partial(softmax_cross_entropy, label_smoothing=config.label_smoothing),
        auxiliary=AUXILIARY.get(config.model),
    )


def run(config, env):
    if env.smoke:
        config = replace(config, image_size_px=32, stored_px=40)
    stored = (config.stored_px, config.stored_px)
    splits = data.load(config.dataset, env.data_dir, image_size=stored, fake=env.smoke)
    task = build(config, splits, **(SMALL[config.model] if env.smoke else {}))
    outcome = train(task, splits, config, env, memory=True)
    finish(outcome, config, env, classification_figures(task, outcome), __doc__)


if __name__ == "__main__":
    launch(run, Config)
