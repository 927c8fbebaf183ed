"""A certificate authority for tests, by the openssl program."""

import subprocess
from pathlib import Path


class Authority:
    """Certificates that it has signed, in the directory that it is given."""

    def __init__(self, directory, name="ca"):
        self._directory = Path(directory)
        self._key = self._directory / f"{name}.key"
        self.path = self._directory / f"{name}.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                      "-subj", f"/CN=winnow test {name}", "-keyout", self._key, "-out", self.path)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=self._directory, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def issue(self, name, host):
        """(path of the key, path of the certificate) for a server of that host name, or for a user."""
        key, request, certificate = (self._directory / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{host}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}",
                      "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self._key, "-CAcreateserial", "-days", "2",
                      "-extfile", extensions, "-out", certificate)
        key.chmod(0o600)
        return key, certificate
