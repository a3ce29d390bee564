"""Checks of handshakes: versions, protocols, ciphers, and input that is not TLS."""

import os
import socket
import xml.etree.ElementTree

from support import Red, contains, curl, equal, finish, parse_head, require, s_client

TLS_SENTENCE = "this port speaks TLS: the address must begin with https:// or wss://"


def versions(setting):
    with setting.serve() as server:
        for version, option in [("1.2", "-tls1_2"), ("1.3", "-tls1_3")]:
            printed = s_client(server, option, "-alpn", "http/1.1")
            contains(f"openssl s_client {option}", f"New, TLSv{version}, Cipher is ", printed)
            contains(f"openssl s_client {option}", "Verify return code: 0 (ok)", printed)
        for option in ["-tls1", "-tls1_1"]:
            # OpenSSL itself offers these versions at security level 0 only.
            printed = s_client(server, option, "-cipher", "DEFAULT@SECLEVEL=0")
            contains(f"openssl s_client {option}", "New, (NONE), Cipher is (NONE)", printed)
            contains(f"openssl s_client {option}", " alert ", printed)
        server.serves("a client of TLS 1.1")


def alpn(setting):
    with setting.serve() as server:
        for option in ["-tls1_2", "-tls1_3"]:
            for offer in ["http/1.1", "h2,http/1.1", "http/1.0,http/1.1"]:
                contains(f"{option} -alpn {offer}", "ALPN protocol: http/1.1", s_client(server, option, "-alpn", offer))
            contains(f"{option} without ALPN", "No ALPN negotiated", s_client(server, option))
            for offer in ["h2", "http/1.0", "acme-tls/1"]:
                printed = s_client(server, option, "-alpn", offer)
                contains(f"{option} -alpn {offer}", "alert no application protocol", printed)
        server.serves("a client that offers h2 only")


def sslscan(setting):
    scan = ["sslscan", "--no-colour", "--xml=-"]
    with setting.serve(setting.authority.ecdsa, setting.authority.rsa) as server:
        printed = finish([*scan, f"127.0.0.1:{server.port}"], expected_code=0)
        server.serves("sslscan")
    test = xml.etree.ElementTree.fromstring(printed).find("ssltest")
    enabled = {f"{each.get('type')} {each.get('version')}" for each in test.iter("protocol") if each.get("enabled") == "1"}
    equal("sslscan: enabled protocols", {"tls 1.2", "tls 1.3"}, enabled)
    vulnerable = {each.get("sslversion"): each.get("vulnerable") for each in test.iter("heartbleed")}
    equal("sslscan: heartbleed", {"TLSv1.2": "0", "TLSv1.3": "0"}, vulnerable)
    renegotiation = test.find("renegotiation")
    is_insecure = (renegotiation.get("supported"), renegotiation.get("secure")) == ("1", "0")
    require(not is_insecure, "sslscan: expected no insecure renegotiation, got insecure renegotiation")
    # sslscan reports compression only if its own OpenSSL has it. The check `compression` needs none.
    compression = test.find("compression")
    require(compression is None or compression.get("supported") == "0", "sslscan: expected no compression, got compression")
    ciphers = {(each.get("sslversion"), each.get("cipher")) for each in test.iter("cipher")}
    expected = {("TLSv1.3", name) for name in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]}
    for kind in ["ECDSA", "RSA"]:
        expected |= {("TLSv1.2", f"ECDHE-{kind}-{name}") for name in ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]}
    equal("sslscan: ciphers", sorted(expected), sorted(ciphers))


def compression(setting):
    """A ClientHello of TLS 1.2 that prefers DEFLATE (RFC 3749) gets a ServerHello without it."""
    with setting.serve() as server, server.socket() as connection:
        connection.sendall(client_hello(compressions=b"\x01\x00"))
        record = connection.recv(5, socket.MSG_WAITALL)
        equal("the type of the first record", 22, record[0])
        hello = connection.recv(int.from_bytes(record[3:5], "big"), socket.MSG_WAITALL)
        equal("the type of the first handshake message", 2, hello[0])
        # Message head, version, random, session id and cipher suite come before.
        equal("the compression method", 0, hello[4 + 2 + 32 + 1 + hello[38] + 2])
        server.serves("a client that prefers compression")


def client_hello(compressions):
    def sized(bytes_of_length, data):
        return len(data).to_bytes(bytes_of_length, "big") + data

    suites = bytes.fromhex("c02bc02cc02fc030")
    extensions = {10: bytes.fromhex("0004001d0017"), 11: bytes.fromhex("0100"), 13: bytes.fromhex("0004 0403 0804")}
    extended = b"".join(kind.to_bytes(2, "big") + sized(2, data) for kind, data in extensions.items())
    hello = b"\x03\x03" + os.urandom(32) + sized(1, b"") + sized(2, suites) + sized(1, compressions) + sized(2, extended)
    return b"\x16\x03\x01" + sized(2, b"\x01" + sized(3, hello))


def no_tls(setting):
    """Input that is not TLS ends one connection only."""
    with setting.serve() as server:
        inputs = {"zeros": bytes(100), "a record of an unknown type": b"\x63\x03\x03\x00\x01\x00", "random": b"\x00" + os.urandom(1000)}
        inputs |= {"a huge record": b"\x16\x03\x01\xff\xff" + bytes(70_000), "an empty handshake record": b"\x16\x03\x01\x00\x00"}
        inputs |= {"nothing": b""}
        for name, data in inputs.items():
            with server.socket() as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65_536):
                        pass
                except TimeoutError:
                    raise Red(f"{name}: expected the end of the connection, got no end") from None
                except OSError:
                    pass  # the server has closed the connection before it has read everything
            server.serves(name)
        for url in [f"http://localhost:{server.port}/", f"http://localhost:{server.port}/topics/feed/events"]:
            head, _, body = curl(server, "-i", url).partition(b"\r\n\r\n")
            equal(f"curl {url}: status", 400, parse_head(head)[0])
            contains(f"curl {url}", TLS_SENTENCE, body.decode())
        server.serves("a client without TLS")


CHECKS = {
    "sslscan": sslscan,
    "versions": versions,
    "alpn": alpn,
    "compression": compression,
    "no TLS": no_tls,
}
