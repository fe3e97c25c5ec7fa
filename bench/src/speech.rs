//! What is said in made-up recordings: one small exchange of each protocol, again and again.

/// By the client or not, and what.
type Said = (bool, Vec<u8>);

/// One protocol.
pub(crate) struct Speech {
    /// What its row is called.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// How each connection begins.
    pub(crate) begin: fn() -> Vec<Said>,
    /// Request and response number so many of a connection, from 0 on.
    pub(crate) exchange: fn(u64) -> (Vec<u8>, Vec<u8>),
}

/// HTTP/1 first, then the others by name.
pub(crate) const SPEECHES: [Speech; 10] = [
    Speech { name: "made up: kept connections", port: 80, begin: Vec::new, exchange: http },
    Speech { name: "made up: AMQP, basic.get", port: 5672, begin: amqp_begin, exchange: amqp },
    Speech { name: "made up: DNS over TCP", port: 53, begin: Vec::new, exchange: dns },
    Speech { name: "made up: gRPC, unary", port: 50_051, begin: http2_begin, exchange: grpc },
    Speech { name: "made up: HTTP/2", port: 8080, begin: http2_begin, exchange: http2 },
    Speech { name: "made up: Kafka, Produce", port: 9092, begin: Vec::new, exchange: kafka },
    Speech { name: "made up: MongoDB, find", port: 27_017, begin: Vec::new, exchange: mongodb },
    Speech { name: "made up: MySQL, SELECT", port: 3306, begin: mysql_begin, exchange: mysql },
    Speech {
        name: "made up: PostgreSQL, SELECT",
        port: 5432,
        begin: postgresql_begin,
        exchange: postgresql,
    },
    Speech { name: "made up: Redis, GET", port: 6379, begin: Vec::new, exchange: redis },
];

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.26.3\r\n\
    Date: Mon, 23 Nov 2026 20:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 28\r\n\
    Connection: keep-alive\r\n\
    \r\n\
    {\"id\":42,\"name\":\"something\"}";

fn http(number: u64) -> (Vec<u8>, Vec<u8>) {
    let request = format!(
        "GET /items/{}?token=secret HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1\r\n\
         Accept: */*\r\n\r\n",
        number % 1000
    );
    (request.into(), RESPONSE.to_vec())
}

fn redis(number: u64) -> (Vec<u8>, Vec<u8>) {
    let key = format!("item:{:03}", number % 1000);
    (format!("*2\r\n$3\r\nGET\r\n$8\r\n{key}\r\n").into(), b"$5\r\nhello\r\n".to_vec())
}

/// RFC 9113: preface and settings.
fn http2_begin() -> Vec<Said> {
    let settings = frame(4, 0, 0, &[]);
    vec![(true, [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()), (false, settings)]
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field that is not put into the table (RFC 7541 §6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn stream(number: u64) -> u32 {
    (number as u32) * 2 + 1
}

fn http2(number: u64) -> (Vec<u8>, Vec<u8>) {
    let stream = stream(number);
    let path = field(":path", &format!("/items/{}?token=secret", number % 1000));
    let ask = [&[0x82, 0x86], &path[..], &field(":authority", "shop.example")].concat();
    let answer = [&[0x88], &field("content-type", "application/json")[..]].concat();
    let response =
        [frame(1, 4, stream, &answer), frame(0, 1, stream, b"{\"id\":42,\"name\":\"something\"}")];
    (frame(1, 5, stream, &ask), response.concat())
}

fn grpc(number: u64) -> (Vec<u8>, Vec<u8>) {
    let stream = stream(number);
    let kind = field("content-type", "application/grpc");
    let path = field(":path", "/shop.Items/Get");
    let ask = [&[0x83, 0x86], &path[..], &kind, &field("te", "trailers")].concat();
    let message = b"\0\0\0\0\x05hello";
    let request = [frame(1, 4, stream, &ask), frame(0, 1, stream, message)].concat();
    let answer = [&[0x88], &kind[..]].concat();
    let trailers = field("grpc-status", "0");
    let response = [
        frame(1, 4, stream, &answer),
        frame(0, 0, stream, message),
        frame(1, 5, stream, &trailers),
    ];
    (request, response.concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag], &(content.len() as u32 + 4).to_be_bytes()[..], content].concat()
}

fn postgresql_begin() -> Vec<Said> {
    let start = b"\0\x03\0\0user\0bench\0database\0shop\0\0";
    let start = [&(start.len() as u32 + 4).to_be_bytes()[..], start].concat();
    vec![(true, start), (false, [tagged(b'R', &[0; 4]), tagged(b'Z', b"I")].concat())]
}

fn postgresql(number: u64) -> (Vec<u8>, Vec<u8>) {
    let query = format!("SELECT name, price FROM items WHERE id = {}\0", number % 1000);
    let column = b"\0\x01name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    let response = [
        tagged(b'T', column),
        tagged(b'D', b"\0\x01\0\0\0\x05hello"),
        tagged(b'C', b"SELECT 1\0"),
        tagged(b'Z', b"I"),
    ];
    (tagged(b'Q', query.as_bytes()), response.concat())
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes()[..3], &[sequence], payload].concat()
}

const MYSQL_OK: &[u8] = b"\0\0\0\x02\0\0\0";
const MYSQL_EOF: &[u8] = b"\xfe\0\0\x02\0";
const PLUGIN: &[u8] = b"mysql_native_password\0";

fn mysql_begin() -> Vec<Said> {
    let greeting = [
        b"\x0a8.0.36\0\x0b\0\0\0abcdefgh\0\x0f\xa2\x21\x02\0\x08\0\x15\0\0\0\0\0\0\0\0\0\0",
        &b"ijklmnopqrst\0"[..],
        PLUGIN,
    ];
    let login = [b"\x0d\xa2\x08\0\0\0\0\x01\x21", &[0; 23][..], b"bench\0\0shop\0", PLUGIN];
    vec![
        (false, packet(0, &greeting.concat())),
        (true, packet(1, &login.concat())),
        (false, packet(2, MYSQL_OK)),
    ]
}

fn mysql(number: u64) -> (Vec<u8>, Vec<u8>) {
    let query = format!("\x03SELECT name, price FROM items WHERE id = {}", number % 1000);
    let column =
        b"\x03def\x04shop\x05items\x05items\x04name\x04name\x0c\x21\0\0\0\0\0\xfd\0\0\0\0\0";
    let response = [
        packet(1, b"\x01"),
        packet(2, column),
        packet(3, MYSQL_EOF),
        packet(4, b"\x05hello"),
        packet(5, MYSQL_EOF),
    ];
    (packet(0, query.as_bytes()), response.concat())
}

fn mongodb(number: u64) -> (Vec<u8>, Vec<u8>) {
    let id = number as i32 + 1;
    let find = b"\x02find\0\x06\0\0\0items\0\x10limit\0\x01\0\0\0\x02$db\0\x05\0\0\0shop\0";
    let found = b"\x01ok\0\0\0\0\0\0\0\xf0\x3f";
    (op_msg(id, 0, find), op_msg(id, id, found))
}

fn op_msg(id: i32, answers: i32, elements: &[u8]) -> Vec<u8> {
    let document = [&(elements.len() as i32 + 5).to_le_bytes()[..], elements, &[0]].concat();
    let length = document.len() as i32 + 21;
    let header = [length, id, answers, 2013, 0].map(i32::to_le_bytes).concat();
    [header, vec![0], document].concat()
}

fn kafka(number: u64) -> (Vec<u8>, Vec<u8>) {
    let correlation = (number as u32).to_be_bytes();
    let sized = |parts: &[&[u8]]| {
        let content = parts.concat();
        [&(content.len() as u32).to_be_bytes()[..], &content].concat()
    };
    // One batch with one record: base offset, length, and what a broker's producer says of it.
    let record = b"\x1c\0\0\0\x01\x10a record";
    let after_length =
        [&b"\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0"[..], &[0; 16], &[0xff; 14], b"\0\0\0\x01", record]
            .concat();
    let batch = [&[0; 8], &(after_length.len() as u32).to_be_bytes()[..], &after_length].concat();
    let topic = b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0";
    let request = sized(&[
        b"\0\0\0\x03",
        &correlation,
        b"\0\x05bench\xff\xff\0\x01\0\0\x75\x30",
        topic,
        &sized(&[&batch]),
    ]);
    let response = sized(&[&correlation, topic, &[0; 2], &[0; 8], &[0xff; 8], &[0; 4]]);
    (request, response)
}

fn amqp_begin() -> Vec<Said> {
    vec![(true, b"AMQP\0\0\x09\x01".to_vec())]
}

fn amqp(_: u64) -> (Vec<u8>, Vec<u8>) {
    let frame = |kind: u8, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        [&[kind, 0, 1], &length[..], payload, &[0xce]].concat()
    };
    let get = frame(1, b"\0\x3c\0\x46\0\0\x04mail\x01");
    let got = [
        frame(1, b"\0\x3c\0\x47\0\0\0\0\0\0\0\x01\0\0\x04mail\0\0\0\x07"),
        frame(2, b"\0\x3c\0\0\0\0\0\0\0\0\0\x05\0\0"),
        frame(3, b"hello"),
    ];
    (get, got.concat())
}

fn dns(number: u64) -> (Vec<u8>, Vec<u8>) {
    let id = (number as u16).to_be_bytes();
    let question = b"\x04shop\x07example\0\0\x01\0\x01";
    let sized = |parts: &[&[u8]]| {
        let content = parts.concat();
        [&(content.len() as u16).to_be_bytes()[..], &content].concat()
    };
    let ask = sized(&[&id, b"\x01\0\0\x01\0\0\0\0\0\0", question]);
    let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x09";
    let answer = sized(&[&id, b"\x81\x80\0\x01\0\x01\0\0\0\0", question, record]);
    (ask, answer)
}

#[cfg(test)]
mod tests {
    use super::RESPONSE;

    #[test]
    fn the_response_is_as_long_as_it_says() {
        let text = std::str::from_utf8(RESPONSE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        assert_eq!(length.lines().next().unwrap(), body.len().to_string());
    }
}
