#!/usr/bin/env python3
"""Installs component stats into a temporary folder, moves it, and builds and runs examples/statistics with it."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

OPTIONS = argparse.ArgumentParser()
for name in ("build", "source", "cmake", "generator", "compiler", "sanitize", "version"):
    OPTIONS.add_argument(f"--{name}", required=True)


def run(*command, **more):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="tidewheel-package-")))
        first = cls.folder / "first"
        done = run(options.cmake, "--install", options.build, "--component", "stats", "--prefix", first)
        if done.returncode != 0:
            raise AssertionError(done.stdout)
        # A package that remembers where it was installed fails from here on.
        cls.prefix = cls.folder / "elsewhere/package"
        cls.prefix.parent.mkdir()
        shutil.move(first, cls.prefix)
        cls.flags = f"-fsanitize={options.sanitize}" if options.sanitize else ""

    def configure(self, source, *more):
        build = source / "build" if source.is_relative_to(self.folder) else self.folder / source.name
        return build, run(options.cmake, "-S", source, "-B", build, "-G", options.generator, f"-DCMAKE_CXX_COMPILER={options.compiler}",
                          f"-DCMAKE_CXX_FLAGS={self.flags}", f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_BUILD_TYPE=Release", *more)

    def project(self, name, lines, **files):
        source = self.folder / name
        source.mkdir()
        (source / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.25)\nproject({name} LANGUAGES CXX)\n{lines}\n")
        for file, text in files.items():
            (source / f"{file}.cc").write_text(text)
        return source

    def build(self, source):
        build, done = self.configure(source)
        self.assertEqual(done.returncode, 0, done.stdout)
        done = run(options.cmake, "--build", build)
        self.assertEqual(done.returncode, 0, done.stdout)
        return build

    def test_the_example_finds_the_planted_errors_and_the_shift(self):
        build = self.build(pathlib.Path(options.source) / "examples/statistics")
        done = run(build / "statistics")
        self.assertEqual(done.returncode, 0, done.stdout)
        found = re.search(r"(\d+) of (\d+) planted", done.stdout)
        self.assertIsNotNone(found, done.stdout)
        self.assertGreaterEqual(int(found.group(1)), 0.9 * int(found.group(2)), done.stdout)
        self.assertRegex(done.stdout, r"same source.*p = 0\.[1-9]")
        self.assertRegex(done.stdout, r"shifted.*p = \d(\.\d+)?e-")

    def test_the_headers_compile_with_what_is_installed(self):
        headers = sorted(str(path.relative_to(self.prefix / "include")) for path in (self.prefix / "include").rglob("*.h"))
        self.assertIn("tidewheel/stats/intervals.h", headers)
        self.assertFalse([header for header in headers if "internal" in header])
        # In one file: that each stands alone is what preset tidy checks.
        self.build(self.project("headers", "find_package(tidewheel REQUIRED)\nadd_library(headers STATIC all.cc)\n"
                                "target_link_libraries(headers tidewheel::labels)", all="".join(f"#include \"{header}\"\n" for header in headers)))

    def test_everything_in_the_libraries_resolves(self):
        whole = " ".join(f"-Wl,--whole-archive $<TARGET_FILE:tidewheel::{library}> -Wl,--no-whole-archive" for library in ("labels", "stats"))
        self.build(self.project("whole", "find_package(tidewheel REQUIRED COMPONENTS stats labels)\nadd_executable(whole main.cc)\n"
                                f"separate_arguments(whole UNIX_COMMAND \"{whole}\")\ntarget_link_libraries(whole PRIVATE ${{whole}} tidewheel::labels)",
                                main="int main() {}\n"))

    def test_it_needs_no_library_but_the_compilers_own(self):
        text = (self.prefix / "lib/cmake/tidewheel/tidewheelConfig.cmake").read_text()
        self.assertEqual(re.findall(r"find_dependency\((\w+)", text), ["Threads"])
        for path in self.prefix.rglob("*.cmake"):
            self.assertNotIn(str(self.folder), path.read_text())
            self.assertNotIn(options.build, path.read_text())

    def test_another_version_and_an_unknown_component_are_refused(self):
        major, minor = options.version.split(".")[:2]
        for number, (wanted, words) in enumerate(((f"{major}.{int(minor) + 1}", "version"), ("COMPONENTS everything", "everything"))):
            _, done = self.configure(self.project(f"refused_{number}", f"find_package(tidewheel {wanted} REQUIRED)"))
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stdout)


if __name__ == "__main__":
    options = OPTIONS.parse_args()
    unittest.main(argv=sys.argv[:1])
