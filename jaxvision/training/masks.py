"""Which parameters something applies to: trees of bools, for `optax.masked` and the `mask` of weight decay."""

import re

import jax

from jaxvision.errors import InputError

# Flax's names for what layers and normalisations add and multiply by, and PReLU's, which decay would make a ReLU.
NEVER_DECAYED = ("bias", "scale", "slope")


def by_path(params, pattern: str):
    """Whether the regular expression is found in the parameter's path, such as "stage1/conv1/kernel".

    `functools.partial(by_path, pattern="^head/")` is a mask for optax.

    Raises:
      InputError: `pattern` is no regular expression, or no parameter has such a path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"pattern {pattern!r}: not a regular expression ({error})") from None
    mask = jax.tree.map_with_path(lambda path, _: expression.search(joined(path)) is not None, params)
    if not any(jax.tree.leaves(mask)):
        paths = [joined(path) for path, _ in jax.tree.leaves_with_path(params)]
        raise InputError(f"pattern {pattern!r}: found in no path of a parameter; there are {', '.join(paths)}")
    return mask


def not_bias_or_norm(params):
    """The usual mask of weight decay: kernels, but no biases, no scales or offsets of a normalisation, no slopes.

    Goyal et al. 2017, "Accurate, large minibatch SGD", section 5.1; He et al. 2019, "Bag of tricks", section 3.1.
    """
    return jax.tree.map_with_path(lambda path, _: joined(path).split("/")[-1] not in NEVER_DECAYED, params)


def joined(path) -> str:
    """The keys of a path in a tree with "/" between them."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
