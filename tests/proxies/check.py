"""Tests the demo behind real proxies.

`check.py DEMO WORK [OPTIONS] [WAY...]`: tests/proxies/run installs the programs, builds the demo, and
explains the arguments. A failure ends the run with exit code 1. The times are printed, and decide
nothing.
"""

import argparse
import contextlib
import http.client
import shutil
import signal
import statistics
import sys
from pathlib import Path

from checks import CHECKS, compression
from clients import Address
from proxies import Way, installed
from support import PATIENCE_SECONDS, STALL_SECONDS, Certificate, Demo, Red, Stalled, equal, require
from techniques import STALLED, TECHNIQUES, measure

MODELS = ["event-loop", "threads"]
FIELDS = ["X-Forwarded-For", "X-Forwarded-Proto"]
ARRIVES = "every message arrives"


def trusting(proxy, fields):
    """The options of a server that believes these fields of a proxy."""
    return ["--trusted-proxy", proxy, *(part for field in fields for part in ["--forwarded-field", field])]


class Setting:
    """The servers of one IO model."""

    def __init__(self, stack, program, model, work):
        self.work, self.model = work, model
        directory = work / model
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.directory = directory
        self.certificate = Certificate(directory)

        def demo(name, *options, **place):
            server = Demo(program, model, directory, name, *options, **place)
            stack.callback(server.kill)
            return server

        # A server that knows of no proxy; the one of the recommended files; one that reads `Forwarded`;
        # and one on a Unix socket.
        self.plain = demo("plain")
        self.behind = demo("behind", *trusting("127.0.0.1", FIELDS), "--allow-host", "push.example")
        self.rfc_7239 = demo("forwarded", *trusting("127.0.0.1", ["Forwarded"]))
        path = directory / "demo.sock"
        self.unix = demo("unix", *trusting("unix", FIELDS), listen=f"unix:{path}")
        self.proxies = [kind(self, directory / kind.program) for kind in installed(work)]
        for proxy in self.proxies:
            stack.callback(proxy.close)
            proxy.start()
        self.ways = [Way("direct", self.plain, Address(self.plain.port))]
        self.ways += [way for proxy in self.proxies for way in proxy.ways]

    def proxy(self, program):
        return next((proxy for proxy in self.proxies if proxy.program == program), None)


@contextlib.contextmanager
def named(*names, proxy=None):
    """A failure inside says where it was, and whether the proxy has ended."""
    try:
        yield
    except (Red, Stalled, OSError, http.client.HTTPException) as failure:
        text = str(failure) or type(failure).__name__
        raise Red(f"{', '.join(names)}: {text}{proxy.died() if proxy else ''}") from failure


def try_techniques(way, count, rounds):
    """Sends messages by each technique, and checks what became of them."""
    results = {}
    for name in TECHNIQUES:
        expected = way.expected.get(name)
        with named(name):
            result = [measure(name, way, count, STALL_SECONDS if expected == STALLED else PATIENCE_SECONDS) for _ in range(rounds)]
            for got in result:
                equal("the result", expected or ARRIVES, got if isinstance(got, str) else ARRIVES)
        results[name] = expected or result
    return results


def first(rounds):
    return statistics.median(times[0] for times in rounds) * 1000


def later(rounds):
    return statistics.median(time for times in rounds for time in times[1:]) * 1000


def table(title, pick, ways, results):
    """One line for each way. The first line is in milliseconds, and the others are multiples of it."""
    print(f"\n{title}: direct in ms, the others as multiples of direct")
    widths = [max(len(name), 9) for name in TECHNIQUES]
    print(f"{'':18}" + " ".join(f"{name:>{width}}" for name, width in zip(TECHNIQUES, widths)))
    direct = results["direct"]
    for way in ways:
        cells = []
        for name, width in zip(TECHNIQUES, widths):
            result = results[way.name][name]
            if isinstance(result, str):
                cell = result
            elif way.name == "direct":
                cell = f"{pick(result):.2f}"
            else:
                cell = f"x{pick(result) / pick(direct[name]):.1f}"
            cells.append(f"{cell:>{width}}")
        print(f"{way.name:18}" + " ".join(cells))


def run_model(program, model, work, names, count, rounds):
    with contextlib.ExitStack() as stack:
        setting = Setting(stack, program, model, work)
        ways = [way for way in setting.ways if not names or way.name in names or way.name == "direct"]
        unknown = set(names) - {way.name for way in setting.ways}
        require(not unknown, f"there is no way {', '.join(unknown)}; there are {', '.join(way.name for way in setting.ways)}")
        results, notes = {}, {}
        for way in ways:
            way.demo.forget_connection()
            with named(way.name, model, proxy=way.proxy):
                results[way.name] = try_techniques(way, count, rounds)
        for way in ways:
            checks = {} if way.proxy is None else CHECKS if way.has_checks else {"Compression": compression}
            way.demo.forget_connection()
            for name, check in checks.items():
                with named(way.name, model, name, proxy=way.proxy):
                    if note := check(setting, way):
                        notes.setdefault(name, []).append(f"{way.name}: {note}")
        print(f"\n=== {model}, {count} messages by each technique, rounds: {rounds}")
        table("The first message (median of the rounds)", first, ways, results)
        table("A later message (median)", later, ways, results)
        for name, lines in notes.items():
            print(f"\n{name}")
            for line in lines:
                print(f"  {line}")
        sys.stdout.flush()


def main():
    # An exit by exception ends the servers and the proxies. SIGTERM alone would leave them running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="tests/proxies/run")
    parser.add_argument("demo")
    parser.add_argument("work", type=Path)
    parser.add_argument("ways", nargs="*")
    parser.add_argument("--messages", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--io", choices=MODELS)
    options = parser.parse_intermixed_args()
    require(options.messages >= 2 and options.rounds >= 1, "--messages must be 2 or more, and --rounds 1 or more")
    for model in [options.io] if options.io else MODELS:
        run_model(options.demo, model, options.work, options.ways, options.messages, options.rounds)


if __name__ == "__main__":
    try:
        main()
    except Red as red:
        sys.exit(f"tests/proxies/run: {red}")
