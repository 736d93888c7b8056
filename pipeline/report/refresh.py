"""The page of a data set that was built anew, brought up to date."""

from pathlib import Path

from pipeline.killable_worker import Report
from pipeline.progress import StageProgress
from pipeline.report.page_version import choices_of_page, is_free_for_page, page_version


def refresh_page(report: Report, folder: Path, most_samples: int) -> Path | None:
    """Have the page in DIR/report show the data set as it is now; a job for a worker.

    Args:
        report: of the worker.
        folder: the data set.
        most_samples: for a page that was not there; an older one keeps its own bound and its name.

    Returns:
        Where the page is; None where something else lies in its place.
    """
    # Here alone, in the worker's process: in the one of a flow DuckDB complains of leaks when the interpreter ends.
    from pipeline.report.static_page import PAGE_STAGES, write_page

    report(0.0)
    out = folder / "report"
    if not is_free_for_page(out):
        return None
    most, name = choices_of_page(out) or (most_samples, folder.absolute().name)
    version = page_version(folder, most, name)
    if version.shown_by(out) is None:
        write_page(folder, out, version, StageProgress(PAGE_STAGES, quiet=True))
    return out
