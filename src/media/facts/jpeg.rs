//! Which way up a JPEG is shown: the Exif orientation (CIPA DC-008), which cameras set instead of turning pixels.

use std::io::{Read, Seek, SeekFrom};

/// Exif comes among the first segments.
const MAX_SEGMENTS: u32 = 32;
const ORIENTATION: u16 = 0x0112;

/// Whether width and height change places when the picture is shown.
pub(super) fn is_quarter_turned(file: &mut (impl Read + Seek)) -> bool {
    exif(file)
        .and_then(|exif| orientation(&exif))
        .is_some_and(|orientation| (5..=8).contains(&orientation))
}

/// The first Exif segment's content, at most 64 KiB.
fn exif(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(2)).ok()?;
    for _ in 0..MAX_SEGMENTS {
        let mut head = [0; 4];
        file.read_exact(&mut head).ok()?;
        let [0xff, marker, high, low] = head else {
            return None;
        };
        let length = u16::from_be_bytes([high, low]).checked_sub(2)?;
        match marker {
            0xe1 => {
                let mut content = vec![0; usize::from(length)];
                file.read_exact(&mut content).ok()?;
                if let Some(exif) = content.strip_prefix(b"Exif\0\0") {
                    return Some(exif.to_vec());
                }
            }
            // From here on there are pixels.
            0xda => return None,
            _ => {
                file.seek(SeekFrom::Current(i64::from(length))).ok()?;
            }
        }
    }
    None
}

/// The tag's value in the first directory of the TIFF file that Exif is.
fn orientation(tiff: &[u8]) -> Option<u16> {
    let little = tiff.starts_with(b"II*\0");
    if !little && !tiff.starts_with(b"MM\0*") {
        return None;
    }
    let short = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let long = if little {
        u32::from_le_bytes(long)
    } else {
        u32::from_be_bytes(long)
    };
    let directory = usize::try_from(long).ok()?;
    let entries = usize::from(short(directory)?);
    let mut entries = (0..entries).map_while(|entry| {
        let at = directory.checked_add(2 + 12 * entry)?;
        Some((short(at)?, short(at.checked_add(8)?)?))
    });
    let found = entries.find(|(tag, _)| *tag == ORIENTATION)?;
    Some(found.1)
}
