//! Posts from outside: CSV, JSON, JSON Lines and the command line, read and checked whole before one is added.
//!
//! A reader (`csv`, `json`) turns a file into [`Record`]s that know where each value stands. The [`Checker`] turns
//! a record into a [`NewPost`], or into everything that is wrong with it. One wrong record and nothing is added.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::text::one_line;

mod accounts;
mod check;
mod content;
mod csv;
pub mod duplicates;
mod json;
pub mod media;
mod times;

pub use accounts::{AccountRow, Accounts};
pub use check::{Checker, NewPost, Passed};
pub use content::typed;

/// So many problems are shown; who has more mends these first.
const SHOWN: usize = 100;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// With a header line; between the columns are commas, semicolons or tabs.
    Csv,
    /// A list of objects, or {"posts": [...]}.
    Json,
    /// One object per line.
    Jsonl,
}

impl Format {
    /// What the file's name says.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        match extension.as_str() {
            "csv" | "tsv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// Where something stands in a file, from 1. In CSV the line is the record's first, and the column the field's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters (CSV: in fields).
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The column or member; empty if it concerns the record as a whole.
    pub field: String,
    /// What, and how to mend it.
    pub message: String,
}

impl Problem {
    /// Of the record as a whole.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            field: String::new(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", one_line(&self.field, 100))?;
        }
        // Whatever it quotes, a problem has one line.
        f.write_str(&one_line(&self.message, 2000))
    }
}

/// Everything that is wrong with a file: the first hundred, and how many there are.
#[derive(Debug, Default)]
pub struct Problems {
    shown: Vec<Problem>,
    count: usize,
}

impl Problems {
    fn extend(&mut self, found: Vec<Problem>) {
        self.count += found.len();
        let room = SHOWN - self.shown.len();
        self.shown.extend(found.into_iter().take(room));
    }

    /// These.
    pub fn of(found: Vec<Problem>) -> Self {
        let mut problems = Self::default();
        problems.extend(found);
        problems
    }

    /// One line per problem, as `FILE:LINE:COLUMN: field: message`.
    pub fn report(&self, file: &str) -> String {
        let mut report = match self.count {
            1 => "nothing was added: 1 problem".to_owned(),
            count => format!("nothing was added: {count} problems"),
        };
        for problem in &self.shown {
            write!(report, "\n{file}:{problem}").expect("a String takes everything");
        }
        if self.count > self.shown.len() {
            write!(report, "\nand {} more", self.count - self.shown.len())
                .expect("a String takes everything");
        }
        report
    }
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Text that stands for any type (CSV, a flag).
    Text(Cow<'a, str>),
    /// A typed value.
    Json(Value),
}

/// A named value and where it stands.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// The column's or member's name.
    pub name: Cow<'a, str>,
    /// Where the value stands.
    pub place: Place,
    /// The value.
    pub cell: Cell<'a>,
}

/// One post as it was written.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Where it begins.
    pub place: Place,
    /// Its values.
    pub fields: Vec<Field<'a>>,
}

/// What a reader hands over: records and whatever kept it from reading one.
type Sink<'s> = dyn FnMut(Result<Record<'_>, Problem>) + 's;

/// Posts that passed every check.
#[derive(Debug, Default)]
pub struct Batch {
    /// The posts, in the file's order.
    pub posts: Vec<NewPost>,
    /// Where each one's media are named, or its record begins.
    pub media_at: Vec<Place>,
    /// What the clocks' changes did to their times, with the line.
    pub notes: Vec<(usize, String)>,
    /// In which zones times were read that say none: the zone and whose it is, the first line and how many.
    pub assumed: BTreeMap<String, (usize, usize)>,
    /// The lines of those that were due before now.
    pub late: Vec<usize>,
    /// The lines of those that are too old to be sent at all.
    pub expired: Vec<usize>,
}

impl Batch {
    fn push(&mut self, line: usize, passed: Passed) {
        let notes = passed.notes.into_iter();
        self.notes.extend(notes.map(|note| (line, note)));
        if let Some(zone) = passed.assumed {
            self.assumed.entry(zone).or_insert((line, 0)).1 += 1;
        }
        if passed.expired {
            self.expired.push(line);
        } else if passed.late {
            self.late.push(line);
        }
        self.media_at.push(passed.media_at);
        self.posts.push(passed.post);
    }
}

/// Reads and checks a whole file.
pub fn read(bytes: Vec<u8>, format: Format, checker: &mut Checker) -> Result<Batch, Problems> {
    let mut batch = Batch::default();
    let mut problems = Problems::default();
    let mut sink = |record: Result<Record<'_>, Problem>| {
        let passed = record.map_err(|problem| vec![problem]).and_then(|record| {
            let passed = checker.check(&record)?;
            Ok((record.place.line, passed))
        });
        match passed {
            Ok((line, passed)) => batch.push(line, passed),
            Err(found) => problems.extend(found),
        }
    };
    match decode(bytes) {
        Ok(text) => match format {
            Format::Csv => csv::records(&text, &mut sink),
            Format::Json => json::document(&text, &mut sink),
            Format::Jsonl => json::lines(&text, &mut sink),
        },
        Err(problem) => sink(Err(problem)),
    }
    if problems.count == 0 {
        Ok(batch)
    } else {
        Err(problems)
    }
}

/// The text of a file, which must be UTF-8, or UTF-16 with a byte-order mark; the mark is dropped.
pub fn decode(bytes: Vec<u8>) -> Result<String, Problem> {
    let text = match bytes.get(..2) {
        Some([0xff, 0xfe]) => utf16(&bytes[2..], u16::from_le_bytes),
        Some([0xfe, 0xff]) => utf16(&bytes[2..], u16::from_be_bytes),
        _ => utf8(bytes),
    }?;
    if let Some(place) = text.find('\0') {
        let message = "there is a NUL character, which no post may have; is the file UTF-16 without a mark at its beginning? \
                       Save it as UTF-8";
        return Err(Problem::new(end_of(&text[..place]), message));
    }
    Ok(text)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Problem> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for unit in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let Ok(c) = unit else {
            let message = "half a character of UTF-16 stands alone here; save the file as UTF-8";
            return Err(Problem::new(end_of(&text), message));
        };
        text.push(c);
    }
    if !rest.is_empty() {
        let message = "the file is UTF-16 and ends within a character; was it copied whole?";
        return Err(Problem::new(end_of(&text), message));
    }
    Ok(text)
}

fn utf8(bytes: Vec<u8>) -> Result<String, Problem> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let before = String::from_utf8_lossy(&bytes[..valid]);
        let message = format!(
            "byte 0x{:02x} is not UTF-8; it looks like Latin-1/Windows-1252; save it as UTF-8",
            bytes[valid]
        );
        Problem::new(end_of(&before), message)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// The place right after a text.
fn end_of(text: &str) -> Place {
    let line_start = text.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: text.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: text[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests;
