//! The Huffman code of HPACK (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: the lengths of its code words say everything. Words of equal length are
//! numbered in the order of their symbols, shorter words come first.

/// Bits of each symbol's code word; the last one, which ends strings, never occurs in them.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

const SYMBOLS: usize = 257;
/// No code word is longer.
const BITS_MAX: usize = 30;
/// Words up to this length are found by one look into a table.
const SHORT: u8 = 8;

/// Everything that follows from the lengths.
struct Code {
    /// Symbol and length of the short word that begins with these bits; length 0 where it is longer.
    short: [(u8, u8); 1 << SHORT],
    /// By length: just after the last word of that length, as the upper bits of 32.
    end: [u64; BITS_MAX + 1],
    /// By length: the number of its first word, as the upper bits of 32.
    first: [u64; BITS_MAX + 1],
    /// By length: where in `sorted` its symbols begin.
    offset: [usize; BITS_MAX + 1],
    /// Symbols in the order of their words.
    sorted: [u16; SYMBOLS],
}

static CODE: Code = code();

const fn code() -> Code {
    let mut code = Code {
        short: [(0, 0); 1 << SHORT],
        end: [0; BITS_MAX + 1],
        first: [0; BITS_MAX + 1],
        offset: [0; BITS_MAX + 1],
        sorted: [0; SYMBOLS],
    };
    let (mut bits, mut word, mut sorted) = (1, 0_u64, 0);
    while bits <= BITS_MAX {
        let unit = 1_u64 << (32 - bits);
        code.first[bits] = word;
        code.offset[bits] = sorted;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == bits {
                code.sorted[sorted] = symbol as u16;
                sorted += 1;
                if bits <= SHORT as usize {
                    let mut top = (word >> (32 - SHORT)) as usize;
                    let end = ((word + unit) >> (32 - SHORT)) as usize;
                    while top < end {
                        code.short[top] = (symbol as u8, bits as u8);
                        top += 1;
                    }
                }
                word += unit;
            }
            symbol += 1;
        }
        code.end[bits] = word;
        bits += 1;
    }
    code
}

/// Appends what `bytes` encode to `out`. `None` when they are no such string.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // The next bits are the upper ones of `window`, and there are `held` of them.
    let (mut window, mut held) = (0_u64, 0_u32);
    let mut rest = bytes.iter();
    loop {
        while held <= 56
            && let Some(byte) = rest.next()
        {
            window |= u64::from(*byte) << (56 - held);
            held += 8;
        }
        // Beyond the end stand ones, as in the padding.
        let next = if held < 32 { window | u64::MAX >> held } else { window } >> 32;
        let (symbol, bits) = word(next)?;
        if bits > held {
            let is_padding = held < 8 && (held == 0 || window >> (64 - held) == (1 << held) - 1);
            return is_padding.then_some(());
        }
        out.push(u8::try_from(symbol).ok()?);
        window <<= bits;
        held -= bits;
    }
}

/// The symbol whose word these 32 bits begin with, and the word's length.
fn word(next: u64) -> Option<(u16, u32)> {
    let (symbol, bits) = *CODE.short.get((next >> (32 - SHORT)) as usize)?;
    if bits > 0 {
        return Some((u16::from(symbol), u32::from(bits)));
    }
    let bits = (usize::from(SHORT) + 1..=BITS_MAX).find(|bits| next < CODE.end[*bits])?;
    let place = (next - CODE.first[bits]) >> (32 - bits);
    let symbol = CODE.sorted.get(CODE.offset[bits] + place as usize)?;
    Some((*symbol, bits as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Encodes as the appendix says; only tests need it.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for byte in text {
            let symbol = u16::from(*byte);
            let place = CODE.sorted.iter().position(|sorted| *sorted == symbol).unwrap();
            let length = usize::from(LENGTHS[usize::from(symbol)]);
            let number =
                (CODE.first[length] >> (32 - length)) as usize + place - CODE.offset[length];
            bits.extend((0..length).rev().map(|bit| number >> bit & 1 == 1));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push(true);
        }
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        bits.chunks(8).map(byte).collect()
    }

    fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(bytes, &mut out).map(|()| out)
    }

    #[test]
    fn the_code_is_complete() {
        assert_eq!(CODE.end[BITS_MAX], 1 << 32);
        assert_eq!(CODE.sorted[SYMBOLS - 1], 256);
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7541, C.4.1, C.4.2, C.4.3, C.6.1.
        for (text, bytes) in [
            ("www.example.com", &b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..]),
            ("no-cache", b"\xa8\xeb\x10\x64\x9c\xbf"),
            ("custom-value", b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf"),
            ("302", b"\x64\x02"),
            ("", b""),
        ] {
            assert_eq!(decoded(bytes).unwrap(), text.as_bytes());
            assert_eq!(encode(text.as_bytes()), bytes);
        }
    }

    #[test]
    fn wrong_padding_and_the_end_symbol_are_refused() {
        assert_eq!(decoded(b"\x64\x02\xff"), None, "a whole byte of padding");
        assert_eq!(decoded(b"\x00\x00"), None, "padding of zeros");
        assert_eq!(decoded(b"\xff\xff\xff\xff"), None, "the end symbol");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(text) = decoded(&bytes) {
                prop_assert!(text.len() <= bytes.len() * 8 / 5);
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}
