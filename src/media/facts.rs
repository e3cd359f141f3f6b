//! What a file is, read from its own first bytes and its index. Every byte is hostile: what does not add up stays
//! unknown, and how much is read is bounded, whatever a header says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::time::Duration;

mod jpeg;
mod mp4;

/// What a medium is, read from its own bytes (never from what somebody says of it). `None`: not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// By the first bytes; where these tell nothing, by the declared type or the name.
    pub family: Option<Family>,
    /// By the first bytes, else as declared: `image/jpeg`, `video/mp4`, `application/pdf` ….
    pub mime: Option<String>,
    /// Its size.
    pub bytes: Option<u64>,
    /// In pixels, as it is displayed: a turned video or JPEG counts as turned.
    pub width: Option<u32>,
    /// In pixels, as it is displayed.
    pub height: Option<u32>,
    /// How long a video is.
    pub duration: Option<Duration>,
}

/// The kinds of media that platforms tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A picture, also a moving GIF.
    Image,
    /// A video.
    Video,
    /// A PDF, or slides or a text from an office suite.
    Document,
}

impl Family {
    fn of(mime: &str) -> Option<Self> {
        let office = [
            "application/msword",
            "application/vnd.ms-",
            "application/vnd.openxmlformats-officedocument.",
        ];
        match mime {
            _ if mime.starts_with("image/") => Some(Self::Image),
            _ if mime.starts_with("video/") => Some(Self::Video),
            "application/pdf" => Some(Self::Document),
            _ if office.iter().any(|start| mime.starts_with(start)) => Some(Self::Document),
            _ => None,
        }
    }
}

impl Facts {
    /// Width by height, if both are known.
    pub fn aspect(&self) -> Option<f64> {
        let (width, height) = (self.width?, self.height?);
        (height > 0).then(|| f64::from(width) / f64::from(height))
    }

    /// What there is to say of a file that was not read.
    pub(super) fn declared(mime: Option<&str>) -> Self {
        Self {
            family: mime.and_then(Family::of),
            mime: mime.map(str::to_owned),
            ..Self::default()
        }
    }

    fn sized(&mut self, size: Option<(u32, u32)>) {
        (self.width, self.height) = size.unzip();
    }
}

/// So many bytes tell a file's type.
pub(super) const MAGIC_BYTES: u64 = 64;
/// So many times a file's header may be read from, 8 KiB at a time: one that sends its reader around ends there.
const MAX_READS: u32 = 2000;

/// The MIME type that a file's first bytes tell.
pub(super) fn magic(head: &[u8]) -> Option<&'static str> {
    let starts: [(&[u8], &str); 9] = [
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"%PDF-", "application/pdf"),
        (b"\0\0\x01\xba", "video/mpeg"),
        (b"\0\0\x01\xb3", "video/mpeg"),
    ];
    if let Some((_, mime)) = starts.iter().find(|(start, _)| head.starts_with(start)) {
        return Some(mime);
    }
    let at = |range: std::ops::Range<usize>| head.get(range);
    match (at(0..4)?, at(4..8)?, at(8..12)?) {
        (b"RIFF", _, b"WEBP") => Some("image/webp"),
        (b"RIFF", _, b"AVI ") => Some("video/x-msvideo"),
        (_, b"ftyp", brand) => Some(brand_type(brand)),
        // QuickTime before it had brands: one of its boxes comes first.
        (_, b"moov" | b"mdat" | b"wide", _) => Some("video/quicktime"),
        (b"\x1a\x45\xdf\xa3", ..) => {
            let is_webm = head.windows(4).any(|word| word == b"webm");
            Some(if is_webm {
                "video/webm"
            } else {
                "video/x-matroska"
            })
        }
        // Text may well begin with BM; the reserved fields that follow the size are zero.
        ([b'B', b'M', ..], ..) if at(6..10) == Some(&[0; 4]) => Some("image/bmp"),
        _ => None,
    }
}

/// The type that an ISO media file's main brand stands for (the registry is at <https://mp4ra.org>).
fn brand_type(brand: &[u8]) -> &'static str {
    match brand {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => "image/heic",
        b"mif1" | b"msf1" => "image/heif",
        b"avif" | b"avis" => "image/avif",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " => "audio/mp4",
        b"3gp4" | b"3gp5" | b"3gp6" => "video/3gpp",
        _ => "video/mp4",
    }
}

/// What a file is that can be read in any place.
pub(super) fn of_file(file: File, total: u64, declared: Option<&str>) -> Facts {
    let sparing = Sparing {
        file,
        left: MAX_READS,
    };
    read(BufReader::new(sparing), Some(total), declared)
}

/// What a file is of which there is only the beginning.
pub(super) fn of_head(head: &[u8], total: Option<u64>, declared: Option<&str>) -> Facts {
    read(Cursor::new(head), total, declared)
}

fn read(mut file: impl BufRead + Seek, total: Option<u64>, declared: Option<&str>) -> Facts {
    let mut head = Vec::new();
    let told = file.by_ref().take(MAGIC_BYTES).read_to_end(&mut head);
    let told = told.ok().and_then(|_| magic(&head));
    let mut facts = Facts {
        bytes: total,
        ..Facts::declared(told.or(declared))
    };
    match told {
        Some("image/jpeg") => {
            let turned = jpeg::is_quarter_turned(&mut file);
            let size = picture(&mut file);
            facts.sized(size.map(|(width, height)| {
                if turned {
                    (height, width)
                } else {
                    (width, height)
                }
            }));
        }
        Some(mime) if mime.starts_with("image/") => facts.sized(picture(&mut file)),
        Some("video/mp4" | "video/quicktime" | "video/3gpp") => {
            let film = mp4::film(&mut file, total.unwrap_or(u64::MAX));
            facts.sized(film.size);
            facts.duration = film.duration;
        }
        _ => {}
    }
    facts
}

/// Width and height of a picture, if both make sense.
fn picture(file: &mut (impl BufRead + Seek)) -> Option<(u32, u32)> {
    file.rewind().ok()?;
    let size = imagesize::reader_size(file).ok()?;
    let width = u32::try_from(size.width).ok()?;
    // A bitmap that is stored from its top has a negative height.
    let height = u32::try_from(size.height).ok()?;
    let height = height.cast_signed().unsigned_abs();
    (width > 0 && height > 0).then_some((width, height))
}

/// A file that can be read from only so many times.
struct Sparing {
    file: File,
    left: u32,
}

impl Read for Sparing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other("the header is too long"))?;
        self.file.read(buffer)
    }
}

impl Seek for Sparing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests;
