//! Conversations, whole and damaged.

use alaz_model::{CloseReason, Role, UnpairedReason};
use proptest::prelude::*;

use crate::Limits;
use crate::testing::{
    Ending, How, Said, Wire, damage, damages, hear, is_honest, line, mutate, mutations, noise,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: api.example:8080\r\n\r\n")
}

fn client() -> Wire {
    Wire::new(Role::Client)
}

#[test]
fn both_ends_tell_the_same() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        wire.client(get("/a?x=1")).server(OK).client(get("/b")).server(OK);
        assert_eq!(wire.told(), ["GET /a?x=? 200 complete", "GET /b 200 complete"]);
        let view = &wire.views[0];
        assert_eq!(view.role, role);
        assert_eq!(view.client, "10.0.0.1:40000".parse().unwrap());
        assert_eq!((view.ended_ns - view.started_ns, view.pid), (1_000_000, 7));
        assert_eq!(view.message.request_bytes, get("/a?x=1").len() as u64);
        assert_eq!(view.message.response_bytes, OK.len() as u64);
        assert_eq!(
            view.message.attributes.as_slice(),
            [
                ("http.request.method", "GET".into()),
                ("url.path", "/a".into()),
                ("server.address", "api.example".into())
            ]
        );
    }
}

#[test]
fn heads_split_at_every_byte_are_whole() {
    let (request, response) = (get("/split"), OK);
    for cut in 1..request.len() {
        let mut wire = client();
        wire.client(&request[..cut]).client(&request[cut..]).server(OK);
        assert_eq!(wire.told(), ["GET /split 200 complete"], "{cut}");
    }
    for cut in 1..response.len() {
        let mut wire = client();
        wire.client(&request).server(&response[..cut]).server(&response[cut..]);
        assert_eq!(wire.told(), ["GET /split 200 complete"], "{cut}");
    }
}

#[test]
fn responses_end_where_they_end() {
    let mut wire = client();
    wire.client("HEAD /h HTTP/1.1\r\n\r\n").server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    wire.client(get("/204")).server("HTTP/1.1 204 No Content\r\n\r\n");
    wire.client(get("/304")).server("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n");
    wire.client(get("/chunks")).server(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n13;x=y\r\nHTTP/1.1 500 No\r\n\r\n\r\n0\r\nT: t\r\n\r\n",
    );
    wire.client(get("/interim")).server("HTTP/1.1 100 Continue\r\n\r\n").server(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    );
    wire.client(get("/close")).server("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 No\r\n\r\n").server("x");
    wire.close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        [
            "HEAD /h 200 complete",
            "GET /204 204 complete",
            "GET /304 304 complete",
            "GET /chunks 200 complete",
            "GET /interim 200 complete",
            "GET /close 200 complete",
        ]
    );
    let last = wire.views.last().unwrap();
    assert_eq!(last.message.response_bytes, 39, "to the last byte");
    assert_eq!(last.ended_ns, wire.now_ns);
}

#[test]
fn pipelined_requests_are_paired_in_order() {
    let mut wire = client();
    wire.client([get("/1"), get("/2"), get("/3")].concat());
    wire.server([OK, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 50"].concat());
    wire.server("3 Busy\r\nContent-Length: 1\r\n\r\n!");
    assert_eq!(wire.told(), ["GET /1 200 complete", "GET /2 404 complete", "GET /3 503 complete"]);
    let errors: Vec<_> = wire.views.iter().map(|view| view.message.error).collect();
    assert_eq!(errors, [false, false, true]);
}

#[test]
fn uploads_and_early_responses() {
    let mut wire = client();
    wire.client("POST /up HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345").client("67890").server(OK);
    wire.client("PUT /chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n");
    wire.client("0\r\n\r\n").server(OK);
    // Refused before the body was there, and the body comes all the same.
    wire.client("POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n1")
        .server("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        .client("234567890");
    wire.client(get("/after")).server(OK);
    assert_eq!(
        wire.told(),
        [
            "POST /up 200 complete",
            "PUT /chunked 200 complete",
            "POST /big 413 complete",
            "GET /after 200 complete"
        ]
    );
    assert_eq!(wire.views[0].message.request_bytes, 51);
    assert_eq!(wire.views[2].message.request_bytes, 52);
}

#[test]
fn after_an_upgrade_or_connect_nothing_is_read() {
    let mut wire = client();
    wire.client(get("/ws")).server("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n");
    wire.client(get("/no")).server(OK).client(get("/no")).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["GET /ws 101 complete"]);
    let mut wire = client();
    wire.client("CONNECT db:5432 HTTP/1.1\r\n\r\n").server("HTTP/1.1 200 OK\r\n\r\n");
    wire.client(get("/no")).server(OK);
    assert_eq!(wire.told(), ["CONNECT db:5432 200 complete"]);
}

#[test]
fn requests_without_a_response_are_reported_at_the_end() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let mut wire = client();
        wire.client(get("/unheard")).close(reason);
        assert_eq!(wire.told(), [format!("GET /unheard  {outcome}")]);
        assert!(wire.views[0].message.error);
    }
    let mut wire = client();
    wire.client(get("/half")).server(&OK[..OK.len() - 1]).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["GET /half 200 reset"]);
    assert!(client().client(get("/open")).told().is_empty(), "not ended, not reported");
}

#[test]
fn what_is_lost_just_before_the_close_is_no_failure() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n";
    // What was heard of a response, the rest of it, and what is told in the end.
    for (heard, lost, told) in [
        ("", OK, None),
        (&OK[..30], &OK[30..], Some("GET /a 200 partial")),
        (&OK[..OK.len() - 1], "k", Some("GET /a 200 partial")),
        ("HTTP/1.1 200 OK\r\n\r\nbo", "dy", Some("GET /a 200 partial")),
        (chunked, "12345\r\n0\r\n\r\n", Some("GET /a 200 partial")),
    ] {
        for role in [Role::Client, Role::Server] {
            let mut wire = Wire::new(role);
            wire.client(get("/a"));
            if !heard.is_empty() {
                wire.server(heard);
            }
            wire.unseen(false, lost).close(CloseReason::Finished);
            assert_eq!(wire.told(), told.into_iter().collect::<Vec<_>>(), "{heard:?}");
            assert!(wire.views.iter().all(|view| !view.message.error));
            let given_up = wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap);
            assert_eq!(given_up, u64::from(told.is_none()), "{heard:?}");
        }
    }
    // A request that was lost takes nothing from those before it.
    let mut wire = client();
    wire.client(get("/unheard")).unseen(true, get("/lost")).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["GET /unheard  no_response"]);
}

#[test]
fn a_response_ends_with_its_connection_only_in_order() {
    let until_close = "HTTP/1.1 200 OK\r\n\r\nbody";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123";
    let counted = &OK[..OK.len() - 1];
    let others = [CloseReason::Reset, CloseReason::TimedOut, CloseReason::Failed(5)];
    for (response, in_order) in
        [(until_close, "complete"), (chunked, "reset"), (counted, "reset"), (OK, "complete")]
    {
        let otherwise = if response == OK { "complete" } else { "reset" };
        for (reason, outcome) in others
            .map(|reason| (reason, otherwise))
            .into_iter()
            .chain([(CloseReason::Finished, in_order)])
        {
            let mut wire = client();
            wire.client(get("/")).server(response).close(reason);
            assert_eq!(wire.told(), [format!("GET / 200 {outcome}")], "{response:?} {reason:?}");
            assert_eq!(wire.views[0].message.error, outcome == "reset");
        }
    }
    // Of what was not copied the end may be a part.
    let mut wire = client();
    let chunks = "5\r\n12345\r\n".repeat(2000);
    wire.client(get("/")).server(format!("{}{chunks}0\r\n\r\n", &chunked[..chunked.len() - 6]));
    wire.close(CloseReason::Reset);
    assert_eq!(wire.told(), ["GET / 200 partial"]);
}

#[test]
fn silence_is_reported_once() {
    let limits = Limits { silence_ns: 5_000_000_000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client(get("/slow")).pause(4_000_000_000);
    assert!(wire.views.is_empty());
    wire.pause(2_000_000_000).pause(2_000_000_000).server(OK).client(get("/next")).server(OK);
    assert_eq!(wire.told(), ["GET /slow  no_response", "GET /next 200 complete"]);
}

#[test]
fn holes_in_bodies_do_no_harm() {
    let large = "x".repeat(20_000);
    let mut wire = client();
    // Longer than what is copied of a segment, both ways.
    wire.client(format!("POST /l HTTP/1.1\r\nContent-Length: 20000\r\n\r\n{large}"));
    wire.server(format!("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n{large}"));
    // Whole segments of the body missing.
    wire.client(get("/m")).server("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n");
    wire.unseen(false, "0123456789").server("0123456789").unseen(false, "012345678");
    wire.server("9HTTP").pause(100_000_000);
    assert_eq!(wire.told(), ["POST /l 200 complete", "GET /m 200 complete"]);
    assert_eq!(wire.views[1].message.response_bytes, 39 + 30);
}

#[test]
fn a_body_whose_end_was_not_seen_has_no_latency() {
    let mut wire = client();
    wire.client(get("/a")).server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    wire.unseen(false, "56789").client(get("/b")).server(OK).pause(100_000_000);
    assert_eq!(wire.told(), ["GET /a 200 partial", "GET /b 200 complete"]);
    assert_eq!(wire.views[0].message.response_bytes, 39 + 10);
}

#[test]
fn heads_longer_than_what_is_copied_are_reported() {
    let long = "c".repeat(9_000);
    let mut wire = client();
    wire.client(format!("GET /long HTTP/1.1\r\nCookie: {long}\r\n\r\n")).server(OK);
    wire.client(get("/answer"));
    wire.server(format!("HTTP/1.1 200 OK\r\nSet-Cookie: {long}\r\nContent-Length: 2\r\n\r\nok"));
    wire.client(get("/next")).server(OK);
    // Both: what else was asked in the part that was not copied, and answered, nobody knows.
    wire.client(format!("GET /both HTTP/1.1\r\nCookie: {long}\r\n\r\n"));
    wire.server(format!("HTTP/1.1 200 OK\r\nSet-Cookie: {long}\r\nContent-Length: 2\r\n\r\nok"));
    wire.client(get("/last")).server(OK);
    assert_eq!(
        wire.told(),
        [
            "GET /long 200 complete",
            "GET /answer 200 complete",
            "GET /next 200 complete",
            "GET /both 200 partial",
            "GET /last 200 complete"
        ]
    );
    assert_eq!(wire.views[0].message.request_bytes, 9_000 + 20 + 8 + 4);
    assert_eq!(wire.views[1].message.response_bytes, 9_000 + 17 + 14 + 19 + 2 + 2);
}

#[test]
fn a_lost_head_is_never_paired_and_the_next_turn_is() {
    let mut wire = client();
    wire.client(get("/1")).server(OK);
    wire.client(get("/lost-answer")).unseen(false, OK);
    wire.client(get("/hit-by-it")).server("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    wire.pause(100_000_000);
    wire.client(get("/again")).server(OK);
    wire.unseen(true, get("/lost-request")).server("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    wire.pause(100_000_000);
    // How many were lost nobody can say: this may be answered to the last of them.
    wire.client(get("/next")).pause(100_000_000).server(OK).pause(100_000_000);
    wire.client(get("/found")).server(OK);
    assert_eq!(
        wire.told(),
        ["GET /1 200 complete", "GET /again 200 complete", "GET /found 200 complete"]
    );
    let exchanges = wire.engine.ledger().exchanges;
    assert!(exchanges.unpaired(UnpairedReason::Gap) >= 3, "{exchanges:?}");
}

#[test]
fn a_response_may_be_to_a_request_that_was_lost() {
    let answer = |status| format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
    for is_new in [true, false] {
        // Sent one after the other without waiting, and the first was not seen, or not wholly.
        for copied in [0, 12] {
            let mut wire = client();
            if !is_new {
                wire.client(get("/0")).server(answer(200));
            }
            let lost = wire.next_said(true, get("/1"));
            if copied > 0 {
                wire.give(&lost.cut(copied));
            }
            wire.client(get("/2")).pause(100_000_000);
            wire.server(answer(201)).server(answer(202)).pause(100_000_000);
            wire.client(get("/3")).server(answer(203)).pause(100_000_000);
            let told = wire.told();
            assert_eq!(told.last().unwrap(), "GET /3 203 complete");
            assert_eq!(told.len(), 2 - usize::from(is_new), "{told:?}");
        }
    }
}

#[test]
fn what_was_heard_before_a_verdict_was_withdrawn_still_counts() {
    let mut wire = client();
    let answer = |status| format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
    let requests = ["/1", "/2", "/3"].map(|target| (target, get(target)));
    let said = requests.map(|(_, request)| {
        let asked = wire.next_said(true, request);
        (asked, wire.next_said(false, answer(200)))
    });
    // The other direction comes first, and what takes the verdict back in between.
    wire.give(&said[0].0);
    said.iter().for_each(|(_, answered)| wire.give(&answered.cut(3)));
    wire.give(&said[1].0.cut(14));
    wire.give(&said[2].0);
    wire.pause(1_000_000_000).close(CloseReason::Finished);
    assert!(wire.told().iter().all(|line| !line.ends_with("no_response")), "{:?}", wire.views);
}

#[test]
fn a_client_that_was_seen_to_pipeline_is_not_believed_after_a_loss() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        let answer = |status| format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        wire.client([get("/a"), get("/b1"), get("/b2")].concat());
        wire.unseen(false, answer(201)).server(answer(202)).pause(100_000_000);
        // The answer to /b2 comes after this request.
        wire.client(get("/c")).server(answer(203)).server(answer(204)).pause(100_000_000);
        assert!(wire.told().is_empty(), "{role:?}");
    }
}

#[test]
fn an_older_connection_counts_from_its_next_request() {
    for (role, known) in
        [(Role::Client, Role::Unknown), (Role::Server, Role::Unknown), (Role::Server, Role::Server)]
    {
        let mut wire = Wire::with(role, known, true, Limits::default());
        // The end of a response, of which the beginning was not seen.
        wire.server("rest of a body\r\n").client(get("/1")).server(OK);
        wire.client(get("/2")).server(OK);
        assert_eq!(wire.told(), ["GET /1 200 complete", "GET /2 200 complete"], "{role:?}");
        assert_eq!(wire.views[0].role, role);
    }
}

#[test]
fn an_answer_that_is_told_of_first_waits_for_its_request() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        let request = wire.next_said(true, get("/1"));
        let response = wire.next_said(false, OK);
        wire.give(&response);
        wire.give(&request);
        wire.client(get("/2")).server(OK);
        assert_eq!(wire.told(), ["GET /1 200 complete", "GET /2 200 complete"]);
    }
}

#[test]
fn what_is_passed_by_with_the_rest_of_something_older_is_nobodys_answer() {
    let answer = |status| format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
    let mut wire = Wire::with(Role::Client, Role::Unknown, true, Limits::default());
    // Too little to say what it is, so it is kept, and comes before what follows.
    wire.server("\r\n").client(get("/6")).server(answer(406));
    wire.client(get("/7")).server(answer(407)).client(get("/8")).server(answer(408));
    for line in wire.told() {
        assert!(["GET /7 407 complete", "GET /8 408 complete"].contains(&&*line), "{line}");
    }
    // An answer that is told of before its request while nothing is certain.
    let mut wire = client();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    wire.client(get("/1")).server(chunked).unseen(false, "0\r\n").server("\r\n");
    wire.pause(100_000_000);
    let request = wire.next_said(true, get("/2"));
    let response = wire.next_said(false, answer(202));
    wire.give(&response);
    wire.give(&request);
    wire.close(CloseReason::Finished);
    assert!(wire.told().iter().all(|line| !line.ends_with("no_response")), "{:?}", wire.views);
}

#[test]
fn what_is_not_http_after_all_is_withdrawn() {
    let mut wire = client();
    wire.client(get("/x")).server("-ERR unknown command\r\n").close(CloseReason::Finished);
    assert!(wire.told().is_empty());
    let ledger = wire.engine.ledger();
    assert_eq!(ledger.exchanges.unpaired(UnpairedReason::Withdrawn), 1);
}

#[test]
fn pending_requests_are_bounded() {
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    for number in 0..5 {
        wire.client(get(&format!("/{number}")));
    }
    for _ in 0..5 {
        wire.server(OK);
    }
    wire.pause(100_000_000).client(get("/after")).server(OK).pause(100_000_000);
    assert_eq!(wire.told(), ["GET /0 200 complete", "GET /1 200 complete", "GET /2 200 complete"]);
    let exchanges = wire.engine.ledger().exchanges;
    assert!(exchanges.unpaired(UnpairedReason::TooManyPending) >= 2, "{exchanges:?}");
}

/// A conversation: how many requests are sent at once, and for each the shape of its response.
#[derive(Clone, Debug)]
struct Plan {
    batches: Vec<Vec<(u8, u16)>>,
    /// The last response ends with its connection.
    until_close: bool,
    cuts: Vec<usize>,
    role: Role,
}

fn plans(batch: usize, longest: usize) -> impl Strategy<Value = Plan> {
    let exchange = (0_u8..5, 1_u16..6000);
    let batches = proptest::collection::vec(proptest::collection::vec(exchange, 1..=batch), 1..12);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    let parts = (batches, any::<bool>(), cuts, role);
    parts.prop_map(|(batches, until_close, cuts, role)| Plan { batches, until_close, cuts, role })
}

/// The shape of a response that ends with its connection.
const UNTIL_CLOSE: u8 = 9;

/// What must be told of exchange `number`, and nothing else may be: status and size belong to it.
fn truth(number: usize, shape: u8, size: u16) -> (String, String, u64) {
    let status = 400 + number % 50;
    let body = "b".repeat(usize::from(size) + number);
    let response = match shape {
        0 | 1 => format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        2 => format!(
            "HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
        3 => format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {status} x\r\nContent-Length: 1\r\n\r\n!"
        ),
        UNTIL_CLOSE => format!("HTTP/1.1 {status} x\r\n\r\n{body}"),
        _ => format!("HTTP/1.1 {status} x\r\nX: {number}\r\nContent-Length: 0\r\n\r\n"),
    };
    let counted = response.len() as u64 - if shape == 3 { 25 } else { 0 };
    (response, format!("GET /{number} {status} complete"), counted)
}

impl Plan {
    fn request(number: usize) -> String {
        format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n")
    }

    /// All segments, and what they mean.
    fn play(&self) -> (Vec<Said>, Vec<(String, u64)>) {
        let mut wire = Wire::new(self.role);
        let (mut said, mut truths) = (Vec::new(), Vec::new());
        let mut cuts = self.cuts.iter().cycle();
        let mut number = 0;
        let last = self.until_close.then(|| vec![(UNTIL_CLOSE, 2000)]);
        for batch in self.batches.iter().chain(&last) {
            let (mut asked, mut answered) = (String::new(), String::new());
            for (shape, size) in batch {
                let (response, line, bytes) = truth(number, *shape, *size);
                asked.push_str(&Plan::request(number));
                answered.push_str(&response);
                truths.push((line, bytes));
                number += 1;
            }
            for (by_client, text) in [(true, asked), (false, answered)] {
                let mut rest = text.as_bytes();
                while !rest.is_empty() {
                    let cut = (*cuts.next().unwrap()).min(rest.len());
                    said.push(wire.next_said(by_client, &rest[..cut]));
                    rest = &rest[cut..];
                }
            }
        }
        (said, truths)
    }
}

fn told_of(role: Role, said: &[Said], ending: &Ending) -> Vec<(String, u64)> {
    let mut wire = Wire::new(role);
    wire.hear(said, ending);
    wire.views.iter().map(|view| (line(view), view.message.response_bytes)).collect()
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(3, 4096 + 256)) {
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &How::Closed(CloseReason::Finished).into());
        prop_assert_eq!(told_of(plan.role, &said, &ending), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(3, 6000),
        damages in damages(),
    ) {
        let (mut said, mut truths) = plan.play();
        let ending = damage(&mut said, &damages);
        if plan.until_close && ending.is_reset() {
            let last = truths.last_mut().unwrap();
            last.0 = last.0.replace("complete", "reset");
        }
        let mut wire = Wire::new(plan.role);
        wire.hear(&said, &ending);
        for view in &wire.views {
            let told = (line(view), view.message.response_bytes);
            if told.0.ends_with("complete") {
                prop_assert!(truths.contains(&told), "{told:?}");
            }
            let truths = truths.iter().map(|(line, _)| line.as_str());
            prop_assert!(is_honest(view, truths, |asked, truth| asked == truth), "{view:?}");
            prop_assert!(!view.message.error || told.0.ends_with("reset"), "{view:?}");
        }
    }

    #[test]
    fn joining_anywhere_gives_a_part_and_never_wrong_ones(
        plan in plans(1, 6000),
        from in any::<prop::sample::Index>(),
    ) {
        let (said, truths) = plan.play();
        let said = &said[from.index(said.len())..];
        let mut wire = Wire::with(plan.role, Role::Unknown, true, Limits::default());
        for segment in said {
            wire.give(segment);
        }
        wire.now_ns += 10_000_000_000;
        wire.pause(1_000_000_000);
        wire.told();
        for view in &wire.views {
            let told = (line(view), view.message.response_bytes);
            prop_assert!(truths.contains(&told), "{told:?}");
        }
        // All but the one that was going on, and the one that it may have hidden.
        let heads = said.iter().filter(|said| said.head.starts_with(b"GET /")).count();
        prop_assert!(wire.views.len() + 2 >= heads, "{} of {heads}", wire.views.len());
    }

    #[test]
    fn any_bytes_do_no_harm(
        noise in noise(),
    ) {
        let mut wire = client();
        hear(&mut wire, noise);
        prop_assert!(wire.told().is_empty());
    }

    #[test]
    fn mutated_conversations_never_panic(
        plan in plans(3, 6000),
        mutations in mutations(),
    ) {
        let (mut said, _) = plan.play();
        mutate(&mut said, &mutations);
        told_of(plan.role, &said, &Ending::open());
    }
}
