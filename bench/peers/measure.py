"""What the files of bench/peers share: our function (through tests/peers' bindings) and the peers' on the same inputs, in one process, in
random order, each repeated; and the peak memory of each in a process of its own. README.md of bench/ tells how a figure comes of it.

    from tidewheel_peers import label_errors as ours
    import measure

    def make():                      # Called once a case, and again in each process that measures memory.
        return labels, probabilities

    measure.main([
        measure.Case("50k_x_10.f64", make, {
            "ours": lambda inputs: ours.find(*inputs),
            "cleanlab": lambda inputs: find_label_issues(*inputs),
            "slow_peer": measure.Side(slow_function, repeats=1),     # Minutes a call: fewer repeats, which the figure then states.
        }, memory=("ours", "cleanlab")),
    ])

writes measurements `50k_x_10.f64/ours` and so on in seconds a call, and `50k_x_10.f64/ours/memory` in bytes above what was there before the
call, `50k_x_10.f64/inputs` in bytes."""

import argparse
import gc
import json
import pathlib
import random
import re
import subprocess
import sys
import time

# A repetition of something quick is many calls, so that the clock's steps and one interrupt do not show.
LEAST_SECONDS = 0.1


class Side:
    """One way to do the case's work. `before(inputs)`, if given, prepares what the function gets, unmeasured, before each call."""

    def __init__(self, function, repeats=None, before=None):
        self.function, self.repeats, self.before = function, repeats, before


class Case:
    def __init__(self, name, make, sides, memory=(), warm_up=True):
        self.name, self.make, self.memory, self.warm_up = name, make, tuple(memory), warm_up
        self.sides = {key: side if isinstance(side, Side) else Side(side) for key, side in sides.items()}


def timed(side, inputs, least=LEAST_SECONDS):
    """Seconds a call, over enough calls."""
    calls, spent = 0, 0.0
    while spent < least or calls == 0:
        given = side.before(inputs) if side.before else inputs
        gc.collect() if calls == 0 else None
        begun = time.perf_counter()
        side.function(given)
        spent += time.perf_counter() - begun
        calls += 1
    return spent / calls


def times(case, repeats):
    """By side its seconds a call. Each round has every side that is still due, in random order; one call each before, unmeasured."""
    order = random.Random(1)
    inputs = case.make()
    found = {key: [] for key in case.sides}
    errors = {}
    for key, side in case.sides.items():
        try:
            # A call of minutes warms itself up.
            if case.warm_up and side.repeats is None:
                side.function(side.before(inputs) if side.before else inputs)
        except Exception as problem:  # pylint: disable=broad-except
            errors[key] = f"{type(problem).__name__}: {problem}"
    for turn in range(repeats):
        due = [key for key, side in case.sides.items() if key not in errors and turn < (side.repeats or repeats)]
        order.shuffle(due)
        for key in due:
            try:
                found[key].append(timed(case.sides[key], inputs))
            except Exception as problem:  # pylint: disable=broad-except
                errors[key] = f"{type(problem).__name__}: {problem}"
    for key in case.sides:
        name = f"{case.name}/{key}"
        yield {"name": name, "unit": "seconds", "error": errors[key]} if key in errors else {"name": name, "unit": "seconds", "values": found[key]}


def status(field):
    """VmRSS or VmHWM of this process in bytes."""
    text = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE).group(1)) * 1024


def memory_of_call(case, key):
    """In this process: bytes at the peak of one call above what was there before it, and before it above the process without inputs."""
    side = case.sides[key]
    empty = status("VmRSS")
    inputs = case.make()
    given = side.before(inputs) if side.before else inputs
    gc.collect()
    before = status("VmRSS")
    # Forgets the peak that making the inputs had.
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    side.function(given)
    return {"extra": max(0, status("VmHWM") - before), "inputs": max(0, before - empty)}


def memory(case):
    inputs = []
    for key in case.memory:
        name = f"{case.name}/{key}/memory"
        done = subprocess.run([sys.executable, "-B", sys.argv[0], "--memory-of", case.name, key], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            yield {"name": name, "unit": "bytes", "error": lines[-1] if lines else f"ended with {done.returncode}"}
            continue
        # What a library prints comes before.
        answer = json.loads(done.stdout.splitlines()[-1])
        inputs.append(answer["inputs"])
        yield {"name": name, "unit": "bytes", "values": [answer["extra"]]}
    if inputs:
        yield {"name": f"{case.name}/inputs", "unit": "bytes", "values": inputs[:1]}


def main(cases):
    parser = argparse.ArgumentParser(description="Measures ours and the peers side by side.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, help="where the JSON goes (default: a table on standard output)")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose name has this")
    parser.add_argument("--memory-of", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        case = next(case for case in cases if case.name == options.memory_of[0])
        print(json.dumps(memory_of_call(case, options.memory_of[1])))
        return
    found = []
    for case in cases:
        if re.search(options.only, case.name):
            # Memory first: this process is then still small, and the machine has room for the others.
            found += [*memory(case), *times(case, options.repeats)]
            gc.collect()
    if options.out:
        options.out.write_text(json.dumps(found), encoding="utf-8")
        return
    for entry in found:
        values = sorted(entry.get("values", []))
        print(f"{entry['name']:50} {entry['unit']:8}", entry.get("error") or f"{values[len(values) // 2]:12.6g}  ({len(values)})")
