"""A gRPC service of bytes, all four kinds of calls."""

import sys
import time
from concurrent import futures

import grpc


def unary(request, context):
    if request.startswith(b"fail"):
        # Before any message: trailers only.
        context.abort(grpc.StatusCode[request[4:].decode()], "secret")
    if request == b"sleep":
        time.sleep(1)
    return request * 2


def collect(requests, context):
    return b"".join(requests)


def repeat(request, context):
    for _ in range(int(request)):
        yield b"again"


def talk(requests, context):
    for request in requests:
        yield request
    context.set_code(grpc.StatusCode.DATA_LOSS)


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Cart", handlers),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
