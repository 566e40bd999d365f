"""Optimisers by name, momentum in its two written forms, and weight decay in its two forms.

All but the last two of these are optax's. Batch gradient descent, stochastic gradient descent and minibatch
gradient descent are one optimiser, "sgd", on batches of all examples, of one and of a few.

A constructor given to `schedules.scheduled` has all its numbers in reach of `State.hyper`, by the names of its
arguments: "learning_rate", "momentum", "weight_decay" and so on.
"""

import inspect
from functools import partial

import optax

from jaxvision.errors import InputError


def momentum_gradient(learning_rate, momentum=0.9) -> optax.GradientTransformationExtraArgs:
    """g <- dL/dw + momentum g; w <- w - learning_rate g: the learning rate stands outside the running sum.

    A change of the learning rate acts at once on all that has been summed up (as in optax.sgd and torch).
    """
    return optax.sgd(learning_rate, momentum)


def momentum_velocity(learning_rate, momentum=0.9) -> optax.GradientTransformationExtraArgs:
    """v <- momentum v - learning_rate dL/dw; w <- w + v (Sutskever et al. 2013, equations 1 and 2).

    The learning rate stands inside: after a change the velocity remembers steps of the old one. The schedule of
    `scheduled` scales w's step, outside of both forms; to have it inside of this one, scale the gradients:
    `optax.chain(optax.scale_by_schedule(schedule), optax.inject_hyperparams(momentum_velocity)(...))`.
    """
    return optax.chain(optax.scale_by_learning_rate(learning_rate), optax.trace(momentum))


def adadelta(learning_rate=1.0, rho=0.95, eps=1e-6) -> optax.GradientTransformationExtraArgs:
    """Zeiler 2012, algorithm 1, which has no learning rate: 1. `optax.adadelta` without its own weight decay."""
    return optax.chain(optax.scale_by_adadelta(rho, eps), optax.scale_by_learning_rate(learning_rate))


OPTIMIZERS = {
    "sgd": optax.sgd,
    "momentum": momentum_gradient,
    "momentum_velocity": momentum_velocity,
    "nesterov": partial(optax.sgd, momentum=0.9, nesterov=True),  # Sutskever et al. 2013, w at their θ + μ v
    "adam": optax.adam,  # Kingma and Ba 2015, algorithm 1
    "adamw": optax.adamw,  # Loshchilov and Hutter 2019, algorithm 2
    "adagrad": partial(optax.adagrad, initial_accumulator_value=0.0),  # Duchi et al. 2011, figure 1
    "adadelta": adadelta,
    "rmsprop": optax.rmsprop,  # Hinton 2012, "Neural networks for machine learning", lecture 6e
}
"""Constructors by name, all with the argument `learning_rate`."""


def with_weight_decay(optimizer, *, coupled: bool, mask=None):
    """A constructor like `optimizer` with one more keyword argument, `weight_decay`, for `scheduled`.

    Coupled, weight_decay * w is added to the gradient: the gradient of an L2 penalty weight_decay / 2 |w|^2 in the
    loss, and an optimiser that rescales gradients rescales it too. Decoupled, the step is further by
    -learning_rate * weight_decay * w, whatever the optimiser (Loshchilov and Hutter 2019, "Decoupled weight decay
    regularization", algorithms 1 and 2; their λ is ours times the learning rate, as in torch and optax). Plain
    gradient descent does the same in both (their proposition 1).

    Args:
      optimizer: a constructor such as `optax.adam`.
      coupled: which of the two.
      mask: params -> tree of bools, such as `masks.not_bias_or_norm`, or that tree: what decays; None is all.

    Raises:
      InputError: the constructor has a `weight_decay` already.
    """
    parameters = inspect.signature(optimizer).parameters
    if "weight_decay" in parameters:
        raise InputError("the optimizer decays weights already: expected one without an argument weight_decay")

    def decaying(*, learning_rate, weight_decay, **hyper):
        optimise = optimizer(learning_rate=learning_rate, **hyper)
        if coupled:
            return optax.chain(optax.add_decayed_weights(weight_decay, mask), optimise)
        return optax.chain(optimise, optax.add_decayed_weights(-learning_rate * weight_decay, mask))

    # optax.inject_hyperparams reads here which arguments there are.
    keyword = inspect.Parameter.KEYWORD_ONLY
    arguments = [parameter.replace(kind=keyword) for parameter in parameters.values()]
    decaying.__signature__ = inspect.Signature([*arguments, inspect.Parameter("weight_decay", keyword)])
    return decaying
