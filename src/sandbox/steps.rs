//! What a request does for a post, and how a fault strikes it there.

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;

use super::fault::Kind;
use super::media::{Incomplete, Received, receive};
use super::wire::{Call, Refusal, Reply};
use super::world::{Platform, World};

/// What a request does. Faults aim at one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Makes a post visible.
    Publish,
    /// Changes something that nobody sees: containers, sessions, addresses for uploads.
    Prepare,
    /// Carries the bytes of a medium.
    Upload,
    /// Looks something up: the state of a container, a permalink, a list.
    Status,
    /// Adds to a post that is live: first comments, thumbnails, playlists.
    Comment,
    /// OAuth.
    Token,
}

impl Step {
    pub(super) const ALL: [Self; 6] = [
        Self::Publish,
        Self::Prepare,
        Self::Upload,
        Self::Status,
        Self::Comment,
        Self::Token,
    ];

    /// As a fault's spec names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Prepare => "prepare",
            Self::Upload => "upload",
            Self::Status => "status",
            Self::Comment => "comment",
            Self::Token => "token",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl World {
    /// Answers a valid request: `accept` carries it out, unless a fault of this step is in the way.
    pub(super) fn step(
        &mut self,
        platform: Platform,
        step: Step,
        refuse: fn(Refusal) -> Response,
        accept: impl FnOnce(&mut Self) -> Response,
    ) -> Reply {
        let fault = self.fault(platform, step);
        self.struck(fault, refuse, accept)
    }

    /// The same for a request whose fault is known already.
    pub(super) fn struck(
        &mut self,
        fault: Option<Kind>,
        refuse: fn(Refusal) -> Response,
        accept: impl FnOnce(&mut Self) -> Response,
    ) -> Reply {
        let Some(kind) = fault else {
            return accept(self).into();
        };
        let truth = kind.accepts().then(|| accept(self));
        kind.reply(truth, refuse)
    }
}

/// Reads a body to its end: a client that is still sending never sees an answer.
pub(super) async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

/// Answers a valid request that carries the bytes of a medium, at most `limit` of them, and nothing
/// else. They are read as they come; `accept` says what becomes of them.
pub(super) async fn upload(
    call: &Call<'_>,
    body: Body,
    limit: u64,
    refuse: fn(Refusal) -> Response,
    accept: impl FnOnce(&mut World, Received) -> Response,
) -> Reply {
    let twin = &call.flight.twin;
    let fault = twin.world().fault(call.flight.platform(), Step::Upload);
    // Without a size told beforehand the whole is not known: then the limit stands for it.
    let total = call.content_length().unwrap_or(limit);
    let cut_at = fault.and_then(|kind| kind.cut_at(total));
    match receive(body, limit, cut_at).await {
        Ok(received) => {
            let mut world = twin.world();
            world.keep(&received);
            world.struck(fault, refuse, |world| accept(world, received))
        }
        Err(Incomplete::Cut) => Reply::Never,
        Err(Incomplete::Truncated) => refuse(Refusal::Truncated).into(),
        Err(Incomplete::TooLarge) => refuse(Refusal::TooLarge).into(),
    }
}
