"""What many tests share because it takes long to make: a sample video and data sets built from it."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.sample_videos import Script, sample_script, write_captions, write_video
from tests.builds import built
from tests.strange_sources import StrangeBuild, named_directly, write_strange_sources

LONG = os.environ.get("VICO_LONG_TESTS") == "1"
"""Whether the tests run at full count."""


@dataclass(frozen=True)
class Sample:
    """A sample video of three minutes, its captions, and the script that is the truth about both."""

    video: Path
    captions: Path
    script: Script


@pytest.fixture(scope="session")
def long_tests() -> bool:
    return LONG


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    script = sample_script(seed=0, duration_s=180)
    video, captions = folder / "sample.mp4", folder / "sample.jsonl"
    write_video(script, video)
    write_captions(script, captions, video.name)
    return Sample(video, captions, script)


@pytest.fixture(scope="session")
def sample_build(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample video with its captions, built by the command. Read only."""
    out = tmp_path_factory.mktemp("sample-build") / "out"
    built(sample.video, "--out", out, "--captioner", "file", "--captions", sample.captions)
    return out


@pytest.fixture(scope="session")
def strange_build(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> StrangeBuild:
    """The sample video and short ones under hostile names and titles, from lists, captioned by `measured`; read only.

    It runs in a folder whose files have the names of our packages and fail when they are imported.
    """
    folder = tmp_path_factory.mktemp("strange-build")
    listed = write_strange_sources(folder, sample.video)
    done = built("list.jsonl", "list.csv", "list.txt", named_directly(), "--out", "out", cwd=folder / "work")
    return StrangeBuild(folder / "work" / "out", listed, done.stdout)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """A folder of real videos that is not part of the repository."""
    if "VICO_TEST_DATA" not in os.environ:
        pytest.skip("VICO_TEST_DATA names no folder of videos")
    return Path(os.environ["VICO_TEST_DATA"])


@pytest.fixture(scope="session")
def reel_build(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reel of fifteen real scenes, built by the command. Read only."""
    out = tmp_path_factory.mktemp("reel-build") / "out"
    built(test_data / "videos" / "reel.mp4", "--out", out)
    return out
