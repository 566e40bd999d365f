import builtins
import os
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxvision.errors import InputError
from jaxvision.weights import read, write

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1),
    "bn.num_batches_tracked": np.array(9007199254740993, np.int64),  # no float32 or float64
}
DAMAGED = "damaged, or not a file of torch.save; nothing of it was loaded"


def refusal(path):
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def assert_same(found, expected=ARRAYS):
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[key], array)


def test_safetensors_there_and_back(tmp_path):
    turned = ARRAYS | {"fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    write(turned, tmp_path / "a.safetensors")
    assert_same(read(tmp_path / "a.safetensors"), turned)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_halves_are_widened_and_a_common_prefix_goes(tmp_path):
    halves = {"float16": np.float16([0.5, 65504]), "bfloat16": np.array([0.5, 2.0**100], jnp.bfloat16)}
    save_file({f"module.{key}": array for key, array in halves.items()}, tmp_path / "a.safetensors")
    expected = {key: array.astype(np.float32) for key, array in halves.items()}
    assert_same(read(tmp_path / "a.safetensors"), expected)
    save_file({"module.a": ARRAYS["conv.weight"], "b": ARRAYS["conv.weight"]}, tmp_path / "b.safetensors")
    assert read(tmp_path / "b.safetensors").keys() == {"module.a", "b"}


def test_types_that_numpy_lacks(tmp_path):
    save_file({"a": np.zeros(2, jnp.float8_e4m3fn)}, tmp_path / "a.safetensors")
    assert refusal(tmp_path / "a.safetensors") == "of a type that numpy lacks: a F8_E4M3; expected F32"


@pytest.mark.parametrize("keep", [0, 7, 40, -1])
def test_truncated_safetensors(tmp_path, keep):
    write(ARRAYS, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:keep])
    assert refusal(tmp_path / "a.safetensors").startswith("damaged, or not a safetensors file (")


def test_what_is_no_weight_file(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x89PNG\r\n\x1a\n" * 10)
    assert refusal(tmp_path / "a.safetensors").startswith("damaged, or not a safetensors file (")
    assert refusal(tmp_path / "b.safetensors") == "no such file"
    (tmp_path / "c.pth").mkdir()
    assert refusal(tmp_path / "c.pth") == "no such file"
    message = "not the name of a weight file, expected .safetensors, .pth, .pt or .th"
    assert refusal(tmp_path / "a.png") == message
    with pytest.raises(InputError, match="not the name of a weight file"):
        write(ARRAYS, tmp_path / "a.png")


def test_without_torch(tmp_path, monkeypatch):
    def without_torch(name, *arguments, **options):
        if name == "torch":
            raise ModuleNotFoundError(name)
        return imported(name, *arguments, **options)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without_torch)
    (tmp_path / "a.th").write_bytes(b"")
    cure = "JAXVISION_EXTRAS=torch before a command of scripts/run installs it, or use a .safetensors file"
    assert refusal(tmp_path / "a.th") == f".th files need torch, which is not installed; {cure}"
    with pytest.raises(InputError, match=r"b\.pth: \.pth files need torch"):
        write(ARRAYS, tmp_path / "b.pth")


@pytest.mark.parity
@pytest.mark.parametrize("suffix", ["pth", "pt", "th", "pth.tar"])
def test_torch_there_and_back(tmp_path, suffix):
    import torch

    path = tmp_path / f"a.{suffix}"
    write(ARRAYS, path)
    assert_same(read(path))
    assert_same({key: tensor.numpy() for key, tensor in torch.load(path, weights_only=True).items()})


@pytest.mark.parity
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_torch(tmp_path, zipped):
    """As data-parallel training writes it, in the format of today and of before torch 1.6."""
    import torch

    tensors = {f"module.{key}": torch.tensor(array) for key, array in ARRAYS.items()}
    half = {"module.half": torch.nn.Parameter(torch.tensor([1.5, 2.0**100], dtype=torch.bfloat16))}
    checkpoint = {"state_dict": tensors | half, "best_prec1": 91.25, "epoch": 3}
    torch.save(checkpoint, tmp_path / "a.th", _use_new_zipfile_serialization=zipped)
    assert_same(read(tmp_path / "a.th"), ARRAYS | {"half": np.float32([1.5, 2.0**100])})


@pytest.mark.parity
def test_what_torch_holds_besides_tensors(tmp_path):
    import torch

    torch.save({"epoch": 3, "w": torch.zeros(2), "s": torch.eye(2).to_sparse()}, tmp_path / "a.pth")
    assert refusal(tmp_path / "a.pth").startswith("no ordinary tensors: epoch, s; expected a dictionary of tensors")
    torch.save(torch.zeros(3), tmp_path / "b.pth")
    assert refusal(tmp_path / "b.pth") == "holds a Tensor, expected a dictionary of tensors"


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parity
@pytest.mark.parametrize("kind", ["archive", "legacy", 2, 5])
def test_nothing_in_a_pickle_is_run(tmp_path, kind):
    import torch

    content, path = {"evil": Evil(tmp_path / "ran"), "weight": torch.zeros(2)}, tmp_path / "a.pth"
    if isinstance(kind, int):
        path.write_bytes(pickle.dumps(content, protocol=kind))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "archive")
    message = refusal(path)
    names = "refers to posix.system, which could run code, so nothing of it was loaded; expected tensors alone"
    assert message.startswith(DAMAGED if kind == 5 else names)  # torch does not read the newer protocol
    assert not (tmp_path / "ran").exists()


@pytest.mark.parity
@pytest.mark.parametrize("keep", [0, 3, 60, 400, -30])
def test_truncated_torch(tmp_path, keep):
    write(ARRAYS, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[:keep])
    assert refusal(tmp_path / "a.pth") == DAMAGED


@pytest.mark.parity
def test_foreign_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("photograph.jpg", b"\xff\xd8")
    assert refusal(tmp_path / "a.pth") == DAMAGED
