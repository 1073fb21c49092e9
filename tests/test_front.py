"""What stands before the processes: whom it hands a browser to, what it refuses, and what it answers by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re

from explorer.classroom import LETTERS
from explorer.front import COOKIE, Front, Rules
from explorer.heads import LONGEST
from explorer.page_servers import Worker

HERE = "Host: here:1"
SOCKET = (HERE, "Upgrade: websocket", "Connection: Upgrade")


class Served:
    """A front with processes that only say what they were asked."""

    def __init__(self, rules, count=2):
        self.rules, self.count = rules, count
        self.asked = []

    async def __aenter__(self):
        self.workers = [Worker({"index": index}) for index in range(self.count)]
        self.servers = []
        for worker in self.workers:
            self.servers.append(await asyncio.start_server(self._echo(worker.index), "127.0.0.1", 0))
            worker.port = self.servers[-1].sockets[0].getsockname()[1]
            worker.ready.set()
        front = Front(self.workers, self.rules)
        self.servers.append(await asyncio.start_server(front.take, "127.0.0.1", 0, limit=LONGEST))
        self.port = self.servers[-1].sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *raised):
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.02)  # for those who serve to see that nobody is there

    def _echo(self, index):
        async def echo(reader, writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append((index, head))
            if "Upgrade" in head:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                while piece := await reader.read(100):
                    writer.write(piece.upper())
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\n{}")
            await closed(writer)

        return echo

    async def open(self, path, *fields, method="GET"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *(fields or [HERE]), "", ""]).encode())
        return reader, writer

    async def get(self, path, *fields, method="GET"):
        """Status, head and content of an answer."""
        reader, writer = await self.open(path, *fields, method=method)
        head, _, content = (await reader.read()).decode().partition("\r\n\r\n")
        await closed(writer)
        return int(head.split()[1]), head, content


async def closed(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def front(test):
    """A test of a front: it is given one, and runs in a loop."""

    def run():
        async def inside():
            async with Served(getattr(test, "rules", Rules(3))) as served:
                await asyncio.wait_for(test(served), 20)

        asyncio.run(inside())

    run.__name__ = test.__name__
    return run


def under(rules):
    """The rules that a test is under."""

    def given(test):
        test.rules = rules
        return test

    return given


@front
async def test_a_browser_stays_with_one_process(served):
    _, head, _ = await served.get("/")
    cookie = re.search(rf"Set-Cookie: ({COOKIE}=\d); Path=/; HttpOnly; SameSite=Lax\r", head)[1]
    for path in ("/", "/static/a.js", "/"):
        await served.get(path, HERE, f"Cookie: {cookie}")
    assert {index for index, _ in served.asked} == {int(cookie[-1])}


@front
async def test_others_go_where_fewest_are(served):
    for _ in range(2):
        await served.get("/")
    assert sorted(index for index, _ in served.asked) == [0, 1]


@front
async def test_a_class_is_where_its_code_says(served):
    for path in (f"/join?code={LETTERS[1]}BCDEF", f"/join/follow?code={LETTERS[1].lower()}XXXXX"):
        await served.get(path, HERE, f"Cookie: {COOKIE}=0")
    assert [index for index, _ in served.asked] == [1, 1]


@front
async def test_a_cookie_of_nobody_is_no_cookie(served):
    for value in ("7", "-1", "x", "²", "99999999999999999999"):
        assert (await served.get("/static/a.js", HERE, f"Cookie: {COOKIE}={value}"))[0] == 200


@front
async def test_a_process_is_asked_from_this_machine_and_once_a_connection(served):
    await served.get("/", HERE, "X-Real-Ip: 6.6.6.6", "X-Forwarded-For: 6.6.6.6", "Connection: keep-alive")
    index, head = served.asked[0]
    assert f"Host: 127.0.0.1:{served.workers[index].port}\r\n" in head
    assert "X-Real-Ip: 127.0.0.1\r\n" in head
    assert "Connection: close\r\n" in head
    assert "6.6.6.6" not in head
    assert "keep-alive" not in head


@front
@under(Rules(3, proxied=True))
async def test_a_proxy_is_believed_where_there_is_one(served):
    _, head, _ = await served.get("/", HERE, "X-Forwarded-For: 6.6.6.6, 1.2.3.4", "X-Forwarded-Proto: https")
    assert "X-Real-Ip: 1.2.3.4\r\n" in served.asked[0][1]
    assert "; Secure" in head


@front
async def test_every_answer_forbids_what_it_does_not_need(served):
    for path in ("/", "/static/a.js", "/health", "/nothing"):
        _, head, _ = await served.get(path)
        assert "frame-ancestors 'none'" in head
        assert "X-Frame-Options: DENY" in head
        assert "X-Content-Type-Options: nosniff" in head
        assert "unsafe-eval" not in head
        assert "Server:" not in head


@front
async def test_past_the_last_place_a_page_says_so(served):
    assert [(await served.get("/"))[0] for _ in range(4)] == [200, 200, 200, 503]
    _, head, page = await served.get("/")
    assert "Retry-After: 10" in head
    assert '{"which": "full", "pages": 3, "most": 3}' in page
    assert (await served.get("/join"))[0] == 200


@front
async def test_a_place_is_free_again_when_a_socket_closes(served):
    pages = [(await served.get("/"))[1] for _ in range(3)]
    cookies = [re.search(rf"{COOKIE}=\d", head)[0] for head in pages]
    mine = [(*SOCKET, "Origin: http://here:1", f"Cookie: {cookie}") for cookie in cookies]
    sockets = [await served.open("/ws", *fields) for fields in mine]
    for reader, _ in sockets:
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    assert (await served.get("/"))[0] == 503
    assert (await served.get("/ws", *mine[0]))[0] == 503
    await closed(sockets[0][1])
    while json.loads((await served.get("/health"))[2])["pages"] > 2:
        await asyncio.sleep(0.01)
    assert (await served.get("/"))[0] == 200
    for _, writer in sockets[1:]:
        await closed(writer)


@front
async def test_bytes_go_both_ways(served):
    reader, writer = await served.open("/ws", *SOCKET, "Origin: http://here:1")
    await reader.readuntil(b"\r\n\r\n")
    for text in (b"one", b"other"):
        writer.write(text)
        assert await reader.readexactly(len(text)) == text.upper()
    assert "Origin: http://127.0.0.1:" in served.asked[0][1]
    await closed(writer)


@front
async def test_a_page_of_elsewhere_may_not_connect(served):
    for origin in ("http://elsewhere", "https://here:1.elsewhere", "null", ""):
        given = [f"Origin: {origin}"] if origin else []
        assert (await served.get("/ws", *SOCKET, *given))[0] == 403
    assert served.asked == []


@front
@under(Rules(3, origins=("https://learn.example.org",)))
async def test_where_an_origin_is_named_only_that_may(served):
    assert (await served.get("/ws", *SOCKET, "Origin: http://here:1"))[0] == 403
    reader, writer = await served.open("/ws", *SOCKET, "Origin: https://learn.example.org")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    await closed(writer)


@front
async def test_nothing_can_be_sent_or_asked_for_that_is_not_there(served):
    assert (await served.get("/", method="POST"))[0] == 405
    assert (await served.get("/", HERE, "Content-Length: 5"))[0] == 413
    assert (await served.get("/", HERE, "Transfer-Encoding: chunked"))[0] == 413
    assert (await served.get("/", "no field"))[0] == 400
    assert (await served.get("/", HERE, "X: " + 2 * LONGEST * "x"))[0] == 400
    for path in ("/autoload.js", "/metadata", "/told", "/joined", "/%2e%2e/told"):
        assert (await served.get(path))[0] == 404
    assert served.asked == []


@front
async def test_it_says_how_it_is(served):
    status, _, text = await served.get("/health")
    assert (status, json.loads(text)) == (200, {"ok": True, "processes": 2, "pages": 0, "most": 3})
    served.workers[1].port = 0
    status, _, text = await served.get("/health")
    assert (status, json.loads(text)["processes"]) == (503, 1)
    assert "backprop_explorer_pages_most 3\n" in (await served.get("/metrics"))[2]


@front
async def test_who_comes_back_from_a_rest_is_told(served):
    assert '"which": "rested"' in (await served.get("/rested"))[2]
