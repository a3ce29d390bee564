"""Clients that share no code with the server: Python's `http.client` for HTTP/1.1, curl for HTTP/2, and a
small WebSocket client."""

import base64
import hashlib
import http.client
import os
import select
import socket
import ssl
import subprocess
import zlib

from support import CLIENT, NAME, PATIENCE_SECONDS, Red, Stalled, require


class Address:
    """Where clients connect to: a port, and how to speak there."""

    def __init__(self, port, certificate=None, http2=False, accepts="identity"):
        self.port, self.certificate, self.http2, self.accepts = port, certificate, http2, accepts

    @property
    def authority(self):
        return f"{NAME}:{self.port}"

    @property
    def origin(self):
        return f"{'https' if self.certificate else 'http'}://{self.authority}"

    def connect(self, seconds):
        """A socket whose own address is not the one that proxies have."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds, source_address=(CLIENT, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.certificate:
            return plain
        context = ssl.create_default_context(cafile=self.certificate.file)
        context.set_alpn_protocols(["http/1.1"])
        return context.wrap_socket(plain, server_hostname=NAME)

    def open(self, path, fields=None, method="GET", body=None, seconds=PATIENCE_SECONDS):
        """Sends a request, and does not wait for the answer."""
        fields = {"Accept-Encoding": self.accepts, **(fields or {})}
        kind = Curl if self.http2 else Exchange
        return kind(self, method, path, body, fields, seconds)


class Answer:
    """An answer that is read while it arrives, decoded if a proxy has compressed it."""

    def __init__(self, seconds):
        self.seconds, self.text, self.inflater, self.took = seconds, "", None, None

    def decode(self, data):
        if self.field("Content-Encoding") == "gzip":
            self.inflater = self.inflater or zlib.decompressobj(wbits=31)
            data = self.inflater.decompress(data)
        self.text += data.decode(errors="replace")

    def wait_for(self, text):
        while text not in self.text:
            require(self.read(), f"the answer ended without {text}: {self.text[-300:]!r}")

    def whole(self):
        while self.read():
            pass
        return self.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Exchange(Answer):
    """A request over HTTP/1.1. A connection can be handed on to the next one."""

    def __init__(self, address, method, path, body, fields, seconds, connection=None):
        super().__init__(seconds)
        self.answer = None
        self.connection = connection or http.client.HTTPConnection(NAME, address.port)
        if connection is None:
            self.connection.sock = address.connect(seconds)
        self.connection.request(method, path, body, fields)

    def head(self):
        if self.answer is None:
            try:
                self.answer = self.connection.getresponse()
            except TimeoutError:
                raise Stalled from None
        return self.answer

    @property
    def status(self):
        return self.head().status

    def field(self, name):
        return self.head().getheader(name)

    def read(self):
        """Takes the next bytes. Returns whether there are any."""
        answer = self.head()
        try:
            data = answer.read1(65536)
        except TimeoutError:
            raise Stalled from None
        self.decode(data)
        return bool(data)

    def close(self):
        self.connection.close()


class Curl(Answer):
    """A request over HTTP/2, by curl. `took` is the time from the request to the end of the answer, without
    the start of curl and the handshake of TLS."""

    def __init__(self, address, method, path, body, fields, seconds):
        super().__init__(seconds)
        self.bytes, self.lines = b"", None
        command = ["curl", "-sSNi", "-w", "%{stderr}%{time_pretransfer} %{time_total}", "--http2", "--cacert", address.certificate.file, "--interface", CLIENT]
        command += ["--resolve", f"{address.authority}:127.0.0.1", "-X", method]
        for name, value in fields.items():
            command += ["-H", f"{name}: {value}"]
        if body is not None:
            command += ["--data-binary", body]
        command.append(address.origin + path)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(list(map(str, command)), **pipes)

    def take(self):
        ready, _, _ = select.select([self.process.stdout], [], [], self.seconds)
        if not ready:
            raise Stalled
        return os.read(self.process.stdout.fileno(), 65536)

    def head(self):
        while self.lines is None:
            more = self.take()
            if not more:
                raise Red(f"curl: {self.bytes.decode(errors='replace')} {self.process.stderr.read().decode(errors='replace')}")
            self.bytes += more
            head, end, rest = self.bytes.partition(b"\r\n\r\n")
            if end:
                self.lines = head.decode().split("\r\n")
                require(self.lines[0].startswith("HTTP/2 "), f"expected HTTP/2, got {self.lines[0]!r}")
                self.bytes = rest
        return self.lines

    @property
    def status(self):
        return int(self.head()[0].split()[1])

    def field(self, name):
        pairs = (line.partition(": ") for line in self.head()[1:])
        return next((value for known, _, value in pairs if known.lower() == name.lower()), None)

    def read(self):
        self.head()
        data = self.bytes or self.take()
        self.bytes = b""
        self.decode(data)
        return bool(data)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def whole(self):
        super().whole()
        begin, end = map(float, self.process.stderr.read().split())
        self.took = end - begin
        return self.text


class Kept:
    """Requests one after the other. Over HTTP/1.1 they use one connection."""

    def __init__(self, address, seconds=PATIENCE_SECONDS):
        self.address, self.seconds, self.connection = address, seconds, None

    def ask(self, path, fields=None, method="GET", body=None):
        """The answer, which has been read to its end."""
        if self.address.http2:
            with self.address.open(path, fields, method, body, self.seconds) as answer:
                answer.whole()
                return answer
        fields = {"Accept-Encoding": self.address.accepts, **(fields or {})}
        answer = Exchange(self.address, method, path, body, fields, self.seconds, self.connection)
        answer.whole()
        # It has been read to its end. Only a closed answer lets the next request go out.
        answer.answer.close()
        self.connection = answer.connection
        # `http.client` connects to the name again, and nothing has it. So it gets the socket.
        if self.connection.sock is None:
            self.connection.sock = self.address.connect(self.seconds)
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.connection is not None:
            self.connection.close()


class Refused(Exception):
    """A handshake was answered with another status."""


class WebSocket:
    """RFC 6455 as far as these tests need it: text messages of at most 64 KiB, and pings. It speaks
    HTTP/1.1, as browsers do for WebSockets unless a server has RFC 8441."""

    def __init__(self, address, path, protocol=None, seconds=PATIENCE_SECONDS):
        self.socket, self.bytes, self.text = address.connect(seconds), b"", ""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {address.authority}", f"Origin: {address.origin}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
        lines += [f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.bytes:
            self.receive()
        head, _, self.bytes = self.bytes.partition(b"\r\n\r\n")
        if head.split()[1] != b"101":
            self.close()
            raise Refused(head.split(b"\r\n")[0].decode())
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        require(accept in head, f"the handshake's key is not accepted: {head}")

    def receive(self):
        try:
            more = self.socket.recv(65536)
        except TimeoutError:
            raise Stalled from None
        require(more, f"the connection ended: {self.bytes[-300:]!r}")
        self.bytes += more

    def take(self, count):
        while len(self.bytes) < count:
            self.receive()
        taken, self.bytes = self.bytes[:count], self.bytes[count:]
        return taken

    def send(self, text, opcode=1):
        payload = text if isinstance(text, bytes) else text.encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode]) + length + mask + masked)

    def read(self):
        """The next text message."""
        while True:
            first, length = self.take(2)
            require(length < 128, "a server does not mask its frames")
            if length > 125:
                length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
            payload = self.take(length)
            opcode = first & 15
            if opcode == 9:
                self.send(payload, opcode=10)
            elif opcode == 8:
                raise Red(f"the WebSocket was closed: {payload!r}")
            elif opcode in (1, 2):
                text = payload.decode()
                self.text += text
                return text

    def wait_for(self, text):
        while text not in self.text:
            self.read()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
