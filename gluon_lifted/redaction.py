"""Remove credentials from URLs, so that they can be stored and printed."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import quote, unquote

# A scheme starts where a run of its characters starts, so that long texts are searched in linear time. One slash is
# enough: a mistyped ``https:/user:password@host`` also contains the password.
SCHEME = r"(?<![A-Za-z0-9+.\-])[A-Za-z0-9+.\-]{2,}:/+"
# In text, a URL ends at white space or a quote. A quote inside a user name or password does not end it.
URL_IN_TEXT = re.compile(SCHEME + r"""(?:[^\s/?#"<>\\^`{|}]*@)?[^\s"'<>]*""")
SUSPECT = re.compile("[@?#;]")  # a URL with credentials contains at least one of these
PUNCTUATION = ".,:;!?)]}"  # may follow a URL in a sentence
VALID_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")  # host and port
CHAINED = re.compile(rf"::(?={SCHEME.split(')', 1)[1]})")  # fsspec's simplecache::https://
INNER_PARAMETER = re.compile(r"[?#;]([^=?#;]*)=")
PATH_PARAMETER = re.compile(r";([^=;/]*)=[^;/]*")

# Azure's "user" is the container of abfs://container@account.dfs.core.windows.net/file
CONTAINER_SCHEMES = ("abfs", "abfss", "wasb", "wasbs")
SIGNING_PREFIXES = ("x-amz-", "x-goog-")
SECRET_WORDS = frozenset(
    "signature sig token secret password passwd pwd pass passphrase credential credentials auth authorization jwt hmac "
    "apikey accesskey secretkey accesstoken authtoken sessionid jsessionid phpsessid sas".split()
)
KEY_KINDS = frozenset(
    "api access private secret auth subscription account shared app client functions license storage session "
    "encryption service consumer".split()
)
SECRET_NAMES = frozenset({"googleaccessid", "awsaccesskeyid", "key-pair-id"})
BESIDE_ANY = frozenset({"expires", "expiry", "exp"})
BESIDE_SIGNATURE = frozenset({"policy", "hash-algorithm"})
BESIDE_SIG = frozenset(
    "sv ss srt sp se st spr sr sip si sdd ses skoid sktid skt ske sks skv saoid suoid scid rscc rscd rsce rscl rsct "
    "skdutid sduoid".split()
)
WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
IMAGE_NAME = re.compile(r"\.(jpe?g|png|gif|webp|bmp|tiff?|avif|heic|jxl)$", re.IGNORECASE)

# Environment variables that hold secrets for botocore, azure-storage, google-auth, fsspec and huggingface_hub
SECRET_VARIABLE = re.compile(
    r"(AWS|AZURE|GOOGLE|GCS|FSSPEC|HF|HUGGING_FACE)_.*(SECRET|TOKEN|PASSWORD|KEY|KEY_ID|SAS|STRING)"
)
AWS_HEADER = re.compile(r"\b(Credential|Signature)=[^\s,&\"']+")
MARK = "***"
SHORTEST_SECRET = 4  # characters; replacing shorter ones would damage words in sentences


def without_credentials(text: str) -> str:
    """Remove credentials and signatures from all URLs in a text.

    All parameters of a signature are removed, including its dates, so that an object has the same URL each time it is
    signed. Other parameters stay, such as ``?id=17``, which may distinguish rows.

    Parameters
    ----------
    text : str
        A sentence, or a URL without white space; see `url_without_credentials` for a URL that may be malformed.

    Returns
    -------
    str
        The text itself if it contains no credentials.

    Notes
    -----
    These are removed from the query and the fragment, in upper and lower case, also with percent-encoded names:

    - user and password before the host (RFC 3986, 3.2.1), also in chained URLs and in URLs inside parameters.
      The container of ``abfs://container@account`` stays.
    - ``X-Amz-*`` (AWS Signature Version 4, "Authenticating requests: using query parameters") and ``AWSAccessKeyId``,
      ``Signature``, ``Expires`` (Version 2);
    - ``X-Goog-*`` (Google Cloud Storage, V4 signed URLs) and ``GoogleAccessId``, ``Signature``, ``Expires`` (V2);
    - ``sig`` and the other parameters of a shared access signature: ``sv``, ``se``, ``sp``, ``skoid``, ... (Azure
      Storage, "Create a service SAS", "Create a user delegation SAS", "Create an account SAS");
    - ``Signature``, ``Key-Pair-Id``, ``Policy``, ``Expires``, ``Hash-Algorithm`` (Amazon CloudFront, signed URLs);
    - by convention: a name with a word such as token, secret, password, auth or signature; ``key`` unless its value is
      the file name of an image; ``api_key``, ``accessKey`` and similar names; next to these, ``expires`` and ``exp``.

    Examples
    --------
    >>> without_credentials("https://me:secret@host/a.jpg?id=17&token=abc: not found")
    'https://host/a.jpg?id=17: not found'
    """
    if ":/" not in text:
        return text
    return URL_IN_TEXT.sub(_cleaned_match, text)


def url_without_credentials(url: str) -> str:
    """Remove credentials from a text that is a single URL, malformed or not. Paths are returned unchanged."""
    if ":/" not in url or SUSPECT.search(url) is None:
        return url
    return "::".join(_without_parameters(_without_userinfo(link)) for link in CHAINED.split(url))


def reference_without_credentials(reference: str) -> str:
    """Remove credentials from a URL or a relative reference, such as the ``a.jpg?token=...`` of a web page."""
    return _without_parameters(url_without_credentials(reference))


def value_without_credentials(value: Any) -> Any:
    """Apply `without_credentials` to all strings in a table value, including those in lists and dictionaries."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {name: value_without_credentials(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)) and isinstance(_first_defined(value), (str, dict, list, tuple)):
        return type(value)(value_without_credentials(item) for item in value)
    return value  # lists of numbers are not searched


def reason_without_credentials(reason: str, url: str) -> str:
    """Remove credentials from a library's message about ``url``: those of all URLs and of the environment."""
    for secret in sorted({url, *_secrets_of(url), *_secrets_of_environment()}, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            reason = reason.replace(secret, url_without_credentials(url) if secret == url else MARK)
    return AWS_HEADER.sub(rf"\1={MARK}", without_credentials(reason))


def _cleaned_match(match: re.Match[str]) -> str:
    url = match[0].rstrip(PUNCTUATION)
    return url_without_credentials(url) + match[0][len(url) :]


def _without_userinfo(url: str) -> str:
    """Remove user and password from a URL and from URLs in its query."""
    if "@" not in url:
        return url
    kept, end = [], 0
    for match in re.finditer(SCHEME, url):
        if match.start() < end:
            continue  # inside a part that was removed
        kept.append(url[end : match.end()])
        end = match.end() + _userinfo_length(match[0], url[match.end() :])
    return "".join([*kept, url[end:]])


def _userinfo_length(scheme: str, rest: str) -> int:
    """Return the length of user, password and ``@`` at the start of ``rest``, the part of a URL after its scheme."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    userinfo, mark, _ = authority.rpartition("@")
    if mark:
        container = scheme.rstrip(":/").lower() in CONTAINER_SCHEMES and ":" not in userinfo
        return 0 if container else len(userinfo) + 1
    if ":" in authority and VALID_AUTHORITY.fullmatch(authority) is None:
        return rest.rfind("@") + 1  # a password that contains a slash, as AWS's secret keys can
    return 0


def _without_parameters(url: str) -> str:
    """Remove the parameters that sign a URL or hold a secret. The URL may be relative."""
    base, mark, query = re.match(r"([^?#]*)([?#]?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
    base = PATH_PARAMETER.sub(lambda match: "" if _is_secret(match[1], "") else match[0], base)
    if not mark:
        return base
    pieces = query.split("&")
    unwanted = _unwanted_names(pieces)
    kept = [_without_inner(piece, unwanted) for piece in pieces if _name_of(piece) not in unwanted]
    return base + mark + "&".join(kept) if kept else base


def _unwanted_names(pieces: list[str]) -> set[str]:
    """Return the names of the parameters to remove, in lower case."""
    parameters = {(_name_of(piece), piece.partition("=")[2]) for piece in pieces}
    parameters |= {(_plain(match[1]), "") for piece in pieces for match in INNER_PARAMETER.finditer(piece)}
    unwanted = {name for name, value in parameters if _is_secret(name, value)}
    if unwanted:
        unwanted |= BESIDE_ANY
    if unwanted & {"signature", "key-pair-id"}:
        unwanted |= BESIDE_SIGNATURE
    if "sig" in unwanted:
        unwanted |= BESIDE_SIG
    return unwanted


def _without_inner(piece: str, unwanted: set[str]) -> str:
    """Clean the value of a parameter that stays: it may be an encoded URL with unwanted parameters of its own."""
    for match in INNER_PARAMETER.finditer(piece):
        if _plain(match[1]) in unwanted:
            piece = piece[: match.start()]
            break
    name, mark, value = piece.partition("=")
    decoded = unquote(value)
    if "%" in decoded and ":/" not in decoded:
        decoded = unquote(decoded)
    if decoded == value or ":/" not in decoded:
        return piece
    cleaned = url_without_credentials(decoded)
    return piece if cleaned == decoded else name + mark + quote(cleaned, safe="")


def _name_of(piece: str) -> str:
    return _plain(piece.partition("=")[0])


@lru_cache(maxsize=1000)
def _plain(name: str) -> str:
    """Normalize the name of a parameter: decoded, lower case, words separated by hyphens."""
    return WORD_BOUNDARY.sub("-", unquote(name)).lower() if name else ""


def _is_secret(name: str, value: str) -> bool:
    name = _plain(name)
    words = name.split("-")
    if name.startswith(SIGNING_PREFIXES) or name.replace("-", "") in SECRET_NAMES or name in SECRET_NAMES:
        return True
    if name == "key":
        return IMAGE_NAME.search(value) is None
    return not SECRET_WORDS.isdisjoint(words) or any(
        kind in KEY_KINDS and word == "key" for kind, word in pairwise(words)
    )


def _secrets_of(url: str) -> set[str]:
    """Return passwords and values of secret parameters in a URL, as written, decoded and encoded."""
    secrets: set[str] = set()
    for scheme in re.finditer(SCHEME, url):
        rest = url[scheme.end() :]
        userinfo = rest[: max(_userinfo_length(scheme[0], rest) - 1, 0)]
        secrets |= {userinfo, userinfo.partition(":")[2]}
    for name, value in re.findall(r"[?&#;]([^=&?#;]*)=([^&]*)", url):
        if _is_secret(name, value) or _plain(name) in BESIDE_SIGNATURE:
            secrets.add(value)
    secrets |= {unquote(secret) for secret in secrets}
    return secrets | {quote(secret, safe="") for secret in secrets}


def _secrets_of_environment() -> set[str]:
    return {value for name, value in os.environ.items() if len(value) >= 8 and SECRET_VARIABLE.fullmatch(name)}


def _first_defined(values: list[Any] | tuple[Any, ...]) -> Any:
    return next((value for value in values if value is not None), None)
