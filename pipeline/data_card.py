"""The README.md of a data set: what the Hugging Face hub and the `datasets` library read first.

Its figures are those of `manifest.json`, which are computed from the shards (`pipeline.card_figures`); prices aside,
which nothing in the shards tells.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.calibration import calibration_lines
from pipeline.card_figures import UNKNOWN
from pipeline.review_votes import review_figures, review_sentence
from pipeline.served_figures import card_lines
from schemas.tables import COMMENTS, TABLES

_SPLITS = ("train", "test", "calibration")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"))
_BY_CAPTIONER = {
    "measured": "what was measured in the pixels (light, colours, motion, cuts); nobody looked at what it means",
    "file": "words that came with the videos",
    "served": "a vision-language model that was shown frames of each clip",
}


def rewrite_card(folder: Path) -> None:
    """Write the card of a finished data set anew, with what people said of its questions since."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(card_text(manifest, review_figures(folder)), encoding="utf-8")


def card_text(manifest: dict[str, Any], review: dict[str, Any] | None = None) -> str:
    """The card, its figures taken from the manifest, and from the votes of people where there are any."""
    return "\n".join([
        "---", *_front_matter(manifest), "---", "",
        "# VICO: visual clue order", "",
        *_how_it_was_made(manifest), *_samples(manifest), *_checks(manifest),
        *(["## Looked at by people", "", review_sentence(review), ""] if review else []),
        *_sources(manifest["figures"]), *_yield(manifest),
        *(["## Calibration", "", *calibration_lines(manifest["calibration"])] if "calibration" in manifest else []),
        *(["## Served models", "", *card_lines(manifest["served"])] if "served" in manifest else []),
        *_limits(manifest), *_tables(manifest),
    ])


def _front_matter(manifest: Mapping[str, Any]) -> list[str]:
    count = manifest["rows"]["samples"]
    size = next((name for most, name in _SIZES if count < most), "n>10M")
    return ["pretty_name: VICO", "license: other", "language:", "- en", "task_categories:", "- video-text-to-text",
            "- visual-question-answering", "size_categories:", f"- {size}", "tags:", "- video", "- temporal-order",
            "- long-video", "configs:", *card_configs(manifest)]


def _how_it_was_made(manifest: Mapping[str, Any]) -> list[str]:
    figures, config = manifest["figures"], manifest["config"]
    orderer = ("by the clock" if config["orderer"] == "clock" else
               "chosen, worded and ordered by a language model; what contradicts the clock was dropped")
    return [
        "## How it was made", "",
        f"Made by `build-vico` from {figures['videos']:,} videos, {figures['hours']:,.2f} hours. They were cut into "
        f"clips of {config['clip_seconds']:g} seconds. The captions are {_BY_CAPTIONER[config['captioner']]} "
        f"(captioner `{config['captioner']}`{_named(config['caption_model'])}). Clues, moments that stand in one "
        f"place of the video, were taken from them, and are {orderer} (orderer `{config['orderer']}`"
        f"{_named(config['order_model'])}). Questions are made of clues by rules, and every answer follows from the "
        "times of the clips.", "",
        *_left_out(manifest)]


def _named(model: str | None) -> str:
    return f", model `{model}`" if model else ""


def _left_out(manifest: Mapping[str, Any]) -> Iterator[str]:
    figures = manifest["figures"]
    if figures["duplicates"]:
        yield (f"Videos that show what another one shows: {figures['duplicates']:,}. Their rows are in the shards, the "
               "table `duplicates` names them, and they are in none of the figures about samples, checks, sources and "
               "yield. Leave them out, as the two may lie in different splits: "
               "`… WHERE video_id NOT IN (SELECT video_id FROM duplicates)`.")
        yield ""
    if "exclude" in manifest:
        listed = manifest["exclude"]
        excluded = manifest["rejected_by_reason"].get("known_test_set", 0)
        yield (f"Videos of known test sets were left out: {excluded:,} matched the list in `{listed['file']}` "
               f"({listed['youtube_ids']:,} YouTube ids, {listed['video_ids']:,} video ids, "
               f"{listed['fingerprints']:,} fingerprints of pictures).")
        yield ""


def _samples(manifest: Mapping[str, Any]) -> list[str]:
    samples = manifest["figures"]["samples"]
    return [
        "## Samples", "", f"{samples['count']:,} samples, {samples['twins']:,} of them twins of another one.", "",
        *_table(("kind of question", "samples"), samples["by_kind"]),
        *_table(("format", "samples"), samples["by_format"]),
        *_table(("length of the stretch it is about", "samples"), samples["by_span"]),
        *_table(("from the first to the last moment it rests on", "samples"), samples["by_distance"]),
        *_table(("domain of the video", "samples"), samples["by_domain"]),
        *_table(("language of the video", "samples"), samples["by_language"]),
        *_table(("right letter", "samples"), samples["by_letter"])]


def _checks(manifest: Mapping[str, Any]) -> list[str]:
    figures, blind = manifest["figures"], manifest["blind"]
    samples, clues = figures["samples"], figures["clues"]
    lines = ["## Checks", "",
             f"- **The clock**: {samples['agree_with_clock']:,} of {samples['count']:,} samples have an answer that "
             "was computed again from the times of the clips, by other code."]
    if clues["ordered"]:
        agree = clues["ordered"] - clues["against_clock"]
        lines.append(f"- **The model's order**: {agree:,} of {clues['ordered']:,} clues "
                     f"({agree / clues['ordered']:.1%}) stand where the clock has them; the others were dropped.")
    if clues["shown"]:
        lines.append(f"- **The picture**: {clues['shown']:,} clues were put back to a model that was shown their clip "
                     f"and the clips most like it; {clues['not_seen']:,} were dropped because it did not see them "
                     f"there, {clues['seen_elsewhere']:,} because it saw them elsewhere.")
    if manifest["config"]["embedding_model"]:
        dropped = manifest["rejected_by_reason"].get("clue_meant_elsewhere", 0)
        lines.append(f"- **The meaning**: {dropped:,} clues were dropped because the embedding model "
                     f"`{manifest['config']['embedding_model']}` finds them said of another clip in other words.")
    lines += [_blind_line(samples["blind"], blind), ""]
    if samples["blind"]["asked"]:
        lines += ["| kind | asked without the video | right | chance |", "|---|---|---|---|"]
        lines += [f"| {kind} | {row['asked']:,} | {row['accuracy']:.1%} | {row['chance']:.1%} |"
                  for kind, row in samples["blind_by_kind"].items()]
        lines.append("")
    return lines


def _blind_line(found: Mapping[str, Any], blind: Mapping[str, Any]) -> str:
    if not found["asked"]:
        return "- **Without the video**: nobody was asked to guess the answers of these samples."
    model = f"`{blind['model']}`" if "model" in blind else "a built-in guesser"
    return (f"- **Without the video**: {model} was asked {found['asked']:,} times about {found['samples']:,} samples, "
            f"with the options in {blind['orders_each']} orders each; {found['accuracy']:.1%} of its answers are "
            f"right, where chance gives {found['chance']:.1%}. What it answered more often than chance would "
            f"({blind['test']}, below {blind['dropped_below']:g}) was dropped and is not in these figures.")


def _sources(figures: Mapping[str, Any]) -> list[str]:
    lines = ["## Sources", ""]
    for feature, title in (("license", "licence"), ("domain", "domain"), ("language", "language")):
        lines += [f"| {title} | videos | hours |", "|---|---|---|"]
        lines += [f"| {_cell(name)} | {row['videos']:,} | {row['hours']:,.2f} |"
                  for name, row in figures["sources"][feature].items()]
        lines.append("")
    return [*lines, "Licences are those that lists and sites name; the videos themselves are not part of the data set, "
            "frames of them are.", ""]


def _yield(manifest: Mapping[str, Any]) -> list[str]:
    per_hour, count = manifest["figures"]["yield_per_hour"], manifest["figures"]["samples"]["count"]
    lines = ["## Yield", ""]
    if per_hour["samples"] is not None:
        lines.append(f"{per_hour['samples']:,.1f} samples and {per_hour['clues']:,.1f} clues per hour of video.")
    if "served" in manifest and count:
        lines.append(f"The models' answers cost {manifest['served']['cost'] / count:.6f} per accepted sample, in the "
                     "currency of the prices given" + ("." if manifest["served"]["cost"] else "; none were given.") +
                     " What was asked about duplicates and planted copies is in the cost.")
    return [*lines, "", "What was left out of all videos, duplicates and planted copies among them:", "",
            *_table(("left out because", "times"), manifest["rejected_by_reason"])]


def _limits(manifest: Mapping[str, Any]) -> list[str]:
    figures, config = manifest["figures"], manifest["config"]
    limits = []
    if config["captioner"] == "measured":
        limits.append("The captions speak of light, colours and motion only: good for trying things out, not for "
                      "training a model to understand films.")
    if config["captioner"] == "served":
        limits.append("Captions are a model's. What it did not see is in no question, and what it saw wrongly may be "
                      "in some.")
    if not figures["clues"]["shown"]:
        limits.append("No model was asked whether a clue can be seen in its clip and nowhere else; that a clue stands "
                      "in one place rests on words and on hashes of the pictures.")
    if not figures["samples"]["blind"]["asked"]:
        limits.append("It was not tested how many answers can be guessed without the video: there were too few "
                      "questions to train the built-in guesser, and no served model was asked.")
    elif manifest["blind"]["checker"] == "built-in":
        limits.append("The guesser that was asked without the video is small; a large model may guess more.")
    if UNKNOWN in figures["sources"]["license"]:
        unknown = figures["sources"]["license"][UNKNOWN]["videos"]
        limits.append(f"Videos whose licence is not known: {unknown:,}.")
    if "exclude" not in manifest:
        limits.append("No list of known test videos was given, so none was left out.")
    limits.append("Questions are made from templates in English, and speak of what can be seen, not of what is heard.")
    return ["## Known limits", "", *(f"- {limit}" for limit in limits), ""]


def _tables(manifest: Mapping[str, Any]) -> list[str]:
    return [
        "## Tables", "", "All rows, those of duplicates and planted copies among them.", "",
        "| table | rows | |", "|---|---|---|",
        *(f"| `{table}` | {manifest['rows'][table]:,} | {comment} |" for table, comment in COMMENTS.items()), "",
        "Look into it with `inspect-vico .`, with `duckdb -init views.sql`, or with",
        "`datasets.load_dataset(\".\", \"samples\")`. `manifest.json` holds the configuration and a checksum of",
        "every file.", ""]


def _table(head: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    rows = [f"| {_cell(name)} | {count:,} |" for name, count in counts.items()]
    return [f"| {' | '.join(head)} |", "|---|---|", *rows, ""]


def _cell(text: str) -> str:
    """A text of strangers as one cell of a table, and nothing more."""
    return " ".join(text.replace("|", "/").replace("<", "‹").replace("`", "'").split())[:80]


def card_configs(manifest: Mapping[str, Any]) -> list[str]:
    """The tables that the `datasets` library can open: it refuses a table, or a split, without rows."""
    lines = []
    for table in TABLES:
        names = [file["path"].rsplit("/", 1)[-1] for file in manifest["files"]
                 if file["table"] == table and file["rows"]]
        splits = [split for split in _SPLITS if any(name.startswith(split) for name in names)]
        if splits:
            lines += [f"- config_name: {table}", *(["  default: true"] if table == "samples" else []), "  data_files:"]
            lines += [line for split in splits
                      for line in (f"  - split: {split}", f"    path: data/{table}/{split}-*.parquet")]
    return lines
