#!/usr/bin/env python3
"""A client of casemate in one file, with nothing but Python's standard library. Copy it.

    client = Casemate("http://localhost:8080")
    result = client.run("python", "print(input())", stdin="hello")
    print(result["verdict"], result["run"]["stdout"])

or, to see output as it is printed:

    submission = client.submit("c", source)
    for event, data in client.follow(submission["id"]):
        if event == "output":
            print(text(data), end="")

From a shell, with TOKEN in the environment where one is wanted: client.py http://localhost:8080 hello.py < input
"""

import base64
import http.client
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request
import uuid

LANGUAGES = {".py": "python", ".java": "java", ".c": "c", ".cpp": "cpp", ".cc": "cpp", ".cxx": "cpp"}


# How often something is asked for in a row, and the longest pause in between, in seconds.
TRIES, LONGEST = 8, 30


class Refused(Exception):
    """The service said no; `problem` is its problem document (RFC 9457), `after` the seconds after which to ask again."""

    def __init__(self, problem, after=None):
        super().__init__(f"{problem.get('detail')}: {problem.get('remedy')}")
        self.problem, self.after = problem, after


class Patience:
    """Bears with a service that has too much to do (503, 429), goes down or is away for a while, TRIES times in a row."""

    failures = 0

    def bear(self, error):
        """Pauses, as long as the service says or twice as long each time; raises what is no better for waiting."""
        self.failures += 1
        busy = not isinstance(error, Refused) or error.problem.get("status") in (429, 503)
        if not busy or self.failures == TRIES:
            raise error
        after = getattr(error, "after", None)
        time.sleep(min(2 ** self.failures / 4 if after is None else after, LONGEST))


class Casemate:
    def __init__(self, address, token=None, timeout=120):
        self.address = address.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Seconds without a byte. Where nothing happens a comment comes every 15 as the service comes (http.heartbeat_ms).
        self.timeout = timeout

    def open(self, method, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            try:
                problem = json.load(error)
            except ValueError:
                problem = {"status": error.code, "detail": str(error), "remedy": "look at the address"}
            after = error.headers.get("Retry-After", "")
            raise Refused(problem, int(after) if after.isdecimal() else None) from None

    def ask(self, method, path, body=None, **headers):
        """Only for what may be asked again where the answer is lost: all that is asked here."""
        patience = Patience()
        while True:
            try:
                with self.open(method, path, body, **headers) as reply:
                    return json.load(reply)
            except (Refused, OSError, http.client.HTTPException) as error:
                patience.bear(error)

    def submit(self, language, source=None, key=None, **more):
        """Submits `source`, or `files` and `entry`; `more` is any other field: stdin, args, env, limits, streams, expected,
        compare, tests, stop_on_failure, collect, diagnose. After a failure the same with the same key submits once."""
        body = {"language": language, "source": source, **more}
        return self.ask("POST", "/v1/submissions", body, Idempotency_Key=key or str(uuid.uuid4()))

    def submit_all(self, submissions, key=None):
        """Many at once: of each, in order, `id` or `problem`. Repeat with the same key where some found no place."""
        key = key or str(uuid.uuid4())
        return self.ask("POST", "/v1/submissions:batch", {"submissions": submissions}, Idempotency_Key=key)["submissions"]

    def wait(self, id):
        """The result, once there is one."""
        seconds = 30
        while True:
            try:
                shown = self.ask("GET", f"/v1/submissions/{id}?wait={seconds}")
            except Refused as refused:
                # The operator lets nobody wait that long.
                if refused.problem.get("field") != "?wait" or "ceiling" not in refused.problem:
                    raise
                seconds = refused.problem["ceiling"]
                continue
            if shown["ended_at"]:
                return shown

    def run(self, language, source=None, **more):
        return self.wait(self.submit(language, source, **more)["id"])

    def cancel(self, id):
        return self.ask("DELETE", f"/v1/submissions/{id}")

    def follow(self, id):
        """Pairs of an event's name and its data, up to `end`. A connection that breaks off is opened again where it was."""
        last, patience = None, Patience()
        while True:
            try:
                with self.open("GET", f"/v1/submissions/{id}/events", **({"Last_Event_ID": last} if last else {})) as reply:
                    for name, event_id, data in events(reply):
                        last, patience = event_id or last, Patience()
                        yield name, data
                        if name == "end":
                            return
            except (Refused, OSError, http.client.HTTPException) as error:
                patience.bear(error)
            else:
                time.sleep(1)


def events(lines):
    """Server-sent events, as far as the service uses them."""
    fields = {}
    for line in lines:
        line = line.decode().rstrip("\n")
        name, _, value = line.partition(":")
        if line and name:
            fields[name] = value.removeprefix(" ")
        elif not line and "data" in fields:
            yield fields.get("event"), fields.get("id"), json.loads(fields["data"])
            fields = {}


def content(data):
    """The bytes of an `output` event."""
    return base64.b64decode(data["data"]) if data["encoding"] == "base64" else data["data"].encode()


def text(data):
    return content(data).decode(errors="replace")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: client.py ADDRESS FILE < input")
    client, file = Casemate(sys.argv[1], os.environ.get("TOKEN")), pathlib.Path(sys.argv[2])
    if file.suffix not in LANGUAGES:
        sys.exit(f"client.py: {file}: its name has to end with one of {' '.join(LANGUAGES)}")
    stdin = "" if sys.stdin.isatty() else {"base64": base64.b64encode(sys.stdin.buffer.read()).decode()}
    submission = client.submit(LANGUAGES[file.suffix], file.read_text(), stdin=stdin)
    try:
        for event, data in client.follow(submission["id"]):
            if event == "output":
                to = sys.stdout if data["step"] == "run" and data["stream"] == "stdout" else sys.stderr
                to.buffer.write(content(data))
                to.buffer.flush()
            elif event == "skipped":
                print(f"{file}: {data['bytes']} bytes of {data['stream']} are not shown", file=sys.stderr)
            elif event == "restart":
                print(f"{file}: {data['detail']}; what was printed before does not count", file=sys.stderr)
            elif event == "end":
                print(f"{file}: {data['verdict']}", file=sys.stderr)
                sys.exit(0 if data["verdict"] == "accepted" else 1)
    except KeyboardInterrupt:
        client.cancel(submission["id"])
        sys.exit(130)


if __name__ == "__main__":
    main()
