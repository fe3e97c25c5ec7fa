//! Made-up conversations, damaged in every way.

use alaz_model::{CloseReason, Direction, Role};
use proptest::prelude::*;

use super::{client, command};
use crate::Limits;
use crate::dialogue::{Claim, Side};
use crate::redis::claim;
use crate::testing::{
    Ending, How, Said, Wire, damage, damages, hear, is_honest, line, mutate, mutations, noise,
};

/// A conversation: the commands sent at once, each with the shape of its reply.
#[derive(Clone, Debug)]
struct Plan {
    batches: Vec<Vec<(u8, u16)>>,
    cuts: Vec<usize>,
    role: Role,
}

fn plans(batch: usize, longest: usize) -> impl Strategy<Value = Plan> {
    let exchange = (0_u8..6, 1_u16..6000);
    let batches = proptest::collection::vec(proptest::collection::vec(exchange, 1..=batch), 1..12);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    (batches, cuts, role).prop_map(|(batches, cuts, role)| Plan { batches, cuts, role })
}

/// Command and reply `number`, and what must be told of them.
fn truth(number: usize, shape: u8, size: u16) -> (String, String, (String, u64)) {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    let key = format!("k{}{}", letter(number / 26), letter(number));
    let text = "b".repeat(usize::from(size) + number);
    let error = format!("E{}", key.to_uppercase());
    let (asked, reply, status) = match shape {
        0 | 1 => (format!("GET {key}"), format!("${}\r\n{text}\r\n", text.len()), "ok"),
        2 => (format!("SET {key} {text}"), "+OK\r\n".to_owned(), "ok"),
        3 => {
            let items = format!("*2\r\n:{number}\r\n$4\r\n*1\r\n\r\n").repeat(number);
            (format!("XRANGE {key} - +"), format!("*{number}\r\n{items}"), "ok")
        }
        4 => (format!("INCR {key}"), format!("-{error} no\r\n"), &*error),
        _ => (format!("TTL {key}"), format!(":{}\r\n", 10_u64.pow(number as u32 % 18)), "ok"),
    };
    let method = asked.split(' ').next().unwrap();
    let line = format!("{method} {key} {status} complete");
    let bytes = reply.len() as u64;
    (command(&asked), reply, (line, bytes))
}

impl Plan {
    /// All segments, and what they mean.
    fn play(&self) -> (Vec<Said>, Vec<(String, u64)>) {
        let mut wire = Wire::new(self.role);
        let (mut said, mut truths) = (Vec::new(), Vec::new());
        let mut cuts = self.cuts.iter().cycle();
        let mut number = 0;
        for batch in &self.batches {
            let (mut asked, mut answered) = (String::new(), String::new());
            for (shape, size) in batch {
                let (request, response, truth) = truth(number, *shape, *size);
                asked.push_str(&request);
                answered.push_str(&response);
                truths.push(truth);
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

/// Command and key; the key of a command that was cut may be missing.
fn is_same(told: &str, truth: &str) -> bool {
    told == truth || told.ends_with(' ') && truth.starts_with(told)
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(4, 4096 + 256)) {
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &How::Closed(CloseReason::Finished).into());
        prop_assert_eq!(told_of(plan.role, &said, &ending), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(3, 6000),
        damages in damages(),
    ) {
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &damages);
        let mut wire = Wire::new(plan.role);
        wire.hear(&said, &ending);
        for view in &wire.views {
            let told = (line(view), view.message.response_bytes);
            if told.0.ends_with("complete") {
                prop_assert!(truths.contains(&told), "{told:?}");
            }
            let truths = truths.iter().map(|(line, _)| line.as_str());
            prop_assert!(is_honest(view, truths, is_same), "{view:?}");
        }
    }

    #[test]
    fn joining_anywhere_gives_a_part_and_never_wrong_ones(
        plan in prop_oneof![plans(1, 6000), plans(3, 6000)],
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
            let is_true = truths.contains(&told) || told.0.ends_with("partial");
            prop_assert!(is_true, "{told:?}");
        }
        // All but the one that was going on, and those that came before the server was heard.
        let by_client = match plan.role {
            Role::Server => Direction::Receive,
            _ => Direction::Send,
        };
        let is_command = |said: &&Said| {
            said.direction == by_client && claim(&said.head, true) == Claim::Yes(Side::Client)
        };
        let heads = said.iter().filter(is_command).count();
        let is_alone = plan.batches.iter().all(|batch| batch.len() == 1);
        prop_assert!(!is_alone || wire.views.len() + 2 >= heads, "{} of {heads}", wire.views.len());
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
