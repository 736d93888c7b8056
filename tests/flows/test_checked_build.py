"""A build with everything that is checked by models: what card, manifest and tables say of it, by other code."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.builds import build_vico, built, data_bytes, rows
from tests.fault_server import FaultServer
from tests.pipeline.test_quality_gates import _draw, _ffmpeg
from tests.seeing_server import SeeingModel, needles_of

CHOICES = ("--captioner", "served", "--orderer", "served", "--caption-model", "vlm", "--order-model", "llm",
           "--caption-frames", "4", "--clip-seconds", "3", "--frame-side", "90", "--caption-frame-side", "180",
           "--shuffled-share", "0", "--picture-questions", "3", "--max-questions-per-kind", "2", "--caption-price-in",
           "1", "--order-price-in", "2", "--test-share", "0.5")


@dataclass(frozen=True)
class Checked:
    """A finished build and what it was asked."""

    out: Path
    said: str
    manifest: dict[str, Any]
    sources: Path


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Two films and a copy of one of them in other bytes; needles in copies of all three."""
    folder = tmp_path_factory.mktemp("checked")
    _draw(folder / "film.mp4", "mandelbrot=size=320x180:rate=8", 36)
    _draw(folder / "other.mp4", "mandelbrot=size=320x180:rate=8:start_x=-0.1:start_y=-0.9", 30)
    _ffmpeg("-i", folder / "film.mp4", "-vf", "scale=280:-2", "-crf", "30", folder / "copy.mkv")
    (folder / "list.csv").write_text(
        "source,domain,language,license\nfilm.mp4,documentary,en,cc-by\nother.mp4,film | x,,\n"
        "copy.mkv,documentary,en,cc-by\n")
    needles = [needle for name in ("film.mp4", "other.mp4", "copy.mkv") for needle in needles_of(folder / name, 3)]
    with FaultServer(say=SeeingModel(needles)) as server:
        done = built(folder / "list.csv", "--out", folder / "out", *CHOICES, "--caption-urls", server.url,
                     "--calibrate", "1")
    manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
    return Checked(folder / "out", done.stdout, manifest, folder / "list.csv")


def _ask(out: Path, sql: str) -> list[tuple[Any, ...]]:
    """SQL over the rows that the card speaks of; {table} stands for a table."""
    query = re.sub(r"\{(\w+)\}", lambda found: f"read_parquet('{out}/data/{found[1]}/*.parquet')", sql)
    return duckdb.connect().execute(query).fetchall()


COUNTED = ("(SELECT video_id FROM {videos} WHERE NOT calibration AND video_id NOT IN "
           "(SELECT video_id FROM {duplicates}))")


def test_a_copy_is_in_the_table_and_in_no_figure(checked: Checked) -> None:
    ids = {row["source"]: row["video_id"] for row in rows(checked.out, "videos") if not row["calibration"]}
    first, second = sorted([ids["film.mp4"], ids["copy.mkv"]])
    assert rows(checked.out, "duplicates") == [{"video_id": second, "duplicate_of": first}]
    assert checked.manifest["figures"]["videos"] == 2
    assert checked.manifest["figures"]["duplicates"] == 1


def test_needles_are_in_a_split_of_their_own(checked: Checked) -> None:
    planted = {row["video_id"] for row in rows(checked.out, "videos") if row["calibration"]}
    assert len(planted) == 3
    for table in ("videos", "clips", "clues", "samples", "frames"):
        for path in (checked.out / "data" / table).glob("*.parquet"):
            held = {row["video_id"] for row in duckdb.read_parquet(str(path)).to_arrow_table().to_pylist()}
            assert (held <= planted) if path.name.startswith("calibration") else not held & planted
    assert {row["calibration"] for row in rows(checked.out, "samples") if row["video_id"] in planted} == {True}
    assert {row["calibration"] for row in rows(checked.out, "samples") if row["video_id"] not in planted} == {False}
    found = checked.manifest["calibration"]
    assert found["needles"] == sum(map(len, json.loads((checked.out / "needles.json").read_text()).values())) >= 6
    assert found["captioned"] == found["needles"]
    assert found["dropped_by_reason"] == {}
    assert found["clues"] == found["needles"]
    assert f"{found['clues']} of {found['needles']} needles" in checked.said


def test_needles_change_no_row_of_the_videos(checked: Checked, tmp_path: Path) -> None:
    """The same build without them, from the stored answers."""
    built(checked.sources, "--out", tmp_path / "out", *CHOICES, "--answers", checked.out)
    plain, planted = data_bytes(tmp_path / "out"), data_bytes(checked.out)
    same = {name: data for name, data in planted.items() if "calibration" not in name and "rejected" not in name}
    assert plain.keys() - {"data/rejected/train-00000.parquet"} == same.keys()
    assert {name: data for name, data in plain.items() if "rejected" not in name} == same
    refused = build_vico(checked.sources, "--out", tmp_path / "measured", "--calibrate", "0.02")
    assert refused.returncode == 2


def test_the_figures_are_those_of_the_shards(checked: Checked) -> None:
    figures, out = checked.manifest["figures"], checked.out
    samples = figures["samples"]
    where = f"WHERE video_id IN {COUNTED}"
    for name in ("kind", "format"):
        assert samples[f"by_{name}"] == dict(_ask(out, f"SELECT {name}, count(*) FROM {{samples}} {where} GROUP BY 1"))
    for name, column in (("domain", "domain"), ("language", "language")):
        assert samples[f"by_{name}"] == dict(_ask(out, (
            f"SELECT coalesce(v.{column}, 'unknown'), count(*) FROM {{samples}} s JOIN {{videos}} v "
            f"ON s.video_id = v.video_id {where.replace('video_id IN', 's.video_id IN')} GROUP BY 1")))
    assert samples["by_letter"] == dict(_ask(out, (
        f"SELECT chr(65 + answer_index), count(*) FROM {{samples}} {where} AND answer_index IS NOT NULL GROUP BY 1")))
    assert samples["by_distance"] == dict(_ask(out, (
        "SELECT CASE WHEN distance_s IS NULL THEN 'one moment' WHEN distance_s <= 60 THEN 'up to a minute' "
        "WHEN distance_s <= 600 THEN 'up to 10 minutes' WHEN distance_s <= 3600 THEN 'up to an hour' ELSE 'longer' "
        f"END, count(*) FROM {{samples}} {where} GROUP BY 1")))
    [(asked, right, chance)] = _ask(out, (
        "SELECT sum(checks.blind_asked), sum(checks.blind_right), sum(checks.blind_asked / len(options)) "
        f"FROM {{samples}} {where} AND checks.blind_asked > 0"))
    blind = samples["blind"]
    assert (blind["asked"], blind["right"]) == (asked, right)
    assert (blind["accuracy"], blind["chance"]) == pytest.approx((right / asked, chance / asked), abs=1e-6)
    [(hours, videos)] = _ask(out, f"SELECT sum(duration_s) / 3600, count(*) FROM {{videos}} {where}")
    assert (figures["hours"], figures["videos"]) == (pytest.approx(hours, abs=1e-6), videos)
    [(clues, kept, shown, lost)] = _ask(out, (
        "SELECT count(*), count(*) FILTER (kept), count(seen), count(*) FILTER (reason = 'clue_seen_elsewhere') "
        f"FROM {{clues}} {where}"))
    assert [figures["clues"][name] for name in ("count", "kept", "shown", "seen_elsewhere")] == [
        clues, kept, shown, lost]
    assert figures["yield_per_hour"]["samples"] == pytest.approx(samples["count"] / hours, abs=1e-3)
    assert samples["count"] == samples["agree_with_clock"] > 10
    licences = {name: row["videos"] for name, row in figures["sources"]["license"].items()}
    assert licences == {"cc-by": 1, "unknown": 1}


def test_the_card_says_what_the_figures_say(checked: Checked) -> None:
    card = (checked.out / "README.md").read_text(encoding="utf-8")
    figures = checked.manifest["figures"]
    for kind, count in figures["samples"]["by_kind"].items():
        assert f"| {kind} | {count:,} |" in card
    blind = figures["samples"]["blind"]
    assert f"{blind['accuracy']:.1%} of its answers are right, where chance gives {blind['chance']:.1%}" in card
    cost = checked.manifest["served"]["cost"] / figures["samples"]["count"]
    assert cost > 0
    assert f"cost {cost:.6f} per accepted sample" in card
    assert "| film / x | 1 |" in card  # a domain cannot break the table
    assert "- split: calibration" in card
    assert "## Known limits" in card
