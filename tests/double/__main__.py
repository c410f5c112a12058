"""Serves a stand-in: python -m tests.double [--demo] [--version v15] [--port 0] [--root-url URL]."""

from __future__ import annotations

import argparse
import signal
import threading

from tests.double.demo import VERSION, Demo
from tests.double.server import Double
from tests.double.versions import VERSIONS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.double", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="with the demo's project and a runner; else empty")
    parser.add_argument("--version", default=VERSION, choices=VERSIONS)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--root-url", default="http://forgejo.test/")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.demo:
        demo = Demo(options.version, options.root_url, options.port)
        double, stop = demo.start(), demo.stop
    else:
        double = Double(options.version, None, options.root_url, options.port).start()
        stop = double.stop
    print(f"listening on {double.url}", flush=True)
    ended.wait()
    stop()


if __name__ == "__main__":
    main()
