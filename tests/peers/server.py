"""The routes of README.md on Python's http.server."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, log = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/hello":
            self.answer(200, b"hello\n")
        elif path == "/fail":
            self.answer(500, b"failed\n")
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one\n", b"two\n", b"three\n"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            self.note(200)
        elif path == "/large":
            self.answer(200, b"x" * (1 << 20))
        elif path == "/close":
            self.answer(200, b"closing\n", close=True)
        elif path == "/stall":
            self.close_connection = True
            self.note("-")
        else:
            self.answer(404, b"missing\n")

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"taken\n")

    def answer(self, status, body, close=False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.note(status)

    def note(self, status):
        log.write(f"{self.command}\t{self.path}\t{status}\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    # Connections wait here between accept calls; the default of 5 turns bursts away.
    request_queue_size = 128


Server(("127.0.0.1", port), Handler).serve_forever()
