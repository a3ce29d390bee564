"""Checks the demo's TLS by programs that share no code with it: OpenSSL by its command line and by
Python's `ssl`, curl, and sslscan.

`check.py DEMO WORK [NAME...]` runs the checks with these names, or all, on both IO models. Each check
has a server of its own, and prints one line. The first check that fails ends the run with exit code 1.
tests/tls/run installs the programs and builds the demo.
"""

import concurrent.futures
import signal
import sys
import time
from pathlib import Path

import certificates
import connections
import handshakes
from support import Authority, Red, Server, fresh_directory, require

IO_MODELS = ["event-loop", "threads"]
# The slow checks are first. They mostly wait, so that some can run at a time.
CHECKS = {**certificates.CHECKS, **handshakes.CHECKS, **connections.CHECKS}
AT_ONCE = 4


class Setting:
    """What a check needs: the demo, the IO model, the certificates, and a directory of its own."""

    def __init__(self, demo, model, authority, work):
        self.demo, self.model, self.authority, self.work = demo, model, authority, work

    def serve(self, *certificates):
        return Server(self, *(certificates or [self.authority.ecdsa]))


def main():
    # An exit by exception ends the servers. SIGTERM alone would leave them running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo, work, *names = sys.argv[1:]
    unknown = [name for name in names if name not in CHECKS]
    require(not unknown, f"there is no check {unknown}; there are {', '.join(CHECKS)}")
    work = Path(work)
    authority = Authority(fresh_directory(work / "certificates"))

    def run(name, model):
        start = time.monotonic()
        directory = fresh_directory(work / f"{model}-{name.replace(' ', '-')}")
        try:
            CHECKS[name](Setting(demo, model, authority, directory))
        except Red as red:
            raise Red(f"{name}, {model}: {red}") from None
        except OSError as error:
            # Errors of sockets and of TLS are of this kind.
            raise Red(f"{name}, {model}: expected no error, got {type(error).__name__}: {error}") from error
        print(f"{name}, {model}: ok ({time.monotonic() - start:.1f} s)", flush=True)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(run, name, model) for name in CHECKS if not names or name in names for model in IO_MODELS]
        try:
            for ended in concurrent.futures.as_completed(runs):
                ended.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


if __name__ == "__main__":
    try:
        main()
    except Red as red:
        sys.exit(f"tls: {red}")
    except KeyboardInterrupt:
        sys.exit(130)
