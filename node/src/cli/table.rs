//! Text in columns.

use std::fmt;

/// Rows of text, their columns aligned.
pub struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    pub fn new(header: [&str; N]) -> Self {
        Self(vec![header.map(str::to_owned)])
    }

    pub fn row(&mut self, row: [&str; N]) {
        self.0.push(row.map(str::to_owned));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.0 {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The first digits of a hash, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}
