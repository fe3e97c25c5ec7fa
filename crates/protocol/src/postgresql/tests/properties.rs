//! Made-up conversations, damaged in every way.

use alaz_model::{CloseReason, Role};
use proptest::prelude::*;

use super::*;
use crate::Limits;
use crate::testing::{
    Ending, How, Said, Wire, damage, damages, hear, is_honest, line, mutate, mutations, noise,
};

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

fn told_of(role: Role, said: &[Said], ending: &Ending) -> Vec<(String, u64)> {
    let mut wire = Wire::new(role);
    wire.hear(said, ending);
    told(&wire)
}

fn told(wire: &Wire) -> Vec<(String, u64)> {
    wire.views.iter().map(|view| (line(view), view.message.response_bytes)).collect()
}

/// Whether what is told is true.
fn is_true(told: &(String, u64), truths: &[(String, u64)]) -> bool {
    let parts = |line: &str| {
        let (rest, outcome) = line.rsplit_once(' ').unwrap();
        let (asked, status) = rest.rsplit_once(' ').unwrap();
        (asked.to_owned(), status.to_owned(), outcome.to_owned())
    };
    let (asked, status, outcome) = parts(&told.0);
    truths.iter().any(|truth| {
        let (true_asked, true_status, true_outcome) = parts(&truth.0);
        truth.1 == told.1
            && (&status, &outcome) == (&true_status, &true_outcome)
            && is_same(&asked, &true_asked)
    })
}

/// Method and text; one that is not known, or not whole, may be missing.
fn is_same(told: &str, truth: &str) -> bool {
    const UNKNOWN: &[&str] = &["EXECUTE", "BIND", "DESCRIBE"];
    let is_unknown = told.strip_suffix(' ').is_some_and(|method| UNKNOWN.contains(&method));
    let is_cut = told.split_once('…').is_some_and(|(shown, rest)| {
        let (method, text) = shown.split_once(' ').unwrap_or_default();
        let (true_method, true_text) = truth.split_once(' ').unwrap_or_default();
        let is_method = method == true_method || method.is_empty() || UNKNOWN.contains(&method);
        is_method && true_text.starts_with(text) && true_text.ends_with(rest)
    });
    told == truth || is_unknown || is_cut
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
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &damages);
        let mut wire = Wire::new(plan.role);
        wire.hear(&said, &ending);
        for (view, told) in wire.views.iter().zip(told(&wire)) {
            if told.0.ends_with("complete") {
                prop_assert!(is_true(&told, &truths), "{told:?} of {truths:?}");
            }
            let truths = truths.iter().map(|(line, _)| line.as_str());
            prop_assert!(is_honest(view, truths, is_same), "{view:?}");
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
        noise in noise(),
        known: bool,
    ) {
        let mut wire = if known { session(Role::Client) } else { Wire::new(Role::Client) };
        hear(&mut wire, noise);
        wire.told();
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
