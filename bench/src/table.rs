//! Numbers for people: aligned columns and sensible units.

use std::fmt;

use crate::statistics::Spread;

/// Lines of cells; the first line is the head. Names stand to the left, numbers to the right.
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Table {
        Table { lines: vec![head.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.lines.push(cells.to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for line in &self.lines {
            let mut text = String::from(" ");
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                text += &match column {
                    0 => format!(" {cell:<width$}"),
                    _ => format!("   {cell:>width$}"),
                };
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// `45,123`; amounts are not negative.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits and a unit: `812 ns`, `1.23 µs`, `45.6 ms`.
pub(crate) fn time(ns: f64) -> String {
    let scale = Scale::of(ns);
    format!("{} {}", scale.show(ns), scale.unit)
}

/// `41.2 MB`
pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

/// The median, and in parentheses the least and the most: `45,123 (44,010…46,002)`
pub(crate) fn counts(values: &Spread) -> String {
    spread(values, "", count)
}

/// In the unit of the median: `1.23 µs (0.98…1.40)`
pub(crate) fn times(values: &Spread) -> String {
    let scale = Scale::of(values.median);
    spread(values, &format!(" {}", scale.unit), |ns| scale.show(ns))
}

/// Ratios as changes: `−16.9 % (−20.0…−14.1)`
pub(crate) fn changes(ratios: &Spread) -> String {
    spread(ratios, " %", |ratio| signed((ratio - 1.0) * 100.0))
}

fn spread(values: &Spread, unit: &str, show: impl Fn(f64) -> String) -> String {
    format!("{}{unit} ({}…{})", show(values.median), show(values.min), show(values.max))
}

fn signed(value: f64) -> String {
    let sign = if value < 0.0 { '−' } else { '+' };
    format!("{sign}{:.1}", value.abs())
}

/// A unit of time, and how many decimals it is shown with.
struct Scale {
    unit: &'static str,
    unit_ns: f64,
    decimals: usize,
}

impl Scale {
    fn of(ns: f64) -> Scale {
        let (unit, unit_ns) = match ns.abs() {
            small if small < 1e3 => return Scale { unit: "ns", unit_ns: 1.0, decimals: 0 },
            micros if micros < 1e6 => ("µs", 1e3),
            millis if millis < 1e9 => ("ms", 1e6),
            _ => ("s", 1e9),
        };
        let decimals = match ns.abs() / unit_ns {
            one if one < 10.0 => 2,
            ten if ten < 100.0 => 1,
            _ => 0,
        };
        Scale { unit, unit_ns, decimals }
    }

    fn show(&self, ns: f64) -> String {
        let digits = format!("{:.*}", self.decimals, (ns / self.unit_ns).abs());
        let is_zero = digits.bytes().all(|digit| matches!(digit, b'0' | b'.'));
        if ns < 0.0 && !is_zero { format!("−{digits}") } else { digits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_not_bytes() {
        let mut table = Table::new(["state", "p99", "loss"]);
        table.line(["without".to_owned(), "9.50 µs".to_owned(), String::new()]);
        table.line(["alaz".to_owned(), "812 ns".to_owned(), "−16.9 %".to_owned()]);
        let expected = "  state         p99      loss\n  \
                        without   9.50 µs\n  \
                        alaz       812 ns   −16.9 %\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn numbers_have_separators() {
        for (value, expected) in [
            (0.0, "0"),
            (999.4, "999"),
            (999.6, "1,000"),
            (45_123.0, "45,123"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(count(value), expected);
        }
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (ns, expected) in [
            (0.0, "0 ns"),
            (812.4, "812 ns"),
            (-35.0, "−35 ns"),
            (-0.2, "0 ns"),
            (1234.0, "1.23 µs"),
            (45_600.0, "45.6 µs"),
            (456_000.0, "456 µs"),
            (4_560_000.0, "4.56 ms"),
            (2.5e9, "2.50 s"),
        ] {
            assert_eq!(time(ns), expected);
        }
    }

    #[test]
    fn a_spread_has_one_unit() {
        let of = |median, min, max| Spread { median, min, max };
        assert_eq!(times(&of(1234.0, 980.0, 14_000.0)), "1.23 µs (0.98…14.00)");
        assert_eq!(times(&of(71.0, -3.0, 76.0)), "71 ns (−3…76)");
        assert_eq!(counts(&of(45_123.0, 999.0, 46_002.0)), "45,123 (999…46,002)");
        assert_eq!(changes(&of(0.831, 0.8, 1.1)), "−16.9 % (−20.0…+10.0)");
        assert_eq!(changes(&of(1.0, 1.0, 1.0)), "+0.0 % (+0.0…+0.0)");
        assert_eq!(megabytes(41_234_567.0), "41.2 MB");
    }
}
