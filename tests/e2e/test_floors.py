"""`make floors` and `make complexity` themselves, over a small tree of their own."""

import os
import shutil
import subprocess
import sys

import harness
import server


class Floors(harness.Case):
    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(server.TOP, "tests", "floors"), self.path("tests/floors"))
        for name in ("base/a.h", "acme/order.h", "core/plan.h", "serve/edge.h"):
            self.write("reconciler/" + name, "struct some;\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode="w"):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), mode, encoding="utf-8") as f:
            f.write(text)

    def run_check(self, name="floors"):
        done = subprocess.run(
            [sys.executable, self.path(f"tests/floors/{name}.py")], capture_output=True, text=True, check=False
        )
        self.assertEqual("", done.stderr)
        return done.returncode, done.stdout.splitlines()

    def test_all_is_well(self):
        self.write("reconciler/acme/order.c", '#include "order.h"\n#include "reconciler/base/a.h"\n')
        code, lines = self.run_check("complexity")
        self.assertEqual((0, "complexity: 0 functions are in bounds"), (code, lines[-1]))
        os.unlink(self.path("reconciler/acme/order.c"))  # the other check wants its object
        self.assertEqual((0, ["floors: 4 files keep to them"]), self.run_check())

    def test_forbidden_include(self):
        self.write("reconciler/acme/order.h", '#include "reconciler/core/plan.h"\n')
        self.write("reconciler/serve/edge.h", "#include <curl/curl.h>\n")
        self.write("reconciler/nowhere/new.h", "struct some;\n")
        code, lines = self.run_check()
        self.assertEqual(1, code)
        self.assertEqual(
            [
                "reconciler/acme/order.h:1: acme may not include reconciler/core/plan.h",
                "reconciler/nowhere/new.h: belongs to no floor of tests/floors/table.py",
                "reconciler/serve/edge.h:1: libcurl is not for this file of serve",
            ],
            sorted(lines),
        )

    def test_circle(self):
        """By a detour, and whether anybody takes it or not."""
        self.write("tests/floors/table.py", 'INCLUDES["base"] = ["acme"]\n', "a")
        self.write("reconciler/acme/order.h", '#include "reconciler/base/a.h"\n')
        code, lines = self.run_check()
        self.assertEqual((1, 1), (code, len(lines)))
        line = lines[0]
        self.assertIn("a circle: acme -> base -> acme (", line)
        self.assertIn("reconciler/acme/order.h:1 includes reconciler/base/a.h; nobody does)", line)

    def test_circle_by_a_header(self):
        """A room that may have no more than one header of another."""
        self.write("tests/floors/table.py", 'INCLUDES["pki"] = ["reconciler/acme/order.h"]\n', "a")
        code, lines = self.run_check()
        self.assertEqual((1, 1), (code, len(lines)))
        self.assertIn("a circle: acme -> pki -> acme", lines[0])

    def test_a_room_too_large(self):
        text = "".join(f"int number_{i};\n/* not code */\n\n" for i in range(100))
        for i in range(50):
            self.write(f"reconciler/base/b{i}.h", text)
        self.write("reconciler/base/a.h", "/* nothing yet */\n")
        self.assertEqual(0, self.run_check("complexity")[0])
        self.write("reconciler/base/a.h", "struct some;\n")
        code, lines = self.run_check("complexity")
        self.assertEqual((1, "base: 5001 lines of code, more than 5000"), (code, lines[-1]))
