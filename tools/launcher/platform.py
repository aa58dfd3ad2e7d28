"""The whole platform on one machine: PostgreSQL, perhaps Kafka, every service of deploy/services.json; started in order, watched,
started again when something dies, stopped in reverse order.

The folder (default: var) holds postgres/, kafka/, payloads/, log/<name>.log, config/<service>.yaml (yours, optional), and run/:
platform.json (addresses, while it runs), <service>.env (to run one service by hand), lock."""

import datetime
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from launcher import kafka, postgres
from launcher.child import Child, Failure, end_leftovers, remember, tail, write

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WATCHED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
MAX_PAUSE = 30.0
CALM_AFTER = 5.0  # What ran so long was well: when it ends it starts with a short pause again.
# Below the ports that the kernel gives to outgoing connections: nobody takes one of these between its choice and its use.
RESERVED_PORTS = range(20000, 30000)


def say(text=""):
    print(text, file=sys.stderr, flush=True)


class Service:
    """One row of the table and what is known of its process."""

    def __init__(self, row, platform):
        self.name = row["name"]
        self.row = row
        self.platform = platform
        self.prefix = "TIDEWHEEL_" + self.name.replace("-", "_").upper() + "_"
        self.ready_file = platform.run / f"{self.name}.ready.json"
        self.addresses = {}
        self.reservation = None  # A socket that keeps the address until the service starts.
        self.child = None
        self.healthy = False

    @property
    def program(self):
        return self.platform.bin / f"tidewheel-{self.name}"

    def environment(self):
        platform = self.platform
        values = {"postgres": platform.cluster.dsn(self.row["role"]), "admin": platform.cluster.dsn(postgres.ADMIN),
                  "bus_driver": "kafka" if platform.broker else "postgres", "brokers": platform.broker.address if platform.broker else "",
                  "payloads": platform.home / "payloads", "state": platform.home / "state" / self.name, "bin": platform.bin}
        settings = dict(self.row.get("environment", {}))
        for group in self.row["uses"]:
            settings.update(platform.table["settings"][group])
        given = {self.prefix + key: value.format(**values) for key, value in settings.items()}
        for asked in self.row["asks"]:
            other = platform.service(asked)
            key = other.row.get("key", other.name.replace("-", "_").upper())
            given[f"{self.prefix}{key}_ADDRESS"] = other.addresses.get("grpc", "")  # Of a later one: reserved.
        # What a person set for one service goes before what we work out; a restarted service keeps its addresses.
        for key, address in (("LISTEN", "grpc"), ("METRICS_LISTEN", "metrics"), ("HTTP_LISTEN", "http")):
            if address in self.addresses:
                given[self.prefix + key] = self.addresses[address]
        given = {key: os.environ.get(key, value) for key, value in given.items()}
        # One thread for each process of the numeric libraries: the services bring the parallelism.
        given["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
        return given

    def reserve_address(self):
        """Fixes where it will be, for those who start before it and ask it."""
        given = os.environ.get(self.prefix + "LISTEN", "")
        if given and not given.endswith(":0"):
            self.addresses["grpc"] = given
            return
        self.reservation = reserved_socket()
        self.addresses["grpc"] = f"127.0.0.1:{self.reservation.getsockname()[1]}"

    def command(self):
        command = [self.program]
        config = self.platform.home / "config" / f"{self.name}.yaml"
        if config.exists():
            command += ["--config", config]
        return command

    def migrate(self):
        if not self.row.get("migrates", True):
            return
        log = self.platform.logs / f"{self.name}.log"
        with log.open("ab") as stream:
            done = subprocess.run(self.command() + ["--migrate"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=self.platform.home,
                                  env={**os.environ, **self.environment(), "TIDEWHEEL_ADMIN_DSN": self.platform.cluster.dsn(postgres.ADMIN)})
        if done.returncode != 0:
            raise Failure(f"{self.name} --migrate ended with status {done.returncode}; {log}:\n{tail(log)}")

    def start(self):
        self.ready_file.unlink(missing_ok=True)
        self.healthy = False
        environment = self.environment()
        write(self.platform.run / f"{self.name}.env", "".join(f"export {key}='{value}'\n" for key, value in sorted(environment.items())))
        (self.platform.home / "state" / self.name).mkdir(parents=True, exist_ok=True)
        if self.child is None:
            self.child = Child(self.name, [], log=self.platform.logs / f"{self.name}.log", folder=self.platform.home)
        if self.reservation is not None:
            self.reservation.close()
            self.reservation = None
        self.child.argv = [str(word) for word in self.command() + ["--ready-file", self.ready_file]]
        self.child.environment = environment
        self.child.start()

    def ready(self):
        """Its addresses once it has announced them and takes connections."""
        try:
            announced = json.loads(self.ready_file.read_text())
        except (OSError, ValueError):
            return None
        addresses = announced.get("addresses", announced)
        addresses = {key: value for key, value in addresses.items() if key in ("grpc", "metrics", "http")}
        for address in addresses.values():
            if not takes_connections(address):
                return None
        self.addresses = addresses
        self.healthy = True
        return addresses


def reserved_socket():
    """Bound to a free port of RESERVED_PORTS, and not listening."""
    for port in random.sample(RESERVED_PORTS, len(RESERVED_PORTS)):
        each = socket.socket()
        try:
            each.bind(("127.0.0.1", port))
            return each
        except OSError:
            each.close()
    raise Failure(f"no free port from {RESERVED_PORTS.start} to {RESERVED_PORTS.stop - 1}")


def takes_connections(address):
    try:
        if address.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as each:
                each.settimeout(0.5)
                each.connect(address.removeprefix("unix:"))
        else:
            host, port = address.rsplit(":", 1)
            socket.create_connection((host.strip("[]"), int(port)), timeout=0.5).close()
        return True
    except (OSError, ValueError):
        return False


class Platform:
    def __init__(self, home, *, with_kafka=False, table=None, bin=None, start_limit=60.0):
        self.home = pathlib.Path(home).resolve()
        self.run = self.home / "run"
        self.logs = self.home / "log"
        self.with_kafka = with_kafka
        self.table = json.loads(pathlib.Path(table or ROOT / "deploy" / "services.json").read_text())
        self.bin = pathlib.Path(bin or ROOT / "build" / "release" / "bin").resolve()
        self.start_limit = start_limit
        self.lock = None
        self.cluster = None
        self.broker = None
        self.services = [Service(row, self) for row in self.table["services"]]
        self.stopping = None  # The signal that asked for the end.
        self.started_at = datetime.datetime.now(datetime.timezone.utc)

    def service(self, name):
        return next(service for service in self.services if service.name == name)

    # --- one launcher for one folder

    def take_lock(self):
        self.run.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        lock = open(self.run / "lock", "a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"a platform already runs in {self.home} (process {lock_holder(self.home) or 'unknown'}); "
                          "stop it with ./tidewheel down, or name another folder with --dir")
        # The kernel let go of it when the former holder ended, however it ended: a stale lock cannot be.
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self.lock = lock

    # --- start

    def children(self):
        """In the order they started."""
        infrastructure = [part.child for part in (self.cluster, self.broker) if part]
        return [child for child in infrastructure + [service.child for service in self.services] if child]

    def interrupted(self):
        while (arrived := signal.sigtimedwait(WATCHED, 0)) is not None:
            if arrived.si_signo != signal.SIGCHLD and self.stopping is None:
                self.stopping = signal.Signals(arrived.si_signo)
        return self.stopping is not None

    def start_one(self, name, child, ready, limit):
        begun = time.monotonic()
        if not child.running():
            child.start()
        remember(self.run / "processes.json", self.children())
        found = child.wait_until(ready, limit, self.interrupted)
        return found, time.monotonic() - begun

    def start(self):
        missing = [service.name for service in self.services if not service.program.exists()]
        if missing:
            raise Failure(f"not built: {', '.join(missing)} (looked in {self.bin}); ./tidewheel build")
        if left := end_leftovers(self.run / "processes.json"):
            say(f"up: ended what a killed launcher had left: {', '.join(left)}")
        (self.run / "platform.json").unlink(missing_ok=True)
        (self.home / "payloads").mkdir(exist_ok=True)

        self.cluster = postgres.Cluster(self.home, self.logs)
        self.cluster.prepare()
        _, seconds = self.start_one("postgres", self.cluster.child, self.cluster.ready, 60)
        self.cluster.make_database()
        self.tell("postgres", seconds, str(self.cluster.socket))

        if self.with_kafka:
            self.broker = kafka.Broker(self.home, self.logs)
            self.broker.prepare()
            _, seconds = self.start_one("kafka", self.broker.child, self.broker.ready, 90)
            self.tell("kafka", seconds, self.broker.address)

        # All schemas first: a view that one service publishes is granted to others. The first row also makes the roles.
        begun = time.monotonic()
        for service in self.asked_by_earlier():
            service.reserve_address()
        for service in self.services:
            service.migrate()
            if self.interrupted():
                raise Failure("interrupted")
        self.tell("migrations", time.monotonic() - begun, "")
        for service in self.services:
            service.start()
            addresses, seconds = self.start_one(service.name, service.child, service.ready, self.start_limit)
            self.tell(service.name, seconds, "  ".join(f"{key} {address}" for key, address in sorted(addresses.items())))
        self.announce()
        self.wait_for_health()

    def asked_by_earlier(self):
        """Services whose address another one needs before they have started."""
        names = [service.name for service in self.services]
        asked = {name for i, service in enumerate(self.services) for name in service.row["asks"] if names.index(name) > i}
        return [service for service in self.services if service.name in asked]

    def wait_for_health(self):
        """A ready service has opened its ports; whether it serves (its dependencies answer too) its health service says."""
        command = [self.bin / "tidewheel", "status", "--platform", self.run / "platform.json"]
        if not command[0].exists():
            return
        deadline = time.monotonic() + self.start_limit
        while True:
            asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if asked.returncode == 0:
                return
            if self.interrupted():
                raise Failure("interrupted")
            if time.monotonic() > deadline:
                raise Failure(f"not every service serves after {self.start_limit:.0f} s:\n{asked.stdout}{asked.stderr}")
            time.sleep(0.2)

    def tell(self, name, seconds, where):
        say(f"  {name:<16} {seconds:5.1f} s   {where}")

    def announce(self):
        document = {
            "schema": "tidewheel.platform.v1", "pid": os.getpid(), "folder": str(self.home), "started_at": self.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "services": {service.name: {**service.addresses, "pid": service.child.pid, "log": str(service.child.log)} for service in self.services},
            "postgres": {"socket_folder": str(self.cluster.socket), "admin_dsn": self.cluster.dsn(postgres.ADMIN), "bin": str(self.cluster.bin),
                         "pid": self.cluster.child.pid},
            "kafka": {"brokers": self.broker.address, "pid": self.broker.child.pid} if self.broker else None,
            "payloads": str(self.home / "payloads"),
        }
        write(self.run / "platform.json", json.dumps(document, indent=2) + "\n")
        remember(self.run / "processes.json", self.children())

    # --- watch

    def watch(self, command=None, limit=None):
        """Until a signal or the end of `command` (a Popen), whose status it returns."""
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            arrived = signal.sigtimedwait(WATCHED, 0.1 if self.unsettled() else 1.0)
            if arrived is not None and arrived.si_signo != signal.SIGCHLD:
                self.stopping = signal.Signals(arrived.si_signo)
            if self.stopping is not None:
                return 128 + self.stopping if command else 0
            if command is not None and command.poll() is not None:
                return command.returncode if command.returncode >= 0 else 128 - command.returncode
            if deadline is not None and time.monotonic() > deadline:
                return 0
            for child in self.children():
                self.look_after(child)
            for service in self.services:
                if not service.healthy and service.child.running() and service.ready():
                    say(f"up: {service.name} serves again")
                    self.announce()

    def unsettled(self):
        return any(child.retry_at is not None for child in self.children()) or any(not service.healthy for service in self.services)

    def look_after(self, child):
        now = time.monotonic()
        if child.retry_at is not None:
            if now < child.retry_at:
                return
            service = next((service for service in self.services if service.child is child), None)
            if service:
                service.start()
            else:
                if child is self.cluster.child:
                    self.cluster.end_orphans()
                child.start()
            self.announce()
        elif not child.running():
            if now - child.started > CALM_AFTER:
                child.pause = 0.5
            say(f"up: {child.name} {child.ending()}; starts again in {child.pause:.1f} s ({child.log})")
            for service in self.services:
                if service.child is child:
                    service.healthy = False
            child.retry_at = now + child.pause
            child.pause = min(child.pause * 2, MAX_PAUSE)

    # --- stop

    def stop(self):
        (self.run / "platform.json").unlink(missing_ok=True)
        for child in reversed(self.children()):
            if not child.running():
                continue
            begun = time.monotonic()
            orderly = child.stop()
            how = "" if orderly else f"   was killed after {child.patience:.0f} s"
            if orderly and child.process.returncode not in (0, -child.stop_signal, 143):
                how = f"   {child.ending()}"
            say(f"  {child.name:<16} {time.monotonic() - begun:5.1f} s   stopped{how}")
            # A second Ctrl-C: no more patience.
            while (arrived := signal.sigtimedwait(WATCHED - {signal.SIGCHLD}, 0)) is not None:
                if self.stopping is not None and arrived.si_signo == signal.SIGINT:
                    say("up: interrupted again; kills what is left")
                    for each in reversed(self.children()):
                        each.patience = 1.0
        if self.cluster:
            self.cluster.remove_socket()
        (self.run / "processes.json").unlink(missing_ok=True)


def lock_holder(home):
    try:
        text = (pathlib.Path(home) / "run" / "lock").read_text().split()
        return int(text[0]) if text else None
    except (OSError, ValueError):
        return None


def is_locked(home):
    path = pathlib.Path(home) / "run" / "lock"
    try:
        with path.open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def run(platform, command=None, keep=False):
    """Starts, watches, stops. `command`: run against the platform, which ends with it unless `keep`; its status is returned."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    platform.take_lock()
    status = 0
    try:
        say(f"up: starts in {platform.home}")
        platform.start()
        for service in platform.services:
            if "http" in service.addresses:
                say(f"up: {service.name} at http://{service.addresses['http']}/")
        if command is None:
            say("up: everything serves; Ctrl-C stops it")
            platform.watch()
        else:
            environment = {**os.environ, "TIDEWHEEL_PLATFORM": str(platform.run / "platform.json")}
            process = subprocess.Popen([str(word) for word in command], env=environment,
                                       preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED))
            status = platform.watch(process)
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
            elif keep:
                say("up: the platform stays; Ctrl-C stops it")
                platform.watch()
    finally:
        if platform.children():
            say("up: stops")
        platform.stop()
    return status


def down(home, limit=120.0):
    home = pathlib.Path(home).resolve()
    if not is_locked(home):
        say(f"down: no platform runs in {home}")
        return 0
    pid = lock_holder(home)
    if pid is None:
        raise Failure(f"{home}/run/lock is held, and does not say by whom")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + limit
    while is_locked(home):
        if time.monotonic() > deadline:
            raise Failure(f"process {pid} still runs after {limit:.0f} s")
        time.sleep(0.1)
    say("down: stopped")
    return 0


def forget(home):
    """Removes all that a platform that does not run has kept."""
    home = pathlib.Path(home).resolve()
    if not home.exists():
        return 0
    if is_locked(home):
        raise Failure(f"a platform runs in {home}; stop it first: ./tidewheel down")
    postgres.remove(home)
    for name in ("kafka", "payloads", "state", "log", "run"):
        shutil.rmtree(home / name, ignore_errors=True)
    return 0
