"""Checkpoints that are whole and bit-exact, or not used.

Orbax commits a checkpoint atomically, but restores a flipped byte in its arrays without a word. So every step
gets a manifest of SHA-256 sums, written last: a step without one was never finished, a step that differs from it
is set aside, and the newest good one is restored.

Orbax takes time to import: it is imported where it is used, after the first step.
"""

import hashlib
import json
import re
import shutil
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import jax

from jaxvision.errors import InputError
from jaxvision.files import write_whole
from jaxvision.parallel.multihost import barrier, is_lead
from jaxvision.training.state import State

MANIFEST = "manifest.json"
CORRUPT = ".corrupt"


class Checkpoints:
    """The checkpoints of one run, in `directory/<step>/`; saving goes on in the background.

    `saved` is the step last saved through this object, -1 before.

    Args:
      directory: made when the first checkpoint is saved.
      layout: the layout of `parallel` the State is in.
      keep: number of newest checkpoints that are kept.
    """

    def __init__(self, directory: Path, layout, *, keep: int):
        self._directory = directory.absolute()
        self._layout = layout
        self._keep = keep
        self._background = ThreadPoolExecutor(1)
        self._sealing: Future | None = None
        self.saved = -1
        if is_lead():
            self._clear_unusable()
        barrier("checkpoints cleared")

    @cached_property
    def _checkpointer(self):
        import orbax.checkpoint as ocp

        return ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())

    def steps(self) -> list[int]:
        """Steps that can be restored, ascending."""
        return [int(path.name) for path in finished_checkpoints(self._directory)]

    def save(self, step: int, state: State, notes: dict, *, pinned: frozenset[int] = frozenset()) -> None:
        """Begin to save; waits only for the checkpoint before.

        Args:
          notes: what the loop keeps beside the State, as JSON values.
          pinned: steps to keep however old they get.
        """
        import orbax.checkpoint as ocp

        self.wait()
        state = self._layout.saveable(state)
        args = ocp.args.Composite(
            variables=ocp.args.StandardSave(state.variables),
            training=ocp.args.StandardSave(rest_of(state)),
            notes=ocp.args.JsonSave(notes),
        )
        with failures_named(self._directory / str(step)):
            self._checkpointer.save(self._directory / str(step), args=args)
        self._sealing = self._background.submit(self._seal, step, pinned)
        self.saved = step

    def wait(self) -> None:
        """Return when everything begun is on the disk; raises what went wrong in the background."""
        if self._sealing is not None:
            sealing, self._sealing = self._sealing, None
            sealing.result()

    def restore(self, step: int, template: State) -> tuple[State, dict]:
        """The State and notes of `step`, in the shapes and types of `template`, placed by the layout."""
        import orbax.checkpoint as ocp

        def abstract(tree):
            return jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(
                    leaf.shape, leaf.dtype, sharding=self._layout.sharding(leaf.shape)
                ),
                tree,
            )

        args = ocp.args.Composite(
            variables=ocp.args.StandardRestore(abstract(template.variables)),
            training=ocp.args.StandardRestore(abstract(rest_of(template))),
            notes=ocp.args.JsonRestore(),
        )
        self.wait()
        barrier("checkpoint complete")
        self.saved = step
        if step not in self.steps():
            raise InputError(f"{self._directory / str(step)}: no whole checkpoint; it was removed or is corrupt")
        restored = self._checkpointer.restore(self._directory / str(step), args=args)
        variables, rest = restored.variables, restored.training
        model_state = {name: tree for name, tree in variables.items() if name != "params"}
        state = template.replace(params=variables["params"], model_state=model_state, **rest)
        return self._layout.place(state), restored.notes

    def close(self) -> None:
        """Wait, and release the threads."""
        try:
            self.wait()
        finally:
            self._background.shutdown()
            if "_checkpointer" in self.__dict__:
                self._checkpointer.close()

    def _seal(self, step: int, pinned: frozenset[int]) -> None:
        """Wait for the arrays, write the manifest, delete what is too old."""
        with failures_named(self._directory / str(step)):
            self._checkpointer.wait_until_finished()
        if not is_lead():
            return
        write_whole(self._directory / str(step) / MANIFEST, json.dumps(checksums(self._directory / str(step))))
        for old in self.steps()[: -self._keep]:
            if old not in pinned:
                remove(self._directory / str(old))

    def _clear_unusable(self) -> None:
        """Delete checkpoints never finished; set aside, with a warning, those changed since they were written."""
        for path in self._directory.glob("[0-9]*"):
            if path.suffix == CORRUPT or not path.is_dir():
                continue
            if not (path / MANIFEST).exists():
                remove(path)
            elif wrong := changed_file(path):
                aside = path.with_suffix(CORRUPT)
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
                print(
                    f"warning: checkpoint {path} is corrupt: {wrong} is not what was written; set aside as "
                    f"{aside.name}, going back to the newest good one, or to the start",
                    file=sys.stderr,
                )


def remove(directory: Path) -> None:
    """Delete a checkpoint; interrupted, it leaves one that was never finished, not one that looks corrupt."""
    (directory / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(directory)


def load_variables(directory: Path, template: dict, step: int | None = None) -> dict:
    """The model's variables at a checkpoint that is whole, as arrays on the default device.

    Args:
      directory: the checkpoints of a run.
      template: variables of the same shapes and types, or what `jax.eval_shape` says of them.
      step: which checkpoint; None for the newest.

    Raises:
      InputError: that checkpoint, or every one, is missing or not whole.
    """
    import orbax.checkpoint as ocp

    finished = finished_checkpoints(directory.absolute())
    wanted = [path for path in reversed(finished) if step is None or path.name == str(step)]
    path = next((path for path in wanted if not changed_file(path)), None)
    if path is None:
        which = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise InputError(f"{directory}: {which} that is whole; expected those of a run that has trained")
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), template)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        args = ocp.args.Composite(variables=ocp.args.StandardRestore(abstract))
        return checkpointer.restore(path, args=args).variables


def finished_checkpoints(directory: Path) -> list[Path]:
    """The checkpoints that have a manifest, by ascending step."""
    finished = (path.parent for path in directory.glob(f"*/{MANIFEST}") if path.parent.name.isdigit())
    return sorted(finished, key=lambda path: int(path.name))


def rest_of(state: State) -> dict:
    """What a State holds beside the variables of the model."""
    return {"step": state.step, "opt_state": state.opt_state, "key": state.key, "hyper": state.hyper}


def checksums(directory: Path) -> dict[str, str]:
    """SHA-256 of every file below `directory` but the manifest, by relative path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def changed_file(directory: Path) -> str | None:
    """The first file of a checkpoint that is not what its manifest says, or None."""
    try:
        expected = json.loads((directory / MANIFEST).read_text())
    except ValueError:
        return MANIFEST
    found = checksums(directory)
    return next((name for name in sorted(expected | found) if expected.get(name) != found.get(name)), None)


@contextmanager
def failures_named(path: Path):
    """Turn the many ways in which storage fails into one line that names the checkpoint; leave no part of it."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        storage = re.search(r": ([^:\n]+) \[os_error_code", str(error))
        if not storage and not isinstance(error, OSError):
            raise
        for part in path.parent.glob(f"{path.name}.*tmp*"):
            shutil.rmtree(part, ignore_errors=True)
        reason = storage[1] if storage else error.strerror or str(error).partition("\n")[0]
        raise InputError(f"cannot write checkpoint {path}: {reason}") from error
