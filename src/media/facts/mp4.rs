//! Size and length of an MP4 or `QuickTime` film: ISO/IEC 14496-12, boxes within boxes, each with its size and a name.
//!
//! Only headers are read, the media themselves are passed over with seeks: an index at the end of a file of many
//! gigabytes costs no more than one at its start. (Of the crates, `mp4parse` reads through everything, and `re_mp4`
//! keeps every sample's table in memory and panics on some.)

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

/// So many boxes are passed over within one.
const MAX_BOXES: u32 = 1000;

/// What the index says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Film {
    /// In pixels, turned as the film is shown.
    pub(super) size: Option<(u32, u32)>,
    pub(super) duration: Option<Duration>,
}

/// A box without its header.
#[derive(Clone, Copy)]
struct Part {
    name: [u8; 4],
    start: u64,
    end: u64,
}

/// Reads the index of a film, as far as there is one.
pub(super) fn film(file: &mut (impl Read + Seek), length: u64) -> Film {
    let whole = Part {
        name: *b"file",
        start: 0,
        end: length,
    };
    let Some(index) = find(file, whole, *b"moov") else {
        return Film::default();
    };
    let mut film = Film::default();
    each(file, index, |file, part| {
        match &part.name {
            b"mvhd" => film.duration = duration(file, part),
            b"trak" => film.size = film.size.or_else(|| picture(file, part)),
            _ => {}
        }
        true
    });
    film
}

/// Visits the boxes within one until there are no more, one does not add up, or the visitor has seen enough.
fn each<F: Read + Seek>(file: &mut F, parent: Part, mut visit: impl FnMut(&mut F, Part) -> bool) {
    let mut at = parent.start;
    for _ in 0..MAX_BOXES {
        let Some(part) = part(file, at, parent.end) else {
            return;
        };
        at = part.end;
        if !visit(file, part) {
            return;
        }
    }
}

fn find(file: &mut (impl Read + Seek), parent: Part, name: [u8; 4]) -> Option<Part> {
    let mut found = None;
    each(file, parent, |_, part| {
        found = (part.name == name).then_some(part);
        found.is_none()
    });
    found
}

/// The box that starts there. One that claims to end after its parent ends with it.
fn part(file: &mut (impl Read + Seek), at: u64, end: u64) -> Option<Part> {
    let header = bytes::<8>(file, at, end)?;
    let name = [header[4], header[5], header[6], header[7]];
    let (head, size) = match word(&header, 0)? {
        0 => (8, end - at),
        1 => (16, u64::from_be_bytes(bytes(file, at + 8, end)?)),
        size => (8, u64::from(size)),
    };
    if size < head {
        return None;
    }
    Some(Part {
        name,
        start: at + head,
        end: at.checked_add(size)?.min(end),
    })
}

/// So many bytes from there, if they are before the end.
fn bytes<const N: usize>(file: &mut (impl Read + Seek), at: u64, end: u64) -> Option<[u8; N]> {
    if at.checked_add(N as u64)? > end {
        return None;
    }
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    word.try_into().ok().map(u32::from_be_bytes)
}

/// `mvhd`: the version, times of 4 or (version 1) 8 bytes, ticks per second, ticks.
fn duration(file: &mut (impl Read + Seek), header: Part) -> Option<Duration> {
    let [version, ..] = bytes::<1>(file, header.start, header.end)?;
    let (scale, ticks) = if version == 1 {
        let fields = bytes::<32>(file, header.start, header.end)?;
        let ticks = u64::from(word(&fields, 24)?) << 32 | u64::from(word(&fields, 28)?);
        (word(&fields, 20)?, (ticks != u64::MAX).then_some(ticks)?)
    } else {
        let fields = bytes::<20>(file, header.start, header.end)?;
        let ticks = word(&fields, 16)?;
        let known = ticks != u32::MAX;
        (word(&fields, 12)?, known.then_some(u64::from(ticks))?)
    };
    // A film in fragments has no length here.
    if scale == 0 || ticks == 0 {
        return None;
    }
    let (seconds, rest) = (ticks / u64::from(scale), ticks % u64::from(scale));
    let nanoseconds = rest * 1_000_000_000 / u64::from(scale);
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

/// The size of a track's picture, if it has one.
fn picture(file: &mut (impl Read + Seek), track: Part) -> Option<(u32, u32)> {
    let media = find(file, track, *b"mdia")?;
    let handler = find(file, media, *b"hdlr")?;
    let kind = bytes::<12>(file, handler.start, handler.end)?;
    if !kind.ends_with(b"vide") {
        return None;
    }
    let header = find(file, track, *b"tkhd")?;
    let [version, ..] = bytes::<1>(file, header.start, header.end)?;
    // Version 1 has three fields of 8 bytes instead of 4 before the matrix: a, b, u, c, d, v, x, y, w.
    let matrix = if version == 1 { 52 } else { 40 };
    let fields = bytes::<44>(file, header.start + matrix, header.end)?;
    let entry = |at| word(&fields, at);
    let (a, b, c, d) = (entry(0)?, entry(4)?, entry(12)?, entry(16)?);
    // 16.16 fixed point.
    let (width, height) = (entry(36)? >> 16, entry(40)? >> 16);
    if width == 0 || height == 0 {
        return None;
    }
    let quarter_turned = a == 0 && d == 0 && b != 0 && c != 0;
    Some(if quarter_turned {
        (height, width)
    } else {
        (width, height)
    })
}
