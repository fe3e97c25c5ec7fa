"""redis-py: one by one, in pipelines and transactions, with RESP 3, errors."""

import sys

import redis

for protocol in (2, 3):
    client = redis.Redis(port=int(sys.argv[1]), protocol=protocol)
    for number in range(30):
        client.set(f"user:{number}", "hunter2")
        assert client.get(f"user:{number}") == b"hunter2"
    with client.pipeline(transaction=False) as pipe:
        for number in range(100):
            pipe.incr("counter")
        pipe.execute()
    with client.pipeline() as pipe:
        pipe.hset("h", mapping={"a": 1, "b": 2})
        pipe.hgetall("h")
        pipe.execute()
    client.rpush("list", *range(10))
    assert client.blpop("list", timeout=1)
    try:
        client.lpush("user:1", "x")
    except redis.ResponseError:
        client.close()
        continue
    raise SystemExit("went well")
