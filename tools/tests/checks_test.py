#!/usr/bin/env python3
"""The checks of the sources find what they are there for."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
TOOLS = pathlib.Path(__file__).resolve().parent.parent


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(TOOLS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class CheckIncludesTest(unittest.TestCase):
    def setUp(self):
        self.check = load("check-includes")
        self.check.SERVICES = {"ingestion", "labeling"}

    def problems(self, path, line):
        return list(self.check.problems(path, line))

    def test_a_third_party_stays_in_its_library(self):
        self.assertTrue(self.problems("libs/stats/a.cc", "#include <pqxx/pqxx>"))
        self.assertTrue(self.problems("services/ingestion/domain/a.h", "#include <grpcpp/grpcpp.h>"))
        self.assertTrue(self.problems("libs/serving/a.cc", "#  include <torch/script.h>"))
        self.assertFalse(self.problems("libs/postgres/a.cc", "#include <pqxx/pqxx>"))
        self.assertFalse(self.problems("services/ingestion/storage/a.cc", "#include <pqxx/pqxx>"))
        self.assertFalse(self.problems("services/ingestion/api/a.cc", "#include <grpcpp/grpcpp.h>"))

    def test_a_service_includes_no_other_service(self):
        self.assertTrue(self.problems("services/ingestion/app.cc", '#include "tidewheel/labeling/domain/vote.h"'))
        self.assertFalse(self.problems("services/ingestion/app.cc", '#include "tidewheel/labeling/v1/labeling_service.pb.h"'))
        self.assertFalse(self.problems("services/ingestion/app.cc", '#include "tidewheel/ingestion/domain/sample.h"'))
        self.assertTrue(self.problems("libs/base/a.h", '#include "tidewheel/ingestion/domain/sample.h"'))

    def test_no_include_climbs(self):
        self.assertTrue(self.problems("cli/main.cc", '#include "../secret.h"'))


class CheckWordsTest(unittest.TestCase):
    def setUp(self):
        self.check = load("check-words")

    def test_registry_hosts_are_found_and_ordinary_words_are_not(self):
        for host in ("registry." + "example-host.org", "files." + "some.example.com", "repo1." + "x.org"):
            self.assertTrue(self.check.REGISTRY.search(f"see https://{host}/path"), host)
        for text in ("registry.address", "files.size()", "tidewheel.registry.v1", "index.html", "security.protocol"):
            self.assertFalse(self.check.REGISTRY.search(text), text)

    def test_paths_of_one_machine_are_found(self):
        self.assertTrue(self.check.MACHINE.search("in /" + "root/main"))
        self.assertTrue(self.check.MACHINE.search('"/' + 'home/somebody/x"'))
        for text in ("a/root/b", "docs/work/x", "${x}/work", "/workspace"):
            self.assertFalse(self.check.MACHINE.search(text), text)


class CtestOutcomesTest(unittest.TestCase):
    def test_what_could_not_be_run_has_failed_and_what_skipped_says_so(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write('''<testsuite tests="4"><testcase name="a" status="run"/><testcase name="b" status="fail"><failure message=""/></testcase>
                <testcase name="c" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>
                <testcase name="d" status="notrun"><skipped message="Unable to find executable"/></testcase></testsuite>''')
            file.flush()
            self.assertEqual(list(load("ctest-outcomes").outcomes(file.name)), [("passed", "a"), ("failed", "b"), ("skipped", "c"), ("failed", "d")])


if __name__ == "__main__":
    unittest.main()
