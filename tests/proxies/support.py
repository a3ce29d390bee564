"""What the tests of proxies share: processes, the demo, certificates, and waiting."""

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time

# No check judges a time. This bound only ends a check that hangs.
PATIENCE_SECONDS = 20
# After this time without a message that was published, a stream counts as stalled. It is the result of a
# wait only where the table expects it: a stream that is expected to go on has the whole patience.
STALL_SECONDS = 1.5
# The name of the server in the files of examples/proxies, and in the certificate.
NAME = "push.example"
# Proxies connect to the server from 127.0.0.1, which is trusted. Clients come from another address.
CLIENT = "127.0.0.9"


class Red(Exception):
    """A sentence for the person at the terminal."""


class Stalled(Exception):
    """Nothing came within the time."""


def require(condition, message):
    if not condition:
        raise Red(message)


def equal(what, expected, got):
    require(expected == got, f"{what}: expected {expected!r:.300}, got {got!r:.300}")


def wait_until(what, condition, seconds=PATIENCE_SECONDS):
    """The first result of `condition` that is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        require(time.monotonic() < deadline, f"{what}: not so after {seconds} s")
        time.sleep(0.005)
    return result


def reserved_port():
    """A port, and the socket that reserves it: the system gives the port to no one else, and a program that
    asks for it can listen there. Both sockets have SO_REUSEADDR, and the first one does not listen."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation.getsockname()[1], reservation


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Process:
    """A program of the tests, which is ended by its own id."""

    def __init__(self, command, log, **options):
        self.title, self.log = shlex.join(map(str, command)), log
        self.file = open(log, "wb")
        pipes = {"stdin": subprocess.DEVNULL, "stdout": self.file, "stderr": subprocess.STDOUT, **options}
        # In a session of its own, so that its children can be ended together with it.
        self.process = subprocess.Popen(list(map(str, command)), start_new_session=True, **pipes)

    def wait_for_ports(self, ports):
        for port in ports:
            wait_until(f"{self.title} listens on {port}", lambda: self.is_listening(port))

    def is_listening(self, port):
        code = self.process.poll()
        require(code is None, f"{self.title}: ended with {code}:\n{self.printed()}")
        return accepts(port)

    def printed(self):
        return self.log.read_text(errors="replace")[-3000:]

    def kill(self):
        """Ends the process and its children, with all connections."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.file.close()


class Demo(Process):
    """The server. Publishing and looking go to it directly, past all proxies."""

    def __init__(self, program, model, work, name, *options, listen="127.0.0.1:0"):
        command = [program, "--io", model, "--listen", listen, *options]
        super().__init__(command, work / f"{name}.log", stdout=subprocess.PIPE, stderr=open(work / f"{name}.log", "wb"), text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:([1-9]\d*)/", line)
        require(found or listen.startswith("unix:") and line, f"{self.title}: expected an address, got {line!r}:\n{self.printed()}")
        self.port = int(found.group(1)) if found else None
        self.path = listen.removeprefix("unix:")
        self.topics, self.connection = 0, None

    def ask(self, method, path, body=None, fields=None):
        """A request past all proxies, on one connection that stays open."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
            if self.port is None:
                self.connection.sock = socket.socket(socket.AF_UNIX)
                self.connection.sock.settimeout(PATIENCE_SECONDS)
                self.connection.sock.connect(self.path)
        self.connection.request(method, path, body, {"Host": NAME, **(fields or {})})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        require(answer.status < 400, f"{method} {path}: {answer.status} {text}")
        return text

    def forget_connection(self):
        """The next request uses a new connection: the server ends one that is idle for long."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def topic(self):
        self.topics += 1
        return f"t{self.topics}"

    def publish(self, topic, number):
        self.ask("POST", f"/topics/{topic}", message(number), {"Content-Type": "text/plain"})

    def subscribers(self, topic):
        return sum(json.loads(self.ask("GET", f"/topics/{topic}"))["subscribers"].values())

    def wait_for_subscribers(self, topic, count):
        wait_until(f"{topic} has {count} subscribers", lambda: self.subscribers(topic) == count)

    def stats(self):
        return json.loads(self.ask("GET", "/stats"))


def message(number):
    return f"m-{number}-end"


def numbers(text):
    """The messages in a text, in order."""
    return [int(number) for number in re.findall(r"m-(\d+)-end", text)]


def run(*command):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS)
    require(done.returncode == 0, f"{shlex.join(map(str, command))}: {done.stdout.decode(errors='replace')}")


class Certificate:
    """A certificate that certifies itself, its key, and both in one file."""

    def __init__(self, directory):
        self.file, self.key, self.both = (directory / name for name in ("push.pem", "push.key", "both.pem"))
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key]
        names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2"]
        run("openssl", "req", "-x509", *key, "-out", self.file, *names)
        self.both.write_bytes(self.file.read_bytes() + self.key.read_bytes())
