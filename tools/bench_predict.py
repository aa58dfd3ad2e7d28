"""The figures of ./tidewheel bench predict: predictions beside a null gRPC handler, the model alone and other people's servers, from what
bench/predict_bench.cc measured, which interleaves what it compares and so runs once, with all repetitions in it."""

import pathlib
import subprocess

OUTSTANDING = (1, 8, 64)
# Model and precision, and whether there is an engine to compare with.
VARIANTS = (("identity", "f32"), ("mlp", "f32"), ("cnn_28", "f32"), ("cnn_28", "int8"), ("cnn_32", "f32"), ("cnn_32", "int8"))
# Servers of others; bench/README.md tells how each is set up. Those of a requirements file run from its environment.
PEERS = {"openvino": "a bare C++ callback server around OpenVINO, one request at a time",
         "onnxruntime": "a grpc.aio service around onnxruntime",
         "mlserver": "MLServer with onnxruntime, its recommended settings",
         "triton": "Triton's server from nvidia-pytriton, Python backend with onnxruntime, dynamic batching",
         "torchserve": "TorchServe with a handler around onnxruntime, a worker a core and its batching, by its own gRPC service"}
MILLISECONDS = 250
QUICK_MILLISECONDS = 60
SECONDS = 900


def goals(model, precision, outstanding):
    """The goals that issues and performance.md name."""
    found = {}
    if model == "cnn_28":
        if outstanding == 1:
            found["p50_over_bound"] = "<= 1.35"
        else:
            found["ratio_to_bound"] = {8: ">= 0.70", 64: ">= 0.85"}[outstanding]
    if (model, precision, outstanding) == ("identity", "f32", 64):
        found["ratio_to_null"] = ">= 0.9"
    return found


def figures(measured):
    """As the other areas of tools/bench: name, unit, goal, how, and a function that gives a value for each repetition."""
    def counter(name, what):
        return lambda: measured.counter(name, what)

    def ratio(above, below):
        return lambda: [a / b for a, b in zip(above(), below())]

    for model, precision in VARIANTS:
        for outstanding in OUTSTANDING:
            cell = f"{model}.{precision}/{outstanding}"
            name = f"predict.{model}.{precision}.{outstanding}"
            goal = goals(model, precision, outstanding)
            rate, null = counter(f"ours/{cell}", "per_second"), counter(f"null/{cell}", "per_second")
            what = f"ModelInfer over gRPC, {outstanding} outstanding"
            yield (f"{name}.rate", "per_second", None, f"requests/s, {what}", rate)
            yield (f"{name}.p50", "seconds", None, f"median latency, {what}", counter(f"ours/{cell}", "p50"))
            yield (f"{name}.p99", "seconds", None, f"99th percentile of latency, {what}", counter(f"ours/{cell}", "p99"))
            yield (f"{name}.server_cpu", "seconds", None, "CPU time of the server's process for each request", counter(f"ours/{cell}", "server_cpu"))
            yield (f"{name}.ratio_to_null", "ratio", goal.get("ratio_to_null"),
                   "requests/s over those of a gRPC handler that answers the same messages at once, interleaved", ratio(rate, null))
            yield (f"{name}.null.rate", "per_second", None, "requests/s of that handler", null)
            yield (f"{name}.p99_ratio_to_null", "ratio", "<= 1.8" if (model, outstanding) == ("cnn_28", 64) else None,
                   "99th percentile of latency over that handler's", ratio(counter(f"ours/{cell}", "p99"), counter(f"null/{cell}", "p99")))
            if model == "identity":
                continue
            alone = counter(f"alone/{cell}", "rows_per_second")

            def bound(null=null, alone=alone):
                return [1 / (1 / n + 1 / k) for n, k in zip(null(), alone())]

            def latency_bound(cell=cell, alone=alone):
                return [null_p50 + 1 / k for null_p50, k in zip(measured.counter(f"null/{cell}", "p50"), alone())]

            yield (f"{name}.engine.rate", "per_second", None,
                   "rows/s of the model alone in a loop, one thread, at its best number of rows a call up to those outstanding", alone)
            yield (f"{name}.ratio_to_bound", "ratio", goal.get("ratio_to_bound"),
                   "requests/s over H = 1/(1/N + 1/K), N the null handler's requests/s, K the engine's rows/s, interleaved", ratio(rate, bound))
            if outstanding == 1:
                yield (f"{name}.p50_over_bound", "ratio", goal.get("p50_over_bound"),
                       "median latency over the null handler's plus the engine's time for one row, interleaved",
                       ratio(counter(f"ours/{cell}", "p50"), latency_bound))

    for outstanding in OUTSTANDING:
        grpc = counter(f"http_grpc/{outstanding}", "per_second")
        for kind, words in (("binary", "the binary tensor extension"), ("json", "JSON")):
            rate = counter(f"http_{kind}/{outstanding}", "per_second")
            name = f"predict.http_{kind}.{outstanding}"
            yield (f"{name}.rate", "per_second", None, f"requests/s of cnn_28 over HTTP with {words}", rate)
            yield (f"{name}.p50", "seconds", None, "median latency", counter(f"http_{kind}/{outstanding}", "p50"))
            yield (f"{name}.p99", "seconds", None, "99th percentile of latency", counter(f"http_{kind}/{outstanding}", "p99"))
            yield (f"{name}.ratio_to_grpc", "ratio", None, "requests/s over those of gRPC", ratio(rate, grpc))
            yield (f"{name}.cpu_ratio_to_grpc", "ratio", None, "CPU time of the server for a request over that of gRPC",
                   ratio(counter(f"http_{kind}/{outstanding}", "server_cpu"), counter(f"http_grpc/{outstanding}", "server_cpu")))

    for outstanding in OUTSTANDING:
        on, off = (counter(f"batching_{state}/{outstanding}", "per_second") for state in ("on", "off"))
        yield (f"predict.batching.{outstanding}.on_over_off", "ratio", None, "requests/s of cnn_28 with dynamic batching over those without", ratio(on, off))
        yield (f"predict.batching.{outstanding}.off.rate", "per_second", None, "requests/s of cnn_28 without batching", off)
    for model in ("identity", "cnn_28"):
        on, off = (counter(f"histograms_{state}/{model}", "per_second") for state in ("on", "off"))
        yield (f"predict.histograms.{model}.64.on_over_off", "ratio", ">= 0.98" if model == "cnn_28" else None,
               "requests/s with histograms of each phase over those without, 64 outstanding", ratio(on, off))
    for outstanding in OUTSTANDING:
        on, off = (counter(f"capture_{state}/{outstanding}", "per_second") for state in ("on", "off"))
        yield (f"predict.capture.{outstanding}.on_over_off", "ratio", None,
               "requests/s of the platform's Predict with a tenth of the pictures captured over those with none", ratio(on, off))
        yield (f"predict.platform.{outstanding}.rate", "per_second", None,
               "requests/s of the platform's Predict of a PGM with cnn_28: preprocessing and events with it", off)
        yield (f"predict.platform.{outstanding}.p50", "seconds", None, "its median latency", counter(f"capture_off/{outstanding}", "p50"))
        yield (f"predict.platform.{outstanding}.p99", "seconds", None, "its 99th percentile of latency", counter(f"capture_off/{outstanding}", "p99"))

    for peer, words in PEERS.items():
        for outstanding in OUTSTANDING:
            ours, theirs = (counter(f"peer/{side}/{outstanding}", "per_second") for side in ("ours", peer))
            yield (f"predict.peer.{peer}.{outstanding}.rate", "per_second", None, f"requests/s of cnn_28 in float32 by {words}", theirs)
            yield (f"predict.peer.{peer}.{outstanding}.speedup", "ratio", ">= 1", "our requests/s over theirs, interleaved", ratio(ours, theirs))

    yield ("predict.start.seconds", "seconds", "<= 0.05", "from the start of the process, without a model, to its word that it serves", counter("start", "took"))
    yield ("predict.start.cpu", "seconds", None, "CPU time of that", counter("start", "cpu"))
    yield ("predict.start.bytes", "bytes", "<= 40000000", "resident memory then", counter("start", "resident"))


def command(program, output, repeats, quick, servers_python, peers_folder):
    """The command line of predict_bench."""
    words = [str(program), f"--out={output}", f"--rounds={repeats}", f"--burst={QUICK_MILLISECONDS if quick else MILLISECONDS}"]
    for peer in PEERS:
        script = pathlib.Path(peers_folder) / f"serve_{peer}.py"
        if script.exists() and servers_python.exists():
            words.append(f"--peer={peer}={servers_python} -B {script}")
    return words


def run(words, environment):
    """What went wrong, or None."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return f"predict_bench took more than {SECONDS} s"
    except OSError as problem:
        return f"predict_bench: {problem}"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return f"predict_bench ended with {done.returncode}: {lines[-1] if lines else 'no message'}"
