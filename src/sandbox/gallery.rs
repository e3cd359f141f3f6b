//! The images that were published, kept for the people who look at the posts.

use std::collections::{HashMap, VecDeque};

use axum::body::Bytes;

/// A larger image is counted and hashed, but not kept.
pub(super) const IMAGE_LIMIT: usize = 8 * 1024 * 1024;
/// How much all of them may take; the oldest make room for new ones.
const TOTAL_LIMIT: usize = 64 * 1024 * 1024;

/// An image's bytes, and the type that they say they are.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) mime: &'static str,
    pub(super) bytes: Bytes,
}

/// Images by their lower-case hex SHA-256.
#[derive(Debug, Default)]
pub(super) struct Gallery {
    images: HashMap<String, Image>,
    oldest_first: VecDeque<String>,
    size: usize,
}

impl Gallery {
    pub(super) fn image(&self, sha256: &str) -> Option<&Image> {
        self.images.get(sha256)
    }

    /// Keeps an image, and says whether anything changed by it.
    pub(super) fn keep(&mut self, sha256: &str, image: Image) -> bool {
        if self.images.contains_key(sha256) || image.bytes.len() > IMAGE_LIMIT {
            return false;
        }
        self.size += image.bytes.len();
        self.images.insert(sha256.to_owned(), image);
        self.oldest_first.push_back(sha256.to_owned());
        while self.size > TOTAL_LIMIT
            && let Some(oldest) = self.oldest_first.pop_front()
            && let Some(dropped) = self.images.remove(&oldest)
        {
            self.size -= dropped.bytes.len();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(size: usize) -> Image {
        Image {
            mime: "image/jpeg",
            bytes: vec![0; size].into(),
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let mut gallery = Gallery::default();
        for name in 0..9 {
            assert!(gallery.keep(&name.to_string(), image(IMAGE_LIMIT)));
        }
        assert!(gallery.image("0").is_none());
        assert!(gallery.image("1").is_some() && gallery.image("8").is_some());
        assert_eq!(gallery.size, TOTAL_LIMIT);
    }

    #[test]
    fn an_image_is_kept_once_and_a_large_one_not_at_all() {
        let mut gallery = Gallery::default();
        assert!(gallery.keep("a", image(5)));
        assert!(!gallery.keep("a", image(5)));
        assert!(!gallery.keep("b", image(IMAGE_LIMIT + 1)));
        assert_eq!((gallery.size, gallery.images.len()), (5, 1));
    }
}
