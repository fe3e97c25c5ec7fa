//! Builds messages, field by field as the specification has them.

/// A document.
#[derive(Clone, Default)]
pub(super) struct Doc(Vec<u8>);

pub(super) fn doc() -> Doc {
    Doc::default()
}

impl Doc {
    fn element(mut self, kind: u8, key: &str, value: &[u8]) -> Doc {
        self.0.push(kind);
        self.0.extend(key.as_bytes());
        self.0.push(0);
        self.0.extend(value);
        self
    }

    pub(super) fn text(self, key: &str, value: &str) -> Doc {
        let length = (value.len() as i32 + 1).to_le_bytes();
        self.element(2, key, &[&length, value.as_bytes(), &[0]].concat())
    }

    pub(super) fn int(self, key: &str, value: i32) -> Doc {
        self.element(0x10, key, &value.to_le_bytes())
    }

    pub(super) fn long(self, key: &str, value: i64) -> Doc {
        self.element(0x12, key, &value.to_le_bytes())
    }

    pub(super) fn double(self, key: &str, value: f64) -> Doc {
        self.element(1, key, &value.to_le_bytes())
    }

    pub(super) fn truth(self, key: &str, value: bool) -> Doc {
        self.element(8, key, &[value.into()])
    }

    pub(super) fn doc(self, key: &str, value: Doc) -> Doc {
        let value = value.bytes();
        self.element(3, key, &value)
    }

    pub(super) fn array(self, key: &str, values: impl IntoIterator<Item = Doc>) -> Doc {
        let mut array = doc();
        for (at, value) in values.into_iter().enumerate() {
            array = array.doc(&at.to_string(), value);
        }
        let array = array.bytes();
        self.element(4, key, &array)
    }

    /// Any other kind of value.
    pub(super) fn raw(self, kind: u8, key: &str, value: &[u8]) -> Doc {
        self.element(kind, key, value)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = (self.0.len() as i32 + 5).to_le_bytes();
        [&length, &self.0[..], &[0]].concat()
    }
}

pub(super) fn message(id: i32, answers: i32, opcode: i32, body: &[u8]) -> Vec<u8> {
    let length = body.len() as i32 + 16;
    let header = [length, id, answers, opcode].map(i32::to_le_bytes).concat();
    [header, body.to_vec()].concat()
}

/// OP_MSG with sections as they are.
pub(super) fn sections(id: i32, answers: i32, flags: u32, sections: &[u8]) -> Vec<u8> {
    message(id, answers, 2013, &[&flags.to_le_bytes(), sections].concat())
}

/// OP_MSG with one document.
pub(super) fn msg(id: i32, answers: i32, flags: u32, document: &Doc) -> Vec<u8> {
    sections(id, answers, flags, &[vec![0], document.bytes()].concat())
}

/// A sequence of documents (kind 1).
pub(super) fn sequence(name: &str, documents: &[Doc]) -> Vec<u8> {
    let documents: Vec<u8> = documents.iter().flat_map(Doc::bytes).collect();
    let length = (4 + name.len() + 1 + documents.len()) as i32;
    [&[1], &length.to_le_bytes()[..], name.as_bytes(), &[0], &documents].concat()
}

pub(super) const MORE: u32 = 2;
pub(super) const EXHAUST: u32 = 1 << 16;

/// A command about a collection of the database `shop`.
pub(super) fn ask(id: i32, command: &str, collection: &str) -> Vec<u8> {
    let filter = doc().text("name", "SECRET");
    let command = doc().text(command, collection).doc("filter", filter).text("$db", "shop");
    msg(id, 0, 0, &command)
}

pub(super) fn fine() -> Doc {
    doc().int("n", 1).double("ok", 1.0)
}

pub(super) fn failed(code: i32, name: &str) -> Doc {
    let doc = doc().double("ok", 0.0).text("errmsg", "SECRET").int("code", code);
    doc.text("codeName", name)
}

pub(super) fn answer(id: i32, answers: i32) -> Vec<u8> {
    msg(id, answers, 0, &fine())
}

/// The reply of a `find` or `getMore`, with so many bytes of documents.
pub(super) fn batch(name: &str, cursor: i64, size: usize) -> Doc {
    let found = doc().text("code", "SECRET").text("x", &"x".repeat(size));
    let of = doc().array(name, [found]).long("id", cursor).text("ns", "shop.orders");
    doc().doc("cursor", of).double("ok", 1.0)
}

/// OP_QUERY.
pub(super) fn query(id: i32, namespace: &str, document: &Doc) -> Vec<u8> {
    let numbers = [0i32, -1].map(i32::to_le_bytes).concat();
    let parts = [&[0; 4], namespace.as_bytes(), &[0], &numbers, &document.bytes()];
    message(id, 0, 2004, &parts.concat())
}

/// OP_REPLY.
pub(super) fn reply(id: i32, answers: i32, flags: i32, documents: &[Doc]) -> Vec<u8> {
    let fields = [flags, 0, 0, 0, documents.len() as i32].map(i32::to_le_bytes).concat();
    let documents: Vec<u8> = documents.iter().flat_map(Doc::bytes).collect();
    message(id, answers, 1, &[fields, documents].concat())
}

/// OP_COMPRESSED, of a message whose body is given compressed.
pub(super) fn compressed(of: &[u8], compressor: u8, body: &[u8]) -> Vec<u8> {
    let field = |at: usize| i32::from_le_bytes(of[at..at + 4].try_into().unwrap());
    let size = of.len() as i32 - 16;
    let head = [field(12).to_le_bytes(), size.to_le_bytes()].concat();
    message(field(4), field(8), 2012, &[&head[..], &[compressor], body].concat())
}

/// The same, compressed with zlib.
pub(super) fn zlib(of: &[u8]) -> Vec<u8> {
    compressed(of, 2, &miniz_oxide::deflate::compress_to_vec_zlib(&of[16..], 6))
}

/// The same, as one piece of Snappy's that nothing is saved by.
pub(super) fn snappy(of: &[u8]) -> Vec<u8> {
    let body = &of[16..];
    let (low, high) = (body.len() as u8 | 0x80, (body.len() >> 7) as u8);
    assert!(body.len() < 1 << 14);
    let length = (body.len() as u16 - 1).to_le_bytes();
    compressed(of, 1, &[&[low, high, 61 << 2], &length[..], body].concat())
}
