"""Point sets in the plane, for what a straight line, a well-chosen feature or a hidden layer can tell apart.

Every set is `(seed, examples, *, noise) -> (points float32 [N, 2], labels int32 [N])`: classes as large as each
other to within one point, in random order, roughly in [-1, 1]^2. `noise` is the standard deviation of the normal
displacement of every point; what the features of a set achieve holds at its default.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxvision.data.memory import InMemory
from jaxvision.data.splits import DatasetInfo, Splits
from jaxvision.errors import InputError

Points = tuple[np.ndarray, np.ndarray]
Seed = int | Sequence[int]

SIZES = {"train": 400, "validation": 200, "test": 200}
WINDING = 2.5 * np.pi  # radians that a spiral turns from the origin to radius 1
MOON_RADIUS, MOON_CENTRE, MOON_EXCESS = 0.7, (-0.2, 0.0), 0.6  # radians beyond a half circle at either end


def blobs(seed: Seed, examples: int, *, noise: float = 0.14) -> Points:
    """Two heaps; a line lies between them."""
    return _heaps(seed, examples, np.array([[-0.5, -0.4], [0.5, 0.4]]), 2, noise)


def three_blobs(seed: Seed, examples: int, *, noise: float = 0.14) -> Points:
    """Three heaps at the corners of a triangle, each cut off by a line."""
    angles = np.pi / 2 + 2 * np.pi * np.arange(3) / 3
    return _heaps(seed, examples, 0.6 * _on_circle(angles), 3, noise)


def xor(seed: Seed, examples: int, *, noise: float = 0.14) -> Points:
    """Four heaps, one a quadrant; those in opposite quadrants are of one class (Minsky & Papert 1969)."""
    return _heaps(seed, examples, np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]]), 2, noise)


def circles(seed: Seed, examples: int, *, noise: float = 0.06) -> Points:
    """A circle of radius 0.9 around one of radius 0.4."""
    rng, labels = _start(seed, examples, 2, noise)
    radii = np.where(labels == 0, 0.4, 0.9)
    clean = radii[:, None] * _on_circle(rng.uniform(0, 2 * np.pi, examples))
    return _displaced(rng, clean, noise), labels


def moons(seed: Seed, examples: int, *, noise: float = 0.04) -> Points:
    """Two arcs of more than half a circle, each with an end inside the other."""
    rng, labels = _start(seed, examples, 2, noise)
    angles = rng.uniform(-MOON_EXCESS, np.pi + MOON_EXCESS, examples)
    sides = np.where(labels == 0, 1, -1)[:, None]
    clean = sides * (MOON_RADIUS * _on_circle(angles) + MOON_CENTRE)
    return _displaced(rng, clean, noise), labels


def spirals(seed: Seed, examples: int, *, noise: float = 0.03) -> Points:
    """Two arms that wind around each other (Lang & Witbrock 1988)."""
    return _arms(seed, examples, 2, noise)


def three_classes(seed: Seed, examples: int, *, noise: float = 0.03) -> Points:
    """Three such arms."""
    return _arms(seed, examples, 3, noise)


def _start(seed, examples, classes, noise):
    """The generator and the labels."""
    if examples < 1:
        raise InputError(f"examples: {examples}, expected at least 1")
    if not 0 <= noise < np.inf:
        raise InputError(f"noise: {noise}, expected a standard deviation of 0 or more")
    rng = np.random.default_rng(seed)
    return rng, rng.permutation(np.arange(examples) % classes).astype(np.int32)


def _heaps(seed, examples, centres, classes, noise):
    """Centre i is of class i % classes; the centres of a class are as frequent."""
    rng, labels = _start(seed, examples, classes, noise)
    which = labels + classes * rng.integers(0, len(centres) // classes, examples)
    return _displaced(rng, centres[which], noise), labels


def _arms(seed, examples, classes, noise):
    rng, labels = _start(seed, examples, classes, noise)
    radii = np.sqrt(rng.uniform(0.2**2, 1, examples))  # as dense outside as inside
    angles = WINDING * radii + 2 * np.pi * labels / classes
    return _displaced(rng, radii[:, None] * _on_circle(angles), noise), labels


def _on_circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _displaced(rng, points, noise):
    return (points + noise * rng.normal(size=points.shape)).astype(np.float32)


def _raw(x, y):
    return x, y


def _product(x, y):
    return x, y, x * y


def _radius(x, y):
    return x, y, np.hypot(x, y)


def _quadratic(x, y):
    return x, y, x**2, y**2, x * y


def _cubic(x, y):
    return x, y, x**3, x**2 * y, x * y**2, y**3


def _polar(x, y):
    angle = np.arctan2(y, x)
    return np.hypot(x, y), np.cos(angle), np.sin(angle)


def _unrolled(x, y):
    angle = np.arctan2(y, x) - WINDING * np.hypot(x, y)
    return np.cos(angle), np.sin(angle)


def _feature_map(columns):
    def features(points: np.ndarray) -> np.ndarray:
        return np.stack(columns(*np.asarray(points, np.float32).T), axis=-1)

    return features


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raw": _feature_map(_raw),
    "product": _feature_map(_product),
    "radius": _feature_map(_radius),
    "quadratic": _feature_map(_quadratic),
    "cubic": _feature_map(_cubic),
    "polar": _feature_map(_polar),
    "unrolled": _feature_map(_unrolled),
}


@dataclass(frozen=True)
class ToySet:
    """`points(seed, examples, *, noise)` makes it; `separating` names the FEATURES a linear classifier needs."""

    points: Callable[..., Points]
    num_classes: int
    separating: tuple[str, ...]

    @property
    def linearly_separable(self) -> bool:
        return "raw" in self.separating


TOY_SETS = {
    "blobs": ToySet(blobs, 2, ("raw",)),
    "xor": ToySet(xor, 2, ("product", "quadratic")),
    "circles": ToySet(circles, 2, ("radius", "quadratic", "polar")),
    "moons": ToySet(moons, 2, ("cubic",)),
    "spirals": ToySet(spirals, 2, ("unrolled",)),
    "three_classes": ToySet(three_classes, 3, ("unrolled",)),
    "three_blobs": ToySet(three_blobs, 3, ("raw",)),
}


def toy_splits(name: str, *, seed: int, sizes=SIZES, noise: float | None = None, features: str = "raw") -> Splits:
    """A set of TOY_SETS as `load` returns data: an image is one pixel whose channels are the features.

    Images are float32 [N,1,1,F], not confined to [0,1]; class k is called "class k". `sizes` counts the examples
    of "train", "validation" and "test", which are drawn independently. `noise`: None for the default of the set.
    `features`: one of FEATURES.

    InputError for another name, features, sizes or a negative noise.
    """
    if name not in TOY_SETS:
        raise InputError(f"{name!r}: no toy set, expected one of {', '.join(TOY_SETS)}")
    if features not in FEATURES:
        raise InputError(f"features: {features!r}, expected one of {', '.join(FEATURES)}")
    if set(sizes) != set(SIZES):
        raise InputError(f"sizes: of {', '.join(map(str, sizes))}, expected of {', '.join(SIZES)}")
    toy = TOY_SETS[name]
    options = {} if noise is None else {"noise": noise}
    splits = {}
    for stream, split in enumerate(SIZES):
        points, labels = toy.points([seed, stream], sizes[split], **options)
        splits[split] = InMemory(FEATURES[features](points)[:, None, None, :], labels)
    shape = splits["train"].gather(np.array([0]))["image"].shape[1:]
    info = DatasetInfo(name, shape, tuple(f"class {k}" for k in range(toy.num_classes)), dict(sizes))
    return Splits(info, splits["train"], splits["validation"], lambda: splits["test"])
