"""Between the arrays of a weight file and our variables, by a layout: a bijection, checked on both sides."""

import re
from collections.abc import Callable, Iterable, Mapping

import jax
import numpy as np

from jaxvision.errors import InputError
from jaxvision.weights.layout import Layout, Path

FILE_AXES = {2: (1, 0), 4: (3, 2, 0, 1)}  # of a kernel: [in, out] -> [out, in], [H, W, in, out] -> [out, in, H, W]
COUNTER = "num_batches_tracked"  # how many batches a batch normalisation of torch has seen


def to_variables(
    arrays: Mapping[str, np.ndarray],
    layout: Layout,
    template: dict,
    *,
    only: str | None = None,
    skip: str | None = None,
    new_head: bool = False,
) -> dict:
    """The template's tree filled with the arrays of a file.

    Args:
      arrays: what the file holds, by its keys. Torch's counters of batches may be among them.
      template: arrays or, where they come from the file, `jax.ShapeDtypeStruct`s.
      only: a regular expression; keys in which it finds nothing are left alone on both sides.
      skip: the same for keys in which it finds something.
      new_head: keep what the template has below "head", whatever the file has.

    Returns:
      float32 numpy arrays where the file was read, and the leaves of the template elsewhere.

    Raises:
      InputError: missing or extra keys, wrong shapes or types, numbers that are not finite, all of them in one
        message; or a regular expression that is none or finds nothing at all.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    leaves = {_names(path): leaf for path, leaf in leaves}
    keys = _keys(layout, leaves)
    selected = _selection(only, skip, {*keys.values(), *arrays})
    kept = {path for path, key in keys.items() if not selected(key) or (new_head and "head" in path)}
    read = [path for path in leaves if path not in kept]
    left_alone = {keys[path] for path in kept}
    given = {key: array for key, array in arrays.items() if selected(key) and key not in left_alone}
    problems = _problems(given, {keys[path]: _file_shape(path, leaves[path].shape) for path in read})
    problems["in neither the file nor the template"] = [
        keys[path] for path in leaves if path in kept and isinstance(leaves[path], jax.ShapeDtypeStruct)
    ]
    if found := [f"{kind}: {', '.join(which)}" for kind, which in problems.items() if which]:
        raise InputError(f"does not fit the model by the layout {layout.name}: {'; '.join(found)}")
    filled = {path: _from_file(arrays[keys[path]], path, leaves[path].shape, layout) for path in read}
    return jax.tree_util.tree_unflatten(structure, (leaves | filled).values())


def to_arrays(variables: dict, layout: Layout, *, counters: Mapping[str, np.ndarray] | None = None) -> dict:
    """What `to_variables` read: numpy arrays by the keys of a file, with the counters that were in it.

    Raises InputError for a counter of no batch normalisation of these variables.
    """
    counters = counters or {}
    leaves = {_names(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(variables)[0]}
    keys = _keys(layout, leaves)
    arrays = {keys[path]: _to_file(np.asarray(leaf), path, layout) for path, leaf in leaves.items()}
    if foreign := counters.keys() - counters_among(counters, arrays):
        raise InputError(f"counters: {', '.join(sorted(foreign))} of no batch normalisation of these variables")
    return {**arrays, **counters}


def class_count(arrays: Mapping[str, np.ndarray], layout: Layout) -> int | None:
    """The number of classes of the head in a file; None where it has no head."""
    keys = layout.keys([("params", "head", "bias"), ("params", "head", "kernel")]).values()
    return next((len(arrays[key]) for key in keys if key in arrays and arrays[key].ndim), None)


def counters_among(keys: Iterable[str], others: Iterable[str]) -> set[str]:
    """Those keys that count the batches of a batch normalisation whose statistics are among the others."""
    return {
        key
        for key in keys
        if key.rpartition(".")[2] == COUNTER and key.removesuffix(COUNTER) + "running_mean" in others
    }


def _keys(layout: Layout, paths: Iterable[Path]) -> dict[Path, str]:
    keys = layout.keys(paths)
    if len(set(keys.values())) != len(keys):
        twice = {key for key in keys.values() if list(keys.values()).count(key) > 1}
        raise ValueError(f"{layout.name}: several parameters are called {', '.join(sorted(twice))}")
    return keys


def _names(path):
    return tuple(entry.key for entry in path)


def _selection(only, skip, keys) -> Callable[[str], bool]:
    patterns = {}
    for option, pattern in {"only": only, "skip": skip}.items():
        if pattern is None:
            continue
        try:
            patterns[option] = re.compile(pattern)
        except re.error as error:
            raise InputError(f"{option}: {pattern!r} is no regular expression: {error}") from error
        if not any(map(patterns[option].search, keys)):
            raise InputError(f"{option}: {pattern!r} is found in no key, expected such as '^layer1'")

    def selected(key):
        return all(bool(pattern.search(key)) == (option == "only") for option, pattern in patterns.items())

    return selected


def _problems(given, expected):
    """Kind -> what is wrong with the given arrays, where these shapes are expected."""
    counters = counters_among(given, expected)
    shapes = expected | dict.fromkeys(counters, ())
    of_shape, of_type, not_finite = [], [], []
    for key, array in given.items():
        dtype = "int64" if key in counters else "float32"
        if array.shape != shapes.get(key, array.shape):
            of_shape.append(f"{key} {list(array.shape)}, expected {list(shapes[key])}")
        if array.dtype != dtype:
            of_type.append(f"{key} {array.dtype}, expected {dtype}")
        elif not np.isfinite(array).all():
            not_finite.append(key)
    return {
        "missing": [key for key in expected if key not in given],
        "extra": [key for key in given if key not in shapes],
        "of another shape": of_shape,
        "of another type": of_type,
        "NaN or infinite": not_finite,
    }


def _file_shape(path, shape):
    return tuple(shape[axis] for axis in FILE_AXES[len(shape)]) if path[-1] == "kernel" else tuple(shape)


def _to_file(array, path, layout):
    if path[-1] != "kernel":
        return array
    window = _window(path, array.shape, layout)
    turned = array.reshape(window).transpose(FILE_AXES[len(window)])
    return np.ascontiguousarray(turned).reshape(_file_shape(path, array.shape))


def _from_file(array, path, shape, layout):
    if path[-1] != "kernel":
        return array
    window = _window(path, shape, layout)
    axes = FILE_AXES[len(window)]
    turned = array.reshape([window[axis] for axis in axes]).transpose(np.argsort(axes))
    return np.ascontiguousarray(turned).reshape(shape)


def _window(path, shape, layout):
    """The shape of a kernel; of one after a flattened map, that of the convolution over the whole map it is."""
    if path[1:-1] not in layout.flattened:
        return shape
    _, height, width = layout.flattened[path[1:-1]]
    return height, width, shape[0] // (height * width), shape[1]
