"""README and docs: every Python block runs, every link and picture is there, every command exists."""
import os
import pathlib
import re
import warnings

import pytest

import minigen
from minigen.cli import build_parser

HOUSE = pathlib.Path(minigen.__file__).parents[1]
PAGES = [HOUSE / "README.md", *sorted((HOUSE / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(page, language):
    """(first line's number, code) of every fenced block in a language."""
    text = page.read_text(encoding="utf-8")
    return [(text[:found.start(2)].count("\n") + 1, found[2]) for found in FENCE.finditer(text) if found[1] == language]


def prose(page):
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page):
    """What a link can point at within a page, as GitHub and MkDocs name headings."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    """In order, in one namespace, as a reader would paste them."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "docs"}
    with minigen.use("numpy"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)             # a page may show how a NaN is found
        for line, code in blocks(page, "python"):
            padded = "\n" * (line - 1) + code                       # so that a traceback shows the page's own lines
            exec(compile(padded, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"\w+:", link):                                 # https:, mailto:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        assert os.path.relpath(target, HOUSE)[:2] != "..", f"{page.name} links to {link}, outside the house"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}; there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fences_name_their_language(page):
    """A block without a language, or with a new one, would be tested by nobody."""
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") % 2 == 0
    assert {found[1] for found in FENCE.finditer(text)} <= {"python", "sh", "text", "json"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    """Lines of shell blocks: our own commands parse, and the scripts they start are there."""
    for _, code in blocks(page, "sh"):
        for command in re.split(r"\n|&&", re.sub(r"#.*", "", code)):
            words = command.split()
            if words[:1] == ["minigen"]:
                build_parser().parse_args(words[1:])                # exits, and so fails, for a bad command
            if words[:1] == ["python"] and words[1] != "-m":
                assert (HOUSE / words[1]).is_file(), f"{page.name}: {command}"


def test_the_readme_begins_with_the_two_commands():
    first = FENCE.search((HOUSE / "README.md").read_text(encoding="utf-8"))
    assert first[1] == "sh"
    assert first[2].splitlines() == ["pip install -e . && python demos/vae.py", "pip install -e '.[test]' && pytest"]


def test_every_page_is_on_the_map():
    linked = set(LINK.findall(prose(HOUSE / "docs" / "index.md")))
    pages = {page.name for page in PAGES if page.parent.name == "docs"} - {"index.md"}
    assert pages <= linked, f"docs/index.md does not link to {sorted(pages - linked)}"


# ---- the test is tested ----------------------------------------------------------------------------------------------
def test_blocks_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# T\n\n```python\na = 1\n\nprint(a)  # 1\n```\n\n```sh\nls\n```\n\n```python\nb = a\n```\n"
                    "[x](y.md) `[z](w)`\n")
    assert blocks(page, "python") == [(4, "a = 1\n\nprint(a)  # 1\n"), (14, "b = a\n")]
    assert blocks(page, "sh") == [(10, "ls\n")]
    assert LINK.findall(prose(page)) == ["y.md"] and anchors(page) == {"t"}
