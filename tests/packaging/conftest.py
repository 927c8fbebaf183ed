"""One Kafka for this suite, which is to be reached in all the ways that the operator's manual tells of."""

import secrets

import pytest
from winnow_test.certificates import Authority
from winnow_test.kafka import Kafka
from winnow_test.process import free_port

PASSWORD = secrets.token_hex(8)
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
# Listener → protocol. localhost: what its certificate says; STRANGER's says something else.
LISTENERS = {"TLS": "SSL", "STRANGER": "SSL", "MUTUAL": "SSL", "LOGIN": "SASL_SSL", "CLEAR": "SASL_PLAINTEXT"}


class Secured:
    """Addresses by listener, and what a client needs to use them."""

    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority(directory)
        self.other = Authority(directory, "other")
        self.ports = {name: free_port() for name in LISTENERS}
        self.user_key, self.user_certificate = self.authority.issue("user", "winnow")
        self.password_file = directory / "sasl-password"
        self.password_file.write_text(PASSWORD + "\n")

    def brokers(self, listener):
        return f"localhost:{self.ports[listener]}"

    def _pem(self, name, host):
        key, certificate = self.authority.issue(name, host)
        both = self.directory / f"{name}-both.pem"
        both.write_text(key.read_text() + certificate.read_text())
        return both

    def settings(self, port, controller_port):
        """What the broker is given: its plain listener, and ours."""
        listeners = {"PLAINTEXT": f"127.0.0.1:{port}", **{name: f"localhost:{at}" for name, at in self.ports.items()}}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **LISTENERS}
        settings = {
            "listeners": ",".join(f"{name}://{at}" for name, at in
                                  [*listeners.items(), ("CONTROLLER", f"127.0.0.1:{controller_port}")]),
            "advertised.listeners": ",".join(f"{name}://{at}" for name, at in listeners.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "ssl.keystore.type": "PEM", "ssl.truststore.type": "PEM",
            "ssl.keystore.location": self._pem("server", "localhost"),
            "ssl.truststore.location": self.authority.path,
            "listener.name.stranger.ssl.keystore.type": "PEM",
            "listener.name.stranger.ssl.keystore.location": self._pem("stranger", "elsewhere.example"),
            "listener.name.mutual.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        }
        for name in ("login", "clear"):
            settings[f"listener.name.{name}.plain.sasl.jaas.config"] = f'{PLAIN} required user_winnow="{PASSWORD}";'
            settings[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = f"{SCRAM} required;"
        return settings


@pytest.fixture(scope="session")
def secured(tmp_path_factory):
    return Secured(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def kafka_of_run(secured):
    port, controller_port = free_port(), free_port()
    with Kafka(secured.settings(port, controller_port), scram={"winnow": PASSWORD},
               ports=(port, controller_port)) as broker:
        yield broker
