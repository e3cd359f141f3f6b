//! Images: their type and size, read from their first bytes.

/// The type of an image, if these are the first bytes of one.
pub(super) fn mime(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Some("image/tiff"),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            let is = |name: &&[u8; 4]| brand.starts_with(*name);
            if is(&b"avif") {
                return Some("image/avif");
            }
            let is_still = [b"heic", b"heix", b"mif1"].iter().any(is);
            is_still.then_some("image/heic")
        }
        _ => None,
    }
}

pub(super) fn is_shown_by_browsers(mime: &str) -> bool {
    !matches!(mime, "image/tiff" | "image/heic")
}

/// Width and height in pixels, where the format tells them cheaply.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = match mime(bytes)? {
        "image/jpeg" => jpeg(bytes)?,
        "image/png" => (big(bytes, 16, 4)?, big(bytes, 20, 4)?),
        "image/gif" => (little(bytes, 6, 2)?, little(bytes, 8, 2)?),
        "image/bmp" => (little(bytes, 18, 4)?, little(bytes, 22, 4)?),
        "image/webp" => webp(bytes)?,
        _ => return None,
    };
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// A JPEG is a row of segments; the size is in the frame's.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1)?;
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match marker {
            // Fill bytes may precede a marker.
            0xff => at += 1,
            // C4, C8 and CC are no frames.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((big(bytes, at + 7, 2)?, big(bytes, at + 5, 2)?));
            }
            _ => at += 2 + usize::try_from(big(bytes, at + 2, 2)?).ok()?,
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((
            little(bytes, 26, 2)? & 0x3fff,
            little(bytes, 28, 2)? & 0x3fff,
        )),
        b"VP8L" => {
            let packed = little(bytes, 21, 4)?;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        _ => None,
    }
}

/// A number of `length` bytes, the highest first.
fn big(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.get(..length)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)),
    )
}

/// A number of `length` bytes, the lowest first.
fn little(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.get(..length)?;
    let highest_first = bytes.iter().rev();
    Some(highest_first.fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_where_the_formats_have_them() {
        let webp = |chunk: &[u8], rest: &[u8]| [b"RIFF\0\0\0\0WEBP", chunk, &[0; 4], rest].concat();
        for (bytes, size) in [
            (b"GIF89a\x02\x01\x03\0".to_vec(), (258, 3)),
            (webp(b"VP8X", &[0, 0, 0, 0, 1, 0, 0, 2, 0, 0]), (2, 3)),
            (webp(b"VP8L", &[0x2f, 1, 0x80, 0, 0]), (2, 3)),
            (webp(b"VP8 ", &[0, 0, 0, 0x9d, 1, 0x2a, 2, 0, 3, 0]), (2, 3)),
        ] {
            assert_eq!(super::size(&bytes), Some(size), "{bytes:?}");
        }
    }

    #[test]
    fn hostile_headers_have_no_size() {
        for bytes in [
            &b"\xff\xd8\xff"[..],
            b"\xff\xd8\xff\xe0\0",
            b"\xff\xd8\xff\xe0\0\0",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"\xff\xd8\xff\xff\xff\xff",
            b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\0",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a\0",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"",
        ] {
            assert_eq!(size(bytes), None, "{bytes:?}");
        }
    }
}
