"""The pages of the documentation site: docs/, the README as the first page, and a reference of the API.

    README.md, docs/**.md ──relinked──▶ .site/pages ──zensical build --strict──▶ .site/html

On GitHub pages may link to any file of the project. On the site, files outside docs/ lie below `files/`.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from chalicelib.dialects import DIALECTS
from chalicelib.http.openapi import document

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_ABSOLUTE = re.compile(r"[a-z]+:|/")


def write_pages(project: Path, folder: Path) -> None:
    """Write every page of the site into an empty folder. Raises FileNotFoundError for a link that leads nowhere."""
    docs = project / "docs"
    for path in sorted(docs.rglob("*")):
        target = folder / path.relative_to(docs)
        if path.suffix == ".md":
            _write(target, _relinked(project, folder, path, target))
        elif path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for name, page in (("README.md", "index.md"), ("README.zh.md", "index.zh.md")):
        target = folder / page
        _write(target, _relinked(project, folder, project / name, target))
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        target = folder / "project" / name
        _write(target, _relinked(project, folder, project / name, target))
    _write(folder / "reference.md", "\n".join(_reference(document(DIALECTS))) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _relinked(project: Path, folder: Path, source: Path, target: Path) -> str:
    """The text of a page with its links as they are on the site."""

    def relinked(match: re.Match[str]) -> str:
        before, link, fragment, after = match.groups()
        if _ABSOLUTE.match(link):
            return match[0]
        linked = (source.parent / link).resolve(strict=True)
        place = _place(project, folder, linked)
        steps = _relative(target.parent.relative_to(folder), place.relative_to(folder))
        return f"{before}{steps}{fragment or ''}{after}"

    return _LINK.sub(relinked, source.read_text(encoding="utf-8"))


def _place(project: Path, folder: Path, linked: Path) -> Path:
    """Where a file of the project is on the site; a file outside docs/ is copied there."""
    name = linked.relative_to(project).as_posix()
    pages = {"README.md": "index.md", "README.zh.md": "index.zh.md"}
    if name in pages:
        return folder / pages[name]
    if name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        return folder / "project" / name
    if name.startswith("docs/"):
        # A folder has no page of its own: its first file stands for it.
        return folder / (min(linked.glob("*.md")) if linked.is_dir() else linked).relative_to(
            project / "docs"
        )
    place = folder / "files" / f"{name}.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(linked, place)
    return place


def _relative(begin: Path, end: Path) -> str:
    """The path from one folder of the site to a file of it."""
    up = PurePosixPath(*[".."] * len(begin.parts))
    return (up / end.as_posix()).as_posix()


def _reference(described: dict[str, Any]) -> Iterator[str]:
    """The API's description as lines of a page: an operation a heading."""
    yield from ("# API reference", "", str(described["info"]["description"]), "")
    yield from (
        "This page is made of the OpenAPI document, which a running Clew serves at `/openapi.json`.",
    )
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield from ("", f"## {method.upper()} {path}", "", operation["summary"])
            if text := operation.get("description"):
                yield from ("", text)
            yield from _parameters(operation.get("parameters", []))
            yield from _bodies(operation.get("requestBody", {}))
            yield from ("", "| Status | Answer |", "|---|---|")
            for status, answer in operation["responses"].items():
                yield f"| {status} | {answer['description']}{_schemas(answer)} |"
    yield from ("", "## Schemas")
    for name, schema in described["components"]["schemas"].items():
        yield from ("", f"### {name}", "")
        yield from _members(schema)


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    if parameters:
        yield from ("", "| Parameter | In | Meaning |", "|---|---|---|")
    for each in parameters:
        yield f"| `{each['name']}` | {each['in']} | {each['description']} |"


def _bodies(body: dict[str, Any]) -> Iterator[str]:
    if types := list(body.get("content", {})):
        yield from ("", f"The body is {' or '.join(f'`{each}`' for each in types)}.")


def _schemas(answer: dict[str, Any]) -> str:
    references = [each["schema"].get("$ref", "") for each in answer.get("content", {}).values()]
    names = [each.rpartition("/")[2] for each in references if each]
    return "".join(f" [{name}](#{name.lower()})" for name in names)


def _members(schema: dict[str, Any]) -> Iterator[str]:
    if text := schema.get("description"):
        yield from (text, "")
    yield from ("| Member | Type |", "|---|---|")
    for name, member in schema.get("properties", {}).items():
        yield f"| `{name}` | {_type_of(member)} |"


def _type_of(schema: dict[str, Any]) -> str:
    """A schema in a few words, with its description."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    said = f": {schema['description']}" if "description" in schema else ""
    if several := schema.get("anyOf"):
        return " or ".join(map(_type_of, several)) + said
    if schema.get("type") == "array":
        return f"list of {_type_of(schema['items'])}{said}"
    if choices := schema.get("enum"):
        return f"one of {', '.join(map(str, choices))}{said}"
    if "const" in schema:
        return f"`{schema['const']}`{said}"
    if members := schema.get("properties"):
        inner = ", ".join(f"{name}: {_type_of(each)}" for name, each in members.items())
        return f"{{{inner}}}{said}"
    return f"{schema.get('type', 'any')}{said}"


if __name__ == "__main__":
    pages = Path(sys.argv[1])
    shutil.rmtree(pages, ignore_errors=True)
    write_pages(PROJECT, pages)
