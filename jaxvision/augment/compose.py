"""Several augmentations as one."""

from collections.abc import Callable

import jax


def chain(*augmentations: Callable) -> Callable:
    """(key, images) -> images, one augmentation after the other, each with a key of its own.

    Options are bound beforehand: chain(horizontal_flip, functools.partial(translate, max_shift_px=2)).
    """

    def chained(key: jax.Array, images: jax.Array) -> jax.Array:
        for position, augmentation in enumerate(augmentations):
            images = augmentation(jax.random.fold_in(key, position), images)
        return images

    return chained
