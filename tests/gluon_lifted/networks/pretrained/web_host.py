"""A host on this machine that stands for the hosts of weights."""

import hashlib
import http.server
import threading

COMMIT = "c" * 40


class Host:
    """Serves ``answers``, path -> content, or (status, headers, content); remembers what was ``asked``.

    A header that is None is not sent.
    """

    def __init__(self):
        self.answers, self.asked = {}, []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.asked.append(self.path)
                answer = host.answers.get(self.path, (404, {}, b""))
                status, headers, content = answer if isinstance(answer, tuple) else (200, {}, answer)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def do_HEAD(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def publish_on_hub(host, content, name="model.safetensors", etag=None, revision="main"):
    """Answer for a file of the repository ``timm/net.tag`` as the Hugging Face hub does, at `COMMIT`."""
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag or hashlib.sha256(content).hexdigest()}"'}
    for asked in {revision, COMMIT}:
        host.answers[f"/timm/net.tag/resolve/{asked}/{name}"] = (200, headers, content)
