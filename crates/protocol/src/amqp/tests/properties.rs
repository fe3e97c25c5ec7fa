//! Made-up conversations, damaged in every way.

use alaz_model::{Direction, View};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    Ending, How, Said, damage, damages, hear, is_honest, line, mutate, mutations, noise,
};

/// A conversation: what is done, each with a size, and how the bytes are cut.
#[derive(Clone, Debug)]
struct Plan {
    deeds: Vec<(u8, u16)>,
    cuts: Vec<usize>,
    role: Role,
}

/// Line, bytes of the request, of the response, and when it ended.
type Truth = (String, u64, u64, u64);

fn plans(longest: usize) -> impl Strategy<Value = Plan> {
    let deeds = proptest::collection::vec((0_u8..6, 0_u16..5000), 1..16);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    (deeds, cuts, role).prop_map(|(deeds, cuts, role)| Plan { deeds, cuts, role })
}

impl Plan {
    /// All segments after the opening, and what they mean.
    fn play(&self, wire: &mut Wire) -> (Vec<Said>, Vec<Truth>) {
        open(wire, 3);
        wire.client(consume(3, "jobs", "tag", false)).server(consume_ok(3, "tag"));
        let (mut said, mut truths) = (Vec::new(), Vec::new());
        let mut cuts = self.cuts.iter().cycle();
        let mut say = |wire: &mut Wire, by_client, bytes: Vec<u8>| {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                said.push(wire.next_said(by_client, &rest[..cut]));
                rest = &rest[cut..];
            }
            (wire.now_ns, bytes.len() as u64)
        };
        let (mut published, mut delivered) = (0, 0);
        for (number, (deed, size)) in self.deeds.iter().enumerate() {
            let key = format!("k{}", char::from(b'a' + number as u8));
            let size = usize::from(*size) + number;
            let (code, status) = if number % 3 == 0 { (120, "nack") } else { (80, "ok") };
            match deed {
                0 => {
                    published += 1;
                    let (_, asked) = say(wire, true, publish(1, "ex", &key, size));
                    let (ended, bytes) = say(wire, false, ack(1, code, published, false));
                    let line = format!("basic.publish ex/{key} {status} complete");
                    truths.push((line, asked, bytes, ended));
                }
                1 => {
                    // Both are confirmed at once.
                    let asked = ["x", "y"].map(|which| {
                        let key = format!("{key}{which}");
                        (say(wire, true, publish(1, "ex", &key, size)).1, key)
                    });
                    published += 2;
                    let (ended, bytes) = say(wire, false, ack(1, code, published, true));
                    for (asked, key) in asked {
                        let line = format!("basic.publish ex/{key} {status} complete");
                        truths.push((line, asked, bytes, ended));
                    }
                }
                2 => {
                    let (_, bytes) = say(wire, true, publish(2, "ex", &key, size));
                    truths.push((format!("basic.publish ex/{key}  one_way"), bytes, 0, 0));
                }
                3 => {
                    let (_, asked) = say(wire, true, declare(2, &key));
                    let (ended, bytes) = say(wire, false, declare_ok(2, &key));
                    truths.push((format!("queue.declare {key} ok complete"), asked, bytes, ended));
                }
                4 => {
                    delivered += 1;
                    let (_, pushed) = say(wire, false, deliver(3, "tag", delivered, &key, size));
                    let (ended, bytes) = say(wire, true, ack(3, code, delivered, false));
                    let line = format!("basic.deliver jobs {status} complete");
                    truths.push((line, bytes, pushed, ended));
                }
                _ => {
                    let get = args().short(0).text(&key).octet(0);
                    let got = args().longlong(900).octet(0).text("ex").text("k").long(7);
                    let got = [method(2, (60, 71), got), content(2, size, 700)].concat();
                    let (_, asked) = say(wire, true, method(2, (60, 70), get));
                    let (ended, bytes) = say(wire, false, got);
                    truths.push((format!("basic.get {key} ok complete"), asked, bytes, ended));
                }
            }
        }
        (said, truths)
    }
}

/// What was told after the opening.
fn listen(wire: &mut Wire, said: &[Said], ending: &Ending) -> Vec<(View, Truth)> {
    let opened = wire.views.len();
    wire.hear(said, ending);
    let told = |view: &View| {
        let (message, is_whole) = (&view.message, view.response_position.is_some());
        let ended = if is_whole { view.ended_ns } else { 0 };
        let truth = (line(view), message.request_bytes, message.response_bytes, ended);
        (view.clone(), truth)
    };
    wire.views[opened..].iter().map(told).collect()
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(4096 + 256)) {
        let mut wire = Wire::new(plan.role);
        let (mut said, truths) = plan.play(&mut wire);
        let ending = damage(&mut said, &How::Closed(CloseReason::Finished).into());
        let told: Vec<_> = listen(&mut wire, &said, &ending).into_iter().map(|it| it.1).collect();
        prop_assert_eq!(told, truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(6000),
        damages in damages(),
    ) {
        let mut wire = Wire::new(plan.role);
        let (mut said, truths) = plan.play(&mut wire);
        let ending = damage(&mut said, &damages);
        for (view, told) in listen(&mut wire, &said, &ending) {
            if told.0.ends_with("complete") {
                prop_assert!(truths.contains(&told), "{told:?}");
            }
            let truths = truths.iter().map(|truth| truth.0.as_str());
            // What it is about is not known where that was not read.
            let is_same = |told: &str, truth: &str| {
                let is_unnamed = told.ends_with(' ') && truth.starts_with(told);
                told == truth || is_unnamed
            };
            prop_assert!(is_honest(&view, truths, is_same), "{view:?}");
        }
    }

    #[test]
    fn joining_anywhere_gives_a_part_and_never_wrong_ones(
        plan in plans(6000),
        from in any::<prop::sample::Index>(),
    ) {
        let (said, truths) = plan.play(&mut Wire::new(plan.role));
        let said = &said[from.index(said.len())..];
        let mut wire = Wire::with(plan.role, Role::Unknown, true, Limits::default());
        let told = listen(&mut wire, said, &Ending::open());
        let told: Vec<_> = told.into_iter().map(|it| it.1).collect();
        for mut told in told.clone() {
            if told.0.starts_with("basic.deliver") {
                // To which queue the consumer belongs was said before.
                told.0 = told.0.split(' ').enumerate().map(|(at, word)| if at == 1 { "jobs" } else { word }).collect::<Vec<_>>().join(" ");
            }
            let is_true = truths.contains(&told) || !told.0.ends_with("complete");
            prop_assert!(is_true, "{told:?}");
        }
        // What needs nothing of what was said before, and was not hidden by the first segments.
        let by_client = if plan.role == Role::Server { Direction::Receive } else { Direction::Send };
        let asks = |said: &&Said| {
            let is_ask = said.head.get(7..11).is_some_and(|id| id == [0, 50, 0, 10] || id == [0, 60, 0, 70]);
            said.direction == by_client && is_ask && claim(&said.head, true) == Claim::Yes(Side::Client)
        };
        let asked = said.iter().filter(asks).count();
        prop_assert!(told.len() + 2 >= asked, "{} of {asked}", told.len());
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
        plan in plans(6000),
        mutations in mutations(),
    ) {
        let mut wire = Wire::new(plan.role);
        let (mut said, _) = plan.play(&mut wire);
        mutate(&mut said, &mutations);
        listen(&mut wire, &said, &Ending::open());
    }
}
