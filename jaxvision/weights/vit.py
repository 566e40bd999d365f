"""Vision Transformers: torchvision's files, those it published before it renamed two layers, and timm's."""

import re

from jaxvision.weights.layout import LEAVES, Layout

TORCHVISION_NAMES = {  # with what stands before "weight" or "bias", for modules
    "class_token": "class_token",
    "position_embedding": "encoder.pos_embedding",
    "patch_embedding": "conv_proj.",
    "block": "encoder.layers.encoder_layer_",
    "norm1": "ln_1.",
    "qkv": "self_attention.in_proj_",
    "proj": "self_attention.out_proj.",
    "norm2": "ln_2.",
    "fc1": "mlp.0.",
    "fc2": "mlp.3.",
    "norm": "encoder.ln.",
    "head": "heads.head.",
}
PUBLISHED_NAMES = {**TORCHVISION_NAMES, "fc1": "mlp.linear_1.", "fc2": "mlp.linear_2."}
TIMM_NAMES = {  # other modules keep theirs
    "class_token": "cls_token",
    "position_embedding": "pos_embed",
    "patch_embedding": "patch_embed.proj.",
    "block": "blocks.",
    "qkv": "attn.qkv.",
    "proj": "attn.proj.",
    "fc1": "mlp.fc1.",
    "fc2": "mlp.fc2.",
}


def _keys(names):
    def name_of(name):
        return names.get(name, f"{name}.")

    def key_of(path):
        _, first, *rest = path
        if not rest:  # a parameter of the model itself
            return names[first]
        block = re.fullmatch(r"block(\d+)", first)
        module = f"{names['block']}{int(block[1]) - 1}.{name_of(rest[0])}" if block else name_of(first)
        return module + LEAVES[path[-1]]

    return lambda paths: {path: key_of(path) for path in paths}


def _recognises(pattern):
    return lambda keys: any(re.match(pattern, key) for key in keys)


TORCHVISION = Layout(
    "torchvision vit", _recognises(r"encoder\.layers\.encoder_layer_\d+\.mlp\.\d"), _keys(TORCHVISION_NAMES)
)
TORCHVISION_PUBLISHED = Layout(
    "torchvision vit as published",
    _recognises(r"encoder\.layers\.encoder_layer_\d+\.mlp\.linear_"),
    _keys(PUBLISHED_NAMES),
)
TIMM = Layout("timm vit", _recognises(r"blocks\.\d+\.attn\.qkv\."), _keys(TIMM_NAMES))
