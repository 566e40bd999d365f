"""The three arrays of a convolution and how they fit together.

images [B, H, W, C], kernel [h, w, C / groups, O], output [B, H', W', O].
"""

from typing import NamedTuple

ROLES = ("images", "kernel", "output")


class Geometry(NamedTuple):
    """Sizes of images and window, and how the window moves; pairs are (vertical, horizontal).

    `precision` is that of products on GPU and TPU, a value of `jax.default_matmul_precision`.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    precision: str | None = None

    @property
    def out_size(self) -> tuple[int, int]:
        """(H', W')."""
        axes = zip(self.size, self.window, self.stride, self.padding, self.dilation)
        return tuple((n + 2 * p - d * (f - 1) - 1) // s + 1 for n, f, s, p, d in axes)

    def channels(self, **arrays) -> int:
        """C, of images or kernel."""
        return arrays["images"].shape[3] if "images" in arrays else arrays["kernel"].shape[2] * self.groups

    def features(self, **arrays) -> int:
        """O, of kernel or output."""
        return (arrays["output"] if "output" in arrays else arrays["kernel"]).shape[3]

    def shape(self, wanted: str, **arrays) -> tuple[int, ...]:
        """Shape of the array in the role `wanted`, given the two others."""
        match wanted:
            case "images":
                return (arrays["output"].shape[0], *self.size, self.channels(**arrays))
            case "kernel":
                return (*self.window, self.channels(**arrays) // self.groups, self.features(**arrays))
            case "output":
                return (arrays["images"].shape[0], *self.out_size, self.features(**arrays))
