"""A progress bar on the terminal; nothing where there is none."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def tracked(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """The items, counted on stderr as they are used."""
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)


def bar():
    """A `rich` progress bar on stderr that vanishes when done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
