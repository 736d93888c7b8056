"""report-vico --serve: what it answers, whom it refuses, and what its SQL cannot do."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.builds import rows
from tests.chromium import expect_drawn
from tests.generated_sets import write_generated_set
from tests.pipeline.report.served import Served, served


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a folder whose name means something to a glob, and beside a file that is nobody's business."""
    folder = tmp_path_factory.mktemp("served") / "a [set]'*?"
    write_generated_set(folder, videos=3, samples=400)
    (folder.parent / "secret.csv").write_text("word\nsesame\n")
    (folder / "secret.csv").write_text("word\nsesame\n")
    return folder


@pytest.fixture(scope="module")
def server(data_set: Path) -> Iterator[Served]:
    with served(data_set, "--serve") as one:
        yield one


def test_the_page_is_read_from_the_shards(page: Page, server: Served, data_set: Path) -> None:
    page.goto(f"{server.url}#/questions?kind=when")
    fit = [row for row in rows(data_set, "samples") if row["kind"] == "when"]
    expect(page.locator(".found")).to_have_text(f"{len(fit)} questions")
    for _ in range(8):
        page.locator(".list-end").scroll_into_view_if_needed()
        page.wait_for_timeout(50)
    expect(page.locator(".question-list li")).to_have_count(len(fit))
    page.get_by_role("searchbox").fill(f"{fit[7]['sample_id']}")
    expect(page.locator(".found")).to_have_text("1 question")
    page.get_by_role("link", name="Show me").first.click()
    expect(page.locator(".clips > li.here")).to_be_in_viewport()
    expect_drawn([page.locator(".clips > li.here img").first])


def test_a_reload_shows_what_a_build_has_made_since(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_generated_set(folder, videos=1, samples=5)
    with served(folder, "--serve") as server:
        assert '"questions_shown":5,' in requests.get(f"{server.url}data/summary.js", timeout=60).text
        shutil.rmtree(folder)
        write_generated_set(folder, videos=2, samples=9)
        assert '"questions_shown":9,' in requests.get(f"{server.url}data/summary.js", timeout=60).text
        assert server.sql("SELECT count(*) FROM samples").json()["rows"] == [[9]]


def test_sql_is_answered(page: Page, server: Served) -> None:
    page.goto(f"{server.url}#/sql")
    page.get_by_label("SQL").fill("SELECT kind, count(*) AS n FROM samples GROUP BY kind ORDER BY kind")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("table.plain tbody tr").first).to_have_text("a_kind_of_tomorrow100")
    pictures = server.sql("SELECT image FROM frames LIMIT 1").json()["rows"][0][0]["bytes"]
    assert pictures.startswith("<")


@pytest.mark.parametrize("sql", [
    "INSERT INTO duplicates VALUES ('x', 'y')", "DELETE FROM samples", "CREATE TABLE x AS SELECT 1",
    "DROP VIEW samples", "UPDATE samples SET answer = ''",
    "WITH gone AS (DELETE FROM samples RETURNING *) SELECT * FROM gone",
    "WITH x AS (COPY (SELECT 1) TO '{set}/data/more.parquet') SELECT * FROM x",
    "FROM read_parquet('{set}/data/videos/*.parquet')",
    "COPY samples TO 'stolen.csv'", "COPY (SELECT 1) TO '{set}/data/videos/more.parquet'",
    "EXPORT DATABASE '{set}/data/more'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{set}/data/more.parquet'",
    "PREPARE p AS COPY (SELECT 1) TO '{set}/data/more.csv'",
    "SELECT 1; COPY (SELECT 1) TO '{set}/data/more.csv'",
    "ATTACH '{set}/data/more.db'", "ATTACH ':memory:' AS more", "USE memory",
    "SELECT * FROM read_csv('{set}/secret.csv')", "SELECT * FROM '{set}/../secret.csv'",
    "SELECT * FROM read_text('{set}/data/../secret.csv')", "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM glob('{set}/*')", "SELECT * FROM parquet_metadata('/etc/hostname')",
    "SELECT * FROM query('COPY (SELECT 1) TO ''{set}/data/more.csv''')", "FROM sniff_csv('{set}/secret.csv')",
    "SELECT * FROM read_parquet('http://127.0.0.1:{port}/data/x.parquet')", "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM read_csv('https://example.com/x.csv')", "INSTALL httpfs", "LOAD httpfs",
    "SET enable_external_access = true", "SET lock_configuration = false", "RESET enable_external_access",
    "PRAGMA database_list", "CALL enable_logging()", "CHECKPOINT", "SET VARIABLE x = 1", "SELECT getenv('HOME')",
    "", "SELEC", "SELECT * FROM folder",
])
def test_sql_cannot_write_attach_read_other_files_or_reach_the_network(
    server: Served, data_set: Path, sql: str
) -> None:
    before = _fingerprint(data_set.parent)
    port = server.url.rsplit(":", 1)[1].strip("/")
    named = str(data_set).replace("'", "''")
    answer = server.sql(sql.replace("{set}", named).replace("{port}", port))
    assert answer.status_code == 400, answer.text
    assert "sesame" not in answer.text
    assert _fingerprint(data_set.parent) == before
    assert server.sql("SELECT count(*) FROM videos").json()["rows"] == [[3]]


def _fingerprint(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("headers", "why"), [
    ({"Host": "evil.example"}, "a name that was bent to lead here"),
    ({"Host": "127.0.0.1"}, "another port's page"),
    ({"Origin": "http://evil.example"}, "a page of another site"),
    ({"Origin": "null"}, "a page from a file or a sandbox"),
    ({"Sec-Fetch-Site": "cross-site"}, "a picture or script of another site"),
])
def test_other_sites_are_refused(server: Served, headers: dict[str, str], why: str) -> None:
    for path in ("", "data/summary.js", "pictures/000000/clip-000000.jpg", "api/questions"):
        assert requests.get(server.url + path, headers=headers, timeout=30).status_code == 403, why
    posted = requests.post(f"{server.url}api/sql", json={"sql": "SELECT 1"}, headers=headers, timeout=30)
    assert posted.status_code == 403, why


def test_a_form_of_another_site_is_refused(server: Served) -> None:
    """A form can send text without being asked first, but no JSON."""
    plain = {"Content-Type": "text/plain"}
    done = requests.post(f"{server.url}api/sql", data='{"sql": "SELECT 1"}', headers=plain, timeout=30)
    assert done.status_code == 403


@pytest.mark.parametrize("path", [
    "script/..%2f..%2fserver.py", "data/..%2f..%2fmanifest.json", "manifest.json", "data/video-000099.js",
    "pictures/000000/..%2f..%2fx.jpg", "pictures/000099/clip-000000.jpg", "api/review",
])
def test_nothing_else_is_served(server: Served, path: str) -> None:
    assert requests.get(server.url + path, timeout=30).status_code == 404


def test_it_listens_on_this_machine_only(server: Served) -> None:
    port = int(server.url.rsplit(":", 1)[1].strip("/"))
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
                 if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]
