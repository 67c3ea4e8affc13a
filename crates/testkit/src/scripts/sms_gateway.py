"""An HTTP gateway for tests.

Each request becomes a line of the file given, before it is answered. Answers are told on stdin, one JSON list a line,
and played in order; the last one is repeated:
  {"status": 200, "headers": {…}, "body": "…"}    is answered
  {"stall": true}                                 is never answered
  {"drop": true}                                  breaks the connection
It ends with its stdin, so that it never outlives the test that started it.
"""

import http.server, json, os, socket, sys, threading
from urllib.parse import parse_qsl, urlsplit

record, port = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()
answers = [{"status": 200, "headers": {}, "body": ""}]


def tell(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        request = {
            "method": self.command,
            "path": url.path,
            "query": dict(parse_qsl(url.query, keep_blank_values=True)),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body,
        }
        with lock:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            with open(record, "a") as file:
                file.write(json.dumps(request) + "\n")
            tell("request")
        if answer.get("stall"):
            threading.Event().wait()
        if answer.get("drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = answer["body"].encode()
        self.send_response(answer["status"])
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = handle_any

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # a client that hangs up is part of the tests


def listen_to_stdin():
    for line in sys.stdin:
        with lock:
            answers[:] = json.loads(line)
        tell("told")
    os._exit(0)


server = Server(("127.0.0.1", port), Handler)
threading.Thread(target=listen_to_stdin, daemon=True).start()
tell("listening", port=server.server_address[1])
server.serve_forever()
