"""Strict JAX for every test: two fake devices, no silent broadcasting of ranks, no network."""

import os
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2".strip()

# Whatever is built here, the forms that everybody has are tested: test_onednn.py turns the compiled kernel on.
os.environ["JAXVISION_ONEDNN"] = "0"

# Many tests, and the programs they start, compile the same steps: once is enough.
compiled = tempfile.TemporaryDirectory(prefix="jaxvision_compiled_")
os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

import socket

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Let a test talk to servers it started itself and to nobody else."""
    connect = socket.socket.connect

    def loopback_only(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test tried to reach {address[0]}: tests need no network")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)
