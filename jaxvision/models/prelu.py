"""The parametric ReLU as a layer, for the field `act` of a model."""

import flax.linen as nn
import jax

from jaxvision.ops import activations


class PReLU(nn.Module):
    """`ops.activations.prelu` whose slopes [C] are learnt: the parameter "slope".

    He et al. 2015, "Delving deep into rectifiers", section 2.1, where they are 0.25 at first.
    """

    slope: float = 0.25

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        slope = self.param("slope", nn.initializers.constant(self.slope), x.shape[-1:])
        return activations.prelu(x, slope.astype(x.dtype))


def prelu(x: jax.Array) -> jax.Array:
    """A new `PReLU` wherever a model calls its `act`: every layer has slopes of its own."""
    return PReLU()(x)
