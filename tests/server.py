"""A web server for tests of downloads."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Serves files from where they are asked for; below truncated/ half of what it announces, below whole/ all."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        skip = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        skip = 0 if "/whole/" in self.path else skip
        self.server.requests.append((path.name, skip))
        if skip and skip >= len(content):
            return self.send_error(416)
        self.send_response(206 if skip else 200)
        self.send_header("Content-Length", str(len(content) - skip))
        self.end_headers()
        self.wfile.write(content[skip : (skip + len(content)) // 2 if "/truncated/" in self.path else None])

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(directory: Path):
    """(its URL, the requests for files so far as (name, bytes skipped)) of a server of this directory."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=directory))
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", server.requests
    server.shutdown()
    server.server_close()
