#!/usr/bin/env python3
"""Records the captures beside it: a day of two teams at a real broker, through a proxy that writes down what passes.

    cargo build -p tmq-broker && tests/cli/captures/record.py

writes tmq.jsonl and, in the form in which browsers save it, tmq.har. envoy-tap.json is the same day through an Envoy whose
tap filter wrote a file for each request, put behind each other in their order.
"""

import base64
import datetime
import http.client
import http.server
import json
import pathlib
import re
import subprocess
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
BROKER = HERE.parents[2] / "target/debug/tmq-broker"


class Recorder(http.server.BaseHTTPRequestHandler):
    """Forwards each request as it came, and notes it with its answer."""

    protocol_version = "HTTP/1.1"
    upstream = ("", 0)
    records = []

    def forward(self):
        arrived = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(*self.upstream)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        self.records.append(
            {
                "dialect": "tmq",
                "seq": len(self.records) + 1,
                "time": arrived,
                "request": {
                    "http_version": "HTTP/1.1",
                    "method": self.command,
                    "target": self.path,
                    "headers": [list(pair) for pair in self.headers.items()],
                    **written(body),
                },
                "response": {
                    "status": answer.status,
                    "reason": answer.reason,
                    "headers": [list(pair) for pair in answer.getheaders()],
                    **written(content),
                },
            }
        )
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_PUT = do_POST = forward

    def log_message(self, *_):
        pass


def written(body):
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    return {"body_b64": base64.b64encode(body).decode(), "body_text": text}


class Team:
    """A client with a name of its own, or none."""

    def __init__(self, port, tenant):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers = {"Content-Type": "application/json"} | ({"X-DingTalk-MQ-AppKey": tenant} if tenant else {})

    def ask(self, method, path, body=None):
        if not isinstance(body, (str, bytes)) and body is not None:
            body = json.dumps(body)
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse().read()
        return json.loads(answer) if answer.startswith(b"{") else {}

    def consume(self, group, settings):
        consumer = self.ask("POST", f"/tmq/v1/groups/{group}/consumers", settings)["consumerId"]
        path = f"/tmq/v1/groups/{group}/consumers/{consumer}"
        self.ask("POST", f"{path}:start", {})
        return path


def day(port):
    payments, stock, nobody = Team(port, "pay-1"), Team(port, "app-2"), Team(port, None)
    for topic in ("orders", "stock"):
        stock.ask("PUT", f"/tmq/v1/topics/{topic}", {"partitions": 2})
    stock.ask("GET", "/tmq/v1/topics/orders/route")
    for topic in ("orders", "stock"):
        messages = [{"body": f"{topic} {number}", "key": str(number)} for number in range(4)]
        payments.ask("POST", f"/tmq/v1/topics/{topic}/messages", {"messages": messages})
    half = payments.ask("POST", "/tmq/v1/topics/orders/messages", {"messages": [{"body": "half"}], "half": True})
    payments.ask("POST", f"/tmq/v1/transactions/{half['transactionId']}:commit", {})

    # The incident: "no limit", as its author believed.
    hasty = payments.consume("ledger", {"topic": "orders", "ackTimeout": 0})
    payments.ask("POST", f"{hasty}:pull", {"maxMessages": 2, "waitMs": 0})
    careful = payments.consume("audit", {"topic": "orders", "ackTimeout": 12000, "deadLetterTopic": "orders.dlq"})
    pulled = payments.ask("POST", f"{careful}:pull", {"maxMessages": 4, "waitMs": 0, "ackTimeout": 3000})
    receipts = [message["receipt"] for message in pulled["messages"]]
    payments.ask("POST", f"{careful}:heartbeat", {"receipts": receipts, "ackTimeout": 600000})
    payments.ask("POST", f"{careful}:ack", {"receipts": receipts[:1]})
    payments.ask("POST", f"{careful}:reject", {"receipts": receipts[1:2]})
    payments.ask("POST", f"{careful}:heartbeat", {"receipts": receipts[2:], "ackTimeout": 0})

    counting = stock.consume("count", {"topic": "stock", "autoAck": True, "maxReconsumeTimes": 99})
    stock.ask("POST", f"{counting}:pull", {"maxMessages": 1, "waitMs": 0})
    stock.ask("POST", f"{counting}:pull")
    stock.ask("GET", counting)
    stock.ask("POST", "/tmq/v1/groups/count/consumers", '{"topic":"stock","ackTimeout":}')
    stock.ask("POST", "/tmq/v1/groups/count/consumers", {"topic": "stock", "ackTimeout": "10s"})
    nobody.ask("POST", f"{counting}:drain", {})
    nobody.consume("guests", {"topic": "stock"})
    nobody.ask("POST", "/tmq/v1/topics/stock/messages", b'{"messages":[{"body":"\xff"}]}')
    nobody.ask("GET", "/favicon.ico")
    for consumer, team in ((hasty, payments), (careful, payments), (counting, stock)):
        team.ask("POST", f"{consumer}:stop", {})
        team.ask("POST", f"{consumer}:close", {})


def har(records):
    """The records as Chrome's network panel saves them."""

    def entry(record):
        request, response = record["request"], record["response"]
        host = dict(request["headers"]).get("Host", "")
        post = {"mimeType": "application/json", "text": request["body_text"]} if request["body_text"] else None
        return {
            "_initiator": {"type": "script"},
            "_priority": "High",
            "_resourceType": "fetch",
            "cache": {},
            "connection": "443",
            "pageref": "page_1",
            "request": {
                "method": request["method"],
                "url": f"http://{host}{request['target']}",
                "httpVersion": "HTTP/1.1",
                "headers": [{"name": name, "value": value} for name, value in request["headers"]],
                "queryString": [
                    {"name": name, "value": value}
                    for name, value in urllib.parse.parse_qsl(urllib.parse.urlsplit(request["target"]).query)
                ],
                "cookies": [],
                "headersSize": -1,
                "bodySize": len(base64.b64decode(request["body_b64"])),
                **({"postData": post} if post else {}),
            },
            "response": {
                "status": response["status"],
                "statusText": response["reason"],
                "httpVersion": "HTTP/1.1",
                "headers": [{"name": name, "value": value} for name, value in response["headers"]],
                "cookies": [],
                "content": {"size": 0, "mimeType": "application/json", "text": response["body_b64"], "encoding": "base64"},
                "redirectURL": "",
                "headersSize": -1,
                "bodySize": -1,
                "_transferSize": 0,
                "_error": None,
            },
            "startedDateTime": record["time"],
            "time": 1.5,
            "timings": {"blocked": 0, "dns": -1, "connect": -1, "send": 0.1, "wait": 1.2, "receive": 0.2},
        }

    page = {"id": "page_1", "title": "http://mq.example/", "startedDateTime": "2026-11-24T09:00:00.000Z", "pageTimings": {}}
    creator = {"name": "WebInspector", "version": "537.36"}
    return {"log": {"version": "1.2", "creator": creator, "pages": [page], "entries": [entry(record) for record in records]}}


def main():
    with tempfile.TemporaryDirectory() as data:
        arguments = [BROKER, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--semantics", "legacy", "--data", data]
        broker = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            port = None
            for line in broker.stdout:
                found = re.search(r"broker=127\.0\.0\.1:(\d+)", line)
                if found:
                    port = int(found.group(1))
                    break
            threading.Thread(target=broker.stdout.read, daemon=True).start()
            Recorder.upstream = ("127.0.0.1", port)
            proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            day(proxy.server_address[1])
            proxy.shutdown()
        finally:
            broker.terminate()
            broker.wait()
    records = Recorder.records
    (HERE / "tmq.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    # Of a body that is no text, a browser saves none.
    (HERE / "tmq.har").write_text(json.dumps(har(records), indent=2) + "\n")


main()
