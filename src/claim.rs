//! Claiming: the one query that chooses the due posts, with their accounts, and takes them for this run.

use std::time::{Duration, Instant};

use crate::exit::Failed;
use crate::post::ClaimedPost;
use crate::schedule::{Clock, Term};
use crate::store::{Request, Store};

/// Two machines' clocks may differ by this much before a lease means different things to them.
const CLOCK_SKEW: Duration = Duration::from_mins(2);
/// From this difference on the operator hears of it.
const NOTABLE_SKEW: Duration = Duration::from_mins(1);

/// What this run holds.
#[derive(Debug)]
pub struct Claimed {
    /// In the order in which they go out.
    pub posts: Vec<ClaimedPost>,
    /// The database's time, carried on by this machine's monotonic clock.
    pub clock: Clock,
    /// When the claim was asked for.
    pub at: Instant,
    /// How long it holds. It counts from when it was asked for, so it never ends later than the database thinks.
    pub lease: Term,
}

/// Claims the due posts.
pub async fn due(store: &mut Store, request: &Request) -> Result<Claimed, Failed> {
    let (at, lease) = (Instant::now(), Term::of(request.lease));
    let claim = store.claim(request).await?;
    let host = Clock::host();
    let clock = claim.now.map_or(host, Clock::at);
    let skew = (clock.now() - host.now()).abs();
    if request.now.is_none() && skew.to_std().is_ok_and(|skew| skew >= NOTABLE_SKEW) {
        tracing::warn!(
            skew_seconds = skew.num_seconds(),
            "this machine's clock and the database's differ"
        );
    }
    Ok(Claimed {
        posts: claim.posts,
        clock,
        at,
        lease,
    })
}

/// How long a claim must hold: the time budget, then the longest request that may have started in it, then skew.
pub fn lease(time_budget: Duration, longest_request: Duration) -> Duration {
    time_budget + longest_request + CLOCK_SKEW
}
