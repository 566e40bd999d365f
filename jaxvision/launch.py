"""From a command line to a run: flags, work directory, provenance, and one line for what went wrong."""

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import tyro

from jaxvision import compilation_cache
from jaxvision.errors import InputError
from jaxvision.ops.convolution import onednn
from jaxvision.parallel import make_layout, multihost
from jaxvision.training.config import resolve, shrink
from jaxvision.training.loop import TERMINATED
from jaxvision.training.run import Env, print_result
from jaxvision.training.workdir import WorkDir

BAD_INPUT = 2
INTERRUPTED = 128 + signal.SIGINT
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclass(frozen=True)
class Flags:
    """Where the run takes place; may change between restarts of a run, but for --workdir and --smoke."""

    workdir: Path | None = None
    """Directory of the run's files; the same command goes on where it stopped. Default: runs/EXPERIMENT/CONFIG."""
    data_dir: Path | None = None
    """Where prepared data sets are. Default: $JAXVISION_DATA or ~/jaxvision_data."""
    parallel: Literal["replicate", "pmap", "sharded"] = "replicate"
    """How the step is mapped over the devices."""
    smoke: bool = False
    """Try the experiment: a few steps on generated images."""


def launch(run, config_class) -> None:
    """Parse the command line and call `run(config, env)`; the last line of every experiment.

    Exits with 2 and one message if what the user gave can't be used, with 143 after SIGTERM, with 130 after
    Ctrl-C.
    """
    module = sys.modules[run.__module__]
    experiment = experiment_name(module)
    config, flags = parse(config_class, module.__doc__, experiment)
    silence_echoes()
    # Inside the loop a SIGTERM saves first; where several processes run JAX takes it over.
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        config = resolve(config)
        compilation_cache.enable()
        multihost.initialise()
        config = shrink(config, jax.device_count()) if flags.smoke else config
        path = flags.workdir or Path("runs") / experiment / fingerprint(config, smoke=flags.smoke)
        workdir = WorkDir(path, experiment, config, flags.smoke)
        workdir.check()
        with workdir.held() if multihost.is_lead() else nullcontext():
            if result := workdir.result():
                print(f"{path} holds the finished run:")
                print_result(result, path, trial=flags.smoke)
                return
            layout = make_layout(flags.parallel)
            run(config, Env(workdir, flags.data_dir, layout, flags.smoke, environment(flags.parallel)))
    except InputError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'storage'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoint", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def silence_echoes() -> None:
    """Leave a checkpoint that can't be written to our one message.

    Orbax logs it several times, asyncio logs the writes that failed after the first with a traceback each, and
    TensorStore's answers to those it gave up reach an event loop that is closed.
    """
    for logger in ("absl", "asyncio"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    report = sys.unraisablehook

    def report_others(unraisable):
        if str(unraisable.exc_value) != "Event loop is closed":
            report(unraisable)

    sys.unraisablehook = report_others


def fail(message: str) -> None:
    """Print one message and exit with the code for bad input."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(BAD_INPUT)


def experiment_name(module) -> str:
    """Such as "digits.cnn" for experiments/digits/cnn.py, however it was started."""
    return ".".join(Path(module.__file__).with_suffix("").parts[-2:])


def parse(config_class, doc: str, experiment: str):
    """(config, flags) of the command line, both without prefixes."""
    arguments = dataclasses.make_dataclass(
        "Arguments",
        [
            ("config", Annotated[config_class, tyro.conf.arg(name="")]),
            ("flags", Annotated[Flags, tyro.conf.arg(name="")]),
        ],
    )
    parsed = tyro.cli(arguments, prog=f"scripts/run experiments.{experiment}", description=doc)
    return parsed.config, parsed.flags


def fingerprint(config, *, smoke: bool) -> str:
    """A short name for a config: the same command finds the same directory."""
    text = json.dumps([dataclasses.asdict(config), smoke], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def environment(parallel: str) -> dict:
    """Command, code, versions and devices of this run."""
    devices = jax.devices()
    return {
        "command": shlex.join(sys.argv),
        "git_revision": git_revision(),
        "python": sys.version.split()[0],
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform}), {os.cpu_count()} CPU cores",
        "convolution": "oneDNN" if onednn.serves(jnp.float32) else "XLA",
        "processes": jax.process_count(),
        "parallel": parallel,
    }


def git_revision() -> str | None:
    """The commit of the code, marked "-dirty" if it differs; None outside a repository."""
    git = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        described = subprocess.run(git, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
