"""Models as files: what is written, how much of it, what is copied, and what is found when it is wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.backends import backend_orjson
from runners.backends.files import map_safetensors
from runners.backends.files_json import write_compact, write_pretty
from runners.memory import cached_share
from runners.workload import Case, Ready, Variant
from tests.runners.kernels.conftest import answer, loops, prepare, small_cases


def _variant(kernel: str, name: str, condition: str, backend: str | None = None) -> Variant:
    (case,) = workload.cases((f"{kernel}/small-normal",))
    found = (v for v in workload.variants(case) if (v.name, v.condition) == (name, condition))
    return next(v for v in found if backend in (None, v.backend))


def _tiny(kernel: str) -> Case:
    (case,) = workload.cases((f"{kernel}/small-normal",))
    return small_cases(case)[0]


def _prepared(kernel: str, name: str, condition: str, folder: Path) -> tuple[Ready, dict[str, Any]]:
    case = _tiny(kernel)
    inputs = workload.kernels()[kernel].inputs(case, 1)
    return prepare(case, _variant(kernel, name, condition), 1, folder, inputs), inputs


def test_the_constant_model_in_indented_json_takes_fourteen_bytes_a_number(tmp_path: Path) -> None:
    """As in the published table: 0.01, a comma, a line break and eight blanks; so 675 and 2,297 MiB within 1 %."""
    serialization = loops("serialization")
    tensors = serialization.model_tensors(serialization.model_shapes(2000, 128, 2), "constant", 0)
    numbers = sum(tensor.size for tensor in tensors.values())
    write_pretty(tensors, tmp_path / "model.json", backend_orjson._dumps_indented)
    per_number = (tmp_path / "model.json").stat().st_size / numbers
    assert per_number == pytest.approx(14, rel=0.002)
    assert per_number * 50_558_976 / 2**20 == pytest.approx(675, rel=0.01)
    assert per_number * 172_048_384 / 2**20 == pytest.approx(2297, rel=0.01)


def test_both_json_layouts_are_plain_json(tmp_path: Path) -> None:
    """Any JSON parser reads them: names to nested lists, or to shape and data."""
    tensors = {"a.weight": np.array([[1, 2.5], [-3e-8, 4]], np.float32), "b": np.array([0.1, 0], np.float32)}
    write_compact(tensors, tmp_path / "compact", backend_orjson._dumps)
    write_pretty(tensors, tmp_path / "pretty", backend_orjson._dumps_indented)
    assert json.loads((tmp_path / "compact").read_text()) == {
        "a.weight": [[1, 2.5], [-3e-8, 4]],
        "b": [0.1, 0],
    }
    text = (tmp_path / "pretty").read_text()
    assert text == json.dumps(json.loads(text), indent=2).replace("-3e-08", "-3e-8")
    assert json.loads(text)["tensors"]["a.weight"] == {"shape": [2, 2], "data": [1, 2.5, -3e-8, 4]}
    assert "\n        2.5,\n" in text


@pytest.mark.parametrize("name", ["json-pretty", "json-compact", "safetensors", "npz", "pickle"])
def test_saving_begins_a_new_file_and_cleans_up(name: str, tmp_path: Path) -> None:
    """Before each sample the old file is gone; when the prepared call is dropped, so is the file."""
    ready, _ = _prepared("save", name, "warm", tmp_path)
    answer(ready)
    assert [ready.attributes()["file_bytes"]] == [file.stat().st_size for file in tmp_path.iterdir()]
    ready.before()
    assert list(tmp_path.iterdir()) == []
    answer(ready)
    del ready
    assert list(tmp_path.iterdir()) == []


def test_a_saved_file_that_is_wrong_is_found(tmp_path: Path) -> None:
    """A changed byte, a missing tensor and another shape are wrong answers that are named."""
    ready, inputs = _prepared("save", "safetensors", "warm", tmp_path)
    saved = {name: np.array(tensor) for name, tensor in answer(ready).items()}
    check = workload.kernels()["save"].check
    assert check(_tiny("save"), inputs, saved).ok
    changed = saved | {"output": saved["output"].copy()}
    changed["output"][3, 4] += np.float32(1e-6)
    assert check(_tiny("save"), inputs, changed).message == "output came back changed"
    missing = {name: tensor for name, tensor in saved.items() if name != "output"}
    assert "missing or unknown: output" in check(_tiny("save"), inputs, missing).message
    turned = saved | {"output": saved["output"].T}
    assert (
        "output came back as float32 (40, 32), it was float32 (32, 40)"
        in check(_tiny("save"), inputs, turned).message
    )
    nan = saved | {"output": np.full_like(saved["output"], np.nan)}
    assert not check(_tiny("save"), inputs, nan).ok


def test_json_says_how_much_of_it_was_compared(tmp_path: Path) -> None:
    """Reading all of a large JSON file back would take longer than writing it: the check says what it compared."""
    ready, inputs = _prepared("save", "json-compact", "warm", tmp_path)
    outcome = workload.kernels()["save"].check(_tiny("save"), inputs, answer(ready))
    assert outcome.ok
    assert outcome.message == "compared 9 of 23 tensors"


def test_mapping_copies_nothing(tmp_path: Path) -> None:
    """The arrays of a mapped file are read-only windows on it, each at its place, and equal the model's."""
    ready, inputs = _prepared("load", "safetensors-mmap", "warm", tmp_path)
    tensors = answer(ready)
    (file,) = tmp_path.iterdir()
    mapped = tensors["output"]
    while mapped.base is not None and not isinstance(mapped, np.memmap):
        mapped = mapped.base
    assert isinstance(mapped, np.memmap)
    assert all(not tensor.flags.writeable and not tensor.flags.owndata for tensor in tensors.values())
    assert all(np.array_equal(tensors[name], tensor) for name, tensor in inputs["tensors"].items())
    assert ready.attributes()["file_bytes"] == file.stat().st_size


def test_mapping_refuses_other_types(tmp_path: Path) -> None:
    """A tensor that is not float32 is named with its type."""
    from safetensors.numpy import save_file

    save_file({"half": np.zeros(4, np.float16)}, tmp_path / "file")
    with pytest.raises(ValueError, match="tensor half is F16"):
        map_safetensors(tmp_path / "file")


def test_a_loaded_file_is_written_once_for_all(tmp_path: Path) -> None:
    """The file to be loaded is written by the first builder and found by the next."""
    _prepared("load", "npz", "warm", tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    _prepared("load", "npz", "cold", tmp_path)
    assert [file.stat().st_mtime_ns for file in tmp_path.iterdir()] == [written]


@pytest.mark.skipif(not hasattr(__import__("os"), "posix_fadvise"), reason="needs posix_fadvise")
def test_a_cold_file_is_not_in_the_page_cache(tmp_path: Path) -> None:
    """Before each sample of a cold load the page cache holds nothing of the file, and after it all."""
    case = _tiny("load")
    case = replace(case, shape=case.shape | {"vocabulary": 4000, "width": 64})
    ready = prepare(case, _variant("load", "safetensors", "cold"), 1, tmp_path)
    (file,) = tmp_path.iterdir()
    ready.before()
    share = ready.attributes()["cached_share_before"]
    if share is None or share > 0.01:
        pytest.skip("this file system keeps its files cached")
    ready.call()
    assert cached_share(file) > 0.99


def test_a_lazy_load_reads_one_tensor(tmp_path: Path) -> None:
    """A lazy load returns the one tensor that was asked for, equal in every format."""
    for name in ("json-pretty", "json-compact", "safetensors", "safetensors-mmap", "npz"):
        (tmp_path / name).mkdir()
        ready, inputs = _prepared("lazy-load", name, "warm", tmp_path / name)
        result = answer(ready)
        assert list(result) == [inputs["wanted"]] == ["layers.1.fc1"]
        assert np.array_equal(result["layers.1.fc1"], inputs["tensors"]["layers.1.fc1"])


@pytest.mark.parametrize("fill", ["normal", "constant"])
def test_models_are_filled_as_stated(fill: str) -> None:
    """Weights come from normal(0, 0.02) or are 0.01; γ is 1 and β is 0; the seed decides."""
    serialization = loops("serialization")
    shapes = serialization.model_shapes(500, 64, 2)
    tensors, again, other = (serialization.model_tensors(shapes, fill, seed) for seed in (1, 1, 2))
    assert (tensors["layers.0.norm1.gamma"] == 1).all()
    assert (tensors["layers.0.norm1.beta"] == 0).all()
    weight = tensors["token_embedding"]
    assert np.array_equal(weight, again["token_embedding"])
    if fill == "normal":
        assert weight.std() == pytest.approx(0.02, rel=0.02)
        assert not np.array_equal(weight, other["token_embedding"])
    else:
        assert (weight == np.float32(0.01)).all()
