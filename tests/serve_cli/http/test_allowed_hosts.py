import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.http.allowed_hosts import AllowedHosts, Target
from tests.serve_cli.http.parsing.refusals import refused

HOSTS = AllowedHosts(("Images.example.com", "*.cdn.example", "files.example:8443", "[2001:470::1]"))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://images.example.com", ("http", "images.example.com", 80, "/")),
        ("HTTPS://IMAGES.EXAMPLE.COM./a?b=c#d", ("https", "images.example.com", 443, "/a?b=c")),
        ("https://images.example.com:443/a", ("https", "images.example.com", 443, "/a")),
        ("https://a.b.cdn.example/x", ("https", "a.b.cdn.example", 443, "/x")),
        ("https://files.example:8443/x", ("https", "files.example", 8443, "/x")),
        ("http://[2001:470::1]/x", ("http", "2001:470::1", 80, "/x")),
    ],
)
def test_allowed(url, target):
    assert HOSTS.target(url) == Target(*target)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://xn--mages-1fd.example.com/",
        "http://evil.images.example.com/",
        "http://images.example.com.evil.com/",
        "http://cdn.example/",
        "http://evilcdn.example/",
        "http://images.example.com:8080/",
        "https://images.example.com:80/",
        "https://files.example/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://evil.com#@images.example.com/",
        "http://evil.com?@images.example.com/",
    ],
)
def test_other_hosts_and_ports(url):
    with refused(403, "not allowed"):
        HOSTS.target(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///path",
        "ftp://images.example.com/",
        "file:///etc/passwd",
        "gopher://images.example.com/",
        "images.example.com",
        "http://user@images.example.com/",
        "http://user:password@images.example.com/",
        "http://images.example.com:0/",
        "http://images.example.com:99999/",
        "http://images.example.com:x/",
        "http://evil.com\\@images.example.com/",
        "http://[::1/",
        "http://a\nb/",
        "http://a b/",
        "http://" + "ä" * 300 + ".com/",
    ],
)
def test_no_urls_of_the_web(url):
    with refused(422, "cannot be used"):
        HOSTS.target(url)


def test_names_of_other_scripts():
    assert AllowedHosts(("xn--bcher-kva.example",)).target("http://BÜCHER.example/").host == "xn--bcher-kva.example"


def test_any_host():
    hosts = AllowedHosts(("*",))
    assert hosts
    assert hosts.target("http://a.example/").host == "a.example"
    with refused(403, "port 81"):
        hosts.target("http://a.example:81/")


def test_none_by_default():
    assert not AllowedHosts(())


@pytest.mark.parametrize("pattern", ["http://a", "a/b", "", "a:b", "a:123456", "*.*", "a*.b", "a b"])
def test_what_is_no_host(pattern):
    with pytest.raises(ConfigError, match="is not a host"):
        AllowedHosts((pattern,))


def test_the_host_header():
    assert Target("http", "a", 80, "/").authority == "a"
    assert Target("http", "a", 81, "/").authority == "a:81"
    assert Target("https", "::1", 443, "/").authority == "[::1]"
