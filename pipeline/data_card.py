"""The README.md of a data set: what the Hugging Face hub and the `datasets` library read first."""

from typing import Any

from pipeline.served_figures import card_lines
from schemas.tables import COMMENTS, TABLES


def card_text(manifest: dict[str, Any]) -> str:
    """The card, its figures taken from the manifest."""
    return "\n".join([
        "---", "configs:", *card_configs(manifest), "---", "",
        "# VICO: visual clue order", "",
        f"Made by `build-vico` from {manifest['rows']['videos']} videos, {manifest['hours']:.2f} hours; captions by "
        f"`{manifest['config']['captioner']}`, order by `{manifest['config']['orderer']}`.", "",
        "| table | rows | |", "|---|---|---|",
        *(f"| `{table}` | {manifest['rows'][table]:,} | {comment} |" for table, comment in COMMENTS.items()), "",
        "| kind of question | samples |", "|---|---|",
        *(f"| {kind} | {count:,} |" for kind, count in manifest["samples_by_kind"].items()), "",
        "| left out because | times |", "|---|---|",
        *(f"| {reason} | {count:,} |" for reason, count in manifest["rejected_by_reason"].items()), "",
        *(card_lines(manifest["served"]) if "served" in manifest else []),
        "Look into it with `inspect-vico .`, with `duckdb -init views.sql`, or with",
        "`datasets.load_dataset(\".\", \"samples\")`. `manifest.json` holds the configuration and a checksum of",
        "every file.", "",
    ])


def card_configs(manifest: dict[str, Any]) -> list[str]:
    """The tables that the `datasets` library can open: it refuses a table, or a split, without rows."""
    lines = []
    for table in TABLES:
        names = [file["path"].rsplit("/", 1)[-1] for file in manifest["files"]
                 if file["table"] == table and file["rows"]]
        splits = [split for split in ("train", "test") if any(name.startswith(split) for name in names)]
        if splits:
            lines += [f"- config_name: {table}", *(["  default: true"] if table == "samples" else []), "  data_files:"]
            lines += [line for split in splits
                      for line in (f"  - split: {split}", f"    path: data/{table}/{split}-*.parquet")]
    return lines
