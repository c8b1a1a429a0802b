"""h11 as an oracle: one JSON case a line on stdin, one JSON answer a line on stdout. Ends with its stdin."""

import base64
import json
import sys

import h11


def text(data):
    return bytes(data).decode("latin-1")


def pairs(headers):
    return [[text(name), text(value)] for name, value in headers]


def head(event):
    return {
        "status": getattr(event, "status_code", 0),
        "reason": text(getattr(event, "reason", b"")),
        "minor": 10 + int(text(event.http_version)[-1]),
        "method": text(getattr(event, "method", b"")),
        "target": text(getattr(event, "target", b"")),
        "fields": pairs(event.headers),
        "body": "",
        "trailers": [],
    }


def read(conn, data, messages, all_requests):
    conn.receive_data(data)
    conn.receive_data(b"")
    while True:
        event = conn.next_event()
        if event is h11.PAUSED:
            if all_requests and conn.our_state is h11.SEND_RESPONSE:
                respond(conn)
                continue
            return "paused"
        if event is h11.NEED_DATA:
            return "need-data"
        if isinstance(event, (h11.InformationalResponse, h11.Response, h11.Request)):
            messages.append(head(event))
        elif isinstance(event, h11.Data):
            messages[-1]["body"] += text(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages[-1]["trailers"] = pairs(event.headers)
            messages[-1]["end"] = True
            if not all_requests:
                return "end"
            respond(conn)
        elif isinstance(event, h11.ConnectionClosed):
            return "closed"


def respond(conn):
    """Answers, so that the next request of the same connection can be read."""
    if conn.our_state is h11.SEND_RESPONSE:
        conn.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
    if conn.our_state is h11.SEND_BODY:
        conn.send(h11.EndOfMessage())
    if conn.our_state is h11.DONE and conn.their_state is h11.DONE:
        conn.start_next_cycle()


def answer(case):
    data = base64.b64decode(case["bytes"])
    messages = []
    size = 256 * 1024
    if case["kind"] == "response":
        conn = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=size)
        conn.send(h11.Request(method=case["method"], target="a:1" if case["method"] == "CONNECT" else "/", headers=[("Host", "a")]))
        conn.send(h11.EndOfMessage())
    else:
        conn = h11.Connection(our_role=h11.SERVER, max_incomplete_event_size=size)
    try:
        state = read(conn, data, messages, case["kind"] != "response")
    except h11.RemoteProtocolError as error:
        return {"messages": messages, "error": str(error), "rest": 0}
    return {"messages": messages, "error": "", "state": state, "rest": len(conn.trailing_data[0])}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
