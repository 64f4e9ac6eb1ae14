"""What newer libraries bring; see tests/soak/debian13.py, which runs this on Debian 13's."""

import os
import subprocess
import unittest

from harness import Case, declared, document

OPENSSL = os.environ.get("DEBIAN13_OPENSSL")


@unittest.skipUnless(OPENSSL, "make soak runs it on Debian 13's OpenSSL")
class Groups(Case):
    def group(self, s, groups):
        """The group that a client which offers these gets; None: no handshake."""
        command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{s.tls}"]
        command += ["-servername", "d.test", "-groups", groups, "-brief"]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
        lines = [x for x in done.stderr.splitlines() if "group" in x.lower() or "Temp Key" in x]
        return lines[0].split(": ", 1)[1].split(",")[0] if lines else None

    def test_hybrid_is_preferred(self):
        s = self.server(document(certificates=[declared("d.test")]))
        s.start()
        self.assertEqual("X25519MLKEM768", self.group(s, "X25519MLKEM768"))
        self.assertEqual("X25519MLKEM768", self.group(s, "X25519MLKEM768:X25519"))
        self.assertEqual("X25519", self.group(s, "X25519:P-256"))
        self.assertEqual(None, self.group(s, "X448"))
