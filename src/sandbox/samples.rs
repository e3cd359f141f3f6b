//! Small valid files at `/samples/…`, so that people and tests need no internet for their media.
//!
//! The images were drawn with Pillow (baseline JPEG of quality 40). The films were encoded with
//! ffmpeg: `-f lavfi -i color=s=1080x1920:r=25:d=9 -f lavfi -i anullsrc=r=44100:cl=mono -t 9
//! -c:v libx264 -crf 40 -pix_fmt yuv420p -c:a aac -b:a 8k -movflags +faststart -use_editlist 0`; the
//! shorter one has a `free` box behind it, for LinkedIn takes none below 75 KB. The document was written by hand.

use std::sync::OnceLock;

use super::media::Received;

/// A file that the sandbox serves.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) mime: &'static str,
    pub(super) bytes: &'static [u8],
    received: OnceLock<Received>,
}

macro_rules! samples {
    ($($name:literal: $mime:literal,)*) => {
        [$(Sample {
            name: $name,
            mime: $mime,
            bytes: include_bytes!(concat!("samples/", $name)),
            received: OnceLock::new(),
        }),*]
    };
}

static SAMPLES: [Sample; 8] = samples![
    "1080x1080.jpg": "image/jpeg",
    "1200x630.jpg": "image/jpeg",
    "1080x1920.jpg": "image/jpeg",
    "4000x100.jpg": "image/jpeg",
    "800x800.png": "image/png",
    "reel-9s.mp4": "video/mp4",
    "video-5s.mp4": "video/mp4",
    "document.pdf": "application/pdf",
];

pub(super) fn find(name: &str) -> Option<&'static Sample> {
    SAMPLES.iter().find(|sample| sample.name == name)
}

impl Sample {
    /// As a platform takes it in; worked out once.
    pub(super) fn received(&self) -> &Received {
        self.received.get_or_init(|| Received::whole(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_sample_is_what_its_name_says() {
        for sample in &SAMPLES {
            let received = sample.received();
            assert_eq!(received.mime, Some(sample.mime), "{}", sample.name);
            assert_eq!(received.bytes, sample.bytes.len() as u64);
            let size = received.width.zip(received.height);
            let size = size.map(|(width, height)| format!("{width}x{height}"));
            let seconds = received
                .duration
                .map(|duration| duration.as_secs_f64().round());
            let expected = match sample.name {
                "reel-9s.mp4" => (Some("1080x1920"), Some(9.0)),
                "video-5s.mp4" => (Some("1280x720"), Some(5.0)),
                "document.pdf" => (None, None),
                image => (image.split('.').next(), None),
            };
            assert_eq!((size.as_deref(), seconds), expected, "{}", sample.name);
            assert_eq!(received.image.is_some(), sample.mime.starts_with("image/"));
            assert!(received.duration < Some(Duration::from_secs(10)));
        }
    }
}
