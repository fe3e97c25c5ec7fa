//! What holds for any conversation and any damage.

use alaz_model::Role;
use proptest::prelude::*;

use super::client;
use super::messages::*;
use crate::Limits;
use crate::testing::{Ending, Said, Wire, damage, damages, hear, line, mutate, mutations, noise};

/// A conversation: what is asked, each with a size, how many at once, and how the bytes are cut.
#[derive(Clone, Debug)]
struct Plan {
    deeds: Vec<(u8, u16)>,
    at_once: usize,
    cuts: Vec<usize>,
    role: Role,
}

/// Line, bytes of the request, of the reply, and when it ended.
type Truth = (String, u64, u64, u64);

fn plans(longest: usize) -> impl Strategy<Value = Plan> {
    let deeds = proptest::collection::vec((0_u8..7, 1_u16..20_000), 1..16);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    (deeds, 1_usize..4, cuts, role).prop_map(|(deeds, at_once, cuts, role)| Plan {
        deeds,
        at_once,
        cuts,
        role,
    })
}

/// A request, its replies, and what each pair of them means.
fn deed(id: i32, deed: u8, size: u16) -> (Vec<u8>, Vec<Vec<u8>>, Vec<String>) {
    let of = format!("of{}", char::from(b'a' + (id % 26) as u8));
    let of = of.as_str();
    let size = usize::from(size);
    let (fails, answer_id) = (size % 3 == 0, id + 10_000);
    let (result, status) =
        if fails { (failed(50, "MaxTimeMSExpired"), "50") } else { (fine(), "ok") };
    let complete = |method: &str| vec![format!("{method} shop.{of} {status} complete")];
    let large = doc().text("x", &"x".repeat(size));
    let command = |name: &str| doc().text(name, of);
    let more = doc().long("getMore", 7).text("collection", of).text("$db", "shop");
    match deed {
        0 => (ask(id, "find", of), vec![msg(answer_id, id, 0, &result)], complete("find")),
        1 => {
            let insert = command("insert").array("documents", [large]).text("$db", "shop");
            (msg(id, 0, 0, &insert), vec![msg(answer_id, id, 0, &result)], complete("insert"))
        }
        2 => {
            let body = [vec![0], command("update").text("$db", "shop").bytes()].concat();
            let body = [body, sequence("updates", &[large])].concat();
            (sections(id, 0, 0, &body), vec![msg(answer_id, id, 0, &result)], complete("update"))
        }
        3 => {
            let told = vec![format!("find shop.{of} ok complete")];
            (ask(id, "find", of), vec![msg(answer_id, id, 0, &batch("firstBatch", 0, size))], told)
        }
        4 => {
            let insert = command("insert").array("documents", [large]).text("$db", "shop");
            (msg(id, 0, MORE, &insert), vec![], vec![format!("insert shop.{of}  one_way")])
        }
        5 => {
            let part = |at: i32, flags| {
                let answers = if at == 0 { id } else { answer_id + (at - 1) * 10_000 };
                msg(answer_id + at * 10_000, answers, flags, &batch("nextBatch", 7, size / 3))
            };
            let told = ["complete", "one_way", "one_way"]
                .map(|outcome| format!("getMore shop.{of} ok {outcome}"));
            (
                msg(id, 0, EXHAUST, &more),
                vec![part(0, MORE), part(1, MORE), part(2, 0)],
                told.into(),
            )
        }
        _ => {
            let reply = zlib(&msg(answer_id, id, 0, &result));
            (zlib(&ask(id, "count", of)), vec![reply], complete("count"))
        }
    }
}

impl Plan {
    /// All segments, and what they mean.
    fn play(&self, wire: &mut Wire) -> (Vec<Said>, Vec<Truth>) {
        let (mut said, mut truths) = (Vec::new(), Vec::new());
        let mut cuts = self.cuts.iter().cycle();
        let mut say = |wire: &mut Wire, by_client, bytes: &[u8]| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                said.push(wire.next_said(by_client, &rest[..cut]));
                rest = &rest[cut..];
            }
            wire.now_ns
        };
        for (burst, deeds) in self.deeds.chunks(self.at_once).enumerate() {
            let id = |at: usize| (burst * self.at_once + at) as i32 + 1;
            let numbered = deeds.iter().enumerate();
            let all: Vec<_> =
                numbered.map(|(at, (kind, size))| deed(id(at), *kind, *size)).collect();
            for (asked, replies, lines) in &all {
                say(wire, true, asked);
                if replies.is_empty() {
                    truths.push((lines[0].clone(), asked.len() as u64, 0, 0));
                }
            }
            // In another order than they were asked for, but for chains, which stay together.
            for (asked, replies, lines) in all.into_iter().rev() {
                for (at, (reply, line)) in replies.iter().zip(lines).enumerate() {
                    let ended = say(wire, false, reply);
                    let asked = if at == 0 { asked.len() as u64 } else { 0 };
                    truths.push((line, asked, reply.len() as u64, ended));
                }
            }
        }
        (said, truths)
    }
}

/// What is told of a conversation that is heard to its end.
fn listen(wire: &mut Wire, said: &[Said], ending: &Ending) -> Vec<Truth> {
    wire.hear(said, ending);
    let told = |view: &alaz_model::View| {
        let message = &view.message;
        let ended = if message.response_bytes > 0 { view.ended_ns } else { 0 };
        (line(view), message.request_bytes, message.response_bytes, ended)
    };
    wire.views.iter().map(told).collect()
}

fn claims_all(told: &Truth) -> bool {
    told.0.ends_with("complete") || told.0.ends_with("one_way")
}

/// Whether what was told is a truth, but for what it does not say.
fn is_true(told: &Truth, truths: &[Truth]) -> bool {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let told_words = words(&told.0);
    truths.iter().any(|truth| {
        let agree = |(told, truth): (&String, String)| told.is_empty() || *told == truth;
        told_words.len() == 4
            && told_words.iter().zip(words(&truth.0)).all(agree)
            && (told.1, told.2, told.3) == (truth.1, truth.2, truth.3)
    })
}

/// Whether nothing is told that is not so: no failure that was not there.
fn is_honest(told: &Truth, truths: &[Truth]) -> bool {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let told = words(&told.0);
    truths.iter().map(|truth| words(&truth.0)).any(|truth| {
        let agree = |at: usize| told[at].is_empty() || told[at] == truth[at];
        agree(0) && agree(1) && agree(2) && (told[3] == truth[3] || told[3] == "partial")
    })
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(4096 + 256)) {
        let mut wire = Wire::new(plan.role);
        let (said, truths) = plan.play(&mut wire);
        prop_assert_eq!(listen(&mut wire, &said, &Ending::open()), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(plan in plans(6000), damages in damages()) {
        let (mut said, truths) = plan.play(&mut Wire::new(plan.role));
        let ending = damage(&mut said, &damages);
        for told in listen(&mut Wire::new(plan.role), &said, &ending) {
            prop_assert!(!claims_all(&told) || is_true(&told, &truths), "{told:?}");
            prop_assert!(is_honest(&told, &truths), "{told:?}");
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
        for told in listen(&mut wire, said, &Ending::open()) {
            prop_assert!(!claims_all(&told) || is_true(&told, &truths), "{told:?}");
            prop_assert!(is_honest(&told, &truths), "{told:?}");
        }
    }

    #[test]
    fn joining_between_exchanges_misses_nothing(plan in plans(4096 + 256), from in 0_usize..16) {
        let plan = Plan { at_once: 1, cuts: vec![4096 + 256], ..plan };
        let from = from % plan.deeds.len();
        let mut wire = Wire::new(plan.role);
        let (said, truths) = plan.play(&mut wire);
        let earlier = Plan { deeds: plan.deeds[..from].to_vec(), ..plan.clone() };
        let (skip, known) = earlier.play(&mut Wire::new(plan.role));
        let mut wire = Wire::with(plan.role, Role::Unknown, true, Limits::default());
        prop_assert_eq!(listen(&mut wire, &said[skip.len()..], &Ending::open()), &truths[known.len()..]);
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
