"""The steps of README.md with requests."""

import sys

import requests

base = sys.argv[1]
session = requests.Session()


def step(method, path, status, **options):
    answer = session.request(method, f"{base}{path}?token=abc&n=1", **options)
    if answer.status_code != status:
        sys.exit(f"{method} {path}: {answer.status_code} instead of {status}")


step("GET", "/hello", 200)
step("HEAD", "/hello", 200)
step("GET", "/missing", 404)
step("GET", "/fail", 500)
step("GET", "/chunked", 200)
step("GET", "/large", 200)
step("POST", "/upload", 200, data=b"u" * (1 << 20))
step("GET", "/close", 200)
try:
    step("GET", "/stall", 0)
except requests.ConnectionError:
    pass
