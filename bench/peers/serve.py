"""What the servers of others have in common: a free port, and a line HOST:PORT on standard output once they answer."""

import ctypes
import signal
import socket
import subprocess
import sys
import time

import grpc

START_SECONDS = 110
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2).


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


def field(number, content):
    """A length-delimited field of a message, of at most 16,383 bytes."""
    length = bytes([len(content)]) if len(content) < 128 else bytes([len(content) & 127 | 128, len(content) >> 7])
    return bytes([number << 3 | 2]) + length + content


def model_is_ready(channel):
    """The Open Inference Protocol's ModelReady says yes; that is its first field."""
    return channel.unary_unary("/inference.GRPCInferenceService/ModelReady")(field(1, b"cnn_28"), timeout=2) == b"\x08\x01"


def until_it_answers(port, child, ready):
    end = time.monotonic() + START_SECONDS
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        while time.monotonic() < end:
            if child.poll() is not None:
                sys.exit(f"it ended with {child.returncode}")
            try:
                if ready(channel):
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.2)
    sys.exit("it does not serve")


def run(command, port, ready=model_is_ready, **more):
    """A server in a process of its own; goes with this one."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with subprocess.Popen(command, stdout=sys.stderr, preexec_fn=die_with_parent, **more) as child:
        until_it_answers(port, child, ready)
        print(f"127.0.0.1:{port}", flush=True)
        try:
            child.wait()
        finally:
            child.terminate()
