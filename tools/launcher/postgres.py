"""A private PostgreSQL cluster: durable, on a Unix socket alone, in a folder that only its owner may enter."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

from launcher.child import Child, Failure

DATABASE = "tidewheel"
ADMIN = "postgres"
PORT = 5432  # Only names the socket.

# What differs from the defaults; one set for every machine this runs on (a laptop, a CI machine).
SETTINGS = {
    "listen_addresses": "''",
    "port": PORT,
    "max_connections": 300,
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "autovacuum_naptime": "15s",
    "idle_in_transaction_session_timeout": "5min",
    "log_line_prefix": "'%m [%p] %q%u@%d %a '",
    "log_min_duration_statement": "1s",
    "log_checkpoints": "on",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}


def binaries():
    folder = pathlib.Path(os.environ.get("TIDEWHEEL_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
    if not (folder / "postgres").exists():
        raise Failure(f"PostgreSQL 15 is not in {folder}: ./tidewheel setup installs it, TIDEWHEEL_POSTGRES_BIN names another place")
    return folder


def _works_in(pid, folder):
    try:
        return pathlib.Path(os.readlink(f"/proc/{pid}/cwd")) == folder
    except OSError:
        return False


def unprivileged_user():
    """Whom the cluster runs as: PostgreSQL refuses root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    raise Failure("running as root, and there is no user `postgres` or `nobody` for PostgreSQL to run as")


def _may_enter(user, folder):
    entry = pwd.getpwnam(user)
    return subprocess.run(["test", "-x", str(folder)], user=entry.pw_uid, group=entry.pw_gid, extra_groups=[]).returncode == 0


class Cluster:
    """`home` is where the platform keeps its state; the data is in home/postgres, or behind a link there when the cluster's user
    cannot enter `home` (root's own folder is closed to others)."""

    def __init__(self, home, logs):
        self.home = pathlib.Path(home)
        self.log = pathlib.Path(logs) / "postgres.log"
        self.bin = binaries()
        self.user = unprivileged_user()
        self.link = self.home / "postgres"
        self.socket = None
        self.child = None

    @property
    def data(self):
        return self.link.resolve()

    def _own(self, *paths):
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            for path in paths:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def _place(self):
        """Makes the empty data folder."""
        if self.user is None or _may_enter(self.user, self.home):
            self.link.mkdir(mode=0o700)
        else:
            outside = pathlib.Path("/var/lib/tidewheel")
            outside.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.link.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=outside))
        self._own(self.data)

    def _run(self, *argv):
        who = {}
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/",
                              env={**os.environ, "LC_ALL": "C.UTF-8"}, **who)
        if done.returncode != 0:
            raise Failure(f"{pathlib.Path(argv[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def prepare(self):
        """Makes the cluster the first time, and the settings each time. Ends a server that a killed launcher left on this data."""
        made = self.data / "tidewheel_made"
        if not made.exists():
            if (self.data / "base").exists() and (self.data / "postmaster.opts").exists():
                raise Failure(f"{self.link} holds a cluster that this script did not make; move it away")
            remove(self.home)  # What an interrupted initdb left.
            self._place()
            self._run(self.bin / "initdb", "--pgdata", self.data, "--username", ADMIN, "--encoding=UTF8", "--locale=C",
                      "--auth-local=trust", "--auth-host=reject", "--data-checksums")
            (self.data / made.name).touch()
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != "15":
            raise Failure(f"{self.link} is a cluster of PostgreSQL {version}, and this platform runs 15")
        self._end_old_server()
        self._remove_old_socket()
        # Short, because a socket's path may have 107 characters; closed to others, because inside of it everybody is trusted.
        self.socket = pathlib.Path(tempfile.mkdtemp(prefix="tidewheel-", dir="/tmp"))
        self.socket.chmod(0o700)
        self._own(self.socket)
        settings = dict(SETTINGS, unix_socket_directories=f"'{self.socket}'")
        (self.data / "postgresql.auto.conf").write_text("# Written by tools/up at each start.\n" +
                                                        "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self._own(self.data / "postgresql.auto.conf")
        self.child = Child("postgres", [self.bin / "postgres", "-D", self.data], log=self.log, user=self.user, folder="/",
                           stop_signal=signal.SIGINT, patience=60.0)  # SIGINT: ends sessions, then a last checkpoint.

    def _end_old_server(self):
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split()[0])
            same = pathlib.Path(f"/proc/{pid}/cwd").resolve() == self.data
        except (OSError, ValueError, IndexError):
            return
        if same:
            self._run(self.bin / "pg_ctl", "--pgdata", self.data, "--mode=fast", "--wait", "--timeout=60", "stop")

    def end_orphans(self, limit=2.0):
        """Sessions of a server that was killed end by themselves once they look; one that computes does not look, and while it
        lives no new server starts on its data. To be called while none runs."""
        deadline = time.monotonic() + limit
        while pids := [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _works_in(pid, self.data)]:
            force = time.monotonic() > deadline
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL if force else signal.SIGQUIT)  # SIGQUIT: at once, without a clean end.
                except ProcessLookupError:
                    pass
            time.sleep(0.05)

    def _remove_old_socket(self):
        """Of a launcher that was killed."""
        try:
            found = re.search(r"^unix_socket_directories = '(/tmp/tidewheel-[^/']+)'$", (self.data / "postgresql.auto.conf").read_text(), re.MULTILINE)
        except OSError:
            return
        if found:
            shutil.rmtree(found.group(1), ignore_errors=True)

    def ready(self):
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.socket, "-p", str(PORT), "-d", "postgres", "-U", ADMIN],
                              stdin=subprocess.DEVNULL).returncode == 0

    def make_database(self):
        connection = ["-h", self.socket, "-p", str(PORT), "-U", ADMIN]
        if self._run(self.bin / "psql", *connection, "-d", "postgres", "-XAtc", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'") != "1":
            self._run(self.bin / "createdb", *connection, DATABASE)

    def dsn(self, role):
        return f"host={self.socket} port={PORT} dbname={DATABASE} user={role}"

    def remove_socket(self):
        if self.socket is not None:
            shutil.rmtree(self.socket, ignore_errors=True)


def remove(home):
    """Removes a cluster that does not run, wherever its data is."""
    link = pathlib.Path(home) / "postgres"
    if link.is_symlink():
        target = link.resolve()
        if target.parent == pathlib.Path("/var/lib/tidewheel"):
            shutil.rmtree(target, ignore_errors=True)
        link.unlink()
    elif link.exists():
        shutil.rmtree(link)
