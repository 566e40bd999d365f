"""What the layers of a model cost and see, read from its program without running it.

The program is the jaxpr of `apply` in evaluation mode for one image; Flax notes in it which module every operation
belongs to.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend.core import Literal, Var, jaxprs_in_params

from jaxvision.errors import InputError
from jaxvision.models.blocks import initialise
from jaxvision.models.catalog import create
from jaxvision.ops.output_size import both_axes
from jaxvision.ops.receptive_field import PIXEL, Layer, ReceptiveField, analytic, union

BYTES = 4  # of a float32
CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"}
LOOPS = {"scan", "while", "cond"}
POOLS = {
    "max_pool",
    "sum_pool",
    "avg_pool",
    "adaptive_max_pool",
    "adaptive_avg_pool",
    "global_max_pool",
    "global_avg_pool",
}

Path = tuple[str, ...]
Fields = tuple[ReceptiveField, ReceptiveField] | None  # vertical and horizontal; None: perhaps the whole image


class LayerSummary(NamedTuple):
    """A layer, for one image.

    Attributes:
      name: of its module; a pool has that of its tap, if there is one.
      output_shape: without the batch; None for a layer that evaluation leaves out.
      parameters: those the module holds itself.
      multiply_adds: of convolutions and matrix products, those of attention too. All else counts as free.
      activation_bytes: what its products put out, in attention the weights too, or where it has none its output, in
        float32. Activations in between, such as a ReLU's, are not counted.
      receptive_field_px: the side, the longer one, of the square of pixels that a unit sees; None where it may see
        any, as after attention, flattening or a global mean.
    """

    name: str
    output_shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int
    activation_bytes: int
    receptive_field_px: int | None


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order of their first use, and their totals; as a string, a table."""

    model: str
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, ...]
    layers: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        return sum(layer.activation_bytes for layer in self.layers)

    @property
    def receptive_field_px(self) -> int | None:
        """The largest one that is not the whole image."""
        return max((layer.receptive_field_px or 0 for layer in self.layers), default=0) or None

    def __str__(self) -> str:
        total = LayerSummary(
            "total",
            self.output_shape,
            self.parameters,
            self.multiply_adds,
            self.activation_bytes,
            self.receptive_field_px,
        )
        header = ("layer", "output", "parameters", "multiply-adds", "activation bytes", "receptive field")
        rows = [header, *map(_cells, self.layers), _cells(total)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
            for pairs in (zip(row, widths) for row in rows)
        ]
        rule = "-" * len(lines[0])
        title = f"{self.model} on {_by(self.input_shape)}"
        return "\n".join([title, rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _cells(layer):
    numbers = (layer.parameters, layer.multiply_adds, layer.activation_bytes)
    shape = _by(layer.output_shape) if layer.output_shape else "-"
    return (layer.name, shape, *(f"{number:,}" for number in numbers), str(layer.receptive_field_px or "-"))


def _by(shape):
    return "x".join(map(str, shape))


def summary(model: str | nn.Module, size_px: int | tuple[int, int], channels: int = 3) -> Summary:
    """The summary of a model, or of the catalogue's of this name, for images of `size_px`, a side or (H, W).

    A layer is a module that holds parameters or multiplies, or a pool of `ops.pooling`. Layers in a loop can't be
    told apart, so a model whose blocks are scanned raises InputError, as do sizes that the model does not take.
    """
    model = create(model) if isinstance(model, str) else model
    shape = (*both_axes(size_px), channels)
    if min(shape) < 1:
        raise InputError(f"summary: images of {_by(shape)}, expected sizes of at least 1")
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = jax.eval_shape(lambda: initialise(model, jax.random.key(0), images))

    def apply(variables, images):
        return model.apply(variables, images, train=False, mutable="intermediates")

    with nn.override_named_call():
        program, (output, state) = jax.make_jaxpr(apply, return_shape=True)(variables, images)
    taps = _taps(program, state)
    leaves = [(_path(keys), leaf) for keys, leaf in jax.tree_util.tree_leaves_with_path(variables)]
    modules = {path[1:end] for path, _ in leaves for end in range(1, len(path))}
    held = Counter()
    for (collection, *path, _), leaf in leaves:
        held[tuple(path)] += leaf.size * (collection == "params")

    steps: dict[tuple, list[_Step]] = {}
    for step in _steps(program.jaxpr, (), {program.jaxpr.invars[-1]: (PIXEL, PIXEL)}, modules):
        steps.setdefault((step.module, step.result if step.pool else None), []).append(step)
    layers = [
        _pool(each[0], taps) if pooled else _layer(_name(model, module), each, held[module])
        for (module, pooled), each in steps.items()
        if pooled or held[module] or any(step.multiply_adds for step in each)
    ]
    unused = [module for module in held if held[module] and (module, None) not in steps]
    layers += [LayerSummary(_name(model, module), None, held[module], 0, 0, None) for module in unused]
    return Summary(type(model).__name__, shape, output.shape[1:], tuple(layers))


def _path(keys):
    return tuple(key.key for key in keys)


def _taps(program, state):
    """Names of the taps among the results of the program."""
    tapped = jax.tree_util.tree_leaves_with_path(state.get("intermediates", {}))
    return {result: _path(keys) for (keys, _), result in zip(tapped, program.jaxpr.outvars[1:])}


def _name(model, module):
    return "/".join(module) or type(model).__name__


class _Step(NamedTuple):
    """An operation on something that depends on the image, or a whole pool, by its name."""

    module: Path
    result: Var
    fields: Fields
    multiply_adds: int = 0
    pool: str | None = None


def _layer(name, steps, parameters):
    last = steps[-1]
    kept = [step for step in steps if step.multiply_adds] or [last]
    return LayerSummary(
        name,
        last.result.aval.shape[1:],
        parameters,
        sum(step.multiply_adds for step in steps),
        BYTES * sum(step.result.aval.size for step in kept),
        last.fields and max(field.size for field in last.fields),
    )


def _pool(step, taps):
    return _layer("/".join(taps.get(step.result, (*step.module, step.pool))), [step], 0)


def _steps(jaxpr, enclosing: Path, fields: dict[Var, Fields], modules: set[Path]) -> Iterator[_Step]:
    """The steps of a jaxpr and of what it calls, in order.

    `fields` are those of the variables that depend on the image; those of all others that do are added.
    """
    for equation in jaxpr.eqns:
        primitive = equation.primitive.name
        module = _module(equation, enclosing, modules)
        seen = {
            position: fields[operand]
            for position, operand in enumerate(equation.invars)
            if not isinstance(operand, Literal) and operand in fields
        }
        if not seen:
            continue
        if primitive in LOOPS:
            raise InputError(f"summary: a loop ({primitive}) over layers, expected them unrolled")
        if primitive not in CALLS:
            found = _receptive_fields(equation, seen)
            fields |= dict.fromkeys(equation.outvars, found)
            yield _Step(module, equation.outvars[0], found, _multiply_adds(equation))
            continue
        called = next(iter(jaxprs_in_params(equation.params)))
        inner = {called.invars[position]: field for position, field in seen.items()}
        steps = list(_steps(called, module, inner, modules))
        results = [(outer, result) for outer, result in zip(equation.outvars, called.outvars)]
        fields |= {outer: inner[result] for outer, result in results if isinstance(result, Var) and result in inner}
        if equation.params.get("name") in POOLS:
            (result,) = equation.outvars
            yield _Step(module, result, fields[result], pool=equation.params["name"])
        else:
            yield from steps


def _module(equation, enclosing, modules):
    """The innermost module of the names that stand around an operation; some are of methods and functions."""
    path = enclosing
    for name in str(equation.source_info.name_stack).split("/"):
        path = (*path, name) if (*path, name) in modules else path
    return path


def _multiply_adds(equation):
    shapes = [operand.aval.shape for operand in equation.invars]
    result = equation.outvars[0].aval
    match equation.primitive.name:
        case "convolve_output":
            images, kernel = shapes
            return images[0] * prod(equation.params["geometry"].out_size) * prod(kernel)
        case "convolve_images":
            kernel, output = shapes
            return output[0] * prod(equation.params["geometry"].out_size) * prod(kernel)
        case "conv_general_dilated":
            features = shapes[1][equation.params["dimension_numbers"].rhs_spec[0]]
            return result.size * prod(shapes[1]) // features
        case "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            return result.size * prod(shapes[0][axis] for axis in contracted)
        case "product":
            return result.size * shapes[0][-1]
    return 0


def _receptive_fields(equation, seen: dict[int, Fields]) -> Fields:
    """Those of the results, given those of the operands that depend on the image, by position.

    Who has fields is an array [B, H, W, ...]; H and W are the axes 1 and 2.
    """
    name, params = equation.primitive.name, equation.params
    if None in seen.values():
        return None
    first = next(iter(seen.values()))
    match name:
        case "convolve_output":
            geometry = params["geometry"]
            return _after(first, geometry.window, geometry.stride, geometry.padding, geometry.dilation)
        case "reduce_window_max" | "reduce_window_sum":
            padding = [before for before, _ in params["padding"]]
            options = (params["window_dimensions"], params["window_strides"], padding, params["window_dilation"])
            return _after(first, *(option[1:3] for option in options))
        case "conv_general_dilated" if _is_plain(params):
            kernel = equation.invars[1].aval.shape
            windows = [kernel[axis] for axis in params["dimension_numbers"].rhs_spec[2:]]
            padding = [before for before, _ in params["padding"]]
            return _after(first, windows, params["window_strides"], padding, params["rhs_dilation"])
        case "pad":
            before, _, between = zip(*params["padding_config"][1:3])
            return None if any(between) else _moved(first, [-pixels for pixels in before], (1, 1))
        case "slice":
            return _moved(first, params["start_indices"][1:3], (params["strides"] or (1,) * 3)[1:3])
    if (
        _mixes_pixels(equation, seen)
        or len({tuple(axis.stride for axis in fields) for fields in seen.values()}) > 1
    ):
        return None
    vertical, horizontal = zip(*seen.values())
    return union(*vertical), union(*horizontal)


def _is_plain(params):
    """Whether a convolution is of images [B, H, W, C], and not transposed."""
    return params["dimension_numbers"].lhs_spec == (0, 3, 1, 2) and {*params["lhs_dilation"]} == {1}


def _after(fields, windows, strides, paddings, dilations):
    layers = map(Layer, windows, strides, paddings, dilations)
    return tuple(analytic([layer], of=field) for layer, field in zip(layers, fields))


def _moved(fields, starts, strides):
    return tuple(
        ReceptiveField(field.size, field.stride * stride, field.start + field.stride * start)
        for field, start, stride in zip(fields, starts, strides)
    )


def _mixes_pixels(equation, seen):
    """Whether unit (i, j) of the result may depend on others of the operands than their (i, j)."""
    params, result = equation.params, equation.outvars[0].aval.shape
    if any(equation.invars[position].aval.shape[1:3] != result[1:3] for position in seen):
        return True
    match equation.primitive.name:
        case "gather" | "conv_general_dilated" | "convolve_images":
            return True
        case "transpose":
            return params["permutation"][:3] != (0, 1, 2)
        case "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            return seen.keys() != {0} or bool({1, 2} & {*contracted})
        case "product":
            return seen.keys() != {0} or len(result) <= 3
    axes = {*params.get("axes", ()), *params.get("dimensions", ()), params.get("axis"), params.get("dimension")}
    return bool({1, 2} & axes)
