"""Vision Transformer: Dosovitskiy et al., "An image is worth 16x16 words", 2020, section 3.1 and table 1.

Ti and S are the smaller sizes of Touvron et al. 2021, "Training data-efficient image transformers", table 1. The
kernels of a block start as in the authors' code, uniformly by Glorot & Bengio 2010, but biases at zero, and the
classifier as Flax's Dense does, where a fine-tuned one of the paper starts at zero. Weight files of torchvision and
timm have the same layers, with the exact GELU and an epsilon of 1e-6.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvision.errors import InputError
from jaxvision.models.blocks import Conv, Dropout, LayerNorm, Pair, head, require_size, tap
from jaxvision.ops.activations import gelu
from jaxvision.ops.attention import attention, merge_heads, split_heads
from jaxvision.ops.initializers import normal, xavier_uniform
from jaxvision.ops.output_size import both_axes
from jaxvision.ops.position_encodings import resize_positions, sine_cosine_2d

MLP_RATIO = 4  # table 1: width of a block's hidden layer over that of the tokens


class ViT(nn.Module):
    """An image as tokens: one for each patch of `patch` pixels, row by row, after the class token if there is one.

    Position embeddings are learned for `grid` patches, a side or (vertical, horizontal). For images of another
    grid they are resampled, bicubic and antialiased as in timm (`resize_positions`); torchvision's own function for
    weight files, `interpolate_embeddings`, puts the corners elsewhere. Any size that `patch` divides will do. With
    positions="sine_cosine" they are fixed instead (`sine_cosine_2d`), whatever the grid.

    The head sees the class token with pool="token", with "mean" the mean of the patches. `class_token` says whether
    there is one; None: where it is pooled, the paper's choice (appendix D.3). The last normalisation is of all
    tokens, or with `fc_norm` of their mean, timm's default for global_pool="avg".

    `norm(name=...)(x, train=train)` normalises. `dropout_rate` is that of the embedded tokens and of all layers of
    a block but queries, keys and values. The tap "block3_attention" is [B, heads, T, T], each row the weights with
    which one token mixes all. `remat` keeps the input of each block only for the gradient.

    Raises InputError for sizes that `patch` does not divide, another pool or kind of positions, or pooling a token
    that is not there.
    """

    patch: int
    width: int
    depth: int
    heads: int
    grid: Pair
    num_classes: int = 1000
    pool: Literal["token", "mean"] = "token"
    positions: Literal["learned", "sine_cosine"] = "learned"
    class_token: bool | None = None
    fc_norm: bool = False
    act: Callable = gelu
    norm: Callable = LayerNorm
    dropout_rate: float | jax.Array = 0.0
    dtype: jax.typing.DTypeLike = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        class_tokens = self._class_tokens(images)
        Block = nn.remat(EncoderBlock, static_argnums=(3,)) if self.remat else EncoderBlock
        x = Conv(self.width, self.patch, stride=self.patch, dtype=self.dtype, name="patch_embedding")(images)
        x = tap(self, "tokens", self._tokens(x, class_tokens, train))
        for number in range(1, self.depth + 1):
            name, attention_name = f"block{number}", f"block{number}_attention"
            block = Block(self.heads, self.act, self.norm, self.dropout_rate, self.dtype, name=name)
            # A `tap` within the block: what it adds is handed in, what it shows handed out, as `remat` demands.
            x, weights = block(x, self.get_variable("perturbations", attention_name), train)
            if self.is_mutable_collection("intermediates"):
                self.put_variable("intermediates", attention_name, weights)
            x = tap(self, name, x)
        x = x[:, :1] if self.pool == "token" else x[:, class_tokens:]
        if self.fc_norm:
            x = x.mean(1, keepdims=True)
        x = self.norm(name="fc_norm" if self.fc_norm else "norm")(x, train=train)
        return head(self, x.mean(1))

    def _class_tokens(self, images) -> int:
        """How many there are, if images and fields are as they should be."""
        require_size(self, images, self.patch)
        height, width = images.shape[1:3]
        if height % self.patch or width % self.patch:
            raise InputError(
                f"ViT: images of {height}x{width}, expected multiples of the patch, {self.patch} pixels"
            )
        if self.pool not in ("token", "mean"):
            raise InputError(f"pool: {self.pool!r} is unknown, expected token or mean")
        if self.positions not in ("learned", "sine_cosine"):
            raise InputError(f"positions: {self.positions!r} is unknown, expected learned or sine_cosine")
        if self.pool == "token" and self.class_token is False:
            raise InputError("pool: 'token' without a class token, expected 'mean'")
        return int(self.pool == "token" or bool(self.class_token))

    def _tokens(self, patches, class_tokens, train):
        """[B, H, W, D] -> [B, T, D], each patch told where it is (equation 1)."""
        batch, *new_grid, width = patches.shape
        x, grid = patches.reshape(batch, -1, width), both_axes(self.grid)
        if class_tokens:
            token = self.param("class_token", nn.initializers.zeros, (1, 1, width))
            x = jnp.concatenate([jnp.broadcast_to(token.astype(x.dtype), (batch, 1, width)), x], axis=1)
        if self.positions == "sine_cosine":
            positions = jnp.pad(sine_cosine_2d(tuple(new_grid), width), ((class_tokens, 0), (0, 0)))
        else:
            shape = (1, class_tokens + math.prod(grid), width)
            positions = self.param("position_embedding", partial(normal, std=0.02), shape)
            positions = resize_positions(positions[0], grid, tuple(new_grid), class_tokens=class_tokens)
        return Dropout(self.dropout_rate)(x + positions[None].astype(x.dtype), train=train)


class EncoderBlock(nn.Module):
    """x + MSA(LN(x)), then x + MLP(LN(x)), for tokens [B, T, D] (figure 1, equations 2 and 3).

    Also returns the weights with which each token mixes all, [B, heads, T, T], `perturbation` added unless None.
    """

    heads: int
    act: Callable
    norm: Callable
    dropout_rate: float | jax.Array
    dtype: jax.typing.DTypeLike

    @nn.compact
    def __call__(self, x, perturbation, train):
        width = x.shape[-1]
        dense = partial(nn.Dense, kernel_init=xavier_uniform, dtype=self.dtype)
        dropout = partial(Dropout(self.dropout_rate), train=train)
        # Three kernels side by side, each of which starts as if it were alone.
        qkv = dense(3 * width, kernel_init=partial(xavier_uniform, gain=math.sqrt(2)), name="qkv")
        parts = jnp.split(qkv(self.norm(name="norm1")(x, train=train)), 3, axis=-1)
        queries, keys, values = (split_heads(part, self.heads) for part in parts)
        mixed, weights = attention(queries, keys, values, return_weights=True)
        weights = weights.astype(values.dtype)
        if perturbation is not None:
            weights, mixed = weights + perturbation, mixed + perturbation @ values
        x = x + dropout(dense(width, name="proj")(merge_heads(mixed)))
        y = self.act(dense(MLP_RATIO * width, name="fc1")(self.norm(name="norm2")(x, train=train)))
        return x + dropout(dense(width, name="fc2")(dropout(y))), weights


_ti = partial(ViT, width=192, depth=12, heads=3)
_s = partial(ViT, width=384, depth=12, heads=6)
_b = partial(ViT, width=768, depth=12, heads=12)
_l = partial(ViT, width=1024, depth=24, heads=16)

vit_ti_16 = partial(_ti, patch=16, grid=(14, 14))
vit_s_16 = partial(_s, patch=16, grid=(14, 14))
vit_b_16 = partial(_b, patch=16, grid=(14, 14))
vit_l_16 = partial(_l, patch=16, grid=(14, 14))
vit_ti_32 = partial(_ti, patch=32, grid=(7, 7))
vit_s_32 = partial(_s, patch=32, grid=(7, 7))
vit_b_32 = partial(_b, patch=32, grid=(7, 7))
vit_l_32 = partial(_l, patch=32, grid=(7, 7))
