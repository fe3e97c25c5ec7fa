"""mongodb_compressor.py PORT SERVER: stands before a MongoDB server that knows no compression.

Says in every handshake that it knows what the client knows. What comes compressed is handed on
plain and answered compressed, by the driver's own compressors.
"""

import socket
import struct
import sys
import threading

import bson
from pymongo import compression_support

COMPRESSED, REPLY, QUERY, MESSAGE = 2012, 1, 2004, 2013
CONTEXTS = {
    1: compression_support.SnappyContext,
    2: lambda: compression_support.ZlibContext(-1),
    3: compression_support.ZstdContext,
}


def receive(connection):
    head = connection.recv(16, socket.MSG_WAITALL)
    if len(head) < 16:
        return None
    length, number, answers, kind = struct.unpack("<iiii", head)
    return number, answers, kind, connection.recv(length - 16, socket.MSG_WAITALL)


def send(connection, number, answers, kind, body):
    connection.sendall(struct.pack("<iiii", len(body) + 16, number, answers, kind) + body)


def agree(kind, body, offered):
    """Adds to the reply to a handshake which of the offered compressors is to be used."""
    start = 5 if kind == MESSAGE else 20
    reply = bson.decode(body[start:])
    reply["compression"] = offered
    return body[:start] + bson.encode(reply)


def asked(kind, body):
    if kind == QUERY:
        return bson.decode(body[body.index(b"\0", 4) + 9:])
    length = struct.unpack_from("<i", body, 5)[0]
    return bson.decode(body[5:5 + length]) if body[4] == 0 else {}


def serve(client, server):
    while (message := receive(client)) is not None:
        number, answers, kind, body = message
        compressor = None
        if kind == COMPRESSED:
            kind, _, compressor = struct.unpack_from("<iiB", body)
            body = compression_support.decompress(body[9:], compressor, 48_000_000)
        offered = asked(kind, body).get("compression")
        send(server, number, answers, kind, body)
        if kind == MESSAGE and body[0] & 2:
            continue
        message = receive(server)
        if message is None:
            break
        number, answers, kind, body = message
        if offered:
            body = agree(kind, body, offered)
        if compressor is None:
            send(client, number, answers, kind, body)
        else:
            head = struct.pack("<iiB", kind, len(body), compressor)
            packed = CONTEXTS[compressor]().compress(body)
            send(client, number, answers, COMPRESSED, head + packed)
    client.close()
    server.close()


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    upstream = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for end in (connection, upstream):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(connection, upstream), daemon=True).start()
