from serve_cli.http.page.page import search_page


def test_the_page_has_a_policy_and_no_data(client, shop):
    reply = client.get("/")
    assert reply.content == search_page().html
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == search_page().policy
    assert "tiny" not in reply.text
