"""The recipe of `tasks.small_images` in PyTorch: the same split, batches, augmentation and schedule.

  scripts/run scripts.benchmarks.recipe_torch --dataset cifar10 --epochs 8 --out results/recipe_torch.json

What differs is drawn by another generator: initial parameters, crops and flips. Prints test accuracy and images a
second (epochs without their evaluation), and writes them as JSON.
"""

import json
import time
from pathlib import Path

import numpy as np
import tyro
from rich.progress import track

from jaxvision import data
from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.launch import environment, fail
from jaxvision.tasks.small_images import Recipe
from jaxvision.training.state import digest

try:
    import torch
    from torch import nn
except ModuleNotFoundError:
    fail("torch is not installed: benchmarks need the extra `bench`")

from scripts.benchmarks.networks_torch import NETWORKS
from scripts.benchmarks.training_torch import THREADS, as_tensor, torch_step

PADDING = Recipe.padding


def main(
    out: Path,
    dataset: str = "cifar10",
    epochs: int = 8,
    learning_rate: float = Recipe.learning_rate,
    seed: int = 0,
    data_dir: Path | None = None,
) -> None:
    """Train ResNet-20 and test it.

    Args:
        out: File for the result.
        dataset: Name of a prepared data set.
        epochs: Passes over the training images.
        learning_rate: Of the first half; a tenth of it to three quarters, then a hundredth.
        seed: Of the parameters, the order and the augmentation.
        data_dir: Where prepared data sets are kept.
    """
    recipe = Recipe(steps=0, epochs=epochs, learning_rate=learning_rate, seed=seed, dataset=dataset)
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(seed)
    splits = data.load(dataset, data_dir)
    mean, std = (statistic.astype(np.float32) for statistic in data.channel_statistics(splits.train))
    model = NETWORKS["resnet20"]().to(memory_format=torch.channels_last)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    optimiser = torch.optim.SGD(
        model.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
    )
    steps = recipe.total_steps(len(splits.train))
    falling = torch.optim.lr_scheduler.MultiStepLR(optimiser, [steps // 2, 3 * steps // 4])
    batches = splits.train.train_batches(data.TrainingOrder(len(splits.train), recipe.batch_size, seed), 0)
    started = time.perf_counter()
    for _, batch in zip(track(range(steps), "ResNet-20 in PyTorch"), batches, strict=False):
        images = as_tensor((augmented(batch["image"], rng) - mean) / std)
        torch_step(model, optimiser, images, torch.from_numpy(batch["label"]).long())
        falling.step()
    rate = steps * recipe.batch_size / (time.perf_counter() - started)
    parameters = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    test = splits.open_test(out.with_suffix(".test_opened.json"), digest(parameters))
    result = {"test_top1": accuracy(model.eval(), test, mean, std), "images_per_second": rate}
    settings = {"dataset": dataset, "epochs": epochs, "learning_rate": learning_rate, "seed": seed}
    write_whole(out, json.dumps({**result, **settings, **environment("replicate")}, indent=1) + "\n")
    print(f"test top1 {result['test_top1']:.4f}, {rate:.0f} images/s")


def augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [B, H, W, C], padded with black, cropped at random and flipped, as float32 in [0, 1]."""
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    top, left = rng.integers(0, 2 * PADDING + 1, (2, count, 1))
    rows, columns = top + np.arange(height), left + np.arange(width)
    columns = np.where(rng.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]].astype(np.float32) / 255


@torch.no_grad()
def accuracy(model, dataset, mean, std) -> float:
    right = 0.0
    for batch in dataset.evaluation_batches(1024):
        logits = model(as_tensor((batch["image"].astype(np.float32) / 255 - mean) / std))
        right += ((logits.argmax(1).numpy() == batch["label"]) * batch["mask"]).sum()
    return float(right / len(dataset))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        fail(str(error))
