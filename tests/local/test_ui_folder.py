"""UI_DIR: a built UI is served where its own server has it, its questions reach the API, and nothing else is read."""

from __future__ import annotations

import http.client
import json
import re
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.__main__ import Refused, lines_for, settings_from_environment, ui_folder
from local.gateway import Gateway
from local.server import Server, listening_socket
from local.ui_folder import UiFolder, UiFolderError, ui_folder_at, with_ui_folder
from tests.local.tiny_app import tiny_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = b"nobody's business"
LENS = '<html><head><base href="/zipkin/" ><title>Lens</title></head></html>'
JAEGER = """<html><head><script>
  function config() { const DEFAULT_CONFIG = null; const JAEGER_CONFIG = DEFAULT_CONFIG; return JAEGER_CONFIG; }
  // JAEGER_STORAGE_CAPABILITIES pattern
  const JAEGER_STORAGE_CAPABILITIES = DEFAULT_STORAGE_CAPABILITIES;
  const JAEGER_BACKEND_CAPABILITIES =  DEFAULT_BACKEND_CAPABILITIES;
  const JAEGER_VERSION = DEFAULT_VERSION;
</script></head></html>"""


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Asking:
    """An HTTP client that sends paths as they are."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __call__(self, path: str, method: str = "GET") -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.putrequest(method, path)
        connection.endheaders()
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        got = Got(answer.status, headers, answer.read())
        connection.close()
        return got


def built(folder: Path, page: str) -> Path:
    """A UI as builds leave it, beside a file that is not part of it."""
    (folder / "secret.txt").write_bytes(SECRET)
    ui = folder / "ui"
    (ui / "static").mkdir(parents=True)
    (ui / "index.html").write_text(page)
    (ui / "favicon.ico").write_bytes(b"icon")
    (ui / "static" / "a b.js").write_text("script()")
    (ui / "static" / "style.css").write_text("p {}")
    (ui / "static" / "link.txt").symlink_to(folder / "secret.txt")
    return ui


@contextmanager
def served(folder: Path) -> Iterator[tuple[Asking, Asking]]:
    """Questions to the UI's port, and to another port of the same server."""
    sockets = [listening_socket("127.0.0.1", 0), listening_socket("127.0.0.1", 0)]
    ports = [each.getsockname()[1] for each in sockets]
    ui = ui_folder_at(folder)._replace(port=ports[0])
    server = Server(with_ui_folder(Gateway(tiny_app()), ui), sockets)
    server.start()
    try:
        yield Asking(ports[0]), Asking(ports[1])
    finally:
        server.stop()


@pytest.fixture
def jaeger(tmp_path):
    with served(built(tmp_path, JAEGER)) as (ask, _):
        yield ask


@pytest.fixture
def lens(tmp_path):
    with served(built(tmp_path, LENS)) as (ask, _):
        yield ask


def test_which_ui(tmp_path):
    """Zipkin Lens is known by the base in its page, and is at Zipkin's port; any other at Jaeger's."""
    folder = built(tmp_path, LENS)
    assert ui_folder_at(folder) == UiFolder(folder.resolve(), 9411, "/zipkin")
    (folder / "index.html").write_text(JAEGER)
    assert ui_folder_at(folder) == UiFolder(folder.resolve(), 16686, "")


class TestAtTheRoot:
    @pytest.mark.parametrize("path", ["/", "/search?service=a", "/trace/0af7.1", "/index.html"])
    def test_every_path_of_the_ui_is_its_page(self, jaeger, path):
        """Every path that the UI may have made up is its page."""
        got = jaeger(path)
        assert got.status == 200
        assert got.headers["content-type"] == "text/html; charset=utf-8"
        assert b"JAEGER_VERSION" in got.body

    def test_the_page_has_the_values_of_jaeger_server(self, jaeger):
        """The page has the values that Jaeger's server writes into it, and its base before anything relative."""
        page = jaeger("/trace/1").body.decode()
        found = dict(re.findall(r"(JAEGER_\w+) = (\{.*?\});", page))
        assert json.loads(found["JAEGER_CONFIG"]) == {"archiveEnabled": False}
        assert json.loads(found["JAEGER_STORAGE_CAPABILITIES"])["metricsStorage"] is True
        assert json.loads(found["JAEGER_BACKEND_CAPABILITIES"])["archiveStorage"] is False
        assert json.loads(found["JAEGER_VERSION"])["gitVersion"] == "Clew"
        assert "// JAEGER_STORAGE_CAPABILITIES pattern" in page
        assert page.startswith('<html><head><base href="/">')

    @pytest.mark.parametrize(
        ("path", "media_type", "body"),
        [
            ("/static/a%20b.js", "text/javascript; charset=utf-8", b"script()"),
            ("/static/style.css?x", "text/css; charset=utf-8", b"p {}"),
            ("/favicon.ico", "image/vnd.microsoft.icon", b"icon"),
        ],
    )
    def test_a_file_is_served_by_the_type_of_its_name(self, jaeger, path, media_type, body):
        """A file is served as it is, by the type that its name says."""
        got = jaeger(path)
        assert (got.status, got.headers["content-type"], got.body) == (200, media_type, body)
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["cache-control"] == "no-cache"

    def test_head_is_the_answer_without_its_body(self, jaeger):
        """HEAD is the same without the body."""
        got = jaeger("/favicon.ico", "HEAD")
        assert (got.status, got.headers["content-length"], got.body) == (200, "4", b"")

    def test_missing_file(self, jaeger):
        """What is not in a folder of files is 404, and not a page that a browser would run as a script."""
        assert jaeger("/static/gone.js").status == 404

    def test_api_paths_are_answered_by_the_application(self, jaeger):
        """What the application has a route for is answered by it, and so is what is wrong below `/api` and `/v1`."""
        assert jaeger("/things/thing").body == b'"thing"'
        for path in ("/api/nothing", "/v1/nothing"):
            got = jaeger(path)
            assert (got.status, got.headers["content-type"]) == (404, "application/json")
        assert jaeger("/search", "POST").status == 404

    def test_own_ui_gives_way(self, tmp_path):
        """On other ports Clew's own page is where it was."""
        with served(built(tmp_path, JAEGER)) as (ask, ask_elsewhere):
            assert ask("/").body != b"page"
            assert ask_elsewhere("/").body == b"page"
            assert ask_elsewhere("/search").status == 404

    def test_new_build(self, jaeger, tmp_path):
        """A new build is seen at once; while there is no page that is said."""
        page = tmp_path / "ui" / "index.html"
        page.write_text("<head>new")
        assert jaeger("/search").body == b'<head><base href="/">new'
        page.unlink()
        assert jaeger("/search").status == 503


class TestBelowZipkin:
    @pytest.mark.parametrize("path", ["/zipkin/", "/zipkin/traces/1", "/zipkin/dependency"])
    def test_every_path_below_the_base_is_the_page(self, lens, path):
        """Every path below the base is the page, unchanged."""
        assert lens(path).body.decode() == LENS

    @pytest.mark.parametrize(
        ("path", "location"),
        [("/", "/zipkin/"), ("/zipkin", "/zipkin/"), ("/favicon.ico", "/zipkin/favicon.ico")],
    )
    def test_paths_beside_the_base_are_redirected_to_it(self, lens, path, location):
        """Who asks beside the base is sent there, as Zipkin's server does it."""
        got = lens(path)
        assert (got.status, got.headers["location"]) == (302, location)

    def test_api_below(self, tmp_path):
        """The API is also below the base, where Lens asks for it."""
        app = tiny_app()
        app.route("/api/v2/services")(lambda: {"asked": app.current_request.query_params})  # type: ignore[union-attr]
        listening = listening_socket("127.0.0.1", 0)
        port = listening.getsockname()[1]
        ui = ui_folder_at(built(tmp_path, LENS))._replace(port=port)
        server = Server(with_ui_folder(Gateway(app), ui), [listening])
        server.start()
        try:
            got = Asking(port)("/zipkin/api/v2/services?a=/zipkin")
            assert json.loads(got.body) == {"asked": {"a": "/zipkin"}}
            assert Asking(port)("/zipkin/api/v2/nothing").status == 404
        finally:
            server.stop()

    def test_files_are_below_the_base_alone(self, lens):
        """Files are below the base, and nothing is beside it."""
        assert lens("/zipkin/static/style.css").body == b"p {}"
        assert lens("/zipkin/static/gone.css").status == 404
        assert lens("/static/style.css").status == 404


PIECES = st.sampled_from(
    [
        *("..", ".", "", "static", "secret.txt", "link.txt", "ui", "index.html"),
        *("%2e%2e", "%2E.", "..%2f..", "%5c..", "%00", "%c0%ae", "x" * 300, "%252e%252e", "~"),
    ]
)


@settings(deadline=None)
@given(path=st.lists(PIECES | st.text(max_size=5).map(quote), max_size=6).map("/".join))
@example(path="static/link.txt")
@example(path="../secret.txt")
@example(path="%2e%2e/secret.txt")
@example(path="..%2fsecret.txt")
def test_nothing_outside(tmp_path_factory, path):
    """Whatever the path, no file outside the folder is served, nor through a symbolic link, and nothing breaks."""
    for page in (JAEGER, LENS):
        if page not in OPEN:
            OPEN[page] = ui_folder_at(built(tmp_path_factory.mktemp("ui"), page))
        ui = OPEN[page]
        status, body = asked(ui, f"{ui.base}/{path}")
        assert SECRET not in body
        assert status in (200, 404)


def asked(ui: UiFolder, path: str) -> tuple[int, bytes]:
    """Status and body, without a socket between."""
    statuses = []
    environ = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": path,
        "SERVER_PORT": str(ui.port),
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": BytesIO(),
    }
    application = with_ui_folder(Gateway(tiny_app()), ui)
    body = b"".join(application(environ, lambda status, _: statuses.append(int(status[:3]))))  # type: ignore[arg-type]
    return statuses[0], body


OPEN: dict[str, UiFolder] = {}


class TestSettings:
    def test_no_folder(self):
        """Without UI_DIR, or with an empty one, there is no other UI."""
        for environment in ({}, {"UI_DIR": ""}):
            assert ui_folder(settings_from_environment(environment)) is None

    def test_the_place_of_the_ui_is_said_at_the_start(self, tmp_path):
        """Where the UI is, is said at the start."""
        set_ = settings_from_environment({"UI_DIR": str(built(tmp_path, LENS))})
        said = "\n".join(lines_for(set_, "http://127.0.0.1:8000", ui_folder(set_)))
        assert "http://127.0.0.1:9411/zipkin/" in said
        assert str(set_.ui_dir) in said

    def test_no_page(self, tmp_path):
        """A folder without a page, or that is not there, is refused by its name and UI_DIR's."""
        for folder in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(UiFolderError, match=str(folder)):
                ui_folder_at(folder)
            with pytest.raises(Refused, match="UI_DIR"):
                ui_folder(settings_from_environment({"UI_DIR": str(folder)}))

    def test_no_port(self, tmp_path):
        """Where the UI's port is not listened at, that is refused, and said what to do."""
        folder = str(built(tmp_path, JAEGER))
        with pytest.raises(Refused, match="PORT=16686"):
            ui_folder(settings_from_environment({"UI_DIR": folder, "COMPAT_PORTS": "0"}))
        own = {"UI_DIR": folder, "COMPAT_PORTS": "0", "PORT": "16686"}
        assert ui_folder(settings_from_environment(own)) is not None
