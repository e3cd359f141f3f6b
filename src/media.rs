//! Media: local files and URLs, checked and streamed, never whole in memory.

use crate::post::Content;

/// What is wrong with the content's media as far as this machine can tell: missing files, directories, bad URLs.
pub fn problems(_content: &Content) -> Vec<String> {
    Vec::new()
}
