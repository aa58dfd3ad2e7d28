"""One program under supervision: started in a session of its own, logged to a file, watched, started again, stopped."""

import ctypes
import json
import os
import pathlib
import pwd
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What the person at the terminal is told; no stack trace."""


def tail(path, lines=15):
    """The last lines of a log, indented for the terminal."""
    try:
        text = pathlib.Path(path).read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def started_at(pid):
    """A process's start in ticks since boot: with the pid it names one process for good. None: there is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Child:
    """Needs its owner's calls from one thread: the kernel ends the program when that thread goes."""

    def __init__(self, name, argv, *, log, environment=None, user=None, folder=None, stop_signal=signal.SIGTERM, patience=20.0):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log = pathlib.Path(log)
        self.environment = environment or {}
        self.user = user
        self.folder = folder
        self.stop_signal = stop_signal
        self.patience = patience
        self.process = None
        self.started = 0.0
        self.start_ticks = None
        # When to start again, and how long to wait the next time.
        self.retry_at = None
        self.pause = 0.5

    def start(self):
        signals = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP}
        stop_signal = self.stop_signal

        def prepare():
            # After the change of user, which would clear it: nothing of ours outlives a launcher that was killed.
            _libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

        who = {}
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment},
                                            cwd=self.folder, process_group=0, preexec_fn=prepare, **who)
        self.started = time.monotonic()
        self.start_ticks = started_at(self.process.pid)
        self.retry_at = None

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def ending(self):
        """How it ended, in words."""
        code = self.process.returncode
        if code is None:
            return "is running"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def wait_until(self, ready, limit, interrupted=lambda: False):
        """Polls `ready`; a Failure with the log's end when the program ends or `limit` seconds pass first."""
        deadline = time.monotonic() + limit
        while True:
            found = ready()
            if found:
                return found
            if not self.running():
                raise Failure(f"{self.name} {self.ending()} while starting; {self.log}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} is not ready after {limit:.0f} s; {self.log}:\n{tail(self.log)}")
            if interrupted():
                raise Failure("interrupted")
            time.sleep(0.02)

    def stop(self):
        """In order; by force when its patience ends. Returns False when force was needed."""
        if not self.running():
            return True
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(self.patience)
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def kill(self):
        if self.running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def remember(path, children):
    """Writes who runs, for the next launcher should this one be killed."""
    rows = [{"name": child.name, "pid": child.pid, "started": child.start_ticks, "signal": int(child.stop_signal)}
            for child in children if child.running()]
    write(path, json.dumps(rows))


def end_leftovers(path, limit=10.0):
    """Ends what a killed launcher left running; returns the names."""
    try:
        rows = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return []
    alive = [row for row in rows if row["started"] is not None and started_at(row["pid"]) == row["started"]]
    for row in reversed(alive):
        os.kill(row["pid"], row["signal"])
    deadline = time.monotonic() + limit
    for row in alive:
        while started_at(row["pid"]) == row["started"]:
            if time.monotonic() > deadline:
                os.kill(row["pid"], signal.SIGKILL)
            time.sleep(0.05)
    return [row["name"] for row in alive]


def write(path, text):
    """A whole file or none."""
    path = pathlib.Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)
