"""Open Policy Agent with policy.rego, by its data API.

With OPA_BIN=/path/to/opa this is its own server. Without, its own evaluator, which a package on PyPI has as a library, behind the
few lines of the data API that the gate uses: `POST /v1/data/<path>` with an input is the document there, or nothing where it is
undefined. Prints the port as JSON, and ends with its standard input.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

POLICY = Path(__file__).with_name("policy.rego")


def evaluator():
    try:
        from opa_bindings import OpaEngine, OpaUndefinedError
    except ImportError as error:
        sys.exit(f"no evaluator of OPA is pinned for this system: set OPA_BIN to an OPA of your own ({error})")

    engine = OpaEngine()
    engine.add_policy(POLICY.name, POLICY.read_text())

    class DataApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                document = self.path.removeprefix("/v1/data/").replace("/", ".")
                answer = {"result": engine.eval_document(document, body["input"])}
            except OpaUndefinedError:
                answer = {}
            answer = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), DataApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    sys.stdin.read()


def own_server(binary):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([binary, "run", "--server", "--addr", f"127.0.0.1:{port}", str(POLICY)]) as server:
        while not listens(port):
            if server.poll() is not None:
                sys.exit(f"{binary} ended")
            time.sleep(0.05)
        print(json.dumps({"port": port}), flush=True)
        sys.stdin.read()
        server.terminate()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


if binary := os.environ.get("OPA_BIN"):
    own_server(binary)
else:
    evaluator()
