"""Every technique of the hub through a proxy, one message after the other: each message is published
only after the client has received the one before. So an order of messages, and not a time, decides."""

import json
import time

from clients import Kept, Refused, WebSocket
from support import Stalled, equal, message, numbers, require

# A result that is not a list of times.
STALLED = "stalled"
REFUSED = "refused"


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def asked(client, path, fields=None):
    """An answer, and its time."""
    start = time.perf_counter()
    answer = client.ask(path, fields)
    return answer, answer.took or time.perf_counter() - start


def stream(path):
    """A response without end."""

    def measure(way, count, seconds):
        topic, demo = way.demo.topic(), way.demo
        with way.address.open(f"/topics/{topic}/{path}", seconds=seconds) as answer:
            demo.wait_for_subscribers(topic, 1)

            def one(number):
                demo.publish(topic, number)
                answer.wait_for(message(number))

            times = [timed(lambda number=number: one(number)) for number in range(count)]
            equal(f"{path}: the status", 200, answer.status)
            equal(f"{path}: the messages", list(range(count)), numbers(answer.text))
        return times

    return measure


def poll(path):
    """A request after each message, with the cursor of the last answer in `If-None-Match`."""

    def measure(way, count, seconds):
        topic, demo = way.demo.topic(), way.demo
        times, seen = [], []
        with Kept(way.address, seconds) as client:
            tag = client.ask(f"/topics/{topic}/{path}").field("ETag")
            for number in range(count):
                demo.publish(topic, number)
                answer, took = asked(client, f"/topics/{topic}/{path}", {"If-None-Match": tag})
                times.append(took)
                equal(f"{path}: the status", 200, answer.status)
                seen += numbers(answer.text)
                tag = answer.field("ETag")
            equal(f"{path}: the messages", list(range(count)), seen)
            # A proxy that compresses may change the tag. Then it is not a cursor, and the answer is whole.
            if not way.changes_tags:
                equal(f"{path}: without news", 304, client.ask(f"/topics/{topic}/{path}", {"If-None-Match": tag}).status)
        return times

    return measure


def long_poll(path):
    """The request is held before its message is published."""

    def measure(way, count, seconds):
        topic, demo = way.demo.topic(), way.demo
        seen, cursor, times = [], "", []
        for number in range(count):
            with way.address.open(f"/topics/{topic}/{path}{cursor}", seconds=seconds) as answer:
                demo.wait_for_subscribers(topic, 1)

                def release():
                    demo.publish(topic, number)
                    answer.wait_for(message(number))

                times.append(timed(release))
                equal(f"{path}: the status", 200, answer.status)
                text = answer.whole()
            seen += numbers(text)
            cursor = "&after=" + json.loads(text[text.index("{") : text.rindex("}") + 1])["last"]
        equal(f"{path}: the messages", list(range(count)), seen)
        return times

    return measure


def page(way, count, seconds):
    topic, demo = way.demo.topic(), way.demo
    times = []
    with Kept(way.address, seconds) as client:
        for number in range(count):
            demo.publish(topic, number)
            answer, took = asked(client, f"/topics/{topic}/page?every=1")
            times.append(took)
            equal("page: the messages", list(range(number + 1)), sorted(numbers(answer.text)))
            require('http-equiv="refresh"' in answer.text, f"the page does not refresh itself: {answer.text!r:.300}")
    return times


def websocket(way, count, seconds):
    topic, demo = way.demo.topic(), way.demo
    with WebSocket(way.address, f"/topics/{topic}/ws", seconds=seconds) as client:
        demo.wait_for_subscribers(topic, 1)
        times = []
        for number in range(count):
            # Messages go both ways.
            publish = (lambda: client.send(message(number))) if number % 2 else (lambda: demo.publish(topic, number))

            def one():
                publish()
                client.wait_for(message(number))

            times.append(timed(one))
        equal("ws: the messages", list(range(count)), numbers(client.text))
    return times


def stomp(way, count, seconds):
    topic, demo = way.demo.topic(), way.demo
    with WebSocket(way.address, "/stomp", "v12.stomp", seconds) as client:
        client.send("CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        client.wait_for("CONNECTED")
        client.send(f"SUBSCRIBE\nid:1\ndestination:/topic/{topic}\nreceipt:r\n\n\0")
        client.wait_for("receipt-id:r")
        client.text = ""
        times = []
        for number in range(count):

            def one():
                demo.publish(topic, number)
                client.wait_for(message(number))

            times.append(timed(one))
        equal("stomp: the messages", list(range(count)), numbers(client.text))
    return times


# By the names of README's table.
TECHNIQUES = {
    "meta refresh": page,
    "poll": poll("poll"),
    "long poll": long_poll("long-poll?wait=25"),
    "JSONP": poll("poll?callback=f"),
    "script tag": long_poll("long-poll?wait=25&callback=f"),
    "XHR stream": stream("stream"),
    "iframe": stream("iframe?callback=f"),
    "multipart": stream("multipart"),
    "SSE": stream("events"),
    "WebSocket": websocket,
    "STOMP": stomp,
}


def measure(name, way, count, seconds):
    """The times of the messages in seconds, or why there are none."""
    try:
        return TECHNIQUES[name](way, count, seconds)
    except Stalled:
        return STALLED
    except Refused:
        return REFUSED
