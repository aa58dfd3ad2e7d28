"""The tables of bench/figures/: which figures an area has, and from which measurements each is made. bench/README.md has the format."""

import json
import os
import re
import statistics
import subprocess

# What runs longer is taken for stuck, unless its table allows more.
PROGRAM_SECONDS = 600
PEERS_SECONDS = 3600
UNITS = {"1", "ratio", "seconds", "bytes", "per_second", "count"}
KEYS = {"name", "unit", "goal", "how", "above", "below", "factor"}
TIMES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class WrongTable(Exception):
    """What is wrong with a table, for whoever wrote it."""


class NotMeasured(Exception):
    """Why there is no value."""


def short(name):
    """put/64/iterations:300/real_time/threads:2 -> put/64/threads:2"""
    parts = name.split("/")
    return "/".join(part for part in parts
                    if not re.match(r"(?:iterations|repeats|min_time|min_warmup_time):", part)
                    and part not in ("real_time", "manual_time", "process_time"))


class Source:
    """PROGRAM|MEASUREMENT|VALUE, as tables name a measurement."""

    def __init__(self, text):
        parts = text.split("|")
        if len(parts) != 3 or not all(parts):
            raise WrongTable(f"\"{text}\" is not PROGRAM|MEASUREMENT|VALUE")
        self.program, self.measurement, self.value = parts
        if not re.fullmatch(r"(peers/)?[a-z0-9_]+", self.program):
            raise WrongTable(f"\"{self.program}\" is neither a program of bench/ nor peers/<file of bench/peers>")


class Table:
    """One file of bench/figures."""

    def __init__(self, path):
        self.area = path.stem
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if set(document) - {"figures", "program_seconds", "peers_seconds"} or not document.get("figures"):
                raise WrongTable("has figures, and perhaps program_seconds and peers_seconds; nothing else")
            self.seconds = (document.get("program_seconds", PROGRAM_SECONDS), document.get("peers_seconds", PEERS_SECONDS))
            self.figures = [self.checked(entry) for entry in document["figures"]]
        except (ValueError, WrongTable) as problem:
            raise WrongTable(f"bench/figures/{path.name}: {problem}") from None

    def checked(self, entry):
        name = entry.get("name", "?")
        if set(entry) - KEYS or not {"name", "unit", "how"} <= set(entry):
            raise WrongTable(f"{name}: has {sorted(entry)}, wants name, unit, how, above or below, and perhaps goal and factor")
        if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", name):
            raise WrongTable(f"{name}: names are lower case and dotted")
        if entry["unit"] not in UNITS:
            raise WrongTable(f"{name}: no unit {entry['unit']}; there are {', '.join(sorted(UNITS))}")
        if "goal" in entry and not re.fullmatch(r"(<=|>=) [0-9.e+-]+", entry["goal"]):
            raise WrongTable(f"{name}: a goal is \"<= NUMBER\" or \">= NUMBER\"")
        if not {"above", "below"} & set(entry):
            raise WrongTable(f"{name}: names no measurement above or below")
        sources = {side: Source(entry[side]) for side in ("above", "below") if side in entry}
        if len({source.program for source in sources.values()}) > 1:
            raise WrongTable(f"{name}: a ratio is of measurements of one program, which were interleaved")
        return entry | {"sources": sources, "factor": float(entry.get("factor", 1))}

    def programs(self):
        """In the order of first use; peers last, they take longest."""
        used = []
        for entry in self.figures:
            for source in entry["sources"].values():
                if source.program not in used:
                    used.append(source.program)
        return sorted(used, key=lambda program: program.startswith("peers/"))


def read_tables(folder):
    """By area, in the order of names."""
    return {path.stem: Table(path) for path in sorted(folder.glob("*.json"))}


class Measured:
    """By measurement and value, the list of values of one program, one a repetition; or the problem it had."""

    def __init__(self, problem=None):
        self.problem = problem
        self.values = {}
        self.errors = {}

    def of(self, source):
        if self.problem:
            raise NotMeasured(self.problem)
        if source.measurement in self.errors:
            raise NotMeasured(f"{source.measurement}: {self.errors[source.measurement]}")
        known = self.values.get(source.measurement)
        if known is None:
            raise NotMeasured(f"{source.program} measured no {source.measurement}")
        if source.value not in known:
            raise NotMeasured(f"{source.measurement} has no {source.value}, only {', '.join(sorted(known))}")
        return known[source.value]

    def add(self, measurement, value, number):
        self.values.setdefault(measurement, {}).setdefault(value, []).append(number)


def of_google_benchmark(document):
    """Values real and cpu in seconds, and each counter by its name."""
    known = {"name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index", "threads", "iterations",
             "real_time", "cpu_time", "time_unit", "aggregate_name", "aggregate_unit", "label", "error_occurred", "error_message"}
    measured = Measured()
    for run in document.get("benchmarks", []):
        if run.get("run_type") == "aggregate":
            continue
        name = short(run["name"])
        if run.get("error_occurred"):
            measured.errors[name] = run.get("error_message", "failed")
            continue
        for clock in ("real", "cpu"):
            measured.add(name, clock, run[f"{clock}_time"] * TIMES[run["time_unit"]])
        for counter, number in run.items():
            if counter not in known:
                measured.add(name, counter, number)
    return measured


def of_list(document):
    """bench/peers: [{"name", "unit", "values"} or {"name", "unit", "error"}, ...]; the unit is the value's name."""
    measured = Measured()
    for entry in document:
        if "error" in entry:
            measured.errors[entry["name"]] = entry["error"]
            continue
        for number in entry["values"]:
            measured.add(entry["name"], entry["unit"], number)
    return measured


def run(command, output, seconds, environment, name):
    """The JSON the command left in `output`; NotMeasured tells why there is none."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=seconds, env=environment, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise NotMeasured(f"{name} ended with {done.returncode}: {lines[-1] if lines else 'no message'}")
        return json.loads(output.read_text(encoding="utf-8"))
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{name} took more than {seconds} s") from None
    except (OSError, ValueError) as problem:
        raise NotMeasured(f"{name} left no result: {problem}") from None


class Runner:
    """Runs what tables name, each program once with all its repetitions: its inputs are large and made once."""

    def __init__(self, programs, peers, python, repeats, scratch):
        self.programs, self.peers, self.python, self.repeats, self.scratch = programs, peers, python, repeats, scratch

    def measure(self, program, seconds):
        output = self.scratch / (program.replace("/", "_") + ".json")
        try:
            if program.startswith("peers/"):
                return of_list(self.measure_peers(program.removeprefix("peers/"), output, seconds[1]))
            return of_google_benchmark(self.measure_program(program, output, seconds[0]))
        except NotMeasured as problem:
            return Measured(problem=str(problem))

    def measure_program(self, program, output, seconds):
        path = self.programs / program
        if not path.exists():
            raise NotMeasured(f"{program} was not built")
        command = [str(path), f"--benchmark_repetitions={self.repeats}", "--benchmark_enable_random_interleaving=true",
                   "--benchmark_min_time=0.2", f"--benchmark_out={output}", "--benchmark_out_format=json"]
        environment = dict(os.environ, OMP_NUM_THREADS="1", TIDEWHEEL_BENCH_FOLDER=str(self.scratch))
        return run(command, output, seconds, environment, program)

    def measure_peers(self, name, output, seconds):
        script = self.peers / f"{name}.py"
        if not script.exists():
            raise NotMeasured(f"there is no bench/peers/{name}.py")
        if not self.python.exists():
            raise NotMeasured("the peers' environment is not there; ./tidewheel setup --peers makes it")
        modules = [self.programs.parent / "peers", self.peers, self.peers.parent.parent / "tests/peers"]
        # One thread on both sides; whoever measures two says so in its own options.
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(map(str, modules)))
        return run([str(self.python), "-B", str(script), "--repeats", str(self.repeats), "--out", str(output)], output, seconds, environment,
                   f"bench/peers/{name}.py")


def value_of(entry, measured):
    """The figure without its goal: value, min, max, repeats, how."""
    series = {side: measured[source.program].of(source) for side, source in entry["sources"].items()}
    above, below = series.get("above"), series.get("below")
    how = entry["how"]
    factor = entry["factor"]
    if above and below and len(above) != len(below):
        # What takes minutes is repeated less often: the ratio is then of medians, and its range the widest there can be.
        how += f" ({len(above)} over {len(below)} repeats)"
        return {"value": factor * statistics.median(above) / statistics.median(below), "min": factor * min(above) / max(below),
                "max": factor * max(above) / min(below), "repeats": min(len(above), len(below)), "how": how}
    if above and below:
        values = [factor * a / b for a, b in zip(above, below)]
    elif above:
        values = [factor * a for a in above]
    else:
        values = [factor / b for b in below]
    return {"value": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values), "how": how}


def figures(table, runner):
    """Measures what the table needs and yields its figures as reports have them, without the verdict on the goal."""
    measured = {program: runner.measure(program, table.seconds) for program in table.programs()}
    for entry in table.figures:
        made = {"name": entry["name"], "value": None, "unit": entry["unit"]}
        try:
            made |= value_of(entry, measured)
        except (NotMeasured, ZeroDivisionError) as problem:
            made["how"] = f"not measured: {problem}"
        if "goal" in entry:
            made["goal"] = entry["goal"]
        yield made
