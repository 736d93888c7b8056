"""Numbers of the published implementation.

A subset lies beside this file. VICO_TEST_DATA names a folder whose `fixtures/video_xl` holds all of them;
with VICO_LONG_TESTS=1 every way of computing goes through every attention implementation.
"""

import json
import os
from pathlib import Path

import pytest
from tiny_models import LONG

from model.check_golden import ATTENTION, GoldenCheck, main
from model.golden_cases import GoldenFolder

SUBSET = Path(__file__).parent / "golden"
WHOLE = Path(os.environ.get("VICO_TEST_DATA", "/nonexistent")) / "fixtures" / "video_xl"
FLEX = {"video_F2_r8_b14_a21", "video_F10_r8_b5_a33", "greedy_F10_r8", "text_only", "image500x700_r8"}
"""Cases that flex attention is tried on in the short run; uncompiled, as on a CPU, it is slow."""


def case_names(folder: Path) -> list[str]:
    return list(json.loads((folder / "manifest.json").read_text())["cases"]) if folder.is_dir() else []


@pytest.fixture(scope="module")
def subset():
    return GoldenCheck(GoldenFolder(SUBSET))


@pytest.fixture(scope="module")
def whole():
    return GoldenCheck(GoldenFolder(WHOLE))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", case_names(SUBSET))
def test_subset(subset, name):
    short = ("sdpa",) if name.startswith("train") else ("eager", "sdpa")
    subset.attention = ATTENTION if LONG or name in FLEX else short
    largest, _, missed = subset.run(name)
    assert not missed
    assert largest is not None


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", [name for name in case_names(WHOLE) if LONG or name not in case_names(SUBSET)])
def test_all(whole, name):
    whole.attention = ATTENTION if LONG else ("sdpa",)
    largest, _, missed = whole.run(name)
    assert not missed
    assert largest is not None


def test_the_command_prints_a_line_a_case_and_fails_on_a_miss(tmp_path, capsys):
    import shutil

    folder = tmp_path / "golden"
    shutil.copytree(SUBSET, folder)
    assert main([str(folder), "--cases", "text_only", "--attention", "sdpa"]) == 0
    assert capsys.readouterr().out.startswith("ok   text_only")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["recommended_tolerance"]["logits_atol"] = 1e-9
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert main([str(folder), "--cases", "text_only", "--attention", "sdpa"]) == 1
    assert capsys.readouterr().out.startswith("MISS text_only")


def test_the_command_refuses_a_folder_without_numbers(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "manifest.json" in capsys.readouterr().err


def test_the_subset_is_small():
    assert sum(file.stat().st_size for file in SUBSET.rglob("*") if file.is_file()) < 4_000_000
