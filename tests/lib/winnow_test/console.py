"""Starting `winnow console`, and asking it."""

import http.client
import json
import re
import socket
from urllib.parse import urlencode, urlsplit

from .poll import wait_until
from .pool import BINARY, environment
from .process import Process, Started, make_directory, remove_directory


class Answer:
    """What the console said."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def media_type(self):
        return self.headers.get("content-type", "").split(";")[0]

    def __repr__(self):
        return f"{self.status} {self.headers}\n{self.body[:2000]!r}"


class Console(Started):
    """A `winnow console` on a free port, from `with` to its end.

    settings: as in WINNOW_…; variables: more of the environment."""

    def __init__(self, settings, arguments=(), port=0, binary=None, variables=None):
        self.settings = settings
        self.variables = variables or {}
        self._directory = make_directory("console")
        self.log_path = self._directory / "console.log"
        self._argv = [binary or BINARY, "console", "--listen", f"127.0.0.1:{port}", *arguments]
        self.process = None
        self.port = None

    def start(self, timeout_s=60):
        begun = len(self.log_text())
        self.process = Process(self._argv, self.log_path, env={**environment(self.settings), **self.variables})
        self.port = wait_until(lambda: self._port(begun), timeout_s, "the console tells its address",
                               on_timeout=self.log_text)
        self._argv[self._argv.index("--listen") + 1] = f"127.0.0.1:{self.port}"  # the same after a restart

    def _port(self, begun):
        if not self.process.is_running():
            raise RuntimeError(f"the console ended with {self.process.exit_code}\n{self.log_text()}")
        told = re.search(r"^console: http://.*:(\d+)/$", self.log_text()[begun:], re.MULTILINE)
        return int(told[1]) if told else None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def connect(self, timeout_s=40):
        """An http.client.HTTPConnection, for several requests."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def socket(self, timeout_s=40):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def ask(self, method, path, body=None, parameters=None, headers=None, token=None, timeout_s=40):
        """One request on a connection of its own. A dict or list as body is sent as JSON."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if parameters:
            path += "?" + urlencode(parameters)
        connection = self.connect(timeout_s)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **parameters):
        return self.ask("GET", path, parameters=parameters)

    def post(self, path, body=None, **parameters):
        return self.ask("POST", path, body, parameters)

    def follow(self, url):
        """GET of a link in an answer."""
        parts = urlsplit(url)
        return self.ask("GET", parts.path + (f"?{parts.query}" if parts.query else ""))

    def stop(self):
        return self.process.stop()

    def close(self):
        """In its own way, when it is still there: what is killed counts no lines."""
        if self.process is not None and self.process.is_running():
            self.process.stop()
        remove_directory(self._directory)
