"""The stock of the shop. There is no JWT code in here, no key and no secret, and nothing beyond Python's own library.

The gate has judged the token before a request comes, and says in headers whose it was. So this service must be
reachable through the gateway alone.
"""

import json
import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 4096

stock = {"lamp": 12, "chair": 4, "table": 1}
stock_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "inventory-api"
    sys_version = ""
    disable_nagle_algorithm = True
    # No `timeout`: the gateway keeps connections and closes idle ones. Were the service to close first, a request could
    # meet that.

    def do_GET(self):
        if self.body(optional=True) is None:
            return
        with stock_lock:
            now = dict(stock)
        if self.path_only() == "/inventory/catalog":
            self.answer(200, {"caller": self.caller(), "items": sorted(now)})
        elif self.path_only() != "/inventory/items":
            self.refuse(404, "There is nothing here.")
        elif self.is_known():
            self.answer(200, {"caller": self.caller(), "stock": now})

    def do_PUT(self):
        body = self.body()
        if body is None:
            return
        match = re.fullmatch(r"/inventory/items/([a-z]{1,32})", self.path_only())
        if not match:
            self.refuse(404, "There is nothing here.")
        elif self.is_known():
            self.set_stock(match[1], body)

    def set_stock(self, item, body):
        try:
            quantity = json.loads(body)["quantity"]
        except (ValueError, KeyError, TypeError):
            quantity = None
        if type(quantity) is not int or not 0 <= quantity <= 1_000_000:
            return self.refuse(400, "quantity is a whole number from 0 to 1000000.")
        with stock_lock:
            if item not in stock:
                return self.refuse(404, "There is no such item.")
            stock[item] = quantity
        self.answer(200, {"caller": self.caller(), "item": item, "quantity": quantity})

    def caller(self):
        """Who the gate says it is; nobody on a public route."""
        identity = self.headers.get("x-user-id")
        return {"id": identity, "scope": self.headers.get("x-user-scope", "")} if identity else None

    def is_known(self):
        if self.caller() is None:
            self.refuse(403, "This service is reached through the gateway.")
        return self.caller() is not None

    def path_only(self):
        return self.path.partition("?")[0]

    def body(self, optional=False):
        """The whole body, so that the next request of the connection begins where this one ends; None if refused."""
        length = self.headers.get("content-length", "0" if optional else "")
        if "transfer-encoding" in self.headers or not re.fullmatch(r"[0-9]{1,9}", length):
            self.close_connection = True
            self.refuse(411, "The request needs a Content-Length.")
        elif int(length) > MAX_BODY:
            self.close_connection = True
            self.refuse(413, "The body is too large.")
        else:
            return self.rfile.read(int(length))

    def answer(self, status, body, kind="application/json"):
        # For the scenario: every header that could pass for an identity, as it arrived.
        identity = {name.lower(): value for name, value in self.headers.items() if is_identity(name)}
        data = json.dumps({**body, "identity_headers": identity} if status == 200 else body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, detail):
        self.answer(status, {"type": "about:blank", "status": status, "detail": detail}, "application/problem+json")

    def log_message(self, *_):
        pass


def is_identity(name):
    name = name.lower().replace("_", "-")
    return name.startswith(("x-user-", "x-token-")) or name == "authorization"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "3003"))
    server = Server(address, Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        # `shutdown` waits for the loop below, which this very thread runs.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"inventory-api listens on {address[0]}:{address[1]}", flush=True)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
