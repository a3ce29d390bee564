"""What else must hold behind a proxy: resuming, addresses, origins and hosts, and connections. Each check
returns a line for the person who reads."""

import json
import re
import time

from clients import Address, Kept
from support import NAME, equal, message, numbers, require, wait_until

# What a client invents.
FORGED = {
    "Forwarded": 'for=203.0.113.66;proto=gopher;host="evil.example"',
    "X-Forwarded-For": "203.0.113.66",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
}
REQUESTS = 20
# How long a stream stays quiet, to see that a proxy does not tell the server of a client that left.
QUIET_SECONDS = 0.3


def resume(setting, way):
    """The proxy ends in the middle of an event stream. The client comes back with `Last-Event-ID`."""
    topic, demo = demo_topic(way)
    path = f"/topics/{topic}/events"
    with way.address.open(path) as first:
        demo.wait_for_subscribers(topic, 1)
        for number in range(3):
            demo.publish(topic, number)
        first.wait_for(message(2))
        way.proxy.stop()
        demo.wait_for_subscribers(topic, 0)
    before = first.text
    for number in range(3, 6):
        demo.publish(topic, number)
    way.proxy.start()
    last = re.findall(r"^id: (\S+)$", before, re.MULTILINE)[-1]
    with way.address.open(path, {"Last-Event-ID": last}) as second:
        second.wait_for(message(5))
        demo.publish(topic, 6)
        second.wait_for(message(6))
        equal("the field Pushlab-Gap", None, second.field("Pushlab-Gap"))
        equal("the messages", list(range(7)), numbers(before) + numbers(second.text))
    return "continues behind its last message"


def demo_topic(way):
    return way.demo.topic(), way.demo


def leaving(setting, way):
    """A client leaves a quiet stream. Does the server learn of it, and when?"""
    topic, demo = demo_topic(way)
    with way.address.open(f"/topics/{topic}/events") as answer:
        demo.wait_for_subscribers(topic, 1)
        # The head is there, and so the stream is on its way.
        demo.publish(topic, 0)
        answer.wait_for(message(0))
    if way.tells:
        demo.wait_for_subscribers(topic, 0)
        return "the server learns of it at once"

    # A bounded wait: the server is not told of a client that left a quiet stream.
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        equal("subscribers of a quiet stream", 1, demo.subscribers(topic))
        time.sleep(0.05)

    def is_told():
        demo.publish(topic, 1)
        return not demo.subscribers(topic)

    wait_until("the server learns of it from messages that it sends", is_told)
    return "the server learns of it with the next messages or heartbeats"


def client(setting, way):
    """What the server knows about a client that invents every field."""
    with Kept(way.address) as kept:
        answer = kept.ask("/request", {**FORGED, "Origin": way.address.origin})
        equal("the status of /request", 200, answer.status)
        known = json.loads(answer.text)
        for name, expected in way.facts.items():
            equal(f"{name} in {known}", expected, known[name])
        require("203.0.113.66" not in answer.text and "evil" not in answer.text, f"a client's own field was believed: {known}")
        # A page of the proxy's own address publishes, and a page of another one does not.
        equal("publishing for a page of its own", 202 if way.facts["may_act"] else 403, publish(kept, way.address.origin))
        equal("publishing for a page of another origin", 403, publish(kept, "https://evil.example"))
        if way.facts["scheme"] == "https":
            equal("publishing for a page without TLS", 403, publish(kept, way.address.origin.replace("https", "http")))
    return f"client {known['client']}, scheme {known['scheme']}, host {'kept' if known['host'] == way.address.authority else 'replaced'}"


def publish(kept, origin):
    return kept.ask("/topics/from-a-page", {"Origin": origin, "Content-Type": "text/plain"}, "POST", "x").status


def hosts(setting, way):
    """A name that is not the server's."""
    if way.demo is not setting.behind:
        return None
    with Kept(way.address) as kept:
        equal("its own host", 200, kept.ask("/request").status)
    with Kept(way.address) as kept:
        answer = kept.ask("/request", {"Host": "evil.example"})
        require("peer" not in answer.text, f"the server has answered for another host: {answer.text}")
    return f"another host gets {answer.status}"


def reuse(setting, way):
    """How many connections the server has accepted for requests on one connection of a client."""
    if way.address.http2:
        return None
    before = way.demo.stats()["accepted"]
    with Kept(way.address) as kept:
        for _ in range(REQUESTS):
            equal("the answer", "Hello, World!", kept.ask("/plaintext").text)
    used = way.demo.stats()["accepted"] - before
    if way.reuses:
        require(used <= 3, f"{REQUESTS} requests took {used} connections to the server")
    else:
        equal("connections to the server", REQUESTS, used)
    return f"{REQUESTS} requests by {used} connections"


def once(setting, way):
    """Checks that concern the servers and one proxy, and not each way."""
    if way.name != "nginx-h1":
        return None
    nginx = way.proxy
    # A client that connects past the proxy is not believed.
    direct = Address(setting.behind.port)
    with Kept(direct) as kept:
        known = json.loads(kept.ask("/request", {**FORGED, "Host": NAME}).text)
        equal("a client past the proxy", ["127.0.0.9", "http", NAME], [known["client"], known["scheme"], known["host"]])
    # Over a Unix socket. The proxy appends to what the client has sent.
    with Kept(Address(nginx.unix)) as kept:
        known = json.loads(kept.ask("/request", FORGED).text)
        equal("over a Unix socket", ["a Unix socket", "127.0.0.9", "http"], [known["peer"], known["client"], known["scheme"]])
    topic = setting.unix.topic()
    with Address(nginx.unix).open(f"/topics/{topic}/events") as answer:
        setting.unix.wait_for_subscribers(topic, 1)
        setting.unix.publish(topic, 0)
        answer.wait_for(message(0))
    # `Forwarded`, to which the proxy appends what it knows.
    address = Address(nginx.forwarded)
    for sent, expected in [
        (None, "127.0.0.9"),
        ("for=203.0.113.66", "127.0.0.9"),
        ("for=127.0.0.1;host=evil.example", "127.0.0.9"),
        # The value as a whole is broken, and so no one is believed.
        ('for="_x', None),
        ("nonsense", None),
    ]:
        with Kept(address) as kept:
            known = json.loads(kept.ask("/request", {"Forwarded": sent} if sent else {}).text)
        scheme = "https" if expected else "http"
        got = [known["client"], known["scheme"], known["host"]]
        equal(f"behind `Forwarded: {sent}`", [expected, scheme, address.authority], got)
    return "a Unix socket, `Forwarded`, and a client past the proxy"


def compression(setting, way):
    """Whether the proxy compresses at all, and what it compresses of what is pushed."""
    compressed = []
    with Kept(way.address) as kept:
        style = kept.ask("/page/style.css")
        equal("the coding of /page/style.css", "gzip", style.field("Content-Encoding"))
        require("{" in style.text, f"the style is not decoded: {style.text!r:.200}")
        topic, demo = demo_topic(way)
        demo.publish(topic, 0)
        for name, path in [("a poll", "poll?after=earliest"), ("a page", "page")]:
            if kept.ask(f"/topics/{topic}/{path}").field("Content-Encoding"):
                compressed.append(name)
    for name, path in [("events", "events"), ("lines", "stream"), ("an iframe", "iframe?callback=f"), ("multipart", "multipart")]:
        with way.address.open(f"/topics/{topic}/{path}") as answer:
            # The head may be held back until there are enough bytes behind it.
            demo.publish(topic, 1)
            if answer.field("Content-Encoding"):
                compressed.append(name)
    return f"compresses {', '.join(compressed)}" if compressed else "compresses nothing that is pushed"


# By the heading of their lines.
CHECKS = {
    "SSE is resumed after the proxy was away": resume,
    "A client leaves": leaving,
    "What the server knows": client,
    "Hosts": hosts,
    "Connections to the server": reuse,
    "Further": once,
}
