"""grpc_client.py ADDRESS [TIMES]: calls a grpc_server in every way, and prints what it knows of each
call.

A line is the method, the status by its number, and the messages sent and received; status and
messages are `-` where the call was cut off.
"""

import sys
from concurrent import futures

import grpc

channel = grpc.insecure_channel(sys.argv[1])
times = int(sys.argv[2]) if len(sys.argv) > 2 else 100


def call(kind, method, request, deadline=30):
    """Returns status, sent, received."""
    received = 0
    sent = 1
    try:
        if kind.startswith("stream"):
            sent = len(request)
            request = iter(request)
        result = getattr(channel, kind)(f"/shop.Cart/{method}")(request, timeout=deadline)
        if kind.endswith("_stream"):
            for _ in result:
                received += 1
        else:
            received = 1
        code = grpc.StatusCode.OK
    except grpc.RpcError as error:
        code = error.code()
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return "-", "-", "-"
    return code.value[0], sent, received


def one(number):
    calls = [
        ("unary_unary", "Unary", b"x" * number),
        ("unary_unary", "Unary", b"failNOT_FOUND"),
        ("unary_unary", "Unary", b"failINTERNAL"),
        ("stream_unary", "Collect", [b"part"] * (number % 7)),
        ("unary_stream", "Repeat", str(number % 20).encode()),
        ("stream_stream", "Talk", [b"word" * (number % 9)] * (number % 5)),
        ("unary_unary", "Missing", b""),
    ]
    return [(method, *call(kind, method, request)) for kind, method, request in calls]


with futures.ThreadPoolExecutor(max_workers=8) as pool:
    lines = [line for lines in pool.map(one, range(times)) for line in lines]
lines += [("Unary", *call("unary_unary", "Unary", b"sleep", deadline=0.2)) for _ in range(3)]
for line in lines:
    print(*line)
