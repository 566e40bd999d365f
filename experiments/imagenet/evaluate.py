"""Published weights on ImageNet, or on any prepared set of their classes, by one look at an image and by ten.

Top-1 and top-5 accuracy; and test-time augmentation with the four corners, the centre and their mirror
images (Krizhevsky et al. 2012, section 4.1), by the course's majority vote and by averaging probabilities. Every
image, stored as its file came, goes through the preprocessing recorded for the weights, pixel by pixel as in
torchvision; the ten crops are of the central square of what it was resized to. Images that are small in their
files, such as CIFAR-10's, are enlarged. Prepare ImageNet's val folder first, with its train folder or without;
where there is no test folder, val is the test split.

  scripts/run scripts/prepare_data.py imagenet --raw PATH_TO_WHAT_HOLDS_VAL
  scripts/run experiments.imagenet.evaluate --model resnet50 --workdir runs/evaluate_resnet50
"""

import time
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import augment, data, models, plots
from jaxvision.errors import InputError
from jaxvision.launch import launch
from jaxvision.metrics import majority_vote, masked_sum, mean_probability, top_k_correct
from jaxvision.ops.resampling import Interpolation
from jaxvision.parallel.multihost import is_lead
from jaxvision.training.claim import Claim
from jaxvision.training.config import RunConfig
from jaxvision.training.evaluate import make_evaluate
from jaxvision.training.ranges import FiniteFloat, PositiveFloat, PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.state import digest
from jaxvision.training.study import begin, study_result

PREPROCESS = ("resize_px", "crop_px", "interpolation", "mean", "std")  # what the config may say of it


@dataclass(frozen=True)
class Config(RunConfig):
    """A model with weights somebody else trained."""

    eval_batch_size: PositiveInt = 64
    """Images a call, over all devices."""
    dataset: str = "imagenet"
    """Name of a prepared data set."""
    model: str = "resnet50"
    """Name of a model of the house."""
    weights: str = ""
    """A weight file; if none is given, the published one is fetched."""
    resize_px: PositiveInt | None = None
    """What the weights expect of the shorter side; as the published ones of their layout if not given."""
    crop_px: PositiveInt | None = None
    """The same of the square cut from the centre."""
    interpolation: Interpolation | None = None
    """The same of the kernel that scales."""
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    """The same of the mean of each channel, on the scale from 0 to 1."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    """The same of its standard deviation."""
    ten_crop: bool = True
    """Whether to look at ten crops of every image too."""


def load_model(config, env):
    if not env.smoke:
        given = {field: getattr(config, field) for field in PREPROCESS}
        return models.load(config.model, config.weights or None, preprocess=given)
    model = models.create("lenet", num_classes=10)
    preprocess = augment.ImagePreprocess(32, 28, (0.5,) * 3, (0.5,) * 3)
    variables = models.initialise(model, jax.random.key(config.seed), jnp.zeros((1, *preprocess.image_shape)))
    return model, variables, preprocess


def load_splits(config, env, preprocess):
    """The data set, each image as the crop that `preprocess` makes of it."""
    size = preprocess.image_shape[:2]
    splits = data.load(
        config.dataset,
        env.data_dir,
        image_size=size,
        crop=preprocess.crop_image,
        fake=env.smoke,
        only_test=True,
    )
    if (channels := splits.info.image_shape[2]) != len(preprocess.mean):
        raise InputError(f"--dataset {config.dataset}: {channels} channels, the model has {len(preprocess.mean)}")
    return splits


def make_once_fn(model, preprocess):
    """Metrics of the crops of `preprocess`."""

    def metrics_fn(variables, batch):
        logits = model.apply(variables, preprocess.of_crops(batch["image"]))
        correct = {f"top{k}": top_k_correct(logits, batch["label"], k) for k in (1, 5)}
        return {name: masked_sum(values, batch["mask"]) for name, values in correct.items()}

    return metrics_fn


def make_ten_crop_fn(model, preprocess):
    """Metrics of squares from which ten crops of `preprocess`'s size are taken."""

    def metrics_fn(variables, batch):
        labels = batch["label"]
        looks = augment.ten_crop(batch["image"], preprocess.crop_px)
        logits = jax.lax.map(lambda images: model.apply(variables, preprocess.of_crops(images)), looks)
        probabilities = jax.nn.softmax(logits)
        mean = mean_probability(probabilities)
        correct = {f"top{k}_ten_crop_mean": top_k_correct(mean, labels, k) for k in (1, 5)}
        correct["top1_ten_crop_vote"] = majority_vote(probabilities) == labels
        return {name: masked_sum(values, batch["mask"]) for name, values in correct.items()}

    return metrics_fn


def run(config, env):
    model, variables, preprocess = load_model(config, env)
    if is_lead():
        print(f"preprocessing: {preprocess}")
    splits = load_splits(config, env, preprocess)
    if (classes := len(splits.info.class_names)) != model.num_classes:
        raise InputError(f"--dataset {config.dataset}: {classes} classes, the model has {model.num_classes}")
    begin(env)
    opened, sha256 = env.workdir.path / "test_opened.json", digest(variables)
    test = splits.open_test(opened, sha256)
    if is_lead():
        print(f"{len(test)} images of {classes} classes")
    variables = env.layout.place(variables)
    once = make_evaluate(make_once_fn(model, preprocess), env.layout, config.eval_batch_size)
    once(variables, test.take(np.arange(min(len(test), config.eval_batch_size))))  # compiles
    started = time.perf_counter()
    metrics = once(variables, test, "one look at an image")
    seconds = time.perf_counter() - started
    if config.ten_crop:
        squares = load_splits(config, env, replace(preprocess, crop_px=preprocess.resize_px))
        ten = make_evaluate(make_ten_crop_fn(model, preprocess), env.layout, config.eval_batch_size)
        metrics |= ten(variables, squares.open_test(opened, sha256), "ten looks at an image")
    metrics = {name: float(value) for name, value in metrics.items()}
    result = study_result(
        env,
        [],
        images_per_second=round(len(test) / seconds, 1),
        preprocess=str(preprocess),
        test=metrics,
    )
    figures = {
        "accuracy": (
            f"Accuracy of {config.model} on {len(test)} images",
            plots.bars(
                {"accuracy": (list(metrics.values()), None)},
                [name.replace("_", "\n", 1) for name in metrics],
                y_label="accuracy",
                format=".4f",
                y_limits=(0, 1),
            ),
        )
    }
    conclude(result, config, env, figures, __doc__, claim=ten_are_better(metrics) if config.ten_crop else None)


def ten_are_better(metrics):
    once, ten = metrics["top1"], metrics["top1_ten_crop_mean"]
    return Claim(
        "Ten looks at an image, averaged, are better than one at its centre",
        {"top1": round(once, 4), "top1 of ten crops": round(ten, 4)},
        "more of the images right",
        ten > once,
    )


if __name__ == "__main__":
    launch(run, Config)
