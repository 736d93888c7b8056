"""Mixture files: what is said is understood, or it is said what is wrong."""

from pathlib import Path

import pytest

from model.training.mixture import MixtureError, read_mixture


def written(folder: Path, text: str) -> str:
    path = folder / "mix.yaml"
    path.write_text(text)
    return str(path)


def test_folders_of_a_mixture_are_relative_to_its_file_and_those_of_the_call_are_not(tmp_path: Path) -> None:
    name = written(
        tmp_path, "sources:\n- {name: a, shards: [films], most_frames: 64}\n- {name: b, cap: 5}\nshards: [images]\n")
    mixture = read_mixture(name, ["given"])
    assert mixture.sources[0].shards == [str(tmp_path / "films")]
    assert mixture.sources[0].most_frames == 64
    assert mixture.sources[1].shards is None
    assert mixture.shards == [str(tmp_path / "images"), "given"]
    assert mixture.folders == [tmp_path / "films", tmp_path / "images", Path("given").absolute()]


@pytest.mark.parametrize(("text", "fault"), [
    ("sources: []", "names no sources"),
    ("", "names no sources"),
    ("- a", "names no sources"),
    ("sources: [", "while parsing"),
    ("sources: [{name: a, wieght: 2}]", "sources.0.wieght: Extra inputs"),
    ("sources: [{name: a, weight: 0}]", "sources.0.weight: Input should be greater than 0"),
    ("sources: [{name: a, cap: '5'}]", "sources.0.cap: Input should be a valid integer"),
    ("sources: [{name: a, datasets: []}]", "sources.0.datasets: List should have at least 1"),
    ("sources: [{datasets: [x]}]", "sources.0.name: Field required"),
    ("sources: [{name: a}, {name: a}]", "two sources are called 'a'"),
    ("sources: [{name: a, stage: pretrain}]", "sources.0.stage: Input should be 'align' or 'tune'"),
])
def test_a_mixture_that_cannot_be_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(MixtureError, match=fault):
        read_mixture(written(tmp_path, text), [])


def test_a_mixture_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(MixtureError, match=r"mixture nowhere: .*the package brings: .*published"):
        read_mixture("nowhere", [])


def test_the_published_mixture_has_both_stages() -> None:
    mixture = read_mixture("published", ["shards"])
    assert [source.name for source in mixture.for_stage("align").sources] == ["laion_2m"]
    tune = {source.name: source for source in mixture.for_stage("tune").sources}
    assert set(tune) == {"bunny_695k", "sharegpt4o_image", "sharegpt4o_video", "mmdu", "nextqa", "cinepile",
                         "gpt4v_captions", "vico"}
    caps = {name: source.cap for name, source in tune.items()}
    assert caps == {"bunny_695k": 695_000, "sharegpt4o_image": 57_000, "sharegpt4o_video": 2_000, "mmdu": 5_000,
                    "nextqa": 32_000, "cinepile": 10_000, "gpt4v_captions": 11_000, "vico": None}
    assert {source.most_frames for source in tune.values()} == {128}


def test_a_stage_without_a_source_is_refused(tmp_path: Path) -> None:
    mixture = read_mixture(written(tmp_path, "sources: [{name: a, stage: tune}]"), [])
    with pytest.raises(MixtureError, match="no source of the mixture belongs to the stage 'align'"):
        mixture.for_stage("align")
