"""Every link, path, module and section that docs, comments and docstrings name is there."""

import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from aftersend.rules.explain import wording
from aftersend.rules.recipient.decisions import DECISION_NAMES
from aftersend.rules.recipient.kinds import KINDS
from aftersend.rules.recipient.statuses import STATUS_NAME, STATUSES
from tests.paths import DOCS, ROOT

_FOLDERS = ("aftersend", "agents", "benchmarks", "deploy", "docs", "schemas", "tables", "tests", ".ci")
_SUFFIXES = {".md", ".py", ".toml", ".yml", ".yaml", ".sh", ".lua", ".json", ".dockerignore", ""}


def _files() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in _SUFFIXES)
    for folder in _FOLDERS:
        for directory, folders, names in os.walk(ROOT / folder):  # does not follow the links in aftersend/
            folders[:] = [name for name in folders if not name.startswith(("__pycache__", "."))]
            yield from (path for name in names if (path := Path(directory, name)).suffix in _SUFFIXES)


TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in _files()}
PAGES = {name: text for name, text in TEXTS.items() if name.endswith(".md") and "/docgen/templates/" not in name}
#: This file names what is not there.
CHECKED = {name: text for name, text in TEXTS.items() if name != Path(__file__).relative_to(ROOT).as_posix()}


def _where(names: Iterable[str], find: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """Return what is wrong in files, by their names; files without anything are left out."""
    return {name: found for name in names if (found := sorted(set(find(name))))}


#: Pages that are about to come: linked already, not there yet.
COMING = {
    ROOT / "tests/unit/tables/test_packing_copies.py",
}


# --------------------------------------------------------------------------------------------------------------- links

_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.append(anchor if anchor not in found else f"{anchor}-{found.count(anchor)}")
    return frozenset(found)


def broken_links(name: str) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    broken = []
    for link in _LINK.findall(_CODE.sub("", _FENCE.sub("", PAGES[name]))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if target.resolve() in COMING and not target.exists():
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def test_every_link_leads_somewhere() -> None:
    assert {} == _where(PAGES, broken_links)


def test_every_page_is_reached_from_the_readme() -> None:
    """A page that nothing links to is found by nobody."""
    reached, todo = set[str](), ["README.md"]
    while todo:
        name = todo.pop()
        if name in reached or name not in PAGES:
            continue
        reached.add(name)
        for link in _LINK.findall(PAGES[name]):
            path = (ROOT / name).parent / link.partition("#")[0]
            todo.append(os.path.relpath(path / "README.md" if path.is_dir() else path, ROOT))

    assert set() == PAGES.keys() - reached


# --------------------------------------------------------------------------------------------------------------- paths

_ROOMS = "aftersend|agents|benchmarks|deploy|docs|schemas|tables|tests"
_PATH = re.compile(rf"(?<![\w/.<-])(?:{_ROOMS})/[\w./-]*\w")


def missing_paths(name: str) -> list[str]:
    """Return the paths of the repository that a file names and that do not exist."""
    text = CHECKED[name]
    if name.endswith(".md"):
        text = _LINK.sub("", text)  # relative to the page: checked above
    paths = [ROOT / path for path in _PATH.findall(text)]
    return [str(path.relative_to(ROOT)) for path in paths if not path.exists() and path not in COMING]


def test_every_path_exists() -> None:
    assert {} == _where(CHECKED, missing_paths)


_MODULE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|lua|md|toml))`")


def missing_files(name: str) -> list[str]:
    """Return the paths in backticks that exist neither from the root nor from the file's own folder."""
    folders = (ROOT, (ROOT / name).parent)
    paths = _MODULE.findall(CHECKED[name])
    return [p for p in paths if not any((f / p).exists() for f in folders) and ROOT / p not in COMING]


def test_every_file_in_backticks_exists() -> None:
    assert {} == _where(CHECKED, missing_files)


_INNER = "cli|config|console|docgen|engine|gateway|processes|publish|rules|sandbox|services|sources"


def test_every_path_begins_at_the_root() -> None:
    """`rules/…` is nowhere: it is `aftersend/rules/…`."""
    assert {} == _where(CHECKED, lambda name: re.findall(rf"`(?:{_INNER})/[^`]*`", CHECKED[name]))


# ------------------------------------------------------------------------------------------------------------- modules

_DOTTED = re.compile(r"(?<![\w./@-])(?:aftersend|benchmarks)(?:\.[A-Za-z_]\w*)+(?![\w@-])")
#: Not modules: headers of records, and files, that begin alike.
_NOT_MODULES = re.compile(
    r"aftersend\.(tenant|replayed|error|message|topic|partition|offset|version)$|.*\.(json|prom|toml|yml)$"
)


@cache
def is_there(reference: str) -> bool:
    """Say whether a dotted name is a module, or something in one."""
    parts = reference.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        if found is None:
            continue
        if length == len(parts):
            return True
        thing: object = importlib.import_module(name)
        for part in parts[length:]:
            fields = getattr(thing, "__annotations__", {})
            if not hasattr(thing, part) and part not in fields:
                return False
            thing = getattr(thing, part, None)
        return True
    return False


def missing_modules(name: str) -> list[str]:
    """Return the dotted names in a file that are neither a module nor something in one."""
    named = _DOTTED.findall(CHECKED[name])
    return [one for one in named if not _NOT_MODULES.match(one) and not is_there(one)]


def test_every_module_and_what_is_named_in_it_exists() -> None:
    assert {} == _where(CHECKED, missing_modules)


# ------------------------------------------------------------------------------------------------------------ sections

SECTIONS = frozenset(re.findall(r"^#+ §([\d.]+) ", (DOCS / "domain.md").read_text(encoding="utf-8"), re.MULTILINE))
_CITATION = re.compile(r"docs/domain\.md §([\d.]*\d)")


def test_every_citation_is_of_a_section_that_exists() -> None:
    assert {} == _where(CHECKED, lambda name: set(_CITATION.findall(CHECKED[name])) - SECTIONS)


def citations_without_page(name: str) -> list[str]:
    """Return the lines of a file that cite a section and do not say of which page."""
    text = re.sub(r"\[§[\d.]+\]\(domain\.md#[^)]*\)", "", CHECKED[name])  # a link says its page itself
    return re.findall(r".*(?<!docs/domain\.md )§.*", text)


def test_a_section_is_cited_with_its_page() -> None:
    """So that a search for `docs/domain.md §2.1` finds every one."""
    names = (name for name in CHECKED if not name.startswith(("docs/domain", "tests/")))

    assert {} == _where(names, citations_without_page)


def test_explain_cites_sections_that_exist() -> None:
    before = [None, *(status.number for status in STATUSES)]
    cited = {
        wording.reference(kind.number, decision, status)
        for kind in KINDS
        for decision in range(len(DECISION_NAMES))
        for status in before
    } | {wording.EXPIRY_SECTION}
    known = {re.escape(name) for name in STATUS_NAME if name}
    form = rf"docs/domain\.md §([\d.]+), (?:status (?:{'|'.join(known)})|[a-z ]+)"

    assert {True} == {(found := re.fullmatch(form, one)) is not None and found[1] in SECTIONS for one in cited}
