"""requests: asks for each URL, on one connection."""

import sys

import requests

session = requests.Session()
for url in sys.argv[1:]:
    session.get(url)
