//! How much of the machine Alaz may take, and how people write it.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// The most that this process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) cpu: Cores,
    pub(crate) memory: Bytes,
}

/// CPU time a second, in thousandths of a second; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores(u32);

impl Cores {
    /// A quarter of a machine with so many CPUs, but at least half of one and at most one, which is
    /// what the thread that captures could use.
    pub(crate) fn default_of(cpus: usize) -> Cores {
        Cores(u32::try_from(cpus.saturating_mul(250)).unwrap_or(u32::MAX).clamp(500, 1000))
    }

    pub(crate) fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e3
    }

    /// `0.5`: half of a CPU. `25%`: a quarter of all the machine's CPUs.
    ///
    /// # Errors
    /// Says how to write it.
    pub(crate) fn parse(text: &str, cpus: usize) -> Result<Cores, String> {
        let wrong =
            || format!("'{text}' is no share of the CPUs: write 0.5 for half of one, or 25%");
        let (number, unit) = match text.strip_suffix('%') {
            Some(percent) => (percent, cpus as f64 / 100.0),
            None => (text, 1.0),
        };
        let cores = number.trim().parse::<f64>().map_err(|_| wrong())? * unit;
        // Also false for what is no number.
        if !(0.001..=f64::from(u16::MAX)).contains(&cores) {
            return Err(wrong());
        }
        Ok(Cores((cores * 1e3).round() as u32))
    }
}

impl Display for Cores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

/// An amount of memory; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// More than Alaz's own tables can take together where they are not nearly full.
pub(crate) const DEFAULT_MEMORY: Bytes = Bytes(512 << 20);

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl FromStr for Bytes {
    type Err = String;

    /// `512MiB`, `512Mi` or a number of bytes.
    fn from_str(text: &str) -> Result<Bytes, String> {
        let in_unit = |(unit, size): &(&str, u64)| {
            let short = unit.trim_end_matches('B');
            let number = text.strip_suffix(unit).or_else(|| text.strip_suffix(short))?;
            Some((number, *size))
        };
        let (number, size) = UNITS.iter().find_map(in_unit).unwrap_or((text, 1));
        let bytes = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(size));
        bytes
            .filter(|bytes| *bytes > 0)
            .map(Bytes)
            .ok_or_else(|| format!("'{text}' is no amount of memory, such as 512MiB or 1GiB"))
    }
}

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_of_one_or_of_all() {
        for (text, cpus, cores) in [
            ("0.5", 8, "0.5"),
            ("2", 8, "2"),
            ("25%", 8, "2"),
            ("10 %", 2, "0.2"),
            ("150%", 2, "3"),
        ] {
            let parsed = Cores::parse(text, cpus).unwrap();
            assert_eq!(parsed.to_string(), cores, "{text}");
            assert_eq!(Cores::parse(cores, cpus), Ok(parsed));
        }
        for text in ["", "0", "-1", "nan", "inf", "0.0001", "%", "1e9", "half", "0%"] {
            let message = Cores::parse(text, 4).unwrap_err();
            assert!(message.contains(text) && message.contains("0.5"), "{message}");
        }
        let defaults = [1, 2, 3, 4, 192, usize::MAX].map(|cpus| Cores::default_of(cpus).as_f64());
        assert_eq!(defaults, [0.5, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn memory_has_binary_units() {
        for (text, bytes, printed) in [
            ("512MiB", 512 << 20, "512MiB"),
            ("512Mi", 512 << 20, "512MiB"),
            ("1024 KiB", 1 << 20, "1MiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1001", 1001, "1001"),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), printed);
            assert_eq!(printed.parse(), Ok(Bytes(bytes)));
        }
        for text in ["", "0", "-1", "MiB", "1.5GiB", "512MB", "99999999999GiB", "0KiB"] {
            let message = text.parse::<Bytes>().unwrap_err();
            assert!(message.contains("512MiB"), "{message}");
        }
    }
}
