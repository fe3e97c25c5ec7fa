//! Which bucket a value falls into: OpenTelemetry's base-2 exponential mapping, on integers.
//!
//! Bucket `i` at scale `s` holds the values in `(2^(i/2^s), 2^((i+1)/2^s)]` (OpenTelemetry metrics
//! data model, "ExponentialHistogram"); Prometheus native histograms of schema `s` use the same
//! bounds with their index one higher.

/// The finest scale: 32 buckets for each doubling, so a bucket is 2.2 % wide.
pub(crate) const MAX_SCALE: i32 = 5;

const PER_DOUBLING: usize = 1 << MAX_SCALE;
const ONE: u64 = 1 << 63;
/// Mantissa bits used to find the bucket within a doubling. Sixty-fourths are narrower than the
/// narrowest bucket, so at most one bound lies inside each.
const GUESS_BITS: u32 = 6;

/// `2^(j/32)` for j in 0..32, and the end of the doubling; fixed point with 63 binary places.
/// Exact to a few units in the last place: a value would need 60 significant bits to fall on the
/// wrong side.
const BOUNDS: [u64; PER_DOUBLING + 1] = bounds();

/// For each sixty-fourth of a doubling: the last bound at or below its start.
const GUESS: [u8; 1 << GUESS_BITS] = guesses();

const fn bounds() -> [u64; PER_DOUBLING + 1] {
    // roots[k] = 2^(1/2^(k+1))
    let mut roots = [0_u64; MAX_SCALE as usize];
    let mut square = (ONE as u128) << 1;
    let mut k = 0;
    while k < roots.len() {
        square = (square << 63).isqrt();
        roots[k] = square as u64;
        k += 1;
    }
    let mut bounds = [u64::MAX; PER_DOUBLING + 1];
    let mut j = 0;
    while j < PER_DOUBLING {
        let mut product = ONE as u128;
        let mut k = 0;
        while k < roots.len() {
            if j & (PER_DOUBLING >> (k + 1)) != 0 {
                product = (product * roots[k] as u128) >> 63;
            }
            k += 1;
        }
        bounds[j] = product as u64;
        j += 1;
    }
    bounds
}

const fn guesses() -> [u8; 1 << GUESS_BITS] {
    let mut guesses = [0_u8; 1 << GUESS_BITS];
    let mut slot = 0;
    while slot < guesses.len() {
        let start = ONE | ((slot as u64) << (63 - GUESS_BITS));
        let mut j = 0;
        while j + 1 < PER_DOUBLING && BOUNDS[j + 1] <= start {
            j += 1;
        }
        guesses[slot] = j as u8;
        slot += 1;
    }
    guesses
}

/// The bucket of `value` (not 0) at [`MAX_SCALE`]: from -1 (for 1) to 2047. A coarser scale's
/// index is this one shifted right by the difference.
#[inline]
pub(crate) fn index(value: u64) -> i32 {
    let zeros = value.leading_zeros().min(63);
    let exponent = (63 - zeros) as i32;
    let mantissa = value << zeros;
    if mantissa == ONE {
        // A power of two is its bucket's upper bound.
        return (exponent << MAX_SCALE) - 1;
    }
    let slot = (mantissa >> (63 - GUESS_BITS)) as usize & (GUESS.len() - 1);
    let guess = usize::from(GUESS[slot]) & (PER_DOUBLING - 1);
    let within = guess + usize::from(mantissa > BOUNDS[guess + 1]);
    (exponent << MAX_SCALE) + within as i32
}

/// The lower bound of bucket `index` at `scale`; the upper bound is that of the next index.
pub(crate) fn lower_bound(index: i32, scale: i32) -> f64 {
    (f64::from(index) / f64::from(1_i32 << scale)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn powers_of_two_are_upper_bounds() {
        for exponent in 0..64 {
            assert_eq!(index(1 << exponent), exponent * 32 - 1);
        }
        // From 64 on, the next number is in the next bucket.
        for exponent in 6..63 {
            assert_eq!(index((1 << exponent) + 1), exponent * 32, "just above 2^{exponent}");
        }
        assert_eq!(index(3), 50); // 32 * log2(3) = 50.7
        assert_eq!(index(u64::MAX), 2047);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(value in 1_u64..(1 << 50)) {
            let index = index(value);
            let value = value as f64;
            // Floating point is the less exact one of the two here.
            prop_assert!(lower_bound(index, MAX_SCALE) < value * (1.0 + 1e-12));
            prop_assert!(value <= lower_bound(index + 1, MAX_SCALE) * (1.0 + 1e-12));
        }

        #[test]
        fn never_falls_as_values_rise(value in 1_u64..u64::MAX) {
            prop_assert!(index(value) <= index(value + 1));
        }
    }
}
