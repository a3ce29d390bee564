"""What the checks of TLS share: the certificates, the demo as a process, and clients."""

import contextlib
import json
import re
import select
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

# No check judges a time. These bounds only end a check that hangs.
PATIENCE_SECONDS = 20
STOP_SECONDS = 10
EXIT_CUT = 3  # the shutdown cut a connection that a client has left open

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Red(Exception):
    """A sentence for the person at the terminal."""


def require(condition, message):
    if not condition:
        raise Red(message)


def equal(what, expected, got):
    require(expected == got, f"{what}: expected {expected!r:.500}, got {got!r:.500}")


def contains(what, expected, text):
    require(expected in text, f"{what}: expected {expected!r} in the following, and it is not there:\n{text[-2000:]}")


def wait_until(what, seconds, condition):
    """The first result of `condition` that is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        require(time.monotonic() < deadline, f"{what}: not so after {seconds} s")
        time.sleep(0.02)
    return result


def finish(command, input=b"", expected_code=None):
    """Runs a command to its end. A command that does not end in time is a failure. Returns what it
    has printed to both outputs."""
    try:
        run = subprocess.run(command, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired as late:
        printed = (late.stdout or b"").decode(errors="replace")
        raise Red(f"{shlex.join(map(str, command))}: not finished after {PATIENCE_SECONDS} s:\n{printed}") from None
    printed = run.stdout.decode(errors="replace")
    if expected_code is not None:
        title = shlex.join(map(str, command))
        require(run.returncode == expected_code, f"{title}: expected exit code {expected_code}, got {run.returncode}:\n{printed}")
    return printed


# The certificates


class Certificate:
    """A certificate in PEM with its key."""

    def __init__(self, directory, name):
        self.file, self.key = directory / f"{name}.pem", directory / f"{name}.key"

    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.file.read_text())

    def options(self):
        return ["--tls-cert", str(self.file), "--tls-key", str(self.key)]


class Authority:
    """A certification authority with the certificates of the checks."""

    OWN = "DNS:localhost,IP:127.0.0.1"
    ECDSA = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    RSA = ["-newkey", "rsa:2048"]

    def __init__(self, directory):
        self.directory = directory
        self.root = Certificate(directory, "authority")
        extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        self.request(self.root, self.ECDSA, "the authority of the checks", "-x509", "-days", "2", *extensions)
        self.ecdsa = self.certify("ecdsa", self.ECDSA, self.OWN)
        self.rsa = self.certify("rsa", self.RSA, self.OWN)
        self.other = self.certify("other", self.ECDSA, "DNS:other.example")
        self.renewed = self.certify("renewed", self.ECDSA, self.OWN)
        self.expired = self.certify("expired", self.ECDSA, self.OWN, days=-1)

    def request(self, certificate, kind, subject, *options):
        command = ["openssl", "req", *kind, "-nodes", "-keyout", certificate.key, "-out", certificate.file, "-subj", f"/CN={subject}"]
        finish([*command, *options], expected_code=0)

    def certify(self, name, kind, names, days=2):
        certificate = Certificate(self.directory, name)
        self.request(certificate, kind, name)
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName={names}\n")
        issuer = ["-CA", self.root.file, "-CAkey", self.root.key, "-days", str(days), "-extfile", extensions]
        certified = self.directory / f"{name}.certified"
        finish(["openssl", "x509", "-req", "-in", certificate.file, *issuer, "-out", certified], expected_code=0)
        certified.replace(certificate.file)
        return certificate

    def context(self, version=None):
        """A client's settings that trust this authority."""
        context = ssl.create_default_context(cafile=self.root.file)
        if version is not None:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        return context


# The server under test


class Server:
    """The demo with TLS. Its log is in a file, for a look after a failure."""

    def __init__(self, setting, *certificates):
        self.setting, self.asked = setting, 0
        self.log = tempfile.NamedTemporaryFile("w+", dir=setting.work, prefix=f"demo-{setting.model}-", suffix=".log", delete=False)
        options = [option for certificate in certificates for option in certificate.options()]
        command = [setting.demo, "--io", setting.model, "--listen", "127.0.0.1:0", *options]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": self.log}
        self.process = subprocess.Popen(command, text=True, **pipes)

    def __enter__(self):
        # The line comes after the server has begun to listen. Without it, the process has ended.
        line = self.process.stdout.readline()
        found = re.search(r"https://127\.0\.0\.1:([1-9]\d*)/", line)
        if not found:
            self.kill()
            raise Red(f"the demo: expected an https:// address, got {line!r}, exit code {self.process.returncode}:\n{self.printed()}")
        self.port = int(found.group(1))
        self.url = f"https://localhost:{self.port}"
        return self

    def __exit__(self, kind, error, _):
        if kind is None:
            self.stop()
        self.kill()
        self.log.close()
        require("panicked" not in self.printed(), f"the demo: expected no panic:\n{self.printed()}")
        if kind is None:
            Path(self.log.name).unlink()

    def stop(self):
        require(self.process.poll() is None, f"the demo ended by itself with exit code {self.process.poll()}:\n{self.printed()}")
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Red(f"the demo is still running {STOP_SECONDS} s after SIGINT") from None
        require(code in (0, EXIT_CUT), f"the demo: expected exit code 0 after SIGINT, got {code}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def printed(self):
        return Path(self.log.name).read_text()

    def socket(self):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def connect(self, context=None, name="localhost"):
        return Client(self, context or self.setting.authority.context(), name)

    def stats(self):
        """The JSON of `/stats`. `asked` is how many requests this method has sent."""
        self.asked += 1
        with self.connect() as client:
            status, _, body = client.ask("GET", "/stats")
            equal("GET /stats, status", 200, status)
            return {**json.loads(body), "asked": self.asked}

    def serves(self, after):
        """The next client is served."""
        with self.connect() as client:
            status, _, body = client.ask("GET", "/plaintext")
            equal(f"GET /plaintext after {after}", (200, b"Hello, World!"), (status, body))


# Clients


class Client:
    """A client by Python's `ssl` that speaks as much HTTP and WebSocket as the checks need. An end
    without `close_notify` is an error."""

    def __init__(self, server, context, name):
        self.tls = context.wrap_socket(server.socket(), server_hostname=name, suppress_ragged_eofs=False)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tls.close()

    def send(self, data):
        self.tls.sendall(data)

    def more(self):
        data = self.tls.recv(65_536)
        require(data, f"expected more bytes, got close_notify after {self.received[-500:]!r}")
        self.received += data

    def take(self, length):
        while len(self.received) < length:
            self.more()
        taken, self.received = self.received[:length], self.received[length:]
        return taken

    def take_through(self, mark):
        while mark not in self.received:
            self.more()
        return self.take(self.received.index(mark) + len(mark))

    def rest(self):
        """Everything up to `close_notify`."""
        while data := self.tls.recv(65_536):
            self.received += data
        return self.take(len(self.received))

    def ask(self, method, path, body=b"", fields=""):
        self.send(request(method, path, body, fields))
        return self.answer()

    def answer(self):
        status, fields = parse_head(self.take_through(b"\r\n\r\n"))
        return status, fields, self.take(int(fields.get("content-length", 0)))

    def open_websocket(self, path="/echo"):
        # RFC 6455, section 1.3: the key and the answer of its example.
        fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        self.send(request("GET", path, fields=fields))
        status, fields = parse_head(self.take_through(b"\r\n\r\n"))
        accept = fields.get("sec-websocket-accept")
        equal("the WebSocket handshake", (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), (status, accept))

    def send_message(self, payload):
        """Sends a binary message, masked with zeros."""
        length = len(payload)
        if length < 126:
            head = bytes([0x82, 0x80 | length])
        elif length < 65_536:
            head = bytes([0x82, 0x80 | 126]) + length.to_bytes(2, "big")
        else:
            head = bytes([0x82, 0x80 | 127]) + length.to_bytes(8, "big")
        self.send(head + bytes(4) + payload)

    def take_message(self):
        first, length = self.take(2)
        equal("the first byte of a binary message", 0x82, first)
        if length >= 126:
            length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
        return self.take(length)

    def echoes(self, payload):
        self.send_message(payload)
        got = self.take_message()
        require(got == payload, f"echo of {len(payload)} bytes: expected the same bytes, got {len(got)} bytes: {got[:100]!r}")


def request(method, path, body=b"", fields=""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n".encode() + body


def parse_head(head):
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return int(line.split(" ")[1]), {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}


class InMemory:
    """TLS in memory beside a socket, so that the check decides which bytes leave together."""

    def __init__(self, server, context, at_once=65_536):
        self.socket = server.socket()
        self.at_once = at_once
        self.input, self.output = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.input, self.output, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def handshake(self):
        self.drive(self.tls.do_handshake)
        return self

    def flush(self):
        while data := self.output.read(self.at_once):
            self.socket.sendall(data)

    def drive(self, act, *arguments):
        result = self.drive_to_last_output(act, *arguments)
        self.flush()
        return result

    def drive_to_last_output(self, act, *arguments):
        """As `drive`. What is sent last stays in `output`."""
        while True:
            try:
                return act(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65_536)
                self.input.write(data) if data else self.input.write_eof()

    def end(self):
        """Puts `close_notify` into the output. Reading remains possible."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    def rest(self):
        """Everything up to `close_notify`."""
        received = b""
        while True:
            try:
                data = self.drive(self.tls.read, 65_536)
            except ssl.SSLZeroReturnError:
                return received
            if not data:
                return received
            received += data


def send_with_fin(connection, data):
    """Sends the data and the end of the sending side in one segment, so that a server learns of both
    by one event (tcp(7), TCP_CORK)."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def s_client(server, *options, input=b"", name="localhost"):
    """Runs `openssl s_client` until its input ends. Returns what it prints."""
    return finish(s_client_command(server, *options, name=name), input)


def s_client_command(server, *options, name="localhost"):
    names = ["-servername", name] if name else ["-noservername"]
    address = f"127.0.0.1:{server.port}"
    return ["openssl", "s_client", "-connect", address, *names, "-CAfile", server.setting.authority.root.file, *options]


class Dialogue:
    """`openssl s_client` that gets its input step by step."""

    def __init__(self, server, *options):
        command = s_client_command(server, *options)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.printed = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hear(self, text):
        """Waits until the program prints the text, after what was heard before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.printed:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            data = self.process.stdout.read1(65_536) if ready else b""
            require(data, f"openssl s_client: expected {text!r}, got {self.printed[-2000:]}")
            self.printed += data.decode(errors="replace")
        self.printed = self.printed[self.printed.index(text) + len(text) :]


def curl_command(server, *arguments):
    authority = server.setting.authority.root.file
    return ["curl", "-sS", "--noproxy", "*", "--max-time", str(PATIENCE_SECONDS), "--cacert", authority, *arguments]


def curl(server, *arguments, input=b""):
    """Runs curl, which must succeed and trusts the authority. Returns what it prints."""
    run = subprocess.run(curl_command(server, *arguments), input=input, capture_output=True)
    title = shlex.join(map(str, arguments))
    equal(f"curl {title}: exit code ({run.stderr.decode(errors='replace').strip()})", 0, run.returncode)
    return run.stdout


def fresh_directory(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
