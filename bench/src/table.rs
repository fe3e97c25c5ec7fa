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
    let (value, unit) = match ns.abs() {
        small if small < 1e3 => return format!("{ns:.0} ns"),
        micros if micros < 1e6 => (ns / 1e3, "µs"),
        millis if millis < 1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let decimals = match value.abs() {
        one if one < 10.0 => 2,
        ten if ten < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// `41.2 MB`
pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

/// A ratio as a change: 0.831 is `−16.9 %`.
pub(crate) fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent < 0.0 { '−' } else { '+' };
    format!("{sign}{:.1} %", percent.abs())
}

/// The median, and in parentheses how far the values spread.
pub(crate) fn spread(values: &Spread, show: fn(f64) -> String) -> String {
    format!("{} ({} … {})", show(values.median), show(values.min), show(values.max))
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
            (-35.0, "-35 ns"),
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
    fn ratios_read_as_changes() {
        assert_eq!(change(0.831), "−16.9 %");
        assert_eq!(change(1.05), "+5.0 %");
        assert_eq!(change(1.0), "+0.0 %");
        assert_eq!(megabytes(41_234_567.0), "41.2 MB");
        let values = Spread { median: 0.9, min: 0.8, max: 1.1 };
        assert_eq!(spread(&values, change), "−10.0 % (−20.0 % … +10.0 %)");
    }
}
