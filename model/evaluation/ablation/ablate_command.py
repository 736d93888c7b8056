"""The command `ablate`: trains and asks what a grid file says, and writes its table.

    ablate published-compression --plan --out RUN --shards DIR... --data DIR
    ablate miniature --out RUN --jobs 2 --threads 1

Exit codes: 0 done, 1 a command that it runs failed, 2 wrong call, 4 stopped and resumable.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from model.evaluation.ablation.ablate_choices import AblateChoices
from model.evaluation.ablation.cell_results import NoSuchFigureError
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.made_of import GridChangedError
from model.evaluation.ablation.own_commands import CommandFailedError, CommandStoppedError, OwnCommands
from model.evaluation.ablation.plan import missing_parts, plan_lines
from model.evaluation.ablation.progress import Progress
from model.evaluation.ablation.read_grid import GridError, bundled_grids, read_grid
from model.evaluation.ablation.result_files import write_results
from model.evaluation.ablation.run_grid import GridRun
from model.training.checkpoint_folder import NoWholeCheckpointError
from model.training.run_lock import RunInUseError, only_run
from schemas.choices import ChoiceFileError, read_choices
from schemas.faults import faults_in

DONE, OUR_FAULT, WRONG_CALL, STOPPED = 0, 1, 2, 4


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command; SIGTERM stops it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    try:
        choices = read_command_line(argv)
        folders = choices.folders(read_grid(choices.grid))
    except ValidationError as error:
        return _complain("\n".join(faults_in(error, "choices")), WRONG_CALL)
    except (GridError, ChoiceFileError, ValueError) as error:
        return _complain(str(error), WRONG_CALL)
    try:
        return _plan(folders) if choices.plan else _work(folders, choices)
    except NoWholeCheckpointError as error:
        return _complain(str(error), WRONG_CALL)


def read_command_line(argv: Sequence[str]) -> AblateChoices:
    """The choices a command line makes.

    Raises:
        ChoiceFileError: the file of --config cannot be used.
        pydantic.ValidationError: a choice is not possible.
        SystemExit: an option does not exist, or help was asked for.
    """
    parser = argparse.ArgumentParser(
        prog="ablate", allow_abbrev=False, description="Train and ask what a grid file says; write its table.",
        epilog="Choices come from flags, else from --config, else from environment variables (VICO_JOBS=2). Exit "
               "codes: 0 done, 1 a command that it runs failed, 2 wrong call, 4 stopped and resumable.")
    parser.add_argument("grid", metavar="FILE", help=f"a grid file, or one that comes with the package: "
                                                     f"{', '.join(bundled_grids())}")
    parser.add_argument("--shards", nargs="+", action="extend", default=[], metavar="DIR",
                        help="folders that build-vico or import-instructions wrote, to train on")
    return read_choices(AblateChoices, parser, argv, os.environ)


def _plan(folders: GridFolders) -> int:
    """Say what there is and what is missing; what is missing makes it a wrong call, as of train-on-shards --dry-run."""
    print(*plan_lines(folders), sep="\n", flush=True)
    missing = missing_parts(folders)
    for part in missing:
        print("missing: " + part.replace("\n", "\n         "))
    return WRONG_CALL if missing else DONE


def _work(folders: GridFolders, choices: AblateChoices) -> int:
    missing = missing_parts(folders)
    if missing:
        return _complain("\n".join(missing), WRONG_CALL)
    commands = OwnCommands(choices.threads, choices.launch_words)
    try:
        with only_run(folders.out):
            GridRun(folders, commands, choices.jobs, Progress(choices.log_json)).run()
            write_results(folders)
    except (GridChangedError, NoSuchFigureError, RunInUseError) as error:
        return _complain(str(error), WRONG_CALL)
    except CommandFailedError as error:
        return _complain(f"{error}\nWhat is finished is kept; the same command goes on.", OUR_FAULT)
    except (CommandStoppedError, KeyboardInterrupt):
        return _complain("stopped; the same command goes on", STOPPED)
    _print_tables(folders.out)
    return DONE


def _print_tables(out: Path) -> None:
    tables = [(out / name).read_text(encoding="utf-8") for name in ("table.md", "claims.md", "kinds.md")]
    print("\n".join(filter(None, tables)))


def _complain(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
