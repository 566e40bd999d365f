"""Who may import whom: a room sees only the rooms below it."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = {"errors", "batch_axis", "files", "progress", "fetch", "materialise", "primitives"}
BELOW = {
    **{name: set() for name in (*LEAVES, "ops", "data", "plots", "parallel", "weights")},
    "losses": {"ops"},
    "metrics": {"ops"},
    "augment": {"ops"},
    "models": {"ops", "weights", "augment"},  # a model is loaded with the preprocessing of its weights
    "training": {"parallel", "metrics", "plots"},
    "tasks": {"ops", "models", "losses", "metrics", "augment", "data", "plots", "training"},
    "runs": {"models", "augment", "training"},
    "compilation_cache": set(),
    "launch": {"compilation_cache", "ops", "parallel", "training"},
    "__init__": {"runs"},
}
FILES = sorted((ROOT / "jaxvision").rglob("*.py"))


def module_name(path):
    """ "jaxvision.ops.pooling" of jaxvision/ops/pooling.py, "jaxvision.ops" of jaxvision/ops/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path) for path in FILES}


def imports(path):
    """Full names of what a file imports, wherever in it; of ours, the modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return found


def room(module):
    """ "ops" of jaxvision.ops.pooling, "__init__" of jaxvision."""
    return [*module.split("."), "__init__"][1]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_room_imports_only_rooms_below_it(path):
    here = room(module_name(path))
    ours = {room(name) for name in imports(path) if name.split(".")[0] == "jaxvision"}
    assert ours <= BELOW[here] | LEAVES | {here}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_flax_and_jax_stay_where_they_belong(path):
    packages = {name.split(".")[0] for name in imports(path)}
    module = module_name(path)
    assert not packages & {"experiments", "scripts", "tests", "tensorflow"}
    assert "torch" not in packages or module == "jaxvision.weights.files"  # where what needs it says so
    if room(module) in ("data", "plots"):
        assert not packages & {"jax", "flax", "optax", "orbax", "chex"}
    if room(module) != "models" and module != "jaxvision.training.state":
        assert "flax" not in packages


def test_no_experiment_imports_another():
    for path in (ROOT / "experiments").rglob("*.py"):
        assert not any(name.startswith("experiments") for name in imports(path)), path


def test_no_module_imports_itself_by_a_detour():
    graph = {module_name(path): imports(path) & MODULES - {module_name(path)} for path in FILES}
    assert list(TopologicalSorter(graph).static_order())


def test_importing_everything_leaves_out_what_is_heavy():
    program = """
import importlib, pkgutil, sys, jaxvision
for module in pkgutil.walk_packages(jaxvision.__path__, "jaxvision."):
    importlib.import_module(module.name)
heavy = "orbax tensorflow torch sklearn matplotlib tensorboardX tensorflow_datasets grain array_record PIL"
print(*sorted(set(heavy.split()) & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.split() == []
