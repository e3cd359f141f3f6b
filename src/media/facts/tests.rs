use std::io::Write;

use super::*;

/// A box of an ISO media file.
fn part(name: &[u8], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + content.len()).unwrap();
    [&size.to_be_bytes(), name, content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

const UPRIGHT: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
const TURNED: [u32; 9] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000];

fn track(kind: &[u8], matrix: [u32; 9], size: (u32, u32)) -> Vec<u8> {
    let header = [
        words(&[7, 0, 0, 1, 0, 5000, 0, 0, 0, 0]),
        words(&matrix),
        words(&[size.0 << 16, size.1 << 16]),
    ];
    let handler = [words(&[0, 0]), kind.to_vec(), words(&[0, 0, 0])].concat();
    let content = [
        part(b"tkhd", &header.concat()),
        part(b"mdia", &part(b"hdlr", &handler)),
    ];
    part(b"trak", &content.concat())
}

/// 12.5 seconds: sound, then a picture of 640 by 360.
fn index(matrix: [u32; 9]) -> Vec<u8> {
    let header = words(&[0, 0, 0, 1000, 12_500, 0x1_0000]);
    let content = [
        part(b"mvhd", &header),
        track(b"soun", UPRIGHT, (0, 0)),
        track(b"vide", matrix, (640, 360)),
    ];
    part(b"moov", &content.concat())
}

fn brand(name: &[u8]) -> Vec<u8> {
    part(b"ftyp", &[name, &[0; 4], b"isom"].concat())
}

fn mp4() -> Vec<u8> {
    [brand(b"isom"), index(UPRIGHT), part(b"mdat", &[0; 50])].concat()
}

fn mov() -> Vec<u8> {
    [brand(b"qt  "), part(b"mdat", &[0; 50]), index(TURNED)].concat()
}

/// The times of version 1 have 8 bytes.
fn long_mp4() -> Vec<u8> {
    let header = words(&[0x0100_0000, 0, 0, 0, 0, 90_000, 1, 0, 0]);
    let index = part(b"moov", &part(b"mvhd", &header));
    [brand(b"mp42"), index].concat()
}

fn png() -> Vec<u8> {
    let header = [words(&[3, 2]), vec![8, 2, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(words(&[13]));
    file.extend(b"IHDR");
    file.extend(header);
    file
}

/// 40 by 30 pixels, with Exif if an orientation is given.
fn jpeg(orientation: Option<u16>) -> Vec<u8> {
    let mut file = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
    if let Some(value) = orientation {
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
        exif.extend(value.to_be_bytes());
        exif.extend([0; 6]);
        file.extend(b"\xff\xe1");
        file.extend(u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
        file.extend(exif);
    }
    file.extend(b"\xff\xc0\x00\x11\x08\x00\x1e\x00\x28\x03\x01\x22\0\x02\x11\x01\x03\x11\x01");
    file
}

fn gif() -> Vec<u8> {
    b"GIF89a\x07\0\x05\0\x80\0\0\0\0\0".to_vec()
}

/// Stored from its top: the height is -20.
fn bmp() -> Vec<u8> {
    let mut file = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend(10_i32.to_le_bytes());
    file.extend((-20_i32).to_le_bytes());
    file.extend([0; 20]);
    file
}

/// Its directory is at its end.
fn tiff() -> Vec<u8> {
    let mut file = b"II*\0\x40\0\0\0".to_vec();
    file.resize(0x40, 0);
    file.extend(b"\x02\0\0\x01\x03\0\x01\0\0\0\x09\0\0\0\x01\x01\x03\0\x01\0\0\0\x08\0\0\0");
    file
}

fn webp() -> Vec<u8> {
    b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x63\0\0\x31\0\0".to_vec()
}

fn heic() -> Vec<u8> {
    let size = part(b"ispe", &words(&[0, 4032, 3024]));
    let properties = part(b"iprp", &part(b"ipco", &size));
    let meta = part(b"meta", &[words(&[0]), properties].concat());
    [brand(b"heic"), meta, part(b"mdat", &[0; 9])].concat()
}

fn on_disk(bytes: &[u8]) -> Facts {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    of_file(file, bytes.len() as u64, Some("text/plain"))
}

/// `image/png 3x2`, with the seconds of a video.
fn told(facts: &Facts) -> String {
    let mut line = facts.mime.clone().unwrap_or_default();
    if let (Some(width), Some(height)) = (facts.width, facts.height) {
        line = format!("{line} {width}x{height}");
    }
    match facts.duration {
        Some(duration) => format!("{line} {}s", duration.as_secs_f64()),
        None => line,
    }
}

#[test]
fn files_tell_what_they_are() {
    let cases = [
        (jpeg(None), "image/jpeg 40x30"),
        (jpeg(Some(1)), "image/jpeg 40x30"),
        (jpeg(Some(6)), "image/jpeg 30x40"),
        (png(), "image/png 3x2"),
        (gif(), "image/gif 7x5"),
        (bmp(), "image/bmp 10x20"),
        (tiff(), "image/tiff 9x8"),
        (webp(), "image/webp 100x50"),
        (heic(), "image/heic 4032x3024"),
        (mp4(), "video/mp4 640x360 12.5s"),
        (mov(), "video/quicktime 360x640 12.5s"),
        (long_mp4(), "video/mp4 47721.858844444s"),
        (b"%PDF-1.7\n".to_vec(), "application/pdf"),
        (
            b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm".to_vec(),
            "video/webm",
        ),
        (
            b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska".to_vec(),
            "video/x-matroska",
        ),
        (b"RIFF\0\0\0\0AVI LIST".to_vec(), "video/x-msvideo"),
        (brand(b"M4A "), "audio/mp4"),
        (b"BMW is a maker of cars".to_vec(), "text/plain"),
        (b"".to_vec(), "text/plain"),
    ];
    for (bytes, expected) in cases {
        let facts = on_disk(&bytes);
        assert_eq!(told(&facts), expected);
        assert_eq!(facts.bytes, Some(bytes.len() as u64));
        let of_head = of_head(&bytes, None, Some("text/plain"));
        assert_eq!(told(&of_head), expected, "of the beginning");
    }
}

#[test]
fn families_and_shapes() {
    let family = |mime| Facts::declared(Some(mime)).family;
    assert_eq!(family("image/gif"), Some(Family::Image));
    assert_eq!(family("video/webm"), Some(Family::Video));
    assert_eq!(family("application/pdf"), Some(Family::Document));
    assert_eq!(
        family("application/vnd.ms-powerpoint"),
        Some(Family::Document)
    );
    assert_eq!(family("audio/mp4"), None);
    assert_eq!(on_disk(&mp4()).aspect(), Some(640.0 / 360.0));
    assert_eq!(on_disk(b"%PDF-1.7").aspect(), None);
}

/// An index at the end of 2 GiB is found by seeking: the file is sparse, and reading it whole would exceed the reads.
#[test]
fn an_index_behind_two_gigabytes_is_found() {
    let mut file = tempfile::tempfile().unwrap();
    let media = 2_u64 << 30;
    file.write_all(&brand(b"mp42")).unwrap();
    file.write_all(&words(&[1])).unwrap();
    file.write_all(b"mdat").unwrap();
    file.write_all(&(media + 16).to_be_bytes()).unwrap();
    file.seek_relative(media.cast_signed()).unwrap();
    file.write_all(&index(TURNED)).unwrap();
    let total = file.stream_position().unwrap();
    file.rewind().unwrap();
    let facts = of_file(file, total, None);
    assert_eq!(told(&facts), "video/mp4 360x640 12.5s");
}

#[test]
fn hostile_headers_tell_nothing() {
    let ftyp = brand(b"isom");
    let film = |index: &[u8]| [ftyp.as_slice(), index].concat();
    let movie = |header: &[u32]| film(&part(b"moov", &part(b"mvhd", &words(header))));
    let mut huge_box = words(&[1]);
    huge_box.extend(b"moov");
    huge_box.extend([0xff; 8]);
    let endless: Vec<u8> = part(b"free", &[]).repeat(200_000);
    let cases: [(&str, Vec<u8>); 14] = [
        ("a box of 2^64 bytes", film(&huge_box)),
        (
            "a box that is smaller than its header",
            film(b"\0\0\0\x07moovmvhd"),
        ),
        (
            "a large size that is smaller than its header",
            film(b"\0\0\0\x01moov\0\0\0\0\0\0\0\x0f"),
        ),
        ("no ticks per second", movie(&[0, 0, 0, 0, 12_500])),
        (
            "a length that is unknown",
            movie(&[0, 0, 0, 1000, u32::MAX]),
        ),
        ("a header that ends early", movie(&[0, 0, 0])),
        ("a box without end, and empty", film(b"\0\0\0\0moov")),
        ("boxes without number", film(&endless)),
        ("a picture of no size", {
            let track = track(b"vide", UPRIGHT, (0, 360));
            film(&part(b"moov", &track))
        }),
        ("a PNG that ends early", png()[..18].to_vec()),
        ("a PNG of no size", {
            let mut png = png();
            png[16..24].fill(0);
            png
        }),
        (
            "a JPEG segment of no size",
            b"\xff\xd8\xff\xe1\0\0\0\0\0\0".to_vec(),
        ),
        ("a JPEG of nothing but segments", {
            [b"\xff\xd8".as_slice(), &b"\xff\xfe\0\x02".repeat(100_000)].concat()
        }),
        (
            "a TIFF directory beyond the end",
            b"II*\0\xff\xff\xff\xff".to_vec(),
        ),
    ];
    for (name, bytes) in cases {
        let facts = on_disk(&bytes);
        assert!(facts.mime.is_some(), "{name}");
        let known = (facts.width, facts.height, facts.duration);
        assert_eq!(known, (None, None, None), "{name}");
        let facts = of_head(&bytes, Some(u64::MAX), None);
        assert_eq!(
            (facts.width, facts.duration),
            (None, None),
            "{name}, beginning"
        );
    }
}

/// Every byte of every kind of file set to every extreme, and every file cut everywhere: nothing panics, and what is
/// told is a size that can be.
#[test]
fn damaged_files_never_panic() {
    let files = [
        jpeg(Some(6)),
        png(),
        gif(),
        bmp(),
        tiff(),
        webp(),
        heic(),
        mp4(),
        mov(),
        long_mp4(),
    ];
    let mut looked = 0;
    for file in files {
        for at in 0..file.len() {
            let mut damaged = file.clone();
            for value in [0, 1, 7, 0x7f, 0x80, 0xff] {
                damaged[at] = value;
                let facts = of_head(&damaged, Some(u64::MAX), None);
                assert!(facts.width != Some(0) && facts.height != Some(0));
                looked += 1;
            }
            of_head(&file[..at], None, None);
            let end = file.len().min(at + 4);
            damaged[at..end].fill(0xff);
            of_head(&damaged, None, None);
        }
    }
    assert!(looked > 5_000, "{looked}");
}
