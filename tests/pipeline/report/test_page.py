"""The page in a browser, opened from disk as people do."""

import io
import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipeline.report.command import run
from tests.builds import rows
from tests.chromium import expect_drawn
from tests.generated_sets import HOSTILE, page_of, write_generated_set


@pytest.fixture(scope="session")
def sample_page(sample_build: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(sample_build, tmp_path_factory.mktemp("sample-page") / "page")


def test_the_first_sheet_tells_what_is_in_the_shards(page: Page, sample_page: str, sample_build: Path) -> None:
    page.goto(sample_page)
    counts = json.loads((sample_build / "manifest.json").read_text())["rows"]
    expect(page.locator("h1")).to_contain_text(f"{counts['samples']} questions")
    assert page.locator(".totals dd").all_inner_texts()[2:6] == [
        str(counts[table]) for table in ("clips", "clues", "samples", "frames")]
    kept = sum(row["kept"] for row in rows(sample_build, "clues"))
    expect(page.locator(".yield li", has_text="clues").locator("strong")).to_have_text(str(kept))
    expect(page.locator(".strip img")).to_have_count(12)
    expect_drawn(page.locator(".strip img").all())


def test_charts_have_tables_that_say_the_same(page: Page, sample_page: str, sample_build: Path) -> None:
    page.goto(sample_page)
    table = page.get_by_role("table", name="Kinds of question")
    said = {row.locator("th").inner_text(): row.locator("td").inner_text() for row in table.locator("tbody tr").all()}
    kinds = json.loads((sample_build / "manifest.json").read_text())["samples_by_kind"]
    assert said == {kind.replace("_", " "): str(count) for kind, count in kinds.items()}


def test_evidence_is_followed_to_its_clip(page: Page, sample_page: str, sample_build: Path) -> None:
    """Frames stand in the order in which they happened, are there, and 'show me' leads to the clip."""
    row = next(row for row in rows(sample_build, "samples") if row["kind"] == "order_events")
    page.goto(f"{sample_page}#/questions?id={row['sample_id']}")
    expect(page.locator(".options .option.right .words")).to_have_text(row["answer"])
    times = page.locator(".frames figcaption").all_inner_texts()
    assert times == sorted(times)
    assert len(times) == 3 * len(row["evidence"])
    expect_drawn(page.locator(".frames img").all()[:3])
    first = min(row["evidence"], key=lambda piece: piece["start_s"])
    page.get_by_role("link", name="Show me").first.click()
    here = page.locator(".clips > li.here")
    clip = next(clip for clip in rows(sample_build, "clips") if clip["clip_index"] == first["clip_index"])
    expect(here.locator(".clip-words > p").first).to_have_text(clip["caption"])
    expect(here).to_be_in_viewport()


def test_a_videos_sheet_shows_all_that_is_known_of_it(page: Page, sample_page: str, sample_build: Path) -> None:
    page.goto(f"{sample_page}#/videos")
    page.locator(".video-list a").click()
    (video,) = rows(sample_build, "videos", ["cuts_s", "n_clips", "n_samples"])
    expect(page.locator(".clips > li")).to_have_count(video["n_clips"])
    expect(page.locator(".block.shot")).to_have_count(len(video["cuts_s"]) + 1)
    clues = rows(sample_build, "clues", ["kept"])
    expect(page.locator(".block.clue")).to_have_count(sum(clue["kept"] for clue in clues))
    expect(page.locator(".block.clue-dropped")).to_have_count(sum(not clue["kept"] for clue in clues))
    expect(page.locator(".question-row")).to_have_count(video["n_samples"])
    page.locator(".question-row a").nth(3).click()
    expect(page.locator(".question")).to_be_visible()


def test_filters_and_search_leave_what_fits(page: Page, generated_page: str, generated: Path) -> None:
    asked = rows(generated, "samples")
    page.goto(f"{generated_page}#/questions")
    expect(page.locator(".found")).to_have_text("1,000 questions")
    page.get_by_label("kind").select_option("a_kind_of_tomorrow")
    fit = [row for row in asked if row["kind"] == "a_kind_of_tomorrow"]
    expect(page.locator(".found")).to_have_text(f"{len(fit)} questions")
    page.get_by_label("domain").select_option("sport")
    fit = [row for row in fit if int(row["video_id"], 16) == 1]
    expect(page.locator(".found")).to_have_text(f"{len(fit)} questions")
    page.get_by_role("searchbox").fill("ANSWER to 19")
    said = {row["sample_id"]: f"{row['sample_id']} {row['question']} {row['answer']}".lower() for row in fit}
    fit = [row for row in fit if all(word in said[row["sample_id"]] for word in ("answer", "to", "19"))]
    expect(page.locator(".found")).to_have_text(f"{len(fit)} questions")
    assert 0 < len(fit) < 20
    shown = {link.get_attribute("data-id") for link in page.locator(".question-list a").all()}
    assert shown == {row["sample_id"] for row in fit}
    page.get_by_role("searchbox").fill("nothing is called this")
    expect(page.locator(".question-place")).to_contain_text("No question fits")


def test_the_list_grows_as_it_is_read(page: Page, generated_page: str) -> None:
    page.goto(f"{generated_page}#/questions")
    expect(page.locator(".found")).to_have_text("1,000 questions")
    assert page.locator(".question-list li").count() < 300
    for _ in range(40):
        page.locator(".list-end").scroll_into_view_if_needed()
        page.wait_for_timeout(20)
    expect(page.locator(".question-list li")).to_have_count(1000)


def test_keys_step_through_questions_and_hide_the_answer(page: Page, generated_page: str, generated: Path) -> None:
    order = sorted(row["sample_id"] for row in rows(generated, "samples", ["sample_id"]))
    page.goto(f"{generated_page}#/questions")
    code = page.locator(".question footer code")
    expect(code).to_have_text(order[0])
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(code).to_have_text(order[1])
    page.keyboard.press("h")
    expect(page.locator(".question")).to_have_class(re.compile("hidden-answer"))
    page.keyboard.press("/")
    page.keyboard.type("jkh")
    expect(page.get_by_role("searchbox")).to_have_value("jkh")


def test_tab_reaches_the_content_and_headings_name_it(page: Page, generated_page: str) -> None:
    page.goto(generated_page)
    expect(page.locator("h1")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    unnamed = page.evaluate("""[...document.querySelectorAll('a, button, input, select, img')].filter(e =>
        !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.hasAttribute('alt'))).length""")
    assert unnamed == 0
    assert page.locator("main h1").count() == 1


def test_light_and_dark_are_legible_and_remembered(page: Page, generated_page: str) -> None:
    page.goto(generated_page)
    expect(page.locator("h1")).to_be_visible()
    light = _contrast(page)
    page.get_by_role("button", name="Dark").click()
    dark = _contrast(page)
    assert min(light, dark) > 4.5  # WCAG AA for text
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def _contrast(page: Page) -> float:
    """Of the page's least visible text, the notes, against the paper: WCAG 2.2, relative luminance."""
    ink, paper = page.evaluate("""['.note', 'html'].map((at, i) => getComputedStyle(document.querySelector(at))
        [i ? 'backgroundColor' : 'color'].match(/[\\d.]+/g).slice(0, 3).map(Number))""")

    def luminance(colour: list[float]) -> float:
        linear = [(v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4) for v in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(ink), luminance(paper)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_page(browser: Browser, generated_page: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    for sheet in ("", "questions", "videos", "video/0?t=30"):
        page.goto("about:blank")
        page.goto(f"{generated_page}#/{sheet}")
        expect(page.locator("main h1")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, sheet
    page.close()


def test_hostile_words_are_shown_as_they_are(page: Page, tmp_path: Path) -> None:
    write_generated_set(tmp_path / "set", videos=2, samples=8, words=HOSTILE)
    address = page_of(tmp_path / "set", tmp_path / "page")
    page.goto(f"{address}#/questions")
    expect(page.locator(".option .words").first).to_contain_text("</script><script>document.title='owned'</script><img")
    for sheet in ("video/0?t=30", "videos", ""):
        page.goto(f"{address}#/{sheet}")
        expect(page.locator("main h1")).to_have_count(1)
    page.goto(f"{address}#/video/1")
    expect(page.locator("h1")).to_contain_text("</style>'\"`${1}&lt;")
    assert "owned" not in page.title()
    assert page.locator("main script, main img[src=x]").count() == 0


def test_a_page_of_part_of_the_set_says_so(page: Page, generated: Path, tmp_path: Path) -> None:
    assert run([str(generated), "--out", str(tmp_path / "page"), "--most-samples", "700"]) == 0
    page.goto((tmp_path / "page" / "index.html").as_uri())
    expect(page.locator(".hero")).to_contain_text("667 of them, those of 2 videos")
    expect(page.locator("h1")).to_contain_text("1,000 questions")


def test_the_same_set_gives_the_same_page_and_nothing_else_is_replaced(generated: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run([str(generated), "--out", str(tmp_path / name)]) == 0
    files = [{path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*")
              if path.is_file()} for name in ("one", "two")]
    assert files[0] == files[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert run([str(generated), "--out", str(tmp_path / "mine")]) == 2
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    assert run([str(tmp_path / "mine")]) == 2


@pytest.mark.parametrize(("name", "theme", "sheet", "height"), [
    ("report-overview", "light", "", 700), ("report-question", "light", "questions?kind=came_next", 1240),
    ("report-video", "dark", "video/0", 860)])
def test_the_pictures_of_the_docs(
    browser: Browser, sample_page: str, tmp_path: Path, name: str, theme: str, sheet: str, height: int
) -> None:
    """Taken of the sample; VICO_DOCS_PICTURES=1 puts them into docs/pictures."""
    folder = Path(__file__).parents[3] / "docs" / "pictures" if "VICO_DOCS_PICTURES" in os.environ else tmp_path
    context = browser.new_context(
        color_scheme=theme, viewport={"width": 1200, "height": height}, device_scale_factor=1.5)
    page = context.new_page()
    page.goto(f"{sample_page}#/{sheet}")
    expect(page.locator("main h1")).to_have_count(1)
    expect_drawn(one for one in page.locator("main img").all() if one.bounding_box()["y"] < height)
    picture = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    folder.mkdir(exist_ok=True)
    picture.save(folder / f"{name}.webp", quality=84, method=6)
    assert picture.size == (1800, 1.5 * height)
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 500, "it shows something"
    assert (folder / f"{name}.webp").stat().st_size < 300_000
