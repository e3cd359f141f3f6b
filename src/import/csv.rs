//! CSV: a header line, then one record per post. Quoting is checked first, because the `csv` crate forgives what would
//! silently put half the file into one field.

use std::borrow::Cow;

use ::csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::{Cell, Field, Place, Problem, Record, Sink, check};

/// What may stand between columns; which one does, the header tells.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// Hands over every record, or what keeps it from being one.
pub(super) fn records(text: &str, sink: &mut Sink<'_>) {
    let (named, rest) = named_separator(text);
    let first = if named.is_some() { 2 } else { 1 };
    let separator = named.unwrap_or_else(|| separator(rest));
    if let Err(problem) = check_quotes(rest, separator, first) {
        return sink(Err(problem));
    }
    let delimiter = u8::try_from(separator).expect("a separator is ASCII");
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(rest.as_bytes());
    let header = match header(&mut reader, first) {
        Ok(header) => header,
        Err(problems) => return problems.into_iter().for_each(|problem| sink(Err(problem))),
    };
    let mut lines = Lines {
        text: rest,
        offset: 0,
        line: first,
    };
    let mut row = StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(false) => return,
            Ok(true) => {
                let start = row.position().map_or(0, ::csv::Position::byte);
                let line = lines.of_record(start);
                // A spreadsheet leaves lines of mere separators behind.
                if row.iter().any(|cell| !cell.trim().is_empty()) {
                    sink(Ok(record(&header, &row, line)));
                }
            }
            Err(error) => sink(Err(explain(&error, separator, &mut lines))),
        }
    }
}

/// The separator that a first line `sep=;` names, as Excel reads and writes it, and what follows that line.
fn named_separator(text: &str) -> (Option<char>, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim_end_matches('\r').trim_matches('"');
    let named = line
        .get(..4)
        .filter(|word| word.eq_ignore_ascii_case("sep="));
    let named = named.and_then(|_| SEPARATORS.into_iter().find(|c| line[4..] == c.to_string()));
    (named, if named.is_some() { rest } else { text })
}

/// The separator between which the most names of columns stand in the header.
fn separator(text: &str) -> char {
    let header = text.split(['\r', '\n']).next().unwrap_or_default();
    let known = |separator: &char| {
        let names = header
            .split(*separator)
            .map(|name| name.trim().trim_matches('"'));
        names
            .filter(|name| check::unknown(&check::column(name)).is_none())
            .count()
    };
    // Of equally good ones the first.
    SEPARATORS
        .into_iter()
        .rev()
        .max_by_key(known)
        .unwrap_or(',')
}

fn header(reader: &mut Reader<&[u8]>, line: usize) -> Result<Vec<String>, Vec<Problem>> {
    let place = |column| Place { line, column };
    let headers = reader
        .headers()
        .map_err(|error| vec![Problem::new(place(1), error.to_string())])?;
    let written: Vec<&str> = headers.iter().map(str::trim).collect();
    if written.is_empty() {
        let message = "the file is empty; its first line names the columns";
        return Err(vec![Problem::new(place(1), message)]);
    }
    let names: Vec<String> = written.iter().map(|name| check::column(name)).collect();
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let message = match check::unknown(name) {
            // A spreadsheet leaves columns without a name behind; a value in one is said there.
            Some(_) if name.is_empty() => continue,
            Some(_) => {
                check::unknown(written[index]).expect("what is unknown is so as it is written")
            }
            None if names[..index].contains(name) => format!("the column `{name}` is there twice"),
            None => continue,
        };
        problems.push(Problem::new(place(index + 1), message));
    }
    let missing = check::missing(|name| names.iter().any(|n| n == name));
    problems.extend(missing.map(|message| Problem::new(place(1), message)));
    if problems.is_empty() {
        Ok(names)
    } else {
        Err(problems)
    }
}

fn record<'a>(header: &'a [String], row: &'a StringRecord, line: usize) -> Record<'a> {
    let field = |(index, (name, cell)): (usize, (&'a String, &'a str))| Field {
        name: Cow::Borrowed(name.as_str()),
        place: Place {
            line,
            column: index + 1,
        },
        cell: Cell::Text(Cow::Borrowed(cell)),
    };
    Record {
        place: Place { line, column: 1 },
        fields: header
            .iter()
            .zip(row)
            .enumerate()
            .filter(|(_, (name, cell))| !name.is_empty() || !cell.trim().is_empty())
            .map(field)
            .collect(),
    }
}

fn explain(error: &::csv::Error, separator: char, lines: &mut Lines<'_>) -> Problem {
    let start = error.position().map_or(0, ::csv::Position::byte);
    let line = lines.of_record(start);
    let message = match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "this record has {len} fields and the header has {expected_len}; a field with a {} in it needs quotes",
            name_of(separator)
        ),
        _ => error.to_string(),
    };
    Problem::new(Place { line, column: 1 }, message)
}

fn name_of(separator: char) -> &'static str {
    match separator {
        ';' => "semicolon",
        '\t' => "tab",
        _ => "comma",
    }
}

/// Line numbers of ever later places.
struct Lines<'t> {
    text: &'t str,
    offset: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line in which the record that was read from there begins. The reader's own count lies before the blank
    /// lines, and before the second half of a CRLF, that precede a record.
    fn of_record(&mut self, start: u64) -> usize {
        let bytes = self.text.as_bytes();
        let start = usize::try_from(start)
            .unwrap_or(bytes.len())
            .min(bytes.len());
        let blank = bytes[start..]
            .iter()
            .take_while(|byte| [b'\r', b'\n'].contains(byte))
            .count();
        let start = (start + blank).max(self.offset);
        self.line += self.text[self.offset..start].matches('\n').count();
        self.offset = start;
        self.line
    }
}

/// What the text before the cursor leaves open.
enum Quoting {
    FieldStart,
    Bare,
    Quoted {
        opened: Place,
    },
    /// Behind a quote in a quoted field: its end, or the first half of a doubled quote.
    Quote {
        opened: Place,
    },
}

/// Fails at the first quote that opens and is not closed at the end of its field.
fn check_quotes(text: &str, separator: char, line: usize) -> Result<(), Problem> {
    let mut place = Place { line, column: 1 };
    let mut quoting = Quoting::FieldStart;
    for c in text.chars() {
        quoting = match (quoting, c) {
            (Quoting::FieldStart, '"') => Quoting::Quoted { opened: place },
            (Quoting::Quoted { opened }, '"') => Quoting::Quote { opened },
            (Quoting::Quoted { opened }, _) | (Quoting::Quote { opened }, '"') => {
                Quoting::Quoted { opened }
            }
            (_, '\r' | '\n') => Quoting::FieldStart,
            (_, c) if c == separator => Quoting::FieldStart,
            (Quoting::Quote { opened }, _) => return Err(closed_early(opened, place)),
            (Quoting::FieldStart | Quoting::Bare, _) => Quoting::Bare,
        };
        if c == '\n' {
            place = Place {
                line: place.line + 1,
                column: 1,
            };
        } else {
            place.column += 1;
        }
    }
    match quoting {
        Quoting::Quoted { opened } => Err(Problem::new(
            opened,
            "this quote is never closed; a quote inside quotes is written twice",
        )),
        _ => Ok(()),
    }
}

fn closed_early(opened: Place, behind: Place) -> Problem {
    let message = format!(
        "the quote that opens here is closed in line {} before column {}, where the field goes on; a quote inside quotes is written twice",
        behind.line, behind.column
    );
    Problem::new(opened, message)
}
