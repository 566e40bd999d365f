"""Vanishing gradients: how much of the gradient reaches each layer of a deep network before it is trained.

Multilayer perceptrons of ten hidden layers see a minibatch of handwritten digits; for each hidden layer
the norm of the gradient at its weights is measured, from ten seeds. (That of the logits' layer says how large the
activations are.) With sigmoids it falls by orders of magnitude on its way to the images (Glorot & Bengio 2010,
"Understanding the difficulty of training deep feedforward neural networks", section 4.2). Rectified linear units
with He's weights, batch normalisation and residual connections carry it there (He et al. 2015, "Delving deep into
rectifiers" and "Deep residual learning"; Ioffe & Szegedy 2015).

  scripts/run experiments.foundations.vanishing_gradients --workdir runs/vanishing_gradients
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import augment, data, models, plots
from jaxvision.launch import launch
from jaxvision.losses import softmax_cross_entropy
from jaxvision.training.claim import Claim
from jaxvision.training.config import RunConfig
from jaxvision.training.gradient_flow import gradient_norms
from jaxvision.training.ranges import PositiveInt
from jaxvision.training.run import conclude
from jaxvision.training.study import begin, study_result


@dataclass(frozen=True)
class Config(RunConfig):
    """Gradients of deep multilayer perceptrons at initialisation."""

    batch_size: PositiveInt = 128
    """Digits whose loss is differentiated, others for every seed."""
    population: PositiveInt = 10
    """Seeds the networks are drawn from, from --seed on; what counts is the worst."""
    hidden_layers: PositiveInt = 10
    """Number of hidden layers."""
    width: PositiveInt = 64
    """Units in each."""


NETWORKS = {
    "sigmoid": {"act": "sigmoid", "kernel_init": "xavier"},
    "tanh": {"act": "tanh", "kernel_init": "xavier"},
    "ReLU": {"kernel_init": "he"},
    "ReLU, batch norm": {"kernel_init": "he", "norm": "batch"},
    "ReLU, residual": {"kernel_init": "he", "residual": True},
    "sigmoid, batch norm, residual": {
        "act": "sigmoid",
        "kernel_init": "xavier",
        "norm": "batch",
        "residual": True,
    },
}
MOST = {"ReLU": 10, "ReLU, batch norm": 10, "ReLU, residual": 50, "sigmoid, batch norm, residual": 10}
LEAST = {"sigmoid": 10_000}


def norms(model, key, images, labels):
    """Norms [L] of the gradient of the mean loss at every hidden layer's weights, which the key draws."""
    variables = models.initialise(model, key, images)

    def loss(params):
        logits, _ = model.apply({**variables, "params": params}, images, train=True, mutable="batch_stats")
        return softmax_cross_entropy(logits, labels).mean()

    return gradient_norms(jax.grad(loss)(variables["params"]))[:-1]


def run(config, env):
    splits = data.load("digits", env.data_dir, fake=env.smoke)
    begin(env)
    seeds = range(config.seed, config.seed + config.population)
    batch = splits.train.gather(splits.population_order(config.batch_size, seeds).batch(0).reshape(-1))
    images = augment.Preprocess(splits.info.image_shape, (0.5,), (0.5,))(batch["image"])
    images = images.reshape(len(seeds), -1, *splits.info.image_shape)
    labels = batch["label"].reshape(len(seeds), -1)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])

    features = [config.width] * config.hidden_layers
    networks = {name: models.create("mlp", features=features, **fields) for name, fields in NETWORKS.items()}

    def norms_of_all(*batch):
        return {name: norms(model, *batch) for name, model in networks.items()}

    # It takes longer to optimise than to run.
    measure = jax.jit(jax.vmap(norms_of_all), compiler_options={"xla_backend_optimization_level": 1})
    measured = measure(keys, images, labels)
    found = {name: np.asarray(measured[name]) for name in NETWORKS}
    ratios = {name: each.max(axis=1) / each.min(axis=1) for name, each in found.items()}
    worst = {name: float(f"{ratio.max():.3g}") for name, ratio in ratios.items()}
    claim = Claim(
        "Over the layers of a deep network the gradient shrinks by orders of magnitude with sigmoids, and not with "
        "He's weights and ReLU, batch normalisation or residual connections",
        worst,
        f"largest over smallest norm, worst of the seeds: at least {LEAST}, at most {MOST}",
        all(worst[name] >= least for name, least in LEAST.items())
        and all(worst[name] <= most for name, most in MOST.items()),
    )
    layers = np.arange(1, config.hidden_layers + 1)
    figures = {
        "gradient_norms": (
            f"Norm of the gradient at the weights of each layer before training: median, lowest and highest of "
            f"{len(seeds)} seeds. Layer {layers[-1]} is next to the loss",
            plots.lines(
                {
                    name: (layers, np.median(each, axis=0), [each.min(axis=0), each.max(axis=0)])
                    for name, each in found.items()
                },
                x_label="layer, from the images to the loss",
                y_label="norm of the gradient",
                log_y=True,
                title="Gradient by layer at initialisation",
            ),
        )
    }
    medians = {name: float(f"{np.median(ratio):.3g}") for name, ratio in ratios.items()}
    conclude(study_result(env, [], median_ratio=medians), config, env, figures, __doc__, claim=claim)


if __name__ == "__main__":
    launch(run, Config)
