"""Single operators in float32, milliseconds: ours, XLA's or Flax's, PyTorch's, and what the machine allows.

Every line carries the operator's floating-point operations (a multiplication and an addition for each weight that
is used, zero padding included), the megabytes of the arrays it reads and writes, and the bound these set.
"""

from scripts.benchmarks import convolutions, normalisations, pools
from scripts.benchmarks.case import Case


def cases() -> list[Case]:
    return [*convolutions.cases(), *pools.cases(), *normalisations.cases()]
