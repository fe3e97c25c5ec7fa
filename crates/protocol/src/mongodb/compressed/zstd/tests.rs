//! Frames that libzstd wrote, and damaged ones.

use proptest::prelude::*;

use super::expand;

/// A run of one byte.
const RUN: &str = "28b52ffd206445000010616101003f012c";
/// Words and numbers: literals in one stream, with tables of the block's own.
const KEYS: &str = "\
     28b52ffd608802ed0600e28c1c14c025c30100e01c5af4bf845c29a54c2925ae3a3382917b696ff65ddfaff8\
     203e860fe1cf87e9281da4373ae896a996a16596f0ab5ea59b72ddbbb9b13656a9564da421872314cec9934c\
     9b0e4e5a66a9684e39792997d426631b9585ca2395f33257cdad301004310804000c0ca230100275a8218cd6\
     fb1d9093a4b00d102049f9e7614f4d1faa5a9406aa65eacbfa821bb59ee89a498aed8ae368e055e29012a486\
     c649313c03610a16a9378095088722601fe46562d8d23355524206da6ead7f3b090685428740091436f6ee58\
     0da27acaae462b5aefa80a\
    ";
/// Digits: literals in four streams.
const NUMBERS: &str = "\
     28b52ffd60f104ad1400da53f40809b0eb2421927996c9458a008d008d00136d5e0c77c84ceb4537d44dd609\
     e692a11fe790b9ea2edc74721b4b7b590cc5c76e6171221a88c374e05d574f17a2ad74efaea3ad751bb3ece1\
     5de1c1619ee25ce41ec625b41d3ff6b686e026b15c4cd78b13ec5edd43faf4926d65871dd42d86d62534144d\
     b209b2156d2657aeb2abf6c86d10d7384c4d908375c9f9492d31b39c421e894b976cc710b48b54a2ab6c0b79\
     8ae426a8c5e6ea3c3783d4140730b36c3ab9a6a691c36a21afb3a93ad0509a02a4c2a56ab09838176db03932\
     87b738049f7b3a877dd7e96aa29b0eb83b348d6c4757dd708f4c55b3bc5193d91cfb80b6c6417d3af7b80cc4\
     877a043fb3efe2139975077bdc0cd365a33c13b7f54cb9a3b69b0d62ab3c01d06f0bb9b245afe33237eda93a\
     18704b7191f67ec1bbf85a13b77e559fc864bc2a13ecce63f7ddd096e920b5910690eb38094c4dec25350859\
     2cb5c1aed93572596c44244b713a280eda14070ccd27f514ef75da646ca4e7e6b97b681fc40336e5aee9761c\
     5a035d8929be920bee3a9b95c9bbe83e72e8a507e42b3968b368baba2e2ed9757519486cad9b0f64e25247f0\
     6a5d458b39bc8c1e8b270f79afc31c7783f09101e2635c3fbb81b61d311f39ad176f3bbaa68e88ad64577128\
     b95a0ff589b21b800ee96d27d1531bd1d26ec60166a93a409eaa7bfdca4bce76285ae29a3eb7748b93c5ad85\
     772e632211a21b775d7cd72b6c6b0cd621ec61ccf660cdbbe84444dbcdc4de8b4936db456e003e3437ea680d\
     9c60ee8e813659afb95959c843e4081f08105a7c03cc9102a0fcc797952ecc71466f8da74010db5850bed6f7\
     96218185913d3a03c761cb9a1a60f7840086576c190b94967c2db015d815813854d566e12a41b7a12161d198\
     9941c030b05fe4db1f4b01\
    ";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Frames and what is in them.
fn frames() -> [(Vec<u8>, Vec<u8>); 3] {
    let keys: String = (0..60).map(|at| format!("key{at}=value{};", at * at)).collect();
    let numbers: String = (0..400_u64).map(|at| format!("{} ", at * at * at % 997)).collect();
    [(RUN, "a".repeat(100)), (KEYS, keys), (NUMBERS, numbers)]
        .map(|(hex, whole)| (bytes(hex), whole.into_bytes()))
}

#[test]
fn frames_are_expanded_up_to_any_limit() {
    for (frame, whole) in frames() {
        for limit in 0..=whole.len() + 1 {
            let expected = &whole[..limit.min(whole.len())];
            assert_eq!(expand(&frame, limit).as_deref(), Some(expected), "{limit}");
        }
        for end in 0..frame.len() {
            let part = expand(&frame[..end], whole.len()).unwrap_or_default();
            assert!(whole.starts_with(&part), "{end}");
        }
    }
}

#[test]
fn a_block_that_claims_to_be_large_stays_below_the_limit() {
    // Runs of 128 KiB each, again and again.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    for _ in 0..1000 {
        frame.extend([2, 0, 0x10, b'x']);
    }
    assert_eq!(expand(&frame, 300_000).unwrap().len(), 300_000);
}

proptest! {
    #[test]
    fn damaged_frames_stay_below_the_limit(
        which in 0_usize..3,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = frames()[which].0.clone();
        for (at, value) in flips {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        prop_assert!(expand(&frame, 5000).is_none_or(|out| out.len() <= 5000));
    }

    #[test]
    fn any_bytes_stay_below_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let frame = [super::MAGIC, &[0, 0x58], &bytes].concat();
        prop_assert!(expand(&frame, 5000).is_none_or(|out| out.len() <= 5000));
    }
}
