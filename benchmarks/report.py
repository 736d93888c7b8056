"""How quick is the page? Writing it, its first picture, all questions read, and a search, beside an empty page.

    python benchmarks/report.py                          # 10,000 questions about 100 videos
    python benchmarks/report.py --samples 20000 --videos 400

The data set is generated. Times in the browser (the system's Chromium, without a window) count from the call that
opens the page until the first picture is decoded; those of a page that is nothing but one such picture are the limit.
Each is the median of five fresh contexts.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the generator lives beside the tests

from pipeline.progress import StageProgress
from pipeline.report.page_version import page_version
from pipeline.report.static_page import PAGE_STAGES, write_page
from tests.generated_sets import write_generated_set

_PICTURE_THERE = "() => { const i = document.querySelector('img'); return i && i.complete && i.naturalWidth > 0; }"


def main() -> None:
    """Print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        write_generated_set(folder / "set", videos=options.videos, samples=options.samples)
        start = time.perf_counter()
        with StageProgress(PAGE_STAGES) as progress:
            write_page(folder / "set", folder / "page",
                       page_version(folder / "set", options.samples, "benchmark"), progress)
        written = time.perf_counter() - start
        size = sum(path.stat().st_size for path in (folder / "page").rglob("*") if path.is_file())
        print(f"{options.samples} questions about {options.videos} videos: "
              f"written in {written:.1f} s, {size / 1e6:.1f} MB")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _measure(browser, folder, options.samples, options.rounds)


def _measure(browser: Browser, folder: Path, samples: int, rounds: int) -> None:
    picture = next((folder / "page" / "pictures").rglob("*.jpg"))
    (folder / "limit.html").write_text(f'<!doctype html><img src="{picture.as_uri()}" alt="">')
    page = (folder / "page" / "index.html").as_uri()
    everything = f"() => document.querySelector('.found')?.textContent === '{samples:,} questions'"

    def search(tab: Page) -> None:
        tab.get_by_role("searchbox").fill(f"{samples - 1}")
        tab.wait_for_function("() => /^\\d{1,3} questions?$/.test(document.querySelector('.found').textContent)",
                              polling=10)

    limit = _median(browser, (folder / "limit.html").as_uri(), _PICTURE_THERE, rounds)
    rows = {
        "a page of one picture (the limit)": limit,
        "the page, until its first picture": _median(browser, page, _PICTURE_THERE, rounds),
        "the questions, until the first evidence": _median(
            browser, f"{page}#/questions", "() => document.querySelector('.frames img')?.naturalWidth > 0", rounds),
        "the questions, until all are read": _median(browser, f"{page}#/questions", everything, rounds),
        "a search in all of them": _median(browser, f"{page}#/questions", everything, rounds, search),
    }
    for what, seconds in rows.items():
        print(f"{what:42} {seconds:6.2f} s {seconds / limit:6.1f} x")


def _median(
    browser: Browser, address: str, until: str, rounds: int, then: Callable[[Page], None] | None = None
) -> float:
    """Seconds from opening until the condition holds; of `then` alone where there is one."""
    times = []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        tab = context.new_page()
        start = time.perf_counter()
        tab.goto(address, wait_until="commit")
        tab.wait_for_function(until, polling=10)
        if then:
            start = time.perf_counter()
            then(tab)
        times.append(time.perf_counter() - start)
        context.close()
    return statistics.median(times)


if __name__ == "__main__":
    main()
