//! Made-up conversations, damaged in every way.

use alaz_model::{CloseReason, Role};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    Ending, How, Said, Wire, damage, damages, hear, is_honest, line, mutate, mutations, noise,
};

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
    const UNKNOWN: &[&str] = &["EXECUTE"];
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
    fn nothing_missing_means_all_are_told_exactly(plan in plans(4096 + 256)) {
        let (mut said, truths) = plan.play();
        let ending = damage(&mut said, &How::Closed(CloseReason::Finished).into());
        prop_assert_eq!(told_of(plan.role, &said, &ending), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(6000),
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
        noise in noise(),
        known: bool,
    ) {
        let mut wire = if known { session(Role::Client, OLD) } else { Wire::new(Role::Client) };
        hear(&mut wire, noise);
        wire.told();
    }

    #[test]
    fn mutated_conversations_never_panic(
        plan in plans(6000),
        mutations in mutations(),
    ) {
        let (mut said, _) = plan.play();
        mutate(&mut said, &mutations);
        told_of(plan.role, &said, &Ending::open());
    }
}
