"""Reads requests with h11. A line of standard input has the bytes of one connection in base64. A
line of standard output has the requests that h11 read from them."""

import base64
import json
import sys

import h11

# h11 must not refuse a head only for its size. The library's default limit is 16 KiB.
HEAD_BYTES = 64 * 1024


def encoded(value):
    return base64.b64encode(value).decode()


def read(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    requests, current, body, stopped = [], None, b"", None
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                fields = [(name.decode(), encoded(value)) for name, value in event.headers.raw_items()]
                current = {"method": event.method.decode(), "target": event.target.decode("latin1"), "fields": fields}
                body = b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                requests.append({**current, "body": encoded(body)})
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    stopped = "closed"  # h11 closes an HTTP/1.0 connection after each answer
                    break
                connection.start_next_cycle()
            else:  # h11 needs more data, or the connection is closed
                break
    except h11.RemoteProtocolError as error:
        stopped = str(error)
    return {"requests": requests, "stopped": stopped}


print(json.dumps({"name": f"h11 {h11.__version__}"}), flush=True)
for line in sys.stdin:
    print(json.dumps(read(base64.b64decode(line))), flush=True)
