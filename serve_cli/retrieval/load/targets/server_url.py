"""URLs of servers, with credentials that never appear in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from gluon_lifted.errors import ConfigError
from gluon_lifted.redaction import without_credentials

YES_NO = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class ServerUrl:
    """A server, or a file of a database that runs inside this process.

    Parameters
    ----------
    host : str
        Empty if there is a local path instead.
    port : int, optional
        As written in the URL.
    path : str
        The part after the host, with its slash, or the local path.
    user, password : str
        As written before the ``@``, decoded.
    options : dict of str to str
        After the question mark.
    """

    host: str
    port: int | None
    path: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    options: dict[str, str] = field(repr=False)

    @staticmethod
    def parse(url: str, example: str, names: tuple[str, ...]) -> ServerUrl:
        """Parse a URL.

        Parameters
        ----------
        url : str
            From the user.
        example : str
            A valid URL, for the message.
        names : tuple of str
            Options that may follow the question mark.

        Raises
        ------
        ConfigError
            If it is not valid. The message does not show the URL.
        """
        try:
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ConfigError(f"--to is not a valid URL, such as {example}.") from None
        unknown = next((name for name in options if name not in names), None)
        if unknown is not None or parts.fragment:
            raise ConfigError(f"--to has an unknown option after the ?; expected {', '.join(names)}.")
        if not host and len(parts.path) < 2:
            raise ConfigError(f"--to names no server; expected a URL such as {example}.")
        return ServerUrl(host, port, parts.path, unquote(parts.username or ""), unquote(parts.password or ""), options)

    @property
    def is_local(self) -> bool:
        """Whether the database is a path."""
        return not self.host

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted (``?tls=true``). Raises `ConfigError`."""
        value = self.options.get("tls", "false").lower()
        if value not in YES_NO:
            raise ConfigError("--to has a tls that is neither true nor false; write ?tls=true or ?tls=false.")
        return YES_NO[value]

    def named(self, default_port: int) -> str:
        """Name the server, or the path, in a sentence."""
        return self.path if self.is_local else f"{self.host}:{self.port or default_port}"

    def hide(self, text: str, *secrets: str) -> str:
        """Remove the URL's credentials and further secrets from a text."""
        for secret in (self.password, self.user, *secrets):
            if len(secret) > 3:
                text = text.replace(secret, "***")
        return without_credentials(text)
