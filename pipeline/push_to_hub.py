"""The command `push-vico`: a data set to the Hugging Face hub.

Exit codes: 0 done, 1 the hub failed, 2 wrong call.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from pipeline.hub_copy import COPY_STAGES, FREE, HubCopy, make_hub_copy
from pipeline.licences import licence_name
from pipeline.progress import StageProgress, add_log_json

_HUB_FAULTS = (HfHubHTTPError.__bases__[0], OSError)  # versions of huggingface_hub differ in their HTTP library


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(argv)
    folder = Path(options.dir)
    if not (folder / "manifest.json").is_file():
        return _complain(f"{folder} holds no finished data set (no manifest.json); "
                         "run build-vico with --out there first", 2)
    try:
        validate_repo_id(options.repo)
    except HFValidationError as error:
        return _complain(str(error), 2)
    if options.repo.count("/") != 1:
        return _complain(f"{options.repo!r} should be owner/name", 2)
    allowed = {*FREE, *(licence_name(one) for one in options.licence)}
    with tempfile.TemporaryDirectory(prefix="push-vico-") as scratch:
        with StageProgress(COPY_STAGES, options.log_json) as progress:
            copy = make_hub_copy(folder, Path(scratch), allowed, options.most_samples, progress)
        _say(copy, options.repo)
        if options.dry_run:
            print("dry run: nothing was sent")
            return 0
        return _upload(copy, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="push-vico", allow_abbrev=False,
        description="Upload a VICO data set to the Hugging Face hub: shards, card and page.",
        epilog="The token is the one that `hf auth login` keeps, or HF_TOKEN. Pictures go only of videos whose "
               f"licence lets them be handed on: {', '.join(FREE)}; of the others ids and times.")
    parser.add_argument("dir", metavar="DIR", help="a folder that build-vico wrote")
    parser.add_argument("repo", metavar="owner/name", help="the data set's name on the hub; made where it is missing")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument("--private", action="store_true", help="make it private where it is made")
    parser.add_argument("--licence", action="append", default=[], metavar="NAME",
                        help="another licence whose pictures you may hand on; repeatable")
    parser.add_argument("--most-samples", type=int, default=20_000, help="on the page (default: 20000)")
    add_log_json(parser)
    return parser


def _say(copy: HubCopy, repo: str) -> None:
    print(f"to https://huggingface.co/datasets/{repo}")
    pages = [size for path, size in copy.files.items() if path.startswith("report/")]
    for path, size in copy.files.items():
        if not path.startswith("report/"):
            print(f"{size:>14,}  {path}")
    print(f"{sum(pages):>14,}  report/ ({len(pages)} files)")
    print(f"{sum(copy.files.values()):>14,}  bytes in all")
    for what, counts in (("with their picture", copy.frames), ("as ids and times only", copy.withheld)):
        for licence, rows in sorted(counts.items()):
            print(f"{rows:>14,}  frames {what}: {licence}")


def _upload(copy: HubCopy, options: argparse.Namespace) -> int:
    hub = HfApi()
    if options.log_json:
        disable_progress_bars()  # the client's own, which it draws on a terminal while it sends
    try:
        hub.create_repo(options.repo, repo_type="dataset", private=options.private, exist_ok=True)
        # Shards that the data set no longer has go in the same commit; else two builds would lie mixed there.
        done = hub.upload_folder(
            repo_id=options.repo, repo_type="dataset", folder_path=copy.folder, commit_message="VICO data set",
            delete_patterns=["data/**", "report/**"])
    except _HUB_FAULTS as error:
        return _complain(f"the hub did not take it: {error}", 1)
    print(f"sent: {done.commit_url}")
    return 0


def _complain(words: str, code: int) -> int:
    print(f"push-vico: {words}", file=sys.stderr)
    return code
