"""Neocognitron: Fukushima, "Neocognitron: a self-organizing neural network model for a mechanism of pattern
recognition unaffected by shift in position", 1980, sections 2 and 3.

Stages of S-cells, each plane of which looks for one feature everywhere, and C-cells, which blur where it was found.
S-cells learn without labels and without gradients: of those that compete, the one that responds most grows towards
what it sees, and its whole plane with it. In the paper planes start with weak random preferences, and all stages
learn at once. Here a plane starts as what no other responds to, by a seed-selecting plane, and the stages learn one
after another, as in Fukushima 2003, "Neocognitron for handwritten digit recognition".
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.ops.convolution import conv2d
from jaxvision.ops.filters import gaussian
from jaxvision.ops.im2col import im2col
from jaxvision.ops.pooling import max_pool

SATURATION = 0.5  # the paper's alpha: the excess at which a C-cell responds by a half


class Stage(NamedTuple):
    """A layer of S-cells and one of C-cells; all windows are squares of an odd side, in cells of the layer below.

    Attributes:
      planes: how many features are learned at most.
      window_px: what an S-cell sees of all planes below.
      selectivity: the paper's r. In the end an S-cell responds where the cosine of what it sees and what it has
        learned is above r / (1 + r).
      rate: the paper's q; the larger, the sooner that end is reached.
      column_px: S-cells of all planes compete within such a window.
      blur_px: what a C-cell sees of one plane of S-cells.
      stride_px: from one C-cell to the next.
    """

    planes: int
    window_px: int
    selectivity: float
    rate: float
    column_px: int
    blur_px: int
    stride_px: int


class SimpleCells(NamedTuple):
    """The connections of the S-cells of one stage: all zero until a plane has learned something.

    Attributes:
      excitatory: the paper's a, [window, window, C, planes].
      inhibitory: its b, [planes].
    """

    excitatory: jax.Array
    inhibitory: jax.Array


class Responses(NamedTuple):
    """Of the S-cells [B, H, W, planes] and of the C-cells [B, H / stride, W / stride, planes] of one stage."""

    simple: jax.Array
    complex: jax.Array


def learn(images: jax.Array, stages: Sequence[Stage]) -> list[SimpleCells]:
    """What the stages learn from images [N, H, W, C] of values from 0, one image after another and once each.

    Raises InputError for a window with an even side.
    """
    learned = []
    for stage in stages:
        cells = learn_stage(images, stage)
        learned.append(cells)
        images = complex_cells(simple_cells(images, cells, stage), stage)
    return learned


def respond(images: jax.Array, learned: Sequence[SimpleCells], stages: Sequence[Stage]) -> list[Responses]:
    """The responses of all stages to images [B, H, W, C]; the last C-cells are what the network has recognised."""
    responses = []
    for cells, stage in zip(learned, stages, strict=True):
        simple = simple_cells(images, cells, stage)
        images = complex_cells(simple, stage)
        responses.append(Responses(simple, images))
    return responses


@partial(jax.jit, static_argnames="stage")
def simple_cells(below: jax.Array, cells: SimpleCells, stage: Stage) -> jax.Array:
    """S-cells that see cells [B, H, W, C]: [B, H, W, planes], where what they have learned is (section 2).

    r relu((1 + sum of a u) / (1 + 2 r / (1 + r) b v) - 1) with v the root mean square of the cells u that are seen,
    the near ones counting more. Beyond the border there is nothing.
    """
    return _simple(*_seen(below, stage), cells, stage.selectivity)


@partial(jax.jit, static_argnames="stage")
def complex_cells(simple: jax.Array, stage: Stage) -> jax.Array:
    """C-cells that blur each plane of S-cells [B, H, W, K]: [B, H', W', K] in [0, 1) (section 2).

    What all planes have in common inhibits each of them.
    """
    planes, near = simple.shape[-1], gaussian(stage.blur_px, stage.blur_px / 4)
    kernel = jnp.broadcast_to((near / near.max())[..., None, None], (*near.shape, 1, planes))
    blurred = conv2d(simple, kernel, stride=stage.stride_px, padding=_half(stage.blur_px), groups=planes)
    excess = jax.nn.relu((1 + blurred) / (1 + blurred.mean(-1, keepdims=True)) - 1)
    return excess / (SATURATION + excess)


@partial(jax.jit, static_argnames="stage")
def learn_stage(below: jax.Array, stage: Stage) -> SimpleCells:
    """What the S-cells of one stage learn from the cells [N, H, W, C] below, example by example (section 3).

    An S-cell that responds, and more than all others of its column, is a candidate. The strongest of each plane
    stands for its plane, which learns what it sees. Where no plane responds, the cell with most to see starts the
    next one.
    """
    shape = (stage.window_px, stage.window_px, below.shape[-1], stage.planes)
    nothing = SimpleCells(jnp.zeros(shape), jnp.zeros(stage.planes))
    return jax.lax.scan(lambda cells, seen: (_reinforced(cells, seen[None], stage), None), nothing, below)[0]


def _reinforced(cells, below, stage):
    """The cells after they have seen one example [1, H, W, C]."""
    patches, activity = _seen(below, stage)
    responses = _simple(patches, activity, cells, stage.selectivity)
    most = max_pool(responses.max(-1, keepdims=True), stage.column_px, stride=1, padding=_half(stage.column_px))
    candidates = jnp.where(responses == most, responses, 0)
    is_next = jnp.arange(stage.planes) == jnp.sum(cells.inhibitory > 0)
    seeds = jnp.where(is_next.reshape(1, 1, 1, -1) & (most == 0), activity, 0)

    strengths = (candidates + seeds).reshape(-1, stage.planes)
    representatives, learns = strengths.argmax(0), stage.rate * (strengths.max(0) > 0)
    patches = patches.reshape(len(strengths), -1)[representatives]
    growth = (learns[:, None] * _nearness(stage, below.shape[-1])[None] * patches).T
    return SimpleCells(
        cells.excitatory + growth.reshape(cells.excitatory.shape),
        cells.inhibitory + learns / 2 * activity.reshape(-1)[representatives],
    )


def _simple(patches, activity, cells, selectivity):
    excitation = patches @ cells.excitatory.reshape(patches.shape[-1], -1)
    inhibition = 2 * selectivity / (1 + selectivity) * activity * cells.inhibitory.reshape(1, 1, 1, -1)
    return selectivity * jax.nn.relu((1 + excitation) / (1 + inhibition) - 1)


def _seen(below, stage):
    """What each S-cell sees, [B, H, W, window * window * C], and how much of it, [B, H, W, 1]: the paper's v."""
    patches = im2col(below, stage.window_px, padding=_half(stage.window_px))
    return patches, jnp.sqrt(patches**2 @ _nearness(stage, below.shape[-1])[:, None])


def _nearness(stage, channels):
    """The paper's c, [window * window * C]: falls with the distance and sums to 1."""
    near = gaussian(stage.window_px, stage.window_px / 2)
    return jnp.repeat(near.reshape(-1) / channels, channels)


def _half(side_px):
    if side_px < 1 or side_px % 2 == 0:
        raise InputError(f"neocognitron: a window of {side_px} pixels, expected an odd number")
    return side_px // 2
