"""Weight files into the models of the catalogue, with what a file says about the model it is of."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import keystr, tree_leaves_with_path, tree_map_with_path

from jaxvision import weights
from jaxvision.augment import ImagePreprocess
from jaxvision.errors import InputError
from jaxvision.models.blocks import initialise
from jaxvision.models.catalog import create
from jaxvision.models.published import published_file
from jaxvision.models.sources import sources_of


def load(
    name: str,
    path: str | Path | None = None,
    *,
    num_classes: int | None = None,
    new_head: bool = False,
    preprocess: Mapping[str, object] | None = None,
    seed: int = 0,
) -> tuple[nn.Module, dict, ImagePreprocess]:
    """A model of the catalogue with the weights of a file.

    The file says which library wrote it, for how many channels, for images of which size where that matters
    (vision transformers), whether it has auxiliary classifiers (GoogLeNet) and which shortcuts (ResNets for CIFAR).
    Of what has no parameters it says nothing: a plain network's file fits the residual one with shortcuts "A", and
    vgg11_lrn's fits vgg11. Nor does it say what its images went through, see `preprocess`.

    Args:
      name: as in `models.names()`.
      path: a .safetensors file, or with torch a .pth, .pt or .th file; None fetches the published one.
      num_classes: None takes the file's; 0 makes a model that returns embeddings [B, D].
      new_head: take all of the file but the classifier, which starts anew for `num_classes` classes.
      preprocess: fields of `ImagePreprocess` in which the file's preprocessing differs from what is returned
        without, such as {"resize_px": 235, "interpolation": "bicubic"} for timm's resnet50.a1_in1k; a value of
        None changes nothing.
      seed: of the new classifier.

    Returns:
      (model, variables, preprocess): `model.apply(variables, preprocess(images))` are the logits of images
      [B, H, W, C], uint8 or float in [0, 1]. The preprocessing is that of the published weights of this layout,
      for ResNets torchvision's also where timm wrote the file, as the keys are the same. Vision transformers for
      images of another size see all of what was resized, larger ones bicubic. Where the images are not RGB, each
      channel has the average of the means and deviations.

    Raises:
      InputError: the model is unknown or has no weight files, the file is damaged or not of this model, or its
        number of classes differs; with everything that is wrong with the file. Or the preprocessing is
        impossible, or not for this file.
    """
    if new_head and num_classes == 0:
        raise InputError("new_head: a model without classes (num_classes=0) has no head")
    if num_classes is not None and num_classes < 0:
        raise InputError(f"num_classes: {num_classes}, expected at least 0, or None for that of the file")
    sources = sources_of(name)
    path = published_file(name) if path is None else Path(path)
    arrays = weights.read(path)
    try:
        layout = weights.recognise(arrays)
        if layout.name not in sources:
            raise InputError(f"has the layout {layout.name}, expected {' or '.join(sources)} for {name}")
        model, variables, assumed = _load(name, arrays, layout, sources[layout.name], num_classes, new_head, seed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return model, variables, _changed(assumed, preprocess or {})


def _changed(assumed, changes):
    changes = {field: value for field, value in changes.items() if value is not None}
    known = [field.name for field in dataclasses.fields(assumed)]
    if unknown := changes.keys() - known:
        raise InputError(f"preprocess: {', '.join(sorted(unknown))} unknown, expected some of {', '.join(known)}")
    preprocess = dataclasses.replace(assumed, **changes)
    if (found := len(preprocess.mean)) != (channels := len(assumed.mean)):
        raise InputError(f"mean, std: of {found} channels, the file is for images of {channels}")
    return preprocess


def _load(name, arrays, layout, source, num_classes, new_head, seed):
    in_file = weights.class_count(arrays, layout)
    classes = num_classes or in_file
    classes = num_classes if classes is None else classes
    fields = source.fields(arrays)
    model = create(name, **fields, **({} if classes is None else {"num_classes": classes}))
    preprocess = source.preprocess
    if "grid" in fields and (size_px := model.patch * model.grid) != preprocess.crop_px:
        # as torchvision's and timm's files for 384 pixels and more; smaller ones nobody has published
        kernel = "bicubic" if size_px > preprocess.crop_px else preprocess.interpolation
        preprocess = dataclasses.replace(preprocess, resize_px=size_px, crop_px=size_px, interpolation=kernel)
    template = _template(model, preprocess)
    if (channels := _channels(arrays, layout, template)) != 3:
        grey = {field: (sum(getattr(preprocess, field)) / 3,) * channels for field in ("mean", "std")}
        preprocess = dataclasses.replace(preprocess, **grey)
        template = _template(model, preprocess)
    if new_head:
        template = _with_fresh_heads(template, model, preprocess, seed)
    try:
        variables = weights.to_variables(arrays, layout, template, new_head=new_head)
    except InputError as error:
        if new_head or in_file is None or classes == in_file:
            raise
        hint = f"it has {in_file} classes, not {classes}: new_head=True starts a new head"
        raise InputError(f"{error}; {hint}") from error
    if num_classes == 0:
        model = create(name, **fields, num_classes=0)
        variables = _part(variables, _template(model, preprocess))
    return model, jax.tree.map(jnp.asarray, variables), preprocess


def _template(model, preprocess):
    """Shapes and types of the variables for the images that `preprocess` makes."""
    images = jax.ShapeDtypeStruct((1, *preprocess.image_shape), jnp.float32)
    return jax.eval_shape(functools.partial(initialise, model, images=images), jax.random.key(0))


def _channels(arrays, layout, template):
    """Of the images, by the one kernel of the file that sees three channels in a template for three."""
    leaves = {tuple(entry.key for entry in path): leaf for path, leaf in tree_leaves_with_path(template)}
    keys = layout.keys(leaves)
    (stem,) = [keys[path] for path, leaf in leaves.items() if path[-1] == "kernel" and leaf.shape[2:3] == (3,)]
    return arrays[stem].shape[1] if stem in arrays and arrays[stem].ndim == 4 else 3


def _with_fresh_heads(template, model, preprocess, seed):
    def heads(key):
        variables = initialise(model, key, jnp.zeros((1, *preprocess.image_shape)))
        return {keystr(path): leaf for path, leaf in tree_leaves_with_path(variables) if "['head']" in keystr(path)}

    fresh = jax.jit(heads)(jax.random.key(seed))  # compiled, the rest is not drawn
    return tree_map_with_path(lambda path, leaf: fresh.get(keystr(path), leaf), template)


def _part(tree, like):
    return {name: _part(tree[name], below) for name, below in like.items()} if isinstance(like, dict) else tree
