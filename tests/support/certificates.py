"""Keys and certificates as files, as an operator or Kubernetes puts them there."""

import ssl
from pathlib import Path

import trustme


class Certificates:
    """A directory with a server's key and chain, and the authority that clients are signed by."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.key = directory / "tls.key"
        self.chain = directory / "tls.crt"
        self.authorities = directory / "ca.crt"
        self._authority = trustme.CA()
        self._clients = trustme.CA()
        self._clients.cert_pem.write_to_path(self.authorities)
        self.renew()

    def renew(self, name: str = "localhost") -> None:
        """Another certificate in the same files."""
        issued = self._authority.issue_cert(name, "127.0.0.1", common_name=name)
        issued.private_key_pem.write_to_path(self.key)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        self.chain.write_bytes(chain)

    def variables(self, mode: str) -> dict[str, str]:
        """The environment of a server that uses them."""
        return {
            "NIM_SSL_MODE": mode,
            "NIM_SSL_KEY_PATH": str(self.key),
            "NIM_SSL_CERTS_PATH": str(self.chain),
            "NIM_SSL_CA_CERTS_PATH": str(self.authorities),
        }

    def client(self, name: str | None = None) -> ssl.SSLContext:
        """A client that trusts the server, with a certificate for `name` if it has one."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        if name is not None:
            self._clients.issue_cert(name, common_name=name).configure_cert(context)
        return context

    def stranger(self) -> ssl.SSLContext:
        """A client with a certificate of an authority that the server does not know."""
        context = self.client()
        trustme.CA().issue_cert("stranger").configure_cert(context)
        return context
