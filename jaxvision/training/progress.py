"""A progress bar with an estimate, and a line for every evaluation."""

import sys

from jaxvision.parallel.multihost import is_lead


class ProgressBar:
    """Shows steps done and time left on a terminal; elsewhere only the lines that are said.

    Args:
      part: the name of a part of a study, put before each line; empty outside one.
    """

    def __init__(self, total_steps: int, step: int, part: str = ""):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        on_terminal = sys.stdout.isatty() and is_lead()
        self._progress = Progress(
            *columns, console=Console(file=sys.stdout), disable=not on_terminal, refresh_per_second=4
        )
        self._task = self._progress.add_task(part or "training", total=total_steps, completed=step)
        self._prefix = f"{part}: " if part else ""
        self._on_terminal = on_terminal

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *_):
        self._progress.stop()

    def update(self, step: int) -> None:
        """Move the bar."""
        if self._on_terminal:
            self._progress.update(self._task, completed=step)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        line = self._prefix + line
        if self._on_terminal:
            self._progress.console.print(line, highlight=False)
        elif is_lead():
            print(line, flush=True)
