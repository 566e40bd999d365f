"""Training on a CPU: images a second of whole steps, forward, backward and update, in a loop over an epoch."""

from functools import partial

from scripts.benchmarks import training_linen, training_mlp, training_ours, training_torch
from scripts.benchmarks.case import Case, best_of
from scripts.benchmarks.networks import SETTINGS


def cases() -> list[Case]:
    return [*map(mlp, (128, 16)), mlp_against_dataloader(), *map(network, SETTINGS)]


def mlp(batch_size):
    threads = [partial(training_mlp.torch_in_memory, batch_size, count) for count in (1, 2)]
    ours = partial(training_mlp.ours, batch_size)
    return Case(f"mlp_b{batch_size}", "images/s", ours, {"torch": best_of(*threads)})


def mlp_against_dataloader():
    workers = [partial(training_mlp.torch_dataloader, 128, count) for count in (0, 2)]
    ours = partial(training_mlp.ours, 128)
    return Case("mlp_b128_dataloader", "images/s", ours, {"torch DataLoader": best_of(*workers)})


def network(name):
    return Case(
        f"{name}_b{SETTINGS[name].batch_size}",
        "images/s",
        partial(training_ours.training, name),
        {
            "torch": partial(training_torch.training, name),
            "linen": partial(training_linen.training, name),
            "torch.compile": partial(training_torch.compiled_training, name),
        },
    )
