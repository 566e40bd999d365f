"""torchvision beside a build of torch that lacks its compiled operators."""

from functools import cache

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache  # and with the result the library: operators vanish with the object that defined them
def torchvision_and_operators():
    """(torchvision, the library object that declares what its import asks for)."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in OPERATORS:
        if not hasattr(torch.ops.torchvision, operator.split("(")[0]):
            library.define(operator)
    import torchvision

    return torchvision, library
