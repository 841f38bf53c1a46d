"""The pages as a whole: those that are made from the code say what it says, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.documentation import settings_page, tools_page
from tests.world import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose_of(page: Path) -> str:
    """Without code, in which nothing is a link or a heading."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    unfenced = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", unfenced, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page: Path) -> list[str]:
    """Those between the project's own files."""
    return [link for link in _LINK.findall(prose_of(page)) if not link.startswith("https://")]


def test_the_page_about_the_tools_is_the_one_that_they_make() -> None:
    assert tools_page.PAGE.read_text() == tools_page.document(), "run python -m tests.documentation.tools_page"


def test_the_page_about_the_settings_is_the_one_that_they_make() -> None:
    assert settings_page.PAGE.read_text() == settings_page.document(), "run python -m tests.documentation.settings_page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_the_readme_links_every_page() -> None:
    linked = {link.partition("#")[0] for link in links_of(ROOT / "README.md")}
    assert {f"docs/{page.name}" for page in ROOT.glob("docs/*.md")} <= linked


def test_the_rooms_of_the_architecture_are_those_of_the_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"^\| `([\w/.]+?)/?` \|", page, re.MULTILINE)
    rooms = {room.partition("/")[0] for room in named}
    there = {path.name for path in (ROOT / "owlmetry_mcp").iterdir() if not path.name.startswith("_")}
    assert rooms == there - {"py.typed"}
