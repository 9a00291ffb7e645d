"""A release: one version, its changes, a tag and an archive."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from chalicelib import __version__
from infra.release import ReleaseError, notes_of, release

PROJECT = Path(__file__).parents[2]


def git(folder, *arguments):
    """Run git as somebody, without the settings of this machine."""
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ann@example.com")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [1.2.3] - 2026-01-01\n\n* It flies.\n"
    )
    (tmp_path / ".gitignore").write_text("dist/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all: Begin")
    return tmp_path


def test_the_version_stands_once():
    """The version is written in one place, and is the newest of the changelog."""
    newest = re.search(r"^## \[(.+?)\]", (PROJECT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest is not None
    assert newest[1] == __version__
    assert notes_of((PROJECT / "CHANGELOG.md").read_text("utf-8"), __version__)
    assert f'"{__version__}"' not in (PROJECT / "pyproject.toml").read_text("utf-8")


def test_a_release_is_a_tag_an_archive_and_its_notes(project):
    """The archive has what is committed, and the notes are the version's changes."""
    folder = release(project, "1.2.3")
    assert (folder / "clew-1.2.3.md").read_text() == "* It flies.\n"
    with tarfile.open(folder / "clew-1.2.3.tar.gz") as archive:
        assert "clew-1.2.3/CHANGELOG.md" in archive.getnames()
    tags = subprocess.run(["git", "tag"], cwd=project, capture_output=True, text=True, check=True)
    assert tags.stdout == "v1.2.3\n"


def test_a_version_is_released_once(project):
    """A second release of a version is refused."""
    release(project, "1.2.3")
    with pytest.raises(ReleaseError, match="already"):
        release(project, "1.2.3")


def test_changes_that_are_not_committed_are_refused(project):
    """What is released is what is committed."""
    (project / "new.txt").write_text("x")
    with pytest.raises(ReleaseError, match="commit them"):
        release(project, "1.2.3")


def test_a_version_without_changes_is_refused(project):
    """A release without notes tells nobody anything."""
    with pytest.raises(ReleaseError, match=r"1\.2\.4"):
        release(project, "1.2.4")
