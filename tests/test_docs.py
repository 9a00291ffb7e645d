"""The documents say what the code does: routes, settings, modules, words, links, examples, compiled schemas."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pytest

from app import app
from chalicelib.dialects import DIALECTS
from local.stack import LaptopStack

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
READMES = [PROJECT / "README.md", PROJECT / "README.zh.md"]
PAGES = [
    *READMES,
    *(PROJECT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted(DOCS.rglob("*.md")),
]
COLUMNS_MAX = 120
BASE = "http://127.0.0.1:8000"
MODEL = PROJECT / "chalicelib" / "model"
SOURCES = sorted(
    path
    for path in (PROJECT / "chalicelib").rglob("*.py")
    if path.name != "__init__.py" and not path.stem.endswith("_pb2")
)

WORDS = (
    *("attribute", "callee", "caller", "catalogue", "chunk", "commit", "consumer", "cursor"),
    *("dead letter", "digest", "dirty", "edge", "entry span", "exemplar", "fold", "fold-state"),
    *("frame", "group", "half-edge", "item", "journal", "let go", "level", "marker", "measure"),
    *(
        "message",
        "note",
        "other",
        "payload",
        "peer",
        "pending",
        "profile",
        "retention",
        "roll-up",
        "row",
    ),
    *("search block", "segment", "series", "service", "shadow schema", "shard", "span name"),
    *("spill", "statistics", "step", "string form", "summary", "target", "tenant", "unfolded"),
    *("virtual name", "waiting halves", "window"),
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code_blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(path), re.MULTILINE | re.DOTALL)


def anchors_of(path: Path) -> set[str]:
    """The fragments that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(path: Path) -> list[str]:
    """The relative links of a page."""
    prose = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose)
    return [target for target in targets if not urlsplit(target).scheme]


def settings_in(source: str) -> set[str]:
    """Environment variables of Clew's own that a module names."""
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"CLEW_[A-Z_]+", node.value)
    }


def documented_routes() -> list[tuple[str, str]]:
    """(Path, method) of each heading in docs/api.md such as `GET, HEAD /health`, and of the dialects' tables.

    The page of a dialect has its name, as docs/jaeger.md has; api.md describes Clew's own routes and OTLP's.
    """
    headings = re.findall(r"^### ([A-Z, ]+) (/\S*)$", text_of(DOCS / "api.md"), re.MULTILINE)
    pages = [DOCS / f"{dialect.name.lower()}.md" for dialect in DIALECTS]
    dialects = "".join(text_of(page) for page in pages if page.is_file())
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", dialects, re.MULTILINE)
    return [(path, method) for methods, path in headings + rows for method in methods.split(", ")]


def names_looked_up(source: str) -> set[str]:
    """What a module asks `environment` for, itself or through a function that takes it."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        argument.value
        for call in calls
        if ast.unparse(call.func) == "environment.get"
        or "environment" in map(ast.unparse, call.args)
        for argument in call.args
        if isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and re.fullmatch("[A-Z][A-Z_]+", argument.value)
    }


ROUTES = sorted(
    (path, method)
    for path, methods in app.routes.items()
    for method in methods
    # Every path has it, for preflights.
    if method != "OPTIONS"
)
SETTINGS = sorted(
    {name for path in [PROJECT / "app.py", *SOURCES] for name in settings_in(text_of(path))}
)
LAPTOP_SETTINGS = sorted(
    {
        name
        for module in ("__main__", "demo")
        for name in names_looked_up(text_of(PROJECT / "local" / f"{module}.py"))
    }
)
MAKE_VARIABLES = sorted(re.findall(r"^([A-Z]+) \?=", text_of(PROJECT / "Makefile"), re.MULTILINE))


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_route_is_documented(path, method):
    """Every route of the application has a heading in docs/api.md, or a row in its dialect's table."""
    assert (path, method) in documented_routes()


def test_no_route_is_invented():
    """The documents name no route that the application does not have."""
    assert sorted(documented_routes()) == ROUTES


@pytest.mark.parametrize("name", sorted({*SETTINGS, *LAPTOP_SETTINGS, *MAKE_VARIABLES}))
def test_setting_is_documented(name):
    """Every setting of the functions, of the laptop stack and of make has a line in docs/settings.md."""
    assert f"\n| `{name}` |" in text_of(DOCS / "settings.md")


def test_no_setting_is_invented():
    """docs/settings.md names no setting of the functions that no module reads."""
    documented = re.findall(r"^\| `(CLEW_[A-Z_]+)` \|", text_of(DOCS / "settings.md"), re.MULTILINE)
    assert sorted(documented) == SETTINGS


def test_modules_are_in_the_design():
    """The table of modules in docs/design/modules.md has a line for each module, and no other."""
    page = text_of(DOCS / "design" / "modules.md")
    rows = re.findall(r"^\| `(chalicelib/\S+\.py)`", page, re.MULTILINE)
    assert sorted(rows) == [path.relative_to(PROJECT).as_posix() for path in SOURCES]


def test_words_are_in_the_glossary():
    """The words that the project has made or bent have a line each in docs/glossary.md, in order."""
    rows = re.findall(r"^\| ([^|]+?) \| ", text_of(DOCS / "glossary.md"), re.MULTILINE)[1:]
    known = {word for row in rows for word in row.split(", ")}
    assert set(WORDS) <= known
    assert rows == sorted(rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(page):
    """A relative link leads to a file or folder of the project, and to a heading that is there."""
    for target in links_of(page):
        address, _, fragment = target.partition("#")
        found = (page.parent / unquote(address)).resolve() if address else page
        assert found.exists(), target
        assert found.is_relative_to(PROJECT), target
        assert not fragment or fragment in anchors_of(found), target


def test_links_to_every_page():
    """README or a page that it leads to links to every page of docs."""
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in links_of(page)
    }
    missing = [page for page in DOCS.glob("*.md") if page not in linked]
    assert missing == []


@pytest.mark.parametrize("page", ["reliability.md", "security.md"])
def test_tests_that_are_named_exist(page):
    """The pages that name a test for each promise name only tests that are there, with or without `tests/` before."""
    named = re.findall(r"`(?:tests/)?([\w/]+\.py)((?:::\w+)*)`", text_of(DOCS / page))
    assert named
    missing = []
    for path, parts in named:
        if not path.rpartition("/")[2].startswith("test_") and "/" not in path:
            continue
        file = PROJECT / path if (PROJECT / path).is_file() else PROJECT / "tests" / path
        text = text_of(file) if file.is_file() else ""
        names = [name for name in parts.split("::") if name]
        if not text or not all(
            re.search(rf"^ *(?:class|def) {name}\b", text, re.M) for name in names
        ):
            missing.append(path + parts)
    assert missing == []


def test_readme_python_compiles():
    """README's Python blocks are Python."""
    blocks = code_blocks(PROJECT / "README.md", "python")
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_readme_example_works():
    """README's Python sends a trace to a running Clew, and each of its questions finds it."""
    (example,) = code_blocks(PROJECT / "README.md", "python")
    questions = re.findall(r"curl '(\S+)'", text_of(PROJECT / "README.md"))
    assert len(questions) == 2
    with LaptopStack() as stack:
        exec(example.replace(BASE, stack.url), {})
        stack.wait_until_stored()
        answers = [urlopen(question.replace(BASE, stack.url)).read() for question in questions]
    for answer in answers:
        assert b"POST /order" in answer


def test_readme_commands_exist():
    """README's make commands are in the Makefile."""
    named = set(re.findall(r"make ([a-z]+)\b", "\n".join(code_blocks(PROJECT / "README.md", "sh"))))
    targets = set(re.findall(r"^([a-z]+):", text_of(PROJECT / "Makefile"), re.MULTILINE))
    assert named
    assert named <= targets


def test_protobuf_files_are_compiled(tmp_path):
    """The committed Python of the schemas is what protoc makes of them, byte for byte."""
    schemas = sorted(MODEL.glob("*.proto"))
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{MODEL}", *outputs]
    subprocess.run([*protoc, *map(str, schemas)], check=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in MODEL.glob("*_pb2.py*")}
    assert made == committed


def parts_of(page: Path) -> list[list[str]]:
    """A page's headings by their level, its code blocks, its table rows by their number of cells, and its links."""
    text = text_of(page)
    return [
        re.findall(r"^(#+) ", text, re.MULTILINE),
        re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL),
        [str(row.count("|")) for row in re.findall(r"^\|.*$", text, re.MULTILINE)],
        sorted(set(links_of(page)) - {each.name for each in READMES}),
    ]


def test_both_readmes_say_the_same():
    """The Chinese README has the headings, the commands, the tables and the links of the English one."""
    english, chinese = map(parts_of, READMES)
    assert english == chinese


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_lines_of_prose_fit_a_screen(page):
    """A line of prose has at most 120 columns; tables, code and what stands inside of comments cannot be broken."""
    prose = re.sub(r"^```.*?^```$|<!--.*?<!-- /", "", text_of(page), flags=re.M | re.DOTALL)
    lines = [line for line in prose.split("\n") if not line.lstrip().startswith("|")]
    assert not [line for line in lines if len(line) > COLUMNS_MAX]
