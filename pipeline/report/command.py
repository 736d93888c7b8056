"""The command `report-vico`: a page to look at a data set, as files, served, or as a review.

Exit codes: 0 done, 2 wrong call.
"""

import argparse
import contextlib
import socket
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from pipeline.progress import StageProgress, add_log_json
from pipeline.published_set import NoDataSetError
from pipeline.report.page_version import is_free_for_page, page_version
from pipeline.report.server import LOOPBACK, ReportServer
from pipeline.report.static_page import PAGE_STAGES, write_page


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
                         "run build-vico with --out there first")
    name = options.name or folder.absolute().name
    try:
        if options.serve or options.review:
            return _serve(folder, name, options)
        return _write(folder, name, options)
    except NoDataSetError as error:
        return _complain(str(error))


def _write(folder: Path, name: str, options: argparse.Namespace) -> int:
    out = Path(options.out) if options.out else folder / "report"
    if not is_free_for_page(out):
        return _complain(f"--out {out}: there is something else; a page replaces only an older page")
    version = page_version(folder, options.most_samples, name)
    shown = version.shown_by(out)
    if shown is None:
        with StageProgress(PAGE_STAGES, options.log_json) as progress:
            shown = write_page(folder, out, version, progress)
    print(f"{shown} questions in {(out / 'index.html').absolute().as_uri()}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="report-vico", allow_abbrev=False, description="A page to look at a VICO data set.",
        epilog="Without --serve and --review it writes files that open from disk; index.html is the one to open.")
    parser.add_argument("dir", metavar="DIR", help="a folder that build-vico wrote")
    parser.add_argument("--out", metavar="FOLDER", help="where to write the page (default: DIR/report)")
    parser.add_argument("--name", help="what the page calls the data set (default: the folder's name)")
    parser.add_argument("--most-samples", type=_count, default=20_000, metavar="N",
                        help="a page of files holds so many questions at most, of whole videos drawn at random "
                             "(default: 20000); a served one holds all")
    parser.add_argument("--serve", action="store_true",
                        help="serve the page on this machine, over the shards themselves, however many they are")
    parser.add_argument("--review", type=_count, metavar="N",
                        help="serve N questions drawn at random, to be judged right, wrong or unclear")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--port", type=int, default=0, help="of the server (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    add_log_json(parser)
    return parser


def _serve(folder: Path, name: str, options: argparse.Namespace) -> int:
    try:
        port = _free_port(options.port)
    except OSError as error:
        return _complain(f"--port {options.port}: {error.strerror}")
    server = ReportServer(folder, name, port, (options.review, options.seed) if options.review else None)
    address = f"http://{LOOPBACK}:{port}/"
    print(f"{address}   stop with Ctrl-C", flush=True)
    if not options.no_browser:
        webbrowser.open(address)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once all is closed
        server.run()
    if server.review:
        print(server.review.finish())
    return 0


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, wanted))
        return probe.getsockname()[1]


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _complain(words: str) -> int:
    print(f"report-vico: {words}", file=sys.stderr)
    return 2
