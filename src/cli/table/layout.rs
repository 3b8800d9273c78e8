//! How wide each column of a list is on a terminal.

use crate::unseen;
use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// The space between two columns.
const GAP: &str = "  ";

/// A column of a list.
pub(in crate::cli) struct Column {
    heading: &'static str,
    /// Values that are wider may be cut to this width. `None`: they are whole or not shown.
    shortest: Option<usize>,
}

impl Column {
    /// A column whose values are shown whole, or not at all.
    pub(in crate::cli) const fn whole(heading: &'static str) -> Self {
        Self {
            heading,
            shortest: None,
        }
    }

    /// A column whose values may be cut to this width.
    pub(in crate::cli) const fn cut(heading: &'static str, shortest: usize) -> Self {
        Self {
            heading,
            shortest: Some(shortest),
        }
    }
}

/// The widths of the columns that fit.
pub(super) struct Layout {
    widths: Vec<usize>,
}

impl Layout {
    /// Gives up the last columns until the rest fits, then cuts the widest that may be cut.
    pub(super) fn of<const N: usize>(columns: &[Column; N], rows: &[[String; N]], available: usize) -> Self {
        let mut widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let cells = rows.iter().map(|row| measure_text_width(&row[i]));
                cells.chain([column.heading.len()]).max().unwrap_or_default()
            })
            .collect();
        let least = |i: usize, width: usize| columns[i].shortest.map_or(width, |least| width.min(least));
        let gaps = |shown: usize| GAP.len() * shown.saturating_sub(1);
        while widths.len() > 1
            && widths
                .iter()
                .enumerate()
                .map(|(i, width)| least(i, *width))
                .sum::<usize>()
                + gaps(widths.len())
                > available
        {
            widths.pop();
        }
        while widths.iter().sum::<usize>() + gaps(widths.len()) > available {
            let can_give = |(i, width): &(usize, &mut usize)| least(*i, **width) < **width;
            let widest = widths
                .iter_mut()
                .enumerate()
                .filter(can_give)
                .max_by_key(|(_, width)| **width);
            match widest {
                Some((_, width)) => *width -= 1,
                // Only one column is left, and it is wider than the terminal.
                None => {
                    widths = vec![available];
                }
            }
        }
        Self { widths }
    }

    /// The table as text, with its headings.
    pub(super) fn text<const N: usize>(&self, columns: &[Column; N], rows: &[[String; N]]) -> String {
        let headings = columns.iter().map(|column| column.heading);
        let mut text = self.line(headings);
        for row in rows {
            text.push_str(&self.line(row.iter().map(String::as_str)));
        }
        text
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let cells: Vec<_> = self
            .widths
            .iter()
            .zip(cells)
            .map(|(width, cell)| {
                let cell = unseen::isolated(truncate_str(cell, *width, "…").into_owned());
                pad_str(&cell, *width, Alignment::Left, None).into_owned()
            })
            .collect();
        format!("{}\n", cells.join(GAP).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::cut("NAME", 6),
        Column::cut("EMAIL", 8),
        Column::whole("ID"),
    ];

    fn table(rows: &[[&str; 3]], width: usize) -> Vec<String> {
        let rows: Vec<_> = rows.iter().map(|row| row.map(str::to_owned)).collect();
        let text = Layout::of(&COLUMNS, &rows, width).text(&COLUMNS, &rows);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_fits_is_shown_whole() {
        let lines = table(&[["Ada", "ada@example.org", "17"]], 40);
        assert_eq!(lines, ["NAME  EMAIL            ID", "Ada   ada@example.org  17"]);
    }

    #[test]
    fn long_values_are_cut_and_the_last_column_goes_first() {
        let rows = [["Ada Lovelace of London", "ada@example.org", "17"]];
        assert_eq!(table(&rows, 30)[1], "Ada Lovelac…  ada@example…  17");
        assert_eq!(table(&rows, 18)[1], "Ada Lov…  ada@exa…");
        assert_eq!(table(&rows, 5)[1], "Ada …");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_whatever_the_names_are() {
        let names = [
            "Ada",
            "山田太郎山田太郎山田太郎",
            "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
            "شخص طويل الاسم جدا",
            "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
        ];
        let rows: Vec<_> = names
            .iter()
            .map(|name| [*name, "somebody@example.org", "17"])
            .collect();
        for width in 1..60 {
            for line in table(&rows, width) {
                assert!(measure_text_width(&line) <= width, "{width}: {line:?}");
                // What is opened is closed, cut or not.
                assert_eq!(line.matches('\u{2068}').count(), line.matches('\u{2069}').count());
            }
        }
    }

    #[test]
    fn what_runs_from_right_to_left_turns_nothing_else_around() {
        let lines = table(
            &[["שלום", "x@example.org", "17"], ["Ada", "x@example.org", "18"]],
            60,
        );
        assert!(lines[1].starts_with("\u{2068}שלום\u{2069}  x@"), "{lines:?}");
        assert!(lines[2].starts_with("Ada   x@"), "{lines:?}");
    }
}
