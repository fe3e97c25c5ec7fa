"""A server that forks a child for each connection, which ends with its answer."""

import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ForkingMixIn, TCPServer

port, log = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        log.write(f"{self.command}\t{self.path}\t200\n")

    def log_message(self, *_):
        pass


class Server(ForkingMixIn, TCPServer):
    request_queue_size = 128


Server(("127.0.0.1", port), Handler).serve_forever()
