"""report-vico --review: judging by key, votes on the disk, accuracy that the card quotes."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from pipeline.data_card import rewrite_card
from pipeline.report.report_rows import open_report
from pipeline.report.review import Review, WrongVoteError
from pipeline.review_votes import figures_of, read_votes, review_figures, wilson_interval, write_votes
from tests.generated_sets import write_generated_set
from tests.pipeline.report.served import served


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    write_generated_set(tmp_path / "set", videos=2, samples=40)
    return tmp_path / "set"


def test_a_review_by_key_ends_in_the_card(page: Page, data_set: Path) -> None:
    with served(data_set, "--review", "4", "--seed", "5") as server:
        page.goto(server.url)
        expect(page.locator(".question")).to_be_visible()
        assert page.locator(".review").evaluate("sheet => [...sheet.childNodes].filter(n => n.nodeType === 3)") == []
        for number, key in enumerate("rwur", start=1):
            expect(page.locator(".review-bar p")).to_contain_text(f"{number} of 4")
            page.keyboard.press(key)
        expect(page.locator(".result")).to_contain_text("2 right, 1 wrong, 1 unclear")
        page.keyboard.press("k")
        expect(page.locator(".review-bar p")).to_contain_text("3 of 4")
        page.get_by_role("button", name="right").click()  # a vote can be changed
        expect(page.locator(".result")).to_contain_text("3 right, 1 wrong, 0 unclear")
        page.get_by_role("button", name="Finish").click()
        expect(page.locator("h1")).to_have_text("Thank you")
        said = server.ended()
    sentence = "Of 4 questions drawn at random that people looked at: 3 right, 1 wrong, 0 unclear. Of those judged, " \
        "75.0% are right (95 % interval 30.1% to 95.4%)."
    assert sentence in said
    assert sentence in (data_set / "README.md").read_text()
    votes = pq.read_table(data_set / "review" / "votes.parquet").to_pylist()
    assert sorted(row["vote"] for row in votes) == ["right", "right", "right", "wrong"]
    assert {row["seed"] for row in votes} == {5}


def test_the_draw_follows_from_the_seed(data_set: Path) -> None:
    with open_report(data_set) as connection:
        drawn = [Review(connection, data_set, 10, seed).ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 10


def test_a_vote_for_a_question_that_is_gone_does_not_count(data_set: Path) -> None:
    with open_report(data_set) as connection:
        review = Review(connection, data_set, 3, 0)
        with pytest.raises(WrongVoteError):
            review.cast("f" * 32, "right")
        with pytest.raises(WrongVoteError):
            review.cast(review.ids[0], "splendid")
        review.cast(review.ids[0], "wrong")
    gone = {"sample_id": "f" * 32, "vote": "right", "seed": 0}
    write_votes(data_set, read_votes(data_set) | {"f" * 32: gone})
    figures = review_figures(data_set)
    assert (figures["right"], figures["wrong"]) == (0, 1)
    rewrite_card(data_set)
    assert "1 questions drawn" in (data_set / "README.md").read_text()


def test_votes_that_are_all_unclear_give_no_accuracy() -> None:
    figures = figures_of(["unclear", "unclear"])
    assert figures["accuracy"] is None
    assert figures_of([]) is None


@pytest.mark.parametrize(("right", "judged", "low", "high"), [
    (81, 263, 0.2553, 0.3662),   # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
])
def test_the_interval_is_the_published_one(right: int, judged: int, low: float, high: float) -> None:
    assert wilson_interval(right, judged) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda judged: st.tuples(st.integers(0, judged), st.just(judged))))
def test_the_interval_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    right, judged = counts
    low, high = wilson_interval(right, judged)
    assert 0 <= low <= right / judged <= high <= 1
    assert wilson_interval(judged - right, judged) == pytest.approx((1 - high, 1 - low))
