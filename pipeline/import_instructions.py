"""Bring instruction data and its media into the tables that a trainer reads.

    import-instructions RECORDS… --media FOLDER --dataset NAME --out DIR

Records are JSON lists, or a JSON object in each line: LLaVA-style records with images, videos or words alone, and
image-caption pairs. Images are kept byte for byte; videos become a frame a second. What cannot be used becomes a row
of `rejected`. An import that was stopped goes on where it was when it is called again.

Exit codes: 0 done, 1 a fault of ours, 2 wrong call, 3 not one sample came of it, 4 stopped and resumable.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from pipeline.import_media import MediaReader
from pipeline.import_parts import count_records, read_parts, rejected_of, work_off
from pipeline.import_tables import MediaChangedError, write_tables
from pipeline.instruction_records import RecordsError
from pipeline.output_lock import OutputInUseError, only_run
from pipeline.progress import StageProgress
from pipeline.work_store import WorkStore
from schemas.choices import ChoiceFileError, read_choices
from schemas.faults import faults_in
from schemas.import_config import ImportConfig

DONE, WRONG_CALL, NOTHING_MADE, STOPPED = 0, 2, 3, 4


def main() -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    console = Console(stderr=True, soft_wrap=True)
    try:
        config = _read_command_line(argv)
        with StageProgress(["records", "tables"], config.log_json) as progress:
            manifest, rejected = import_instructions(config, progress)
    except ValidationError as error:
        return _complain(console, "; ".join(faults_in(error, "choices")), WRONG_CALL)
    except (ChoiceFileError, RecordsError, MediaChangedError, OutputInUseError, NotADirectoryError) as error:
        return _complain(console, str(error), WRONG_CALL)
    except KeyboardInterrupt:
        return _complain(console, "stopped; the same call goes on from here", STOPPED)
    for reason, count in rejected.most_common():
        console.print(f"left out, {reason}: {count:,}", markup=False)
    if manifest is None:
        return _complain(console, "not one sample came of the records", NOTHING_MADE)
    rows = manifest["rows"]
    print(f"{config.out}: {rows['samples']:,} samples, {rows['videos']:,} images and videos, {rows['frames']:,} "
          f"pictures, {rows['rejected']:,} left out")
    return DONE


def import_instructions(
    config: ImportConfig, progress: StageProgress
) -> tuple[dict[str, Any] | None, Counter[str]]:
    """Import records and their media.

    Args:
        config: the choices.
        progress: with the stages records and tables.

    Returns:
        The manifest, None where no sample came of the records; and how many records were left out, by reason.

    Raises:
        RecordsError: a file of records cannot be read.
        NotADirectoryError: the folder of media is not there.
        MediaChangedError: a file was changed meanwhile.
        OutputInUseError: another run works on the output.
    """
    if config.media is not None and not Path(config.media).is_dir():
        raise NotADirectoryError(f"--media {config.media}: no such folder")
    out = Path(config.out)
    store = WorkStore(out)
    with only_run(out):
        store.sweep()
        parts: list[Path] = []
        rejected: Counter[str] = Counter()
        progress.plan("records", count_records(config))
        seen = 0
        with MediaReader(config, store) as media:
            for part in read_parts(config):
                parts.append(work_off(part, config, media, store, partial(progress.advance, "records")))
                left_out = Counter(row.reason for row in rejected_of(parts[-1]))
                rejected.update(left_out)
                seen += len(part)
                progress.reject("records", left_out.total())
                progress.reach("records", seen)
        manifest = write_tables(config, parts, store, out, progress)
    if manifest is not None:
        rejected = Counter(manifest["rejected_by_reason"])
    return manifest, rejected


def _read_command_line(argv: Sequence[str]) -> ImportConfig:
    parser = argparse.ArgumentParser(prog="import-instructions", description=__doc__.split("\n\n")[0])
    parser.add_argument("records", nargs="*", metavar="RECORDS", help="JSON lists or lines of JSON")
    return read_choices(ImportConfig, parser, argv, os.environ, prefix="VICO_IMPORT_")


def _complain(console: Console, what: str, code: int) -> int:
    console.print(what, style="red", markup=False)
    return code
