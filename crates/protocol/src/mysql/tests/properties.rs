//! Made-up conversations, damaged in every way.

use alaz_model::{CloseReason, Role};
use proptest::prelude::*;

use super::*;
use crate::testing::{Said, Wire, line};

/// What one exchange of a plan looks like.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Rows,
    Done,
    Failing,
    Prepared,
    Two,
}

#[derive(Clone, Debug)]
struct Plan {
    agreed: Agreed,
    exchanges: Vec<(Shape, u16)>,
    cuts: Vec<usize>,
    role: Role,
}

fn plans(longest: usize) -> impl Strategy<Value = Plan> {
    let shape = prop_oneof![
        Just(Shape::Rows),
        Just(Shape::Done),
        Just(Shape::Failing),
        Just(Shape::Prepared),
        Just(Shape::Two)
    ];
    let exchanges = proptest::collection::vec((shape, 0_u16..3000), 1..14);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    let agreed = prop_oneof![Just(OLD), Just(NEW)];
    (agreed, exchanges, cuts, role).prop_map(|(agreed, exchanges, cuts, role)| Plan {
        agreed,
        exchanges,
        cuts,
        role,
    })
}

impl Plan {
    /// All segments, and what must be told of them: text, status and size belong together.
    fn play(&self) -> (Vec<Said>, Vec<(String, u64)>) {
        let mut wire = Wire::new(self.role);
        let (mut said, mut truths) = (Vec::new(), Vec::new());
        let mut cuts = self.cuts.iter().cycle();
        let mut say = |by_client, bytes: &[u8], said: &mut Vec<Said>| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                said.push(wire.next_said(by_client, &rest[..cut]));
                rest = &rest[cut..];
            }
        };
        say(false, &greeting("8.0.36", self.agreed), &mut said);
        say(true, &login(self.agreed), &mut said);
        say(false, &packet(2, &ok(2)), &mut said);
        for (number, (shape, size)) in self.exchanges.iter().enumerate() {
            let number = number + 1;
            let text = format!("SELECT c{number}");
            let row = "v".repeat(usize::from(*size) + number);
            let rows = |flags| result(self.agreed, 2, &[&row, "x"], flags);
            let mut tell = |asked: Vec<u8>, answered: Vec<u8>, line: String| {
                say(true, &asked, &mut said);
                say(false, &answered, &mut said);
                truths.push((format!("{line} complete"), answered.len() as u64));
            };
            match shape {
                Shape::Rows => {
                    tell(query(&text), packets(1, &rows(2)), format!("SELECT {text} ok"))
                }
                Shape::Done => {
                    // As long as no other.
                    let body = [ok(2), vec![b'v'; number]].concat();
                    tell(query(&text), packet(1, &body), format!("SELECT {text} ok"));
                }
                Shape::Failing => {
                    let code = 1000 + number as u16;
                    tell(query(&text), packet(1, &error(code)), format!("SELECT {text} {code}"));
                }
                Shape::Two => {
                    let both = [rows(2 | 8), rows(2)].concat();
                    tell(query(&text), packets(1, &both), format!("SELECT {text} ok"));
                }
                Shape::Prepared => {
                    let answer = packets(1, &prepared(self.agreed, number as u32, 1, 2));
                    tell(prepare(&text), answer, format!("PREPARE {text} ok"));
                    let answer = packets(1, &rows(2));
                    tell(execute(number as u32), answer, format!("SELECT {text} ok"));
                }
            }
        }
        (said, truths)
    }
}

fn told_of(role: Role, said: &[Said]) -> Vec<(String, u64)> {
    let mut wire = Wire::new(role);
    for segment in said {
        wire.now_ns = wire.now_ns.max(segment.time_ns);
        wire.give(segment);
        wire.engine.advance(segment.time_ns.saturating_sub(20_000_000), &mut wire.views);
    }
    wire.pause(1_000_000_000);
    wire.told();
    told(&wire)
}

fn told(wire: &Wire) -> Vec<(String, u64)> {
    wire.views.iter().map(|view| (line(view), view.message.response_bytes)).collect()
}

/// Whether what is told is true; a text that is not known, or not whole, may be missing.
fn is_true(told: &(String, u64), truths: &[(String, u64)]) -> bool {
    truths.iter().any(|truth| {
        let status = truth.0.split(' ').rev().nth(1).unwrap_or_default();
        let unknown = told.0 == format!("EXECUTE  {status} complete");
        let cut = told.0.split_once('…').is_some_and(|(shown, rest)| {
            let (method, text) = shown.split_once(' ').unwrap_or_default();
            let (true_method, true_text) = truth.0.split_once(' ').unwrap_or_default();
            let is_method = [true_method, "", "EXECUTE"].contains(&method);
            is_method && true_text.starts_with(text) && true_text.ends_with(rest)
        });
        truth.1 == told.1 && (truth.0 == told.0 || unknown || cut)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(4096 + 256)) {
        let (said, truths) = plan.play();
        prop_assert_eq!(told_of(plan.role, &said), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(6000),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..8),
    ) {
        let (mut said, truths) = plan.play();
        crate::testing::damage(&mut said, &damage);
        for told in told_of(plan.role, &said) {
            if told.0.ends_with("complete") {
                prop_assert!(is_true(&told, &truths), "{told:?} of {truths:?}");
            }
        }
    }

    #[test]
    fn joining_anywhere_gives_a_part_and_never_wrong_ones(
        plan in plans(6000),
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
        for told in told(&wire) {
            prop_assert!(is_true(&told, &truths), "{told:?} of {truths:?}");
        }
    }

    #[test]
    fn any_bytes_do_no_harm(
        chunks in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(any::<u8>(), 1..60), 0_u64..100), 1..40),
        known: bool,
    ) {
        let mut wire = if known { session(Role::Client, OLD) } else { Wire::new(Role::Client) };
        for (by_client, bytes, skip) in chunks {
            if skip < 5 {
                wire.unseen(by_client, &bytes);
            }
            if by_client { wire.client(&bytes) } else { wire.server(&bytes) };
        }
        wire.pause(1_000_000_000).close(CloseReason::Finished);
        wire.told();
    }

    #[test]
    fn mutated_conversations_never_panic(
        plan in plans(6000),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let (mut said, _) = plan.play();
        for (segment, byte, value) in flips {
            let index = segment.index(said.len());
            let segment = &mut said[index];
            if !segment.head.is_empty() {
                let at = byte.index(segment.head.len());
                segment.head[at] = value;
            }
        }
        told_of(plan.role, &said);
    }
}
