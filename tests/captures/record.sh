#!/usr/bin/env bash
# record.sh [PROTOCOL…]: makes the captures of this folder anew, with tcpdump, real servers and real
# clients on the loopback device of a network namespace of its own (root). What the dependencies of
# the tests bring is all it needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=$here/../peers
built=${CARGO_TARGET_DIR:-$here/../../target}/peers

if [ -z "${IN_NAMESPACE:-}" ]; then
    exec unshare --net --mount --pid --fork --kill-child --mount-proc env IN_NAMESPACE=1 "$0" "$@"
fi
ip link set lo up
work=$(mktemp -d)
chmod 777 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"

# waits_for PORT: until somebody listens there.
waits_for() {
    for _ in $(seq 600); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nobody listens on port $1" >&2
    return 1
}

# capture FILE PORT: from now on. ends: until now.
capture() {
    mkdir -p "$here/$(dirname "$1")"
    tcpdump -i lo -s 0 -U --immediate-mode -B 16384 -Z root -w "$here/$1" "port $2" 2>tcpdump.log &
    tcpdump=$!
    until grep -q 'listening on' tcpdump.log; do sleep 0.05; done
}
ends() {
    sleep 0.5
    kill -INT "$tcpdump"
    wait "$tcpdump"
}

record_http() {
    cat >nginx.conf <<'END'
daemon off; pid nginx.pid; error_log stderr; events {}
http {
    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {
        listen 80; listen [::1]:80;
        location / { return 200 "hello\n"; }
        location /missing { return 404; }
        location /moved { return 301 /; }
        location /fail { return 500; }
        location /empty { return 204; }
        location /close { return 200 "bye\n"; keepalive_timeout 0; }
        location /file { root .; }
        location /store { proxy_pass http://127.0.0.1:81; }
        location /chunked { proxy_pass http://127.0.0.1:81; proxy_http_version 1.1; }
    }
}
END
    head -c 20000 /dev/zero | tr '\0' x >file
    nginx -p "$work" -c nginx.conf & local server=$!
    /usr/bin/python3 - <<'END' &
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Sum")
        self.end_headers()
        for size in (1, 15, 3000):
            self.wfile.write(b"%x\r\n%s\r\n" % (size, b"x" * size))
        self.wfile.write(b"0\r\nX-Sum: 7\r\n\r\n")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 81), Handler).serve_forever()
END
    local upstream=$!
    waits_for 80; waits_for 81
    capture http/keep-alive.pcap 80
    curl -sS -o /dev/null 'http://127.0.0.1/item/[1-20]?token=secret' 'http://127.0.0.1/missing?n=[1-5]' \
        http://127.0.0.1/moved http://127.0.0.1/fail http://127.0.0.1/empty http://127.0.0.1/file
    curl -sS -o /dev/null -I http://127.0.0.1/item/head --next -sS -o /dev/null http://127.0.0.1/after
    curl -sS -g -o /dev/null 'http://[::1]/six/[1-3]' 'http://[::1]/close' 'http://[::1]/again'
    curl -sS -o /dev/null -0 http://127.0.0.1/old
    ends
    capture http/bodies.pcap 80
    curl -sS -o /dev/null http://127.0.0.1/chunked/1 http://127.0.0.1/chunked/2
    curl -sS -o /dev/null -d small=1 http://127.0.0.1/store/small --next \
        -sS -o /dev/null --data-binary @file http://127.0.0.1/store/expect -H 'Expect: 100-continue' --next \
        -sS -o /dev/null -T - -H 'Transfer-Encoding: chunked' http://127.0.0.1/store/chunked <file
    ends
    capture http/pipelined.pcap 80
    /usr/bin/python3 - <<'END'
import socket
for parts in (1, 7):
    peer = socket.create_connection(("127.0.0.1", 80))
    text = b"".join(
        b"GET /%s?n=%d HTTP/1.1\r\nHost: a\r\n%s\r\n"
        % (b"missing" if n % 3 == 0 else b"item", n, b"Connection: close\r\n" if n == 24 else b"")
        for n in range(25))
    step = len(text) // parts + 1
    for start in range(0, len(text), step):
        peer.sendall(text[start:start + step])
    while peer.recv(65536):
        pass
END
    ends
    kill $server $upstream; wait $server $upstream || true
}

record_http2() {
    nghttpd --no-tls -d "$work" 80 & local server=$!
    echo hello >index.html; head -c 40000 /dev/zero >file
    waits_for 80
    capture http2/nghttp.pcap 80
    nghttp -n http://127.0.0.1/index.html http://127.0.0.1/file 'http://127.0.0.1/missing?a=b'
    nghttp -n -H ':method: POST' -d file http://127.0.0.1/index.html
    h2load -n 60 -c 2 -m 10 http://127.0.0.1/index.html http://127.0.0.1/none >/dev/null
    ends
    kill $server; wait $server || true
    node "$peers/http2_server.js" 80 log & server=$!
    waits_for 80
    capture http2/node.pcap 80
    node "$peers/http2_client.js" http://127.0.0.1:80
    curl -sS -o /dev/null --http2-prior-knowledge 'http://127.0.0.1/hello?from=curl'
    ends
    kill $server; wait $server || true
}

record_grpc() {
    /usr/bin/python3 "$peers/grpc_server.py" 80 & local server=$!
    waits_for 80
    capture grpc/grpcio.pcap 80
    /usr/bin/python3 "$peers/grpc_client.py" 127.0.0.1:80 12 >/dev/null
    ends
    kill $server; wait $server || true
}

record_postgresql() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    local as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    "${as[@]}" "$folder/initdb" -U postgres -A trust -E UTF8 --locale=C --no-sync -D "$work/pg" >/dev/null
    "${as[@]}" "$folder/postgres" -D "$work/pg" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c log_min_messages=panic & local server=$!
    waits_for 5432
    export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres
    until psql -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done
    capture postgresql/psql.pcap 5432
    psql -Xqf - >/dev/null 2>&1 <<'END' || true
CREATE TABLE t (a int, b text);
INSERT INTO t VALUES (1, 'hunter2'), (2, $$x$$);
SELECT * FROM t WHERE a IN (1, 2, 3) AND b <> 'it''s'; -- a comment
SELECT nothing FROM nowhere;
BEGIN; UPDATE t SET b = 'y' WHERE a = 1; SELECT 1/0; ROLLBACK;
COPY t FROM stdin;
3	z
\.
COPY t TO stdout;
DO $$ BEGIN RAISE NOTICE 'heard'; END $$;
SELECT repeat('x', 20000) FROM t;
END
    psql -Xqc 'SELECT 1; SELECT 2' -c 'SYNTAX ERROR' -c 'TABLE t' >/dev/null 2>&1 || true
    PGUSER=nobody psql -Xqc 'SELECT 1' 2>/dev/null || true
    ends
    capture postgresql/pgbench.pcap 5432
    echo 'SELECT a, b FROM t WHERE a = :client_id + 1;' >script.sql
    echo '\startpipeline
SELECT count(*) FROM t WHERE a = 1;
INSERT INTO t VALUES (:client_id, $$secret$$);
SELECT b FROM t LIMIT 1;
\endpipeline' >pipeline.sql
    for mode in simple extended prepared; do
        pgbench -n -M $mode -t 4 -c 2 -f script.sql >/dev/null 2>&1
    done
    for mode in extended prepared; do
        pgbench -n -M $mode -t 3 -f pipeline.sql >/dev/null 2>&1
    done
    ends
    kill -INT $server; wait $server || true
}

record_mysql() {
    mariadb-install-db --no-defaults --user=mysql --skip-test-db \
        --auth-root-authentication-method=normal --datadir="$work/my" >/dev/null
    mariadbd --no-defaults --user=mysql --bind-address=127.0.0.1 --skip-name-resolve --port=3306 \
        --local-infile=1 --innodb-buffer-pool-size=16M --datadir="$work/my" --socket="$work/my.sock" \
        --pid-file="$work/my.pid" 2>/dev/null & local server=$!
    waits_for 3306
    printf '7\tinfile\n' >"$work/rows"
    capture mysql/mariadb.pcap 3306
    mariadb --no-defaults --protocol=tcp -h127.0.0.1 -uroot --local-infile=1 -f >/dev/null 2>&1 <<END || true
CREATE DATABASE shop; USE shop; CREATE TABLE t (a INT, b TEXT);
INSERT INTO t VALUES (1, 'hunter2'), (2, "x");
SELECT * FROM t WHERE a IN (1, 2, 3) AND b <> 'it''s';
SELECT nothing FROM nowhere; SYNTAX ERROR;
LOAD DATA LOCAL INFILE 'rows' INTO TABLE t;
SELECT REPEAT('x', 20000) FROM t; SHOW TABLES; DELETE FROM t WHERE a = 7;
SELECT 'last' /* a comment */ FROM t LIMIT 1;
END
    perl "$peers/prepared.pl" 127.0.0.1 3306 5
    mariadb --no-defaults --protocol=tcp -h127.0.0.1 -unobody -psecret -e 'SELECT 1' 2>/dev/null || true
    ends
    kill $server; wait $server || true
}

record_redis() {
    redis-server --port 6379 --save '' >/dev/null & local server=$!
    waits_for 6379
    capture redis/redis.pcap 6379
    redis-benchmark -q -n 30 -c 2 -P 10 -t set,get,incr,lpush >/dev/null
    redis-cli set user:42 hunter2 >/dev/null
    redis-cli lpush user:42 x >/dev/null
    printf 'HELLO 3\nHSET h a 1 b 2\nHGETALL h\nMULTI\nGET user:42\nINCR n\nEXEC\nNOSUCH 1\nGET\nBLPOP none 0.1\nPING\n' |
        redis-cli >/dev/null
    ends
    kill $server; wait $server || true
}

record_amqp() {
    HOME=$work RABBITMQ_NODENAME=capture@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
        RABBITMQ_NODE_PORT=5672 ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_MNESIA_BASE=$work/mnesia \
        RABBITMQ_LOG_BASE=$work/log RABBITMQ_LOGS=- RABBITMQ_ENABLED_PLUGINS_FILE=$work/plugins \
        RABBITMQ_PID_FILE=$work/pid RABBITMQ_CONF_ENV_FILE=/dev/null \
        /usr/lib/rabbitmq/bin/rabbitmq-server >rabbit.log & local server=$!
    until grep -q 'Server startup complete' rabbit.log; do sleep 0.2; done
    capture amqp/pika.pcap 5672
    /usr/bin/python3 - <<'END'
import pika
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1"))
channel = connection.channel()
channel.exchange_declare("shop", "topic")
channel.queue_declare("orders")
channel.queue_bind("orders", "shop", "orders.#")
for number in range(20):
    channel.basic_publish("shop", "orders.new", b"secret" * number)
confirming = connection.channel()
confirming.confirm_delivery()
for size in (1, 10000, 200):
    confirming.basic_publish("", "orders", b"x" * size)
try:
    confirming.basic_publish("", "nowhere", b"x", mandatory=True)
except pika.exceptions.UnroutableError:
    pass
assert channel.basic_get("orders", auto_ack=True)[0]
for received, (method, _, _) in enumerate(channel.consume("orders"), 1):
    if received % 5 == 0:
        channel.basic_reject(method.delivery_tag, requeue=False)
    else:
        channel.basic_ack(method.delivery_tag)
    if received == 22:
        break
channel.cancel()
channel.basic_get("orders", auto_ack=True)
try:
    channel.queue_declare("missing", passive=True)
except pika.exceptions.ChannelClosedByBroker:
    pass
connection.close()
END
    ends
    kill $server; wait $server || true
}

record_kafka() {
    cat >kafka.properties <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
log.dirs=$work/kafka
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
END
    local java=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m -cp "$(realpath "$built")/kafka/*")
    "${java[@]}" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c kafka.properties >/dev/null
    "${java[@]}" kafka.Kafka kafka.properties >kafka.log & local server=$!
    waits_for 9092
    until kcat -q -m 1 -L -b 127.0.0.1:9092 >/dev/null 2>&1; do sleep 0.5; done
    "${java[@]}" org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:9092 --create \
        --topic orders --partitions 2 >/dev/null
    capture kafka/librdkafka.pcap 9092
    seq 30 | kcat -q -P -b 127.0.0.1:9092 -t orders -X linger.ms=1
    kcat -q -C -b 127.0.0.1:9092 -t orders -e -o beginning >/dev/null
    echo x | timeout 10 kcat -q -P -b 127.0.0.1:9092 -t missing -X message.timeout.ms=2000 2>/dev/null || true
    timeout 20 kcat -q -b 127.0.0.1:9092 -G readers -c 30 -X auto.offset.reset=earliest orders >/dev/null 2>&1
    ends
    capture kafka/python.pcap 9092
    /usr/bin/python3 - <<'END'
from kafka import KafkaConsumer, KafkaProducer
producer = KafkaProducer(bootstrap_servers="127.0.0.1:9092", acks=1)
for number in range(10):
    producer.send("orders", b"secret").get()
producer.close()
quick = KafkaProducer(bootstrap_servers="127.0.0.1:9092", acks=0)
quick.send("orders", b"secret").get()
quick.close()
consumer = KafkaConsumer("orders", bootstrap_servers="127.0.0.1:9092", group_id="python",
                         auto_offset_reset="earliest", consumer_timeout_ms=1500)
sum(1 for _ in consumer)
consumer.close()
END
    ends
    capture kafka/java.pcap 9092
    "${java[@]}" org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:9092 --list >/dev/null
    "${java[@]}" org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server 127.0.0.1:9092 \
        --describe --group readers >/dev/null 2>&1
    seq 20 | "${java[@]}" org.apache.kafka.tools.ConsoleProducer --bootstrap-server 127.0.0.1:9092 \
        --topic orders >/dev/null 2>&1
    timeout 20 "${java[@]}" org.apache.kafka.tools.consumer.ConsoleConsumer --from-beginning \
        --bootstrap-server 127.0.0.1:9092 --topic orders --max-messages 20 >/dev/null 2>&1
    ends
    kill $server; wait $server || true
}

record_mongodb() {
    "$built/mongodb/ferretdb" --handler=sqlite --telemetry=disable --debug-addr=- --log-level=ERROR \
        --listen-addr=127.0.0.1:27017 --sqlite-url="file:$work/" --state-dir="$work/" & local server=$!
    waits_for 27017
    capture mongodb/pymongo.pcap 27017
    PYTHONPATH=$built/mongodb/python /usr/bin/python3 - <<'END'
import pymongo
from pymongo import pool_options
from pymongo.errors import DuplicateKeyError, OperationFailure
# What the driver tells the server about this machine.
pool_options._METADATA["os"] = {"type": "Linux"}
client = pymongo.MongoClient("127.0.0.1", 27017, directConnection=True, maxPoolSize=1)
orders = client.shop.orders
for number in range(5):
    orders.insert_one({"_id": number, "card": "hunter2"})
try:
    orders.insert_one({"_id": 0})
except DuplicateKeyError:
    pass
orders.insert_many([{"_id": 100 + number, "pad": "x" * 50} for number in range(120)])
assert len(list(orders.find({}, batch_size=50))) == 125
orders.update_many({"_id": {"$lt": 3}}, {"$set": {"card": "other"}})
orders.delete_one({"_id": 4})
orders.find_one({"card": "hunter2"})
orders.count_documents({})
list(orders.aggregate([{"$match": {"_id": 1}}]))
client.admin.command("ping")
client.shop.list_collection_names()
try:
    client.shop.command("noSuchCommand")
except OperationFailure:
    pass
orders.drop()
client.close()
END
    ends
    kill $server; wait $server || true
}

record_dns() {
    cat >unbound.conf <<END
server:
  interface: 127.0.0.1
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "$work"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  local-zone: "." static
  local-zone: "shop.test." static
  local-data: "www.shop.test. 60 IN A 10.1.2.3"
  local-data: "www.shop.test. 60 IN AAAA fd00::7"
  local-data: "shop.test. 60 IN MX 10 mail.shop.test."
$(for n in $(seq 10); do echo "  local-data: 'large.shop.test. 60 IN TXT \"$n $(printf 'x%.0s' $(seq 200))\"'"; done)
  local-zone: "private.test." refuse
remote-control:
  control-enable: no
END
    unbound -d -c unbound.conf 2>/dev/null & local server=$!
    waits_for 53
    capture dns/dig.pcap 53
    local ask=(dig @127.0.0.1 +tries=1 +timeout=2)
    "${ask[@]}" www.shop.test >/dev/null
    "${ask[@]}" WWW.Shop.test AAAA shop.test MX missing.test www.private.test TXT >/dev/null
    "${ask[@]}" +noedns -x 10.1.2.3 >/dev/null
    "${ask[@]}" +tcp +keepopen www.shop.test shop.test MX large.shop.test TXT none.shop.test >/dev/null
    "${ask[@]}" +bufsize=512 large.shop.test TXT >/dev/null
    "${ask[@]}" +opcode=status www.shop.test >/dev/null
    printf 'www.shop.test A\nshop.test MX\nmissing.test AAAA\n' >names
    dnsperf -s 127.0.0.1 -d names -n 10 >/dev/null
    ends
    kill $server; wait $server || true
}

[ $# -gt 0 ] || set -- http http2 grpc postgresql mysql redis amqp kafka mongodb dns
for protocol in "$@"; do
    echo "$protocol"
    "record_$protocol"
done
