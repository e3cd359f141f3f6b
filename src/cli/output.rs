//! What commands write: tables for people, tab-separated lines for programs.

use std::io::{self, ErrorKind, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::exit::Failed;
use crate::text::{one_line, visible, visible_json};

/// On narrower terminals the lines are left to run over.
const NARROWEST: u16 = 60;

/// Writes to stdout; what strangers wrote in it commands no terminal. A reader that has seen enough (`… | head`) is no error.
pub(super) fn say(text: &str) -> Result<(), Failed> {
    write(&visible(text))
}

/// The same for JSON, which stays JSON, with a line end behind it.
pub(super) fn say_json(json: &str) -> Result<(), Failed> {
    write(&format!("{}\n", visible_json(json)))
}

fn write(text: &str) -> Result<(), Failed> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Writes a line to stdout, or several.
pub(super) fn emit(text: &str) -> Result<(), Failed> {
    say(&format!("{text}\n"))
}

/// Tells a person of a problem, on stderr.
pub fn complain(text: &str) {
    remark(&format!("publisher: {text}"));
}

/// Writes a line beside the result, on stderr. If that is gone there is nobody to say it to.
pub(super) fn remark(text: &str) {
    writeln!(io::stderr().lock(), "{}", visible(text)).ok();
}

/// The same for a line of JSON.
pub(super) fn remark_json(json: &str) {
    writeln!(io::stderr().lock(), "{}", visible_json(json)).ok();
}

/// Of commands that print rows.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Heading {
    /// Leave out the names of the columns where stdout is no terminal.
    #[arg(long)]
    no_header: bool,
}

impl Heading {
    /// Writes rows: as a table on a terminal, else one line per row with tabs between the columns.
    pub(super) fn rows(self, names: &[&str], rows: &[Vec<String>]) -> Result<(), Failed> {
        if io::stdout().is_terminal() {
            return emit(&table(names, rows));
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let all: Vec<&Vec<String>> = if self.no_header {
            rows.iter().collect()
        } else {
            std::iter::once(&names).chain(rows).collect()
        };
        if all.is_empty() {
            return Ok(());
        }
        emit(&lines(&all))
    }
}

/// Writes JSON, as programs and people read it.
pub(super) fn emit_json(value: &Value) -> Result<(), Failed> {
    say_json(&format!("{value:#}"))
}

fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(heading)
        .add_rows(rows.iter().map(|row| row.iter().map(|cell| tame(cell))));
    // Only the last column, the longest text, is folded to the terminal's width; some terminals claim to have none.
    if table.width().is_some_and(|width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        for column in table.column_iter_mut().rev().skip(1) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.trim_fmt()
}

fn lines(rows: &[&Vec<String>]) -> String {
    let line = |row: &&Vec<String>| {
        let cells: Vec<String> = row.iter().map(|cell| tame(cell)).collect();
        cells.join("\t")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A cell can't break the table, nor command the terminal.
fn tame(cell: &str) -> String {
    one_line(cell, 200)
}

/// `1 post`, `2 posts`.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// `NAME=VALUE` of a flag.
pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_on_their_line_and_in_their_column() {
        let rows = [
            vec!["1".to_owned(), "a\tb\nc \u{1b}[31mred".to_owned()],
            vec!["2".to_owned(), String::new()],
        ];
        assert_eq!(
            lines(&rows.iter().collect::<Vec<_>>()),
            "1\ta b c \\u{1b}[31mred\n2\t"
        );
        let table = table(&["id", "text"], &rows);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(!table.contains('\u{1b}'));
    }

    #[test]
    fn a_setting_needs_a_name() {
        assert_eq!(
            name_and_value("url=a=b"),
            Ok(("url".to_owned(), "a=b".to_owned()))
        );
        assert!(name_and_value("=b").is_err() && name_and_value("b").is_err());
    }
}
