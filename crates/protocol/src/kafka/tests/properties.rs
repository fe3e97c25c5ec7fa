//! What holds for any conversation and any damage.

use alaz_model::{CloseReason, Role};
use proptest::prelude::*;

use super::client;
use super::messages::*;
use crate::Limits;
use crate::testing::{Said, Wire, damage, damages, hear, line, mutate, mutations, noise};

/// A conversation: what is asked, each with a size, how many at once, and how the bytes are cut.
#[derive(Clone, Debug)]
struct Plan {
    deeds: Vec<(u8, u16)>,
    at_once: usize,
    cuts: Vec<usize>,
    role: Role,
}

/// Line, records, bytes of the request, of the response, and when it ended.
type Truth = (String, String, u64, u64, u64);

fn plans(longest: usize) -> impl Strategy<Value = Plan> {
    let deeds = proptest::collection::vec((0_u8..6, 1_u16..20_000), 1..16);
    let cuts = proptest::collection::vec(1..=longest, 1..20);
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    (deeds, 1_usize..4, cuts, role).prop_map(|(deeds, at_once, cuts, role)| Plan {
        deeds,
        at_once,
        cuts,
        role,
    })
}

/// A request, its response if there is one, and what they mean.
fn deed(id: u32, deed: u8, size: u16) -> (Vec<u8>, Option<Vec<u8>>, String, String) {
    let name = format!("topic-{}", char::from(b'a' + (id % 26) as u8));
    let name = name.as_str();
    let (error, status) =
        if size.is_multiple_of(3) { (6, "NOT_LEADER_OR_FOLLOWER") } else { (0, "NONE") };
    let records = i32::from(size);
    let complete = |method: &str, target: &str| format!("{method} {target} {status} complete");
    match deed {
        0 => (
            produce(id, 1, &[(name, &[(0, &[records])])]),
            Some(produced(id, &[(name, &[(0, error)])])),
            complete("Produce", name),
            records.to_string(),
        ),
        1 => (
            produce(id, 0, &[(name, &[(0, &[records])])]),
            None,
            format!("Produce {name}  one_way"),
            records.to_string(),
        ),
        2 => (
            fetch(id, &[(name, 0)]),
            Some(fetched(id, 0, &[(name, 0, error, &[records])])),
            complete("Fetch", name),
            records.to_string(),
        ),
        3 => (
            produce_by_id(id, [7; 16], records),
            Some(produced_by_id(id, [7; 16], error)),
            complete("Produce", "known"),
            records.to_string(),
        ),
        4 => (
            request(12, 3, id, &wire_short("billing").u32(5).short_text("me").u16(0xffff)),
            Some(answer(id, &bytes().u32(0).u16(error).0)),
            complete("Heartbeat", ""),
            String::new(),
        ),
        _ => (
            metadata(id, &[name]),
            Some(described(id, &[(name, [9; 16])])),
            format!("Metadata {name} NONE complete"),
            String::new(),
        ),
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
        // What the connection was told of the topic.
        say(wire, true, &metadata(1, &["known"]));
        let ended = say(wire, false, &described(1, &[("known", [7; 16])]));
        let (asked, answered) = (metadata(1, &["known"]), described(1, &[("known", [7; 16])]));
        let line = "Metadata known NONE complete".to_owned();
        truths.push((line, String::new(), asked.len() as u64, answered.len() as u64, ended));
        for (burst, deeds) in self.deeds.chunks(self.at_once).enumerate() {
            let id = |at: usize| (burst * self.at_once + at) as u32 + 2;
            let numbered = deeds.iter().enumerate();
            let all: Vec<_> =
                numbered.map(|(at, (kind, size))| deed(id(at), *kind, *size)).collect();
            for (asked, answer, line, records) in &all {
                say(wire, true, asked);
                if answer.is_none() {
                    let truth = (line.clone(), records.clone(), asked.len() as u64, 0, 0);
                    truths.push(truth);
                }
            }
            for (asked, answer, line, records) in all {
                let Some(answer) = answer else { continue };
                let ended = say(wire, false, &answer);
                truths.push((line, records, asked.len() as u64, answer.len() as u64, ended));
            }
        }
        (said, truths)
    }
}

fn listen(wire: &mut Wire, said: &[Said]) -> Vec<Truth> {
    for segment in said {
        wire.now_ns = wire.now_ns.max(segment.time_ns);
        wire.give(segment);
        wire.engine.advance(segment.time_ns.saturating_sub(20_000_000), &mut wire.views);
    }
    wire.pause(1_000_000_000);
    wire.close(CloseReason::Finished);
    wire.told();
    meanings(wire)
}

fn meanings(wire: &Wire) -> Vec<Truth> {
    let told = |view: &alaz_model::View| {
        let (message, is_whole) = (&view.message, view.response_position.is_some());
        let count =
            message.attributes.iter().find(|(key, _)| *key == "messaging.batch.message_count");
        let count = count.map(|(_, value)| value.to_string()).unwrap_or_default();
        let ended = if is_whole { view.ended_ns } else { 0 };
        (line(view), count, message.request_bytes, message.response_bytes, ended)
    };
    wire.views.iter().map(told).collect()
}

/// Method, target, status, outcome.
fn parts(line: &str) -> [&str; 4] {
    let mut words = line.splitn(4, ' ');
    std::array::from_fn(|_| words.next().unwrap())
}

fn is_known(told: &str, truth: &str) -> bool {
    told.is_empty() || told == truth
}

/// Whether what was told is a truth, but for what it does not say.
fn is_true(told: &Truth, truths: &[Truth]) -> bool {
    let [method, target, status, outcome] = parts(&told.0);
    truths.iter().any(|truth| {
        let [true_method, true_target, true_status, true_outcome] = parts(&truth.0);
        (method, outcome) == (true_method, true_outcome)
            && is_known(target.trim_end_matches(",…"), true_target)
            && is_known(status, true_status)
            && is_known(&told.1, &truth.1)
            && (told.2, told.3, told.4) == (truth.2, truth.3, truth.4)
    })
}

/// Whether what was told of an exchange in part is no failure, status or outcome that was not there.
fn is_honest(told: &Truth, truths: &[Truth]) -> bool {
    let [method, target, status, outcome] = parts(&told.0);
    truths.iter().any(|truth| {
        let [true_method, true_target, true_status, true_outcome] = parts(&truth.0);
        method == true_method
            && is_known(target.trim_end_matches(",…"), true_target)
            && is_known(status, true_status)
            && (outcome == true_outcome || outcome == "partial")
    })
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans(4096 + 256)) {
        let mut wire = Wire::new(plan.role);
        let (said, truths) = plan.play(&mut wire);
        prop_assert_eq!(listen(&mut wire, &said), truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(6000),
        damages in damages(),
    ) {
        let (mut said, truths) = plan.play(&mut Wire::new(plan.role));
        let ending = damage(&mut said, &damages);
        let mut wire = Wire::new(plan.role);
        wire.hear(&said, &ending);
        for told in meanings(&wire) {
            if told.0.ends_with("complete") || told.0.ends_with("one_way") {
                prop_assert!(is_true(&told, &truths), "{told:?}");
            }
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
        for told in listen(&mut wire, said) {
            if told.0.ends_with("complete") || told.0.ends_with("one_way") {
                prop_assert!(is_true(&told, &truths), "{told:?}");
            }
        }
    }

    #[test]
    fn joining_between_exchanges_misses_nothing(plan in plans(4096 + 256), from in 0_usize..16) {
        let plan = Plan { at_once: 1, cuts: vec![4096 + 256], ..plan };
        let from = from % plan.deeds.len();
        let mut wire = Wire::new(plan.role);
        let (said, truths) = plan.play(&mut wire);
        let earlier = Plan { deeds: plan.deeds[..from].to_vec(), ..plan.clone() };
        let skip = earlier.play(&mut Wire::new(plan.role)).0.len();
        let mut wire = Wire::with(plan.role, Role::Unknown, true, Limits::default());
        let told = listen(&mut wire, &said[skip..]);
        prop_assert_eq!(told.len(), truths.len() - from - 1);
        for told in &told {
            prop_assert!(is_true(told, &truths), "{told:?}");
        }
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
        listen(&mut wire, &said);
    }
}
