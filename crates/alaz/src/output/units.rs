//! Durations and sizes in people's units.

/// A duration with three significant digits: `812 µs`, `4.21 ms`, `1.50 s`.
pub(crate) fn duration(ns: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    scaled(ns, &UNITS)
}

/// A size in decimal units, as in networking: `612 B`, `1.05 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, f64); 5] =
        [("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];
    scaled(bytes, &UNITS)
}

/// A size in binary units, as memory has them: `16 MiB`. Whole ones only, as limits are.
pub(crate) fn binary_size(bytes: usize) -> String {
    const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fitting = UNITS.iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    fitting.map_or_else(|| format!("{bytes} B"), |(unit, size)| format!("{} {unit}", bytes / size))
}

/// A rate: `4.0/s`, `1.2k/s`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second >= 1000.0 {
        format!("{:.1}k/s", per_second / 1000.0)
    } else {
        format!("{per_second:.1}/s")
    }
}

fn scaled(value: u64, units: &[(&str, f64)]) -> String {
    let exact = value as f64;
    // 999.5 of a unit would be printed as 1000 of it.
    let fitting = units.iter().rev().find(|(_, size)| exact >= size * 0.9995);
    let (unit, size) = fitting.or(units.first()).copied().unwrap_or(("", 1.0));
    let scaled = exact / size;
    let digits = match scaled {
        _ if size == 1.0 => 0,
        s if s < 9.995 => 2,
        s if s < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(812_345), "812 µs");
        assert_eq!(duration(4_205_000), "4.21 ms");
        assert_eq!(duration(999_999), "1.00 ms");
        assert_eq!(duration(61_500_000_000), "61.5 s");
        assert_eq!(size(612), "612 B");
        assert_eq!(size(1_048_576), "1.05 MB");
        assert_eq!(binary_size(16 << 20), "16 MiB");
        assert_eq!(binary_size((1 << 30) + (1 << 20)), "1025 MiB");
        assert_eq!(binary_size(1025), "1025 B");
        assert_eq!(rate(4.0), "4.0/s");
        assert_eq!(rate(12_345.0), "12.3k/s");
    }
}
