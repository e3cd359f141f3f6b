//! MP4 and `QuickTime`: size and duration, read as the bytes come, without keeping the film.
//!
//! Such a file is a row of boxes: a size, four letters, a content. All that is told of the film is in
//! the box `moov`, which is small, and may be the first or the last.

use std::time::Duration;

/// No honest header is larger; one that claims to be is skipped like the film.
const MOOV_LIMIT: u64 = 4 * 1024 * 1024;

/// The type of a video, if these are the first bytes of one.
pub(super) fn mime(head: &[u8]) -> Option<&'static str> {
    match head {
        [_, _, _, _, b'f', b't', b'y', b'p', b'q', b't', ..]
        | [_, _, _, _, b'm', b'o', b'o', b'v', ..] => Some("video/quicktime"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("video/mp4"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some("video/webm"),
        _ => None,
    }
}

/// What a film's header says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Width and height as displayed.
    pub(super) size: Option<(u32, u32)>,
    pub(super) duration: Option<Duration>,
}

/// Finds the box `moov` in a row of bytes.
#[derive(Clone, Default)]
pub(super) struct Movie {
    header: Vec<u8>,
    /// How much of the present box is still to come, and whether it is the one that matters.
    rest: u64,
    is_moov: bool,
    moov: Vec<u8>,
}

impl Movie {
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest == 0 {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                self.read_header();
                continue;
            }
            let here = usize::try_from(self.rest)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (content, next) = bytes.split_at(here);
            if self.is_moov {
                self.moov.extend_from_slice(content);
            }
            self.rest -= here as u64;
            bytes = next;
        }
    }

    /// Starts a box once its header is complete.
    fn read_header(&mut self) {
        let header = self.header.as_slice();
        let (size, length) = match (number(header, 0, 4), header.len()) {
            // 1 stands for a longer size behind the name, 0 for "to the end of the file".
            (Some(1), 16) => (number(header, 8, 8).unwrap_or_default(), 16),
            (Some(0), 8) => (u64::MAX, 8),
            (Some(size), 8) if size != 1 => (size, 8),
            _ => return,
        };
        // A box smaller than its header is no box: nothing behind it can be read.
        self.rest = size.checked_sub(length).unwrap_or(u64::MAX);
        self.is_moov = header[4..8] == *b"moov" && self.rest <= MOOV_LIMIT && self.moov.is_empty();
        self.header.clear();
    }

    pub(super) fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for (name, content) in boxes(&self.moov) {
            match name {
                b"mvhd" => facts.duration = duration(content),
                // Sound has a track too, of no size.
                b"trak" => {
                    let header = boxes(content).find(|(name, _)| *name == b"tkhd");
                    let size = header.and_then(|(_, content)| size(content));
                    facts.size = facts.size.or(size);
                }
                _ => {}
            }
        }
        facts
    }
}

/// The boxes that follow one another in `bytes`, as far as they are whole.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = usize::try_from(number(bytes, 0, 4)?).ok()?;
        let name = bytes.get(4..8)?.first_chunk()?;
        let content = bytes.get(8..size)?;
        bytes = &bytes[size..];
        Some((name, content))
    })
}

/// `mvhd`: the times are twice as long in its version 1.
fn duration(content: &[u8]) -> Option<Duration> {
    let (scale, length) = match content.first()? {
        0 => (number(content, 12, 4)?, number(content, 16, 4)?),
        1 => (number(content, 20, 4)?, number(content, 24, 8)?),
        _ => return None,
    };
    let seconds = (scale > 0).then(|| length as f64 / scale as f64)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// `tkhd`: a matrix says how the picture is turned, then come width and height in 16.16.
fn size(content: &[u8]) -> Option<(u32, u32)> {
    let matrix = match content.first()? {
        0 => 40,
        1 => 52,
        _ => return None,
    };
    let whole = |at| Some(u32::try_from(number(content, at, 4)? >> 16).unwrap_or_default());
    let (width, height) = (whole(matrix + 36)?, whole(matrix + 40)?);
    let turned = number(content, matrix, 4)? == 0 && number(content, matrix + 4, 4)? != 0;
    let size = if turned {
        (height, width)
    } else {
        (width, height)
    };
    (width > 0 && height > 0).then_some(size)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.get(..length)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_box(name: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + content.len()).unwrap();
        [&size.to_be_bytes()[..], &name, content].concat()
    }

    fn film(turned: bool) -> Vec<u8> {
        let mut mvhd = vec![0; 100];
        mvhd[12..16].copy_from_slice(&1000_u32.to_be_bytes());
        mvhd[16..20].copy_from_slice(&9500_u32.to_be_bytes());
        let mut tkhd = vec![0; 84];
        let one = if turned { 44 } else { 40 };
        tkhd[one..one + 4].copy_from_slice(&0x1_0000_u32.to_be_bytes());
        tkhd[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
        tkhd[80..84].copy_from_slice(&(480_u32 << 16).to_be_bytes());
        let trak = a_box(*b"trak", &a_box(*b"tkhd", &tkhd));
        let moov = a_box(*b"moov", &[a_box(*b"mvhd", &mvhd), trak].concat());
        [a_box(*b"ftyp", b"isom"), a_box(*b"mdat", &[7; 999]), moov].concat()
    }

    fn facts(bytes: &[u8], at_once: usize) -> Facts {
        let mut movie = Movie::default();
        bytes.chunks(at_once).for_each(|chunk| movie.take(chunk));
        movie.facts()
    }

    #[test]
    fn a_film_is_measured_however_its_bytes_come() {
        for at_once in [1, 7, 100_000] {
            let facts = facts(&film(false), at_once);
            assert_eq!(facts.size, Some((640, 480)));
            assert_eq!(facts.duration, Some(Duration::from_millis(9500)));
        }
        assert_eq!(facts(&film(true), 64).size, Some((480, 640)), "turned");
    }

    #[test]
    fn hostile_boxes_tell_nothing() {
        let film = film(false);
        for length in 0..film.len() {
            facts(&film[..length], 64);
        }
        for header in [
            &b"\0\0\0\x07moov"[..],
            b"\0\0\0\0moov",
            b"\0\0\0\x01moov\0\0\0\0\0\0\0\x01",
            b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff\xff\xffmoov",
        ] {
            assert_eq!(facts(&[header, &film].concat(), 64), Facts::default());
        }
    }
}
