"""The routes of README.md on aiohttp, and server-sent events."""

import asyncio
import sys

from aiohttp import web

port, log = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)


def note(request, status):
    log.write(f"{request.method}\t{request.raw_path}\t{status}\n")


def fixed(status, body):
    async def answer(request):
        note(request, status)
        return web.Response(status=status, body=body)

    return answer


async def chunked(request):
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for part in (b"one\n", b"two\n", b"three\n"):
        await response.write(part)
    await response.write_eof()
    note(request, 200)
    return response


async def upload(request):
    await request.read()
    note(request, 200)
    return web.Response(text="taken\n")


async def close(request):
    note(request, 200)
    response = web.Response(text="closing\n")
    response.force_close()
    return response


async def stall(request):
    note(request, "-")
    request.transport.close()
    # The connection is gone; aiohttp wants a response all the same.
    return web.Response()


async def events(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    response.force_close()
    await response.prepare(request)
    for number in range(3):
        await response.write(b"data: %d\n\n" % number)
        await asyncio.sleep(0.05)
    note(request, 200)
    return response


app = web.Application(client_max_size=4 << 20)
app.router.add_get("/hello", fixed(200, b"hello\n"))
app.router.add_get("/missing", fixed(404, b"missing\n"))
app.router.add_get("/fail", fixed(500, b"failed\n"))
app.router.add_get("/large", fixed(200, b"x" * (1 << 20)))
app.router.add_get("/chunked", chunked)
app.router.add_get("/close", close)
app.router.add_get("/stall", stall)
app.router.add_get("/events", events)
app.router.add_post("/upload", upload)
web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)
