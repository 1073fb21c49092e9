"""Heads of HTTP: read, changed, and written again; what nobody honest sends is refused."""

from __future__ import annotations

import pytest

from explorer.heads import Head, HeadError, request, response

ASKED = b"GET /join?code=AB%20C&code=2 HTTP/1.1\r\nHost: here\r\nCookie: one=1; two=2\r\nX-Forwarded-For: a\r\n\r\n"


def test_a_head_is_written_as_it_was_read():
    assert request(ASKED).encoded() == ASKED


def test_what_is_asked_for():
    head = request(ASKED)
    assert (head.method, head.path, head.asked("code"), head.asked("other")) == ("GET", "/join", "AB C", "")


def test_fields_are_found_whatever_their_case():
    assert request(ASKED).get("hOST") == "here"


def test_of_two_fields_the_one_nearest_to_here_counts():
    assert Head("", (("X-Forwarded-For", "theirs"), ("x-forwarded-for", "ours"))).get("X-Forwarded-For") == "ours"


@pytest.mark.parametrize(("name", "value"), [("one", "1"), ("two", "2"), ("three", "")])
def test_cookies(name, value):
    assert request(ASKED).cookie(name) == value


def test_a_broken_cookie_is_none():
    assert Head("GET / HTTP/1.1", (("Cookie", "a b\x00;;=="),)).cookie("a") == ""


def test_fields_are_replaced_and_left_out():
    head = request(ASKED).without("X-Forwarded-", "Cookie").having(Host="there", X_Real_Ip="1.2.3.4")
    assert head.fields == (("Host", "there"), ("X-Real-Ip", "1.2.3.4"))


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/2\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\n\r\n",
        b"GET /  HTTP/1.1\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nnothing\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(text):
    with pytest.raises(HeadError):
        request(text)


def test_an_answer_is_a_head_too():
    assert response(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n").without("Server").first == "HTTP/1.1 200 OK"
