"""Filters made by hand: what was designed before filters were learnt, and what first layers learn again.

Kernels are for cross-correlation. A blur sums to 1; edges, bars and blobs sum to 0 and their positive part to 1,
so that an image in [0, 1] gives responses in [-1, 1]. Angles are in radians from x (right) towards y (down).
"""

from math import pi

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError

SOBEL_X = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))
PREWITT_X = ((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
LAPLACIAN = ((0, 1, 0), (1, -4, 1), (0, 1, 0))


def filter_bank(size_px: int = 7, *, orientations: int = 4) -> tuple[list[str], jax.Array]:
    """(names, kernels [size_px, size_px, 1, K]): blurs, edges, bars and blobs, all of one scale.

    The kinds of filters of Leung & Malik 2001, with sigma a sixth of the size, and the 3x3 classics with zeros
    around. Raises InputError unless size_px is odd and at least 3, and orientations at least 1.
    """
    if size_px < 3 or size_px % 2 == 0:
        raise InputError(f"size_px: {size_px}, expected an odd number of at least 3")
    if orientations < 1:
        raise InputError(f"orientations: {orientations}, expected at least 1")
    sigma_px = size_px / 6
    classics = (_balanced(jnp.array(kernel, float)) for kernel in (SOBEL_X, PREWITT_X, LAPLACIAN))
    sobel_x, prewitt_x, laplacian = (jnp.pad(kernel, (size_px - 3) // 2) for kernel in classics)
    bank = {
        "box blur": box(size_px),
        "Gaussian blur": gaussian(size_px, sigma_px),
        "Sobel x": sobel_x,
        "Sobel y": sobel_x.T,
        "Prewitt x": prewitt_x,
        "Prewitt y": prewitt_x.T,
        "Laplacian": laplacian,
    }
    for name, oriented in (("edge", oriented_edge), ("bar", oriented_bar)):
        for i in range(orientations):
            bank[f"{name} {180 * i / orientations:.3g}°"] = oriented(size_px, sigma_px, pi * i / orientations)
    bank["LoG blob"] = laplacian_of_gaussian(size_px, sigma_px)
    bank["DoG blob"] = difference_of_gaussians(size_px, sigma_px)
    return list(bank), jnp.stack(list(bank.values()), axis=-1)[:, :, None]


def box(size_px: int) -> jax.Array:
    """The mean of a square: [size_px, size_px]."""
    _require_size(size_px)
    return jnp.full((size_px, size_px), 1 / size_px**2)


def gaussian(size_px: int, sigma_px: float | jax.Array) -> jax.Array:
    """exp(-r^2 / (2 sigma^2)), cut off at [size_px, size_px] and summing to 1 again."""
    y, x = _from_centre(size_px, sigma_px)
    kernel = jnp.exp(-(x**2 + y**2) / 2)
    return kernel / kernel.sum()


def oriented_edge(
    size_px: int, sigma_px: float | jax.Array, angle_rad: float | jax.Array, *, elongation: float = 3
) -> jax.Array:
    """First derivative of a Gaussian: positive where the image gets brighter in the direction of the angle.

    The Gaussian is `elongation` times longer along the edge (Leung & Malik 2001). [size_px, size_px].
    """
    across, envelope = _oriented_gaussian(size_px, sigma_px, angle_rad, elongation)
    return _balanced(across * envelope)


def oriented_bar(
    size_px: int, sigma_px: float | jax.Array, angle_rad: float | jax.Array, *, elongation: float = 3
) -> jax.Array:
    """Minus the second derivative of a Gaussian: positive on a bright line at right angles to the angle.

    The Gaussian is `elongation` times longer along the line (Leung & Malik 2001). [size_px, size_px].
    """
    across, envelope = _oriented_gaussian(size_px, sigma_px, angle_rad, elongation)
    return _balanced((1 - across**2) * envelope)


def laplacian_of_gaussian(size_px: int, sigma_px: float | jax.Array) -> jax.Array:
    """Minus the Laplacian of a Gaussian (Marr & Hildreth 1980), so positive on a bright blob.

    The positive part is the disc of radius sqrt(2) sigma. [size_px, size_px].
    """
    y, x = _from_centre(size_px, sigma_px)
    half_square = (x**2 + y**2) / 2
    return _balanced((1 - half_square) * jnp.exp(-half_square))


def difference_of_gaussians(size_px: int, sigma_px: float | jax.Array, *, ratio: float = 1.6) -> jax.Array:
    """A Gaussian minus one `ratio` times wider; at 1.6 close to the Laplacian (Marr & Hildreth 1980)."""
    return _balanced(gaussian(size_px, sigma_px) - gaussian(size_px, ratio * sigma_px))


def bilinear_upsampling_kernel(factor: int, channels: int, *, depthwise: bool = False) -> jax.Array:
    """With it a transposed convolution of stride `factor` and padding factor // 2 interpolates bilinearly.

    What the deconvolutions of Long et al. 2015 (FCN, 4.3) start from: a tent of 2 factor - factor % 2 pixels, for
    each channel its own: [h, w, C, C], or [h, w, 1, C] for C groups. Raises InputError where factor or channels is
    less than 1.
    """
    if factor < 1 or channels < 1:
        raise InputError(f"factor {factor} and channels {channels}: expected at least 1 of each")
    y, x = _from_centre(2 * factor - factor % 2, factor)
    tent = (1 - jnp.abs(y)) * (1 - jnp.abs(x))
    between_channels = jnp.ones((1, channels)) if depthwise else jnp.eye(channels)
    return tent[:, :, None, None] * between_channels[None, None]


def _from_centre(size_px, unit_px):
    """(y, x) of every pixel, each [size_px, size_px], in units of so many pixels."""
    _require_size(size_px)
    if isinstance(unit_px, (int, float)) and unit_px <= 0:  # it may be traced
        raise InputError(f"sigma_px: {unit_px}, expected more than 0")
    along = (jnp.arange(size_px) - (size_px - 1) / 2) / unit_px
    return jnp.meshgrid(along, along, indexing="ij")


def _require_size(size_px):
    if size_px < 1:
        raise InputError(f"size_px: {size_px}, expected at least 1")


def _oriented_gaussian(size_px, sigma_px, angle_rad, elongation):
    """(how many sigma a pixel lies in the direction of the angle, a Gaussian longer at right angles to it)."""
    y, x = _from_centre(size_px, sigma_px)
    across = x * jnp.cos(angle_rad) + y * jnp.sin(angle_rad)
    along = y * jnp.cos(angle_rad) - x * jnp.sin(angle_rad)
    return across, jnp.exp(-(across**2 + (along / elongation) ** 2) / 2)


def _balanced(kernel):
    """Shifted to a sum of 0, what cutting off took away, and scaled to a positive part that sums to 1."""
    kernel -= kernel.mean()
    return kernel / jnp.maximum(kernel, 0).sum()
