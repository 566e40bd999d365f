"""How long something takes."""

import time
from collections.abc import Callable

LEAST_SECONDS = 0.2


def seconds_a_call(call: Callable[[], object], least_seconds: float = LEAST_SECONDS) -> float:
    """The mean over as many calls as fill `least_seconds`; a call returns when its work is done."""
    calls, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < least_seconds:
        call()
        calls += 1
    return elapsed / calls
