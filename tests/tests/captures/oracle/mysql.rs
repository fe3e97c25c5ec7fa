//! MySQL and MariaDB: one command after the other.

use std::collections::BTreeMap;

use alaz_tests::tshark::{Layer, Packet};

use super::postgresql::first_word;
use super::{Request, Said, exactly};

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut statements: BTreeMap<String, Said> = BTreeMap::new();
    // Whether a command is being answered, and the text of what is being prepared.
    let (mut is_open, mut preparing) = (false, None);
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "mysql") {
            let mut request = |method: Said, target: Said| {
                requests.push(Request {
                    client: packet.source,
                    server: packet.destination,
                    method,
                    target,
                    status: exactly("ok"),
                });
                true
            };
            if let Some(command) = layer.get("mysql.command") {
                let text =
                    Said::WithValues(layer.get("mysql.query").unwrap_or_default().to_owned());
                let statement = || {
                    let id = layer.get("mysql.stmt_id").unwrap_or_default();
                    statements.get(id).cloned().unwrap_or(Said::Nothing)
                };
                preparing = None;
                is_open = match command {
                    "2" => request(exactly("INIT_DB"), Said::Nothing),
                    "3" => request(first_word(text.text()), text),
                    "14" => request(exactly("PING"), exactly("")),
                    "17" => request(exactly("CHANGE_USER"), Said::Nothing),
                    "22" => {
                        preparing = Some(text.clone());
                        request(exactly("PREPARE"), text)
                    }
                    "23" => match statement() {
                        Said::Nothing => request(exactly("EXECUTE"), Said::Nothing),
                        text => request(first_word(text.text()), text),
                    },
                    // Nothing answers these.
                    "1" | "24" | "25" => false,
                    // The content of a local file, which tshark takes for a command.
                    number if number.parse::<u8>().is_ok_and(|number| number > 31) => is_open,
                    _ => request(Said::Nothing, Said::Nothing),
                };
            } else if is_answer(layer) {
                // 65535 is how MariaDB tells of progress.
                let code = layer.get("mysql.error_code").filter(|code| *code != "65535");
                match (code, requests.last_mut()) {
                    (Some(code), Some(request)) if is_open => request.status = exactly(code),
                    (Some(code), _) if !is_open => {
                        requests.push(Request {
                            client: packet.destination,
                            server: packet.source,
                            method: exactly("CONNECT"),
                            target: Said::Nothing,
                            status: exactly(code),
                        });
                    }
                    _ => {}
                }
                if let (Some(text), Some(id)) = (preparing.take(), layer.get("mysql.stmt_id")) {
                    statements.insert(id.to_owned(), text);
                }
            }
        }
    }
    requests
}

fn is_answer(layer: &Layer) -> bool {
    layer.get("mysql.request").is_none_or(|is_request| is_request == "0")
}
