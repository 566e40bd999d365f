import json

import pytest

from jaxvision.data import fake
from jaxvision.errors import InputError


@pytest.fixture
def splits():
    return fake("mnist")


def test_the_test_split_opens_for_one_set_of_parameters(splits, tmp_path):
    record = tmp_path / "test_opened.json"
    test = splits.open_test(record, "a" * 64)
    assert len(test) == splits.info.sizes["test"]
    written = record.read_bytes()
    assert json.loads(written)["parameters_sha256"] == "a" * 64
    assert len(splits.open_test(record, "a" * 64)) == len(test)
    with pytest.raises(InputError, match="already opened for other parameters"):
        splits.open_test(record, "b" * 64)
    assert record.read_bytes() == written
    assert [path.name for path in tmp_path.iterdir()] == ["test_opened.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"time": 1}'])
def test_a_damaged_record_keeps_the_door_shut(splits, tmp_path, content):
    record = tmp_path / "record.json"
    record.write_text(content)
    with pytest.raises(InputError, match=r"record\.json: not the record of an opened test split"):
        splits.open_test(record, "a" * 64)


def test_no_public_name_leads_to_the_test_split(splits):
    assert {name for name in vars(splits) if not name.startswith("_")} == {"info", "train", "validation"}
