"""One real Kafka broker (KRaft) on loopback, for development: the jars that third_party/kafka/fetch obtained."""

import base64
import os
import pathlib
import shutil
import socket
import uuid

from launcher.child import Child, Failure


def free_ports(count):
    """Ports nobody listens on now; Kafka cannot choose its own and still announce them."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Broker:
    def __init__(self, home, logs):
        self.folder = pathlib.Path(home) / "kafka"
        self.log = pathlib.Path(logs) / "kafka.log"
        cache = os.environ.get("TIDEWHEEL_CACHE") or os.path.expanduser("~/.cache/tidewheel")
        self.jars = pathlib.Path(os.environ.get("TIDEWHEEL_KAFKA_JARS") or f"{cache}/kafka-3.9.1")
        self.address = None
        self.child = None

    def prepare(self):
        if shutil.which("java") is None or not any(self.jars.glob("kafka_2.13-*.jar")):
            raise Failure(f"the Kafka broker needs Java and its jars in {self.jars}: ./tidewheel setup --kafka")
        self.folder.mkdir(exist_ok=True)
        port, controller = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            # A broker that was killed is back in seconds and not in a quarter of a minute.
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
        }
        config = self.folder / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        java = ["java", "-Xmx512m", "-cp", f"{self.jars}/*"]
        if not (self.folder / "data" / "meta.properties").exists():
            identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            formatting = Child("kafka", java + ["kafka.tools.StorageTool", "format", "-t", identity, "-c", config], log=self.log, folder=self.folder)
            formatting.start()
            if formatting.process.wait() != 0:
                raise Failure(f"Kafka's storage could not be made, see {self.log}")
        self.child = Child("kafka", java + ["kafka.Kafka", config], log=self.log, folder=self.folder, patience=30.0)

    def ready(self):
        host, port = self.address.split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=0.2):
                return True
        except OSError:
            return False
