//! JSON and JSON Lines. serde reads the values; the objects and lists around them are walked here, because that is how
//! each value's line and column are known.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Deserializer, Value};

use super::{Cell, Field, Place, Problem, Record, Sink};

/// A list of posts, or an object that has it as `posts`.
pub(super) fn document(text: &str, sink: &mut Sink<'_>) {
    let mut scanner = Scanner::new(text, 1);
    let read = match scanner.peek() {
        Some('{') => scanner.wrapped(sink),
        _ => scanner.list(sink),
    };
    if let Err(problem) = read.and_then(|()| scanner.end()) {
        sink(Err(problem));
    }
}

/// A post per line. A line that can't be read does not hide the next one's problems.
pub(super) fn lines(text: &str, sink: &mut Sink<'_>) {
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let mut scanner = Scanner::new(line, index + 1);
        let post = scanner.post().and_then(|post| {
            scanner.end()?;
            Ok(post)
        });
        sink(post);
    }
}

struct Scanner<'t> {
    text: &'t str,
    /// What is read.
    offset: usize,
    /// A place that was asked for, and its offset: the next one is counted from there.
    place: Place,
    counted: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, line: usize) -> Self {
        Self {
            text,
            offset: 0,
            place: Place { line, column: 1 },
            counted: 0,
        }
    }

    /// `{"posts": [...]}`.
    fn wrapped(&mut self, sink: &mut Sink<'_>) -> Result<(), Problem> {
        self.members(&mut |scanner, name, place| {
            if name == "posts" {
                return scanner.list(sink);
            }
            let message = format!(
                "`{name}` is not known here: the file is a list of posts, or an object with that list as \"posts\" (one object per line is --format jsonl)"
            );
            Err(Problem::new(place, message))
        })
    }

    fn list(&mut self, sink: &mut Sink<'_>) -> Result<(), Problem> {
        self.sequence('[', ']', &mut |scanner| {
            let place = scanner.here();
            if scanner.peek() == Some('{') {
                sink(Ok(scanner.post()?));
            } else {
                scanner.value::<IgnoredAny>()?;
                sink(Err(Problem::new(
                    place,
                    "a post is an object: {\"account\": …}",
                )));
            }
            Ok(())
        })
    }

    fn post(&mut self) -> Result<Record<'static>, Problem> {
        let place = self.here();
        let mut fields: Vec<Field<'static>> = Vec::new();
        self.members(&mut |scanner, name, place| {
            if fields.iter().any(|field| field.name == name) {
                return Err(Problem::new(place, format!("`{name}` is there twice")));
            }
            let place = scanner.here();
            let cell = Cell::Json(scanner.value::<Value>()?);
            let name = Cow::Owned(name);
            fields.push(Field { name, place, cell });
            Ok(())
        })?;
        Ok(Record { place, fields })
    }

    /// Calls `each` with every member's name and place, in front of its value.
    fn members(
        &mut self,
        each: &mut dyn FnMut(&mut Self, String, Place) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.sequence('{', '}', &mut |scanner| {
            let place = scanner.here();
            let name = scanner.value::<String>()?;
            scanner.eat(&[':'])?;
            each(scanner, name, place)
        })
    }

    /// Calls `each` in front of every item.
    fn sequence(
        &mut self,
        open: char,
        close: char,
        each: &mut dyn FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.eat(&[open])?;
        if self.peek() == Some(close) {
            self.eat(&[close])?;
            return Ok(());
        }
        loop {
            each(self)?;
            if self.eat(&[',', close])? == close {
                return Ok(());
            }
        }
    }

    /// The next character that is not space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.offset..];
        self.offset += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text[self.offset..].chars().next()
    }

    fn eat(&mut self, expected: &[char]) -> Result<char, Problem> {
        let found = self.peek();
        if let Some(c) = found.filter(|c| expected.contains(c)) {
            self.offset += c.len_utf8();
            return Ok(c);
        }
        let expected: Vec<String> = expected.iter().map(|c| format!("`{c}`")).collect();
        let expected = expected.join(" or ");
        let message = match found {
            Some(found) => format!("expected {expected}, found `{found}`"),
            None => format!("expected {expected}, but the text ends"),
        };
        Err(Problem::new(self.here(), message))
    }

    fn end(&mut self) -> Result<(), Problem> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                self.here(),
                "more follows behind the end (one object per line is --format jsonl)",
            )),
        }
    }

    fn value<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let rest = &self.text[self.offset..];
        let mut values = Deserializer::from_str(rest).into_iter::<T>();
        match values.next() {
            Some(Ok(value)) => {
                self.offset += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => Err(self.explain(&error)),
            None => Err(Problem::new(
                self.here(),
                "expected a value, but the text ends",
            )),
        }
    }

    fn explain(&mut self, error: &serde_json::Error) -> Problem {
        let rest = &self.text[self.offset..];
        let lines_before = error.line().saturating_sub(1);
        let line_start: usize = rest
            .split_inclusive('\n')
            .take(lines_before)
            .map(str::len)
            .sum();
        // Column 0 is the line end before.
        let offset = self.offset + (line_start + error.column()).saturating_sub(1);
        // serde says its own line and column, which count from the value.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Problem::new(self.place_of(offset), message)
    }

    /// Where the next character stands that is not space.
    fn here(&mut self) -> Place {
        self.peek();
        self.place_of(self.offset)
    }

    /// Counts on from the last place, so that a file of one long line is read once.
    fn place_of(&mut self, offset: usize) -> Place {
        let offset = self.text.floor_char_boundary(offset).max(self.counted);
        for c in self.text[self.counted..offset].chars() {
            if c == '\n' {
                self.place = Place {
                    line: self.place.line + 1,
                    column: 1,
                };
            } else {
                self.place.column += 1;
            }
        }
        self.counted = offset;
        self.place
    }
}
