"""Checks of connections after their handshake: HTTP and WebSocket, the end of a connection, and what
a client can ask of TLS."""

import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess

from handshakes import client_hello
from support import (
    PATIENCE_SECONDS,
    VERSIONS,
    Dialogue,
    InMemory,
    Red,
    contains,
    curl,
    curl_command,
    equal,
    parse_head,
    request,
    require,
    s_client,
    send_with_fin,
    wait_until,
)

MEGABYTE = os.urandom(1024 * 1024)
# Less than each time-out of the server.
SOON_SECONDS = 4
CLOSING_REQUEST = request("GET", "/plaintext", fields="Connection: close\r\n")

# HTTP and WebSocket


def by_curl(setting):
    with setting.serve() as server:
        url = server.url
        contains("the page", "<title>", curl(server, f"{url}/").decode())
        connects = curl(server, "-w", "%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null", f"{url}/plaintext", f"{url}/plaintext")
        equal("connections of two requests", b"1 0 ", connects)
        post = ["-H", "Content-Type: application/octet-stream", "--data-binary", "@-", f"{url}/echo"]
        for version in [["--tls-max", "1.2"], ["--tlsv1.3"]]:
            answer = curl(server, *version, *post, input=MEGABYTE)
            require(answer == MEGABYTE, f"POST /echo with {version}: expected the same 1 MiB, got {len(answer)} bytes that differ")
        answer = curl(server, "-H", "Transfer-Encoding: chunked", *post, input=MEGABYTE)
        require(answer == MEGABYTE, f"POST /echo in chunks: expected the same 1 MiB, got {len(answer)} bytes that differ")
        head, _, body = curl(server, "-i", f"{url}/stream/50").partition(b"\r\n\r\n")
        equal("GET /stream/50: coding", "chunked", parse_head(head)[1].get("transfer-encoding"))
        equal("GET /stream/50: lines", 50, len(body.splitlines()))
        events(server)
        long_poll(server)


def events(server):
    with subprocess.Popen(curl_command(server, "-N", f"{server.url}/topics/feed/events"), stdout=subprocess.PIPE) as stream:
        count = 0
        while count < 5 and (line := stream.stdout.readline()):
            count += line.startswith(b"data: {")
        stream.kill()
        equal("server-sent events", 5, count)


def long_poll(server):
    topic = f"{server.url}/topics/news"
    with subprocess.Popen(curl_command(server, f"{topic}/long-poll?wait=15"), stdout=subprocess.PIPE) as poll:
        try:
            wait_until("the poll is held", PATIENCE_SECONDS, lambda: server.stats()["held"] == 1)
            curl(server, "-H", "Content-Type: text/plain", "--data-binary", "@-", topic, input=b"the message")
            [message] = json.loads(poll.communicate(timeout=PATIENCE_SECONDS)[0])["messages"]
            equal("the message of a long poll", "the message", message["data"])
        finally:
            poll.kill()


def websocket(setting):
    with setting.serve() as server:
        for version in VERSIONS:
            with server.connect(setting.authority.context(version)) as client:
                client.open_websocket()
                for size in [0, 1, 125, 126, 16_384, 16_385, 65_536, 500_000]:
                    client.echoes(MEGABYTE[:size])
                # Many messages are on the way at once.
                for number in range(200):
                    client.send_message(f"message {number}".encode())
                got = [client.take_message() for _ in range(200)]
                equal("200 messages", [f"message {number}".encode() for number in range(200)], got)


def single_bytes(setting):
    """A handshake and a request that arrive byte by byte, and a request in records of one byte."""
    with setting.serve() as server:
        for version in VERSIONS:
            with InMemory(server, setting.authority.context(version), at_once=1).handshake() as client:
                client.drive(client.tls.write, CLOSING_REQUEST)
                is_hello(f"TLS {version}, byte by byte", client.rest())
            with InMemory(server, setting.authority.context(version)).handshake() as client:
                for byte in CLOSING_REQUEST:
                    client.tls.write(bytes([byte]))
                client.flush()
                is_hello(f"TLS {version}, records of one byte", client.rest())


def is_hello(what, answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    equal(what, (200, b"Hello, World!"), (parse_head(head)[0], body))


# The end of a connection


def close_notify(setting):
    """The client raises an error if the connection ends without `close_notify`."""
    with setting.serve() as server:
        for version in VERSIONS:
            context = setting.authority.context(version)
            with server.connect(context) as client:
                client.send(CLOSING_REQUEST)
                is_hello(f"TLS {version}, Connection: close", client.rest())
                client.tls.unwrap()
            with server.connect(context) as client:
                client.send(request("POST", "/echo", MEGABYTE, "Connection: close\r\n"))
                _, _, body = client.rest().partition(b"\r\n\r\n")
                require(body == MEGABYTE, f"TLS {version}: expected 1 MiB and close_notify, got {len(body)} bytes")
            with server.connect(context) as client:
                client.send(b"NO HTTP\r\n\r\n")
                equal(f"TLS {version}, a request that is not HTTP", 400, parse_head(client.rest().partition(b"\r\n\r\n")[0])[0])
            with server.connect(context) as client:
                equal(f"TLS {version}, a request before the end", 200, client.ask("GET", "/plaintext")[0])
                # It sends close_notify, and waits for that of the server.
                client.tls.unwrap()


def close_notify_of_client(setting):
    """A client sends its last request and `close_notify` together, and reads the answer after them."""
    with setting.serve() as server:
        for version in VERSIONS:
            for name, last, status, expected in [
                ("one request", request("GET", "/plaintext"), 200, b"Hello, World!"),
                ("two requests", request("GET", "/plaintext") * 2, 200, b"Hello, World!"),
                ("1 MiB", request("POST", "/echo", MEGABYTE), 200, MEGABYTE),
                ("half a body", request("POST", "/echo", MEGABYTE)[:-500], 400, b"in the middle of a message\n"),
            ]:
                with InMemory(server, setting.authority.context(version)).handshake() as client:
                    client.tls.write(last)
                    client.end()
                    client.flush()
                    answer = client.rest()
                    what = f"TLS {version}, {name}"
                    equal(f"{what}: status of the first answer", status, parse_head(answer.partition(b"\r\n\r\n")[0])[0])
                    equal(f"{what}: answers", 2 if name == "two requests" else 1, answer.count(b"HTTP/1.1 "))
                    require(answer.endswith(expected), f"{what}: expected a whole answer, got {len(answer)} bytes")


def cut_in_body(setting):
    """A request whose connection ends in the middle of its body does not reach the handler."""
    half = request("POST", "/topics/cut", bytes(1000), "Content-Type: text/plain\r\n")[:-500]
    with setting.serve() as server:
        for version in VERSIONS:
            for name, end, truncated in [("FIN", fin, 1), ("a reset", reset, 0), ("close_notify", leave, 0)]:
                what = f"TLS {version}, a body that ends by {name}"
                before = server.stats()
                with server.connect(setting.authority.context(version)) as client:
                    client.send(half)
                    end(client)
                # The last one open is the connection that asks.
                after = wait_until(f"{what}: the connection is closed", PATIENCE_SECONDS, lambda: only_open(server.stats()))
                handled = after["requests"] - before["requests"] - (after["asked"] - before["asked"])
                equal(f"{what}: requests that reached the handler", 0, handled)
                count = after["broken_rules"].get("TlsTruncated", 0) - before["broken_rules"].get("TlsTruncated", 0)
                equal(f"{what}: connections that count as truncated", truncated, count)
        with server.connect() as client:
            status, _, body = client.ask("GET", "/topics/cut")
            published = json.loads(body)["published"] if status == 200 else 0
            equal("GET /topics/cut: published messages", 0, published)
        server.serves("connections that were cut")


def only_open(stats):
    return stats if stats["open"] == 1 else None


def fin(client):
    client.tls.shutdown(socket.SHUT_WR)


def reset(client):
    client.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def leave(client):
    # The server answers 400 after the client's `close_notify`, which this call does not expect.
    with contextlib.suppress(ssl.SSLError):
        client.tls.unwrap()


def fin_with_data(setting):
    """A connection ends soon when FIN comes in one segment with bytes that make no request. The
    server must not wait for a time-out."""
    with setting.serve() as server:
        for part in [1, 5, 50]:
            with server.socket() as connection:
                send_with_fin(connection, client_hello(b"\x00")[:part])
                ends_soon(f"FIN with the first {part} bytes of a ClientHello", connection)
        for version in VERSIONS:
            context = setting.authority.context(version)
            with InMemory(server, context) as client:
                client.drive_to_last_output(client.tls.do_handshake)
                send_with_fin(client.socket, client.output.read())
                ends_soon(f"TLS {version}, FIN with the last bytes of the handshake", client.socket)
            for part in [4, 30]:
                with InMemory(server, context).handshake() as client:
                    client.drive(client.tls.write, request("GET", "/plaintext"))
                    client.drive(client.tls.read, 65_536)
                    client.tls.write(request("GET", "/plaintext"))
                    send_with_fin(client.socket, client.output.read()[:part])
                    ends_soon(f"TLS {version}, FIN with the first {part} bytes of a record", client.socket)
        server.serves("connections that ended early")


def ends_soon(what, connection):
    connection.settimeout(SOON_SECONDS)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        raise Red(f"{what}: expected the end of the connection, got no end in {SOON_SECONDS} s") from None
    except ConnectionResetError:
        pass


# What OpenSSL's client can ask of an open connection


def resumption(setting):
    with setting.serve() as server, setting.serve() as stranger:
        for version, option in [("1.2", "-tls1_2"), ("1.3", "-tls1_3")]:
            session = setting.work / f"session-{version}"
            ask = lambda to, *options: s_client(to, option, "-ign_eof", *options, input=CLOSING_REQUEST)
            first = ask(server, "-sess_out", session)
            contains(f"TLS {version}, first connection", f"New, TLSv{version}, Cipher is ", first)
            if version == "1.3":
                contains("a ticket of TLS 1.3: early data", "Max Early Data: 0", first)
            again = ask(server, "-sess_in", session)
            contains(f"TLS {version}, second connection", f"Reused, TLSv{version}, Cipher is ", again)
            contains(f"TLS {version}, second connection", "Hello, World!", again)
            # The ticket of another server is no reason to refuse a client.
            other = ask(stranger, "-sess_in", session)
            contains(f"TLS {version}, a ticket of another server", f"New, TLSv{version}, Cipher is ", other)
            contains(f"TLS {version}, a ticket of another server", "Hello, World!", other)


def renegotiation(setting):
    with setting.serve() as server, server.connect() as other:
        with Dialogue(server, "-tls1_2") as client:
            client.hear("Extended master secret: yes")
            client.say(b"R\n")
            client.hear("RENEGOTIATING")
            client.hear("no renegotiation")
        server.serves("a renegotiation")
        equal("GET /plaintext on another connection", 200, other.ask("GET", "/plaintext")[0])


def key_update(setting):
    with setting.serve() as server:
        for command in [b"K\n", b"k\n"]:
            with Dialogue(server, "-tls1_3") as client:
                client.hear("Verify return code: 0 (ok)")
                for number in range(3):
                    client.say(command)
                    client.hear("KEYUPDATE")
                    text = f"echo {number} after {command.decode().strip()}"
                    client.say(request("POST", "/echo", text.encode()))
                    client.hear("HTTP/1.1 200 ")
                    client.hear(text)
        server.serves("key updates")


CHECKS = {
    "curl": by_curl,
    "websocket": websocket,
    "single bytes": single_bytes,
    "close_notify": close_notify,
    "close_notify of the client": close_notify_of_client,
    "cut in a body": cut_in_body,
    "FIN with data": fin_with_data,
    "resumption": resumption,
    "renegotiation": renegotiation,
    "key update": key_update,
}
