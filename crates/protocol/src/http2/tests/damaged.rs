//! Conversations made up at random, whole and damaged: nothing missing means that all is told
//! exactly, and anything missing that less is told and nothing wrong.

use alaz_model::{CloseReason, Role, View};
use proptest::prelude::*;

use super::super::testing::{END_HEADERS, END_STREAM, PREFACE, data, frame, reset, settings};
use super::{CALL, GRPC_OK, Peers, attribute, begun, message};
use crate::Limits;
use crate::testing::{Ending, How, Said, Wire, damage, damages, hear, mutate, mutations, noise};

/// A conversation: how many streams are open at once, and for each its shape and size.
#[derive(Clone, Debug)]
struct Plan {
    batches: Vec<Vec<(u8, u16)>>,
    cuts: Vec<usize>,
    role: Role,
}

/// What must be told of the stream whose request begins at a position, and nothing else may be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Truth {
    position: u64,
    words: [String; 3],
    outcome: &'static str,
    bytes: (u64, u64),
    messages: Option<(String, String)>,
}

fn plans(batch: usize, longest: usize) -> impl Strategy<Value = Plan> {
    let stream = (0_u8..9, 0_u16..3000);
    let batches = proptest::collection::vec(proptest::collection::vec(stream, 1..=batch), 1..10);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    (batches, cuts, role).prop_map(|(batches, cuts, role)| Plan { batches, cuts, role })
}

/// One stream's frames in both directions.
fn say(
    peers: &mut Peers,
    number: usize,
    shape: u8,
    size: u16,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Truth) {
    let id = 1 + 2 * number as u32;
    let size = usize::from(size);
    let (path, status) = (format!("/{number}"), format!("{}", 400 + number % 50));
    // Some of it stands in the table and some not.
    let note = format!("{}", number % 5);
    let get = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "api"),
        (":path", path.as_str()),
        ("note", note.as_str()),
    ];
    let post = [(":method", "POST"), get[1], get[3], get[4]];
    let call = [post[0], get[1], (":path", "/pkg.Service/Call"), get[4], CALL[5]];
    let answer = [(":status", status.as_str()), ("server", "x"), ("note", note.as_str())];
    let mut method = "GET";
    let mut counts = None;
    let mut outcome = "complete";
    let (ask, reply) = match shape {
        0 => (
            vec![peers.ask(id, &get, true)],
            vec![peers.answer(id, &answer, false), data(id, size, true)],
        ),
        1 => {
            method = "POST";
            (
                vec![peers.ask(id, &post, false), data(id, size, false), data(id, 0, true)],
                vec![
                    peers.answer(id, &answer, false),
                    data(id, size, false),
                    peers.answer(id, &[("checksum", "1")], true),
                ],
            )
        }
        2 | 3 => {
            method = "Call";
            let messages = |count: usize| message(&vec![b'm'; size % 200]).repeat(count);
            let (sent, got) = (1 + number % 3, number % 4);
            counts = Some((sent.to_string(), got.to_string()));
            let status = [("grpc-status", "14"), ("grpc-message", note.as_str())];
            (
                vec![peers.ask(id, &call, false), frame(0, END_STREAM, id, &messages(sent))],
                vec![
                    peers.answer(id, &GRPC_OK, false),
                    frame(0, 0, id, &messages(got)),
                    peers.answer(id, &status, true),
                ],
            )
        }
        4 => {
            method = "Call";
            counts = Some(("0".into(), "0".into()));
            let only = [&GRPC_OK[..], &[("grpc-status", "14")]].concat();
            (vec![peers.ask(id, &call, true)], vec![peers.answer(id, &only, true)])
        }
        5 => {
            let block = peers.client.block(&get);
            let interim = peers.answer(id, &[(":status", "103"), ("link", "x")], false);
            let split = block.len() / 2;
            (
                vec![
                    frame(1, END_STREAM | 0x8, id, &[b"\x01", &block[..split], b"\0"].concat()),
                    frame(9, END_HEADERS, id, &block[split..]),
                ],
                vec![interim, peers.answer(id, &answer, false), data(id, size, true)],
            )
        }
        6 => {
            outcome = "reset";
            (vec![peers.ask(id, &get, true)], vec![peers.answer(id, &answer, false), reset(id, 2)])
        }
        _ => (vec![peers.ask(id, &get, true)], vec![peers.answer(id, &answer, true)]),
    };
    let is_call = method == "Call";
    let counted = |frames: &[Vec<u8>]| {
        // Frames of the connection or of resets and interim answers do not count.
        let frames = frames.iter().skip(usize::from(shape == 5 && frames.len() == 3));
        frames.filter(|frame| frame[3] != 3).map(|frame| frame.len() as u64).sum::<u64>()
    };
    let truth = Truth {
        position: 0,
        words: [
            method.to_owned(),
            if is_call { "pkg.Service".to_owned() } else { path },
            if is_call { "14".to_owned() } else { status },
        ],
        outcome,
        bytes: (counted(&ask), counted(&reply)),
        messages: counts,
    };
    (ask, reply, truth)
}

/// Frames of several streams in turns: those with a header block must keep their order.
fn in_turns(streams: Vec<Vec<Vec<u8>>>) -> Vec<(usize, Vec<u8>)> {
    let mut out = Vec::new();
    let mut rest: Vec<_> = streams.into_iter().map(|s| s.into_iter().peekable()).collect();
    // Header blocks of all streams were made stream by stream, so up to the last block of one
    // nothing of the next may come; content may.
    for (index, frames) in rest.iter_mut().enumerate() {
        while let Some(frame) = frames.next() {
            out.push((index, frame));
            if !frames.clone().any(|frame| matches!(frame[3], 1 | 9)) {
                break;
            }
        }
    }
    for (index, frames) in rest.into_iter().enumerate().rev() {
        out.extend(frames.map(|frame| (index, frame)));
    }
    out
}

impl Plan {
    /// All segments, and what they mean.
    fn play(&self) -> (Vec<Said>, Vec<Truth>) {
        let mut wire = Wire::new(self.role);
        let mut peers = Peers::default();
        let mut said = vec![
            wire.next_said(true, [PREFACE, &settings()].concat()),
            wire.next_said(false, settings()),
        ];
        let mut cuts = self.cuts.iter().cycle();
        let mut truths = Vec::new();
        for batch in &self.batches {
            let (mut asks, mut replies) = (Vec::new(), Vec::new());
            let first = truths.len();
            for (shape, size) in batch {
                let (ask, reply, truth) = say(&mut peers, truths.len(), *shape, *size);
                asks.push(ask);
                replies.push(reply);
                truths.push(truth);
            }
            for (by_client, streams) in [(true, asks), (false, replies)] {
                let mut bytes = Vec::new();
                let start = wire.next_said(by_client, b"").position;
                for (index, frame) in in_turns(streams) {
                    let truth = &mut truths[first + index];
                    if by_client && truth.position == 0 {
                        truth.position = start + bytes.len() as u64;
                    }
                    bytes.extend_from_slice(&frame);
                }
                let mut rest = &bytes[..];
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

fn views_of(wire: &mut Wire, said: &[Said], ending: &Ending) -> Vec<Truth> {
    wire.hear(said, ending);
    wire.views.iter().map(told).collect()
}

fn told(view: &View) -> Truth {
    let message = &view.message;
    let count = |name| attribute(view, name).map(str::to_owned);
    let counts = count("alaz.request.messages").zip(count("alaz.response.messages"));
    Truth {
        position: view.request_position.0,
        words: [&message.method, &message.target, &message.status].map(ToString::to_string),
        outcome: message.outcome.as_str(),
        bytes: (message.request_bytes, message.response_bytes),
        messages: counts,
    }
}

/// Whether everything that was told is true; what is empty says nothing.
fn is_true(told: &Truth, truths: &[Truth]) -> bool {
    let Some(truth) = truths.iter().find(|truth| truth.position == told.position) else {
        return false;
    };
    let is_call = truth.words[0] == "Call";
    // A call whose type was not seen is told as what it is on the wire.
    let as_http = ["POST", "/pkg.Service/Call", "200"];
    let words = (0..3).all(|index| {
        let word = &told.words[index];
        word.is_empty() || *word == truth.words[index] || is_call && word == as_http[index]
    });
    let is_whole = matches!(told.outcome, "complete" | "reset");
    let sizes = !is_whole || told.bytes == truth.bytes;
    let messages = told.messages.is_none() || told.messages == truth.messages;
    let outcome = told.outcome == truth.outcome || told.outcome == "partial";
    words && sizes && messages && outcome
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(6, 4096 + 256)) {
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &How::Closed(CloseReason::Finished).into());
        let mut told = views_of(&mut Wire::new(plan.role), &said, &ending);
        told.sort_by_key(|told| told.position);
        for (told, truth) in told.iter_mut().zip(&truths) {
            // A stream that was reset has no end that would prove a count.
            if truth.outcome == "reset" {
                told.messages = truth.messages.clone();
            }
        }
        prop_assert_eq!(told, truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(6, 6000),
        damages in damages(),
    ) {
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &damages);
        for told in views_of(&mut Wire::new(plan.role), &said, &ending) {
            prop_assert!(is_true(&told, &truths), "{told:?}");
        }
    }

    #[test]
    fn joining_anywhere_gives_a_part_and_never_wrong_ones(
        plan in plans(4, 4096 + 256),
        from in any::<prop::sample::Index>(),
    ) {
        let (said, truths) = plan.play();
        let said = &said[from.index(said.len())..];
        let mut wire = Wire::with(plan.role, Role::Unknown, true, Limits::default());
        for told in views_of(&mut wire, said, &Ending::open()) {
            prop_assert!(is_true(&told, &truths), "{told:?}");
        }
    }

    #[test]
    fn joining_between_messages_gives_all_later_ones(
        plan in plans(4, 4096 + 256),
        from in any::<prop::sample::Index>(),
    ) {
        let mut whole = Plan { cuts: vec![usize::MAX], ..plan.clone() };
        // A block over two frames says too little by itself.
        whole.batches.iter_mut().flatten().filter(|(shape, _)| *shape == 5).for_each(|s| s.0 = 0);
        let (said, truths) = whole.play();
        // The preface, the settings, then one segment for each side of a batch.
        let batch = from.index(plan.batches.len());
        prop_assert_eq!(said.len(), 2 + 2 * plan.batches.len());
        let before: usize = plan.batches[..batch].iter().map(Vec::len).sum();
        let mut wire = Wire::with(plan.role, Role::Unknown, true, Limits::default());
        let told = views_of(&mut wire, &said[2 + 2 * batch..], &Ending::open());
        for told in &told {
            prop_assert!(is_true(told, &truths), "{told:?}");
        }
        // Segments of which the middle was not copied cost what they hold.
        let is_copied = said.iter().all(|said| said.head.len() + said.tail.len() == said.length as usize);
        if is_copied {
            prop_assert_eq!(told.len(), truths.len() - before);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(
        noise in noise(),
    ) {
        let (mut wire, _) = begun(Role::Client);
        hear(&mut wire, noise);
        wire.told();
        prop_assert!(wire.views.iter().all(|view| view.message.outcome.as_str() != "complete"));
    }

    #[test]
    fn mutated_conversations_never_panic(
        plan in plans(4, 6000),
        mutations in mutations(),
    ) {
        let (mut said, _) = plan.play();
        mutate(&mut said, &mutations);
        views_of(&mut Wire::new(plan.role), &said, &Ending::open());
    }
}
