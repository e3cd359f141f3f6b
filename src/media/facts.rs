//! What a file is, read from its own first bytes and its index. Every byte is hostile: what does not add up stays
//! unknown, and how much is read is bounded, whatever a header says.

use std::fs::File;
use std::time::Duration;

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
}

/// So many bytes tell a file's type.
pub(super) const MAGIC_BYTES: u64 = 64;

/// The MIME type that a file's first bytes tell.
pub(super) fn magic(head: &[u8]) -> Option<&'static str> {
    let starts: [(&[u8], &str); 3] = [
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"%PDF-", "application/pdf"),
    ];
    let mut matching = starts.iter().filter(|(start, _)| head.starts_with(start));
    matching.next().map(|(_, mime)| *mime)
}

/// What a file is that can be read in any place.
pub(super) fn of_file(_file: File, total: u64, declared: Option<&str>) -> Facts {
    Facts {
        bytes: Some(total),
        ..Facts::declared(declared)
    }
}

/// What a file is of which there is only the beginning.
pub(super) fn of_head(head: &[u8], total: Option<u64>, declared: Option<&str>) -> Facts {
    Facts {
        bytes: total,
        ..Facts::declared(magic(head).or(declared))
    }
}
