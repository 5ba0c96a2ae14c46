"""Serve a target with Echelon's own server: `python serve.py TARGET PORT`."""

import sys

from echelon.config import ServerConfig
from echelon.http.server import serve

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], ServerConfig(port=int(sys.argv[2]))))
