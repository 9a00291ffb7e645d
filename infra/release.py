"""`make release`: a tag, and an archive of what is committed, with its changes as notes. Nothing is pushed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from chalicelib import __version__

PROJECT = Path(__file__).parents[1]


class ReleaseError(Exception):
    """The release cannot be made; the message says what to do."""


def notes_of(changelog: str, version: str) -> str:
    """The changes of a version, as the changelog has them. Raises ReleaseError if it has none."""
    found = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)",
        changelog,
        re.M | re.S,
    )
    if found is None or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section `## [{version}] - DATE` with changes")
    return found[1].strip() + "\n"


def release(project: Path, version: str) -> Path:
    """Tag the newest commit of `project`, and return the folder with the archive and its notes.

    Raises ReleaseError if there are changes that are not committed, no section in the changelog, or such a tag.
    """
    tag = f"v{version}"
    if _git(project, "status", "--porcelain"):
        raise ReleaseError("there are changes that are not committed: commit them first")
    if _git(project, "tag", "--list", tag):
        raise ReleaseError(
            f"there is a tag {tag} already: raise the version in chalicelib/__init__.py"
        )
    notes = notes_of((project / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    folder = project / "dist"
    folder.mkdir(exist_ok=True)
    (folder / f"clew-{version}.md").write_text(notes, encoding="utf-8")
    archive = folder / f"clew-{version}.tar.gz"
    _git(project, "archive", f"--prefix=clew-{version}/", f"--output={archive}", "HEAD")
    _git(project, "tag", "--annotate", tag, "--message", f"Clew {version}\n\n{notes}")
    return folder


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        print(
            f"{release(PROJECT, __version__)} has the archive and its notes; git push --tags publishes"
        )
    except ReleaseError as error:
        sys.exit(str(error))
