//! Made-up conversations, damaged in every way.

use alaz_model::{CloseReason, Role};
use proptest::prelude::*;

use super::*;
use crate::Limits;
use crate::testing::{Said, Wire, line};

/// What one exchange of a plan looks like.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Simple,
    Unnamed,
    Named,
    Failing,
    Copying,
}

/// Cycles of exchanges that are asked for at once, and how the bytes are cut.
#[derive(Clone, Debug)]
struct Plan {
    cycles: Vec<Vec<(Shape, u16)>>,
    cuts: Vec<usize>,
    role: Role,
}

fn plans(pipeline: usize, longest: usize) -> impl Strategy<Value = Plan> {
    let shape = prop_oneof![
        Just(Shape::Simple),
        Just(Shape::Unnamed),
        Just(Shape::Named),
        Just(Shape::Failing),
        Just(Shape::Copying)
    ];
    let cycle = proptest::collection::vec((shape, 0_u16..3000), 1..=pipeline);
    let cycles = proptest::collection::vec(cycle, 1..10);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    (cycles, cuts, role).prop_map(|(cycles, cuts, role)| Plan { cycles, cuts, role })
}

impl Plan {
    /// All segments, and what must be told of them: text, status and size belong together.
    fn play(&self) -> (Vec<Said>, Vec<(String, u64)>) {
        let mut wire = Wire::new(self.role);
        let (mut said, mut truths) = (Vec::new(), Vec::new());
        let mut cuts = self.cuts.iter().cycle();
        let mut say = |by_client, bytes: Vec<u8>, said: &mut Vec<Said>| {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                said.push(wire.next_said(by_client, &rest[..cut]));
                rest = &rest[cut..];
            }
        };
        say(true, startup(), &mut said);
        say(false, welcome(), &mut said);
        let mut number = 0;
        for cycle in &self.cycles {
            let (mut asked, mut answered) = (Vec::new(), Vec::new());
            let (mut failed, mut simple) = (false, false);
            for (shape, size) in cycle {
                number += 1;
                let text = format!("SELECT c{number}");
                let rows = row(&"v".repeat(usize::from(*size) + number));
                let name = match shape {
                    Shape::Named => format!("s{number}"),
                    _ => String::new(),
                };
                if matches!(shape, Shape::Simple | Shape::Copying) && asked.is_empty() {
                    simple = true;
                    let answer = all(&[message(b'T', &[0, 0]), rows, done("SELECT 1"), ready()]);
                    let copy = message(b'd', rows_of(number).as_bytes());
                    let (answer, text) = match shape {
                        Shape::Copying => {
                            say(true, query(&format!("COPY c{number}")), &mut said);
                            say(false, message(b'G', &[0, 0, 0]), &mut said);
                            asked = all(&[copy, message(b'c', &[])]);
                            (all(&[done("COPY 1"), ready()]), format!("COPY COPY c{number}"))
                        }
                        _ => {
                            asked = query(&text);
                            (answer, format!("SELECT {text}"))
                        }
                    };
                    let begun = if matches!(shape, Shape::Copying) { 8 } else { 0 };
                    truths.push((format!("{text} ok complete"), answer.len() as u64 + begun));
                    answered = answer;
                    break;
                }
                asked.extend(all(&[parse(&name, &text), bind("", &name, "secret"), execute("")]));
                if failed {
                    continue;
                }
                let (answer, status) = match shape {
                    Shape::Failing => {
                        failed = true;
                        let code = format!("{:05}", number);
                        (all(&[message(b'1', &[]), failure("ERROR", &code)]), code)
                    }
                    _ => (
                        all(&[message(b'1', &[]), message(b'2', &[]), rows, done("SELECT 1")]),
                        "ok".into(),
                    ),
                };
                truths.push((format!("SELECT {text} {status} complete"), answer.len() as u64));
                answered.extend(answer);
            }
            if !simple {
                asked.extend(sync());
                answered.extend(ready());
            }
            say(true, asked, &mut said);
            say(false, answered, &mut said);
        }
        (said, truths)
    }
}

fn rows_of(number: usize) -> String {
    "1\tsecret\n".repeat(number)
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

/// Whether what is told is true; a text that is not known may be missing.
fn is_true(told: &(String, u64), truths: &[(String, u64)]) -> bool {
    truths.iter().any(|truth| {
        let mut words = truth.0.split(' ').rev();
        let status = words.nth(1).unwrap_or_default();
        let unknown = ["EXECUTE", "BIND"].map(|method| format!("{method}  {status} complete"));
        let cut = told.0.split_once('…').is_some_and(|(shown, rest)| {
            let (method, text) = shown.split_once(' ').unwrap_or_default();
            let (true_method, true_text) = truth.0.split_once(' ').unwrap_or_default();
            let is_method = [true_method, "", "BIND", "EXECUTE"].contains(&method);
            is_method && true_text.starts_with(text) && true_text.ends_with(rest)
        });
        truth.1 == told.1 && (truth.0 == told.0 || unknown.contains(&told.0) || cut)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(3, 4096 + 256)) {
        let (said, truths) = plan.play();
        prop_assert_eq!(told_of(plan.role, &said), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(3, 6000),
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
        plan in plans(3, 6000),
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
        let mut wire = if known { session(Role::Client) } else { Wire::new(Role::Client) };
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
        plan in plans(3, 6000),
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
