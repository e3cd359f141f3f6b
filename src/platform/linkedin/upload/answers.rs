//! What LinkedIn says of an upload: where its bytes go, and how it stands.

use serde::Deserialize;
use serde_json::Value;

use super::super::WORDS_LIMIT;
use super::super::progress::{AssetKind, Part, Upload};
use crate::text::one_line;

#[derive(Deserialize)]
pub(super) struct Begun {
    pub(super) value: Initialized,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialized {
    #[serde(alias = "image", alias = "video", alias = "document")]
    urn: String,
    upload_url: Option<String>,
    #[serde(alias = "uploadUrlsExpireAt")]
    upload_url_expires_at: Option<i64>,
    #[serde(default)]
    upload_instructions: Vec<Instruction>,
    upload_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instruction {
    upload_url: String,
    first_byte: u64,
    last_byte: u64,
}

impl Initialized {
    /// The upload, if the reply makes one: a URN of that kind, and addresses for exactly `total` bytes.
    pub(super) fn upload(self, kind: AssetKind, total: Option<u64>) -> Option<Upload> {
        if !self.urn.starts_with(kind.urn_start()) {
            return None;
        }
        let parts = match total {
            None => vec![Part {
                url: self.upload_url?,
                bytes: None,
            }],
            Some(total) => {
                let mut end = 0;
                for part in &self.upload_instructions {
                    if part.first_byte != end || part.last_byte < end || part.last_byte >= total {
                        return None;
                    }
                    end = part.last_byte + 1;
                }
                (end == total).then_some(())?;
                let parts = self.upload_instructions.into_iter().map(|part| Part {
                    url: part.upload_url,
                    bytes: Some((part.first_byte, part.last_byte)),
                });
                parts.collect()
            }
        };
        Some(Upload {
            urn: self.urn,
            token: self.upload_token.unwrap_or_default(),
            total,
            expires_at: self.upload_url_expires_at,
            parts,
            etags: Vec::new(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MediaState {
    status: String,
    processing_failure_reason: Option<Value>,
}

/// How LinkedIn stands with a medium.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    Ready,
    Processing,
    /// It has not noticed all bytes yet.
    Waiting,
    Failed(String),
    /// The token may not ask.
    Hidden,
}

impl Standing {
    pub(super) fn of(state: MediaState) -> Self {
        match state.status.as_str() {
            "AVAILABLE" => Self::Ready,
            "WAITING_UPLOAD" => Self::Waiting,
            "PROCESSING_FAILED" => {
                let why = state.processing_failure_reason;
                let why = why.as_ref().and_then(Value::as_str);
                Self::Failed(one_line(why.unwrap_or("it does not say why"), WORDS_LIMIT))
            }
            _ => Self::Processing,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Ready | Self::Processing)
    }
}
