//! The host that takes a video's bytes, for both platforms. Its errors have a shape of their own.

use serde::Deserialize;

use crate::http::Reply;

/// Its name.
pub(in crate::platform) const HOST: &str = "rupload.facebook.com";

/// Why it did not take the bytes.
#[derive(Deserialize)]
pub(in crate::platform) struct Refusal {
    #[serde(default)]
    retriable: bool,
    #[serde(default, rename = "type")]
    pub(in crate::platform) kind: String,
    #[serde(default)]
    pub(in crate::platform) message: String,
}

impl Refusal {
    /// What the reply complains of, if it does.
    pub(in crate::platform) fn of(reply: &Reply) -> Option<Self> {
        #[derive(Deserialize)]
        struct Envelope {
            debug_info: Refusal,
        }
        reply.json().map(|Envelope { debug_info }| debug_info)
    }

    /// Whether the next try can succeed: wrong or missing bytes are sent again from where the host says that it stands.
    pub(in crate::platform) fn passes(&self) -> bool {
        let asks_again = ["OffsetInvalidError", "PartialRequestError"];
        self.retriable || asks_again.contains(&self.kind.as_str())
    }
}
