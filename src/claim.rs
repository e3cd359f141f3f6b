//! Claiming: the one query that chooses the due posts, with their accounts, and takes them for this run.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::exit::Failed;
use crate::lease::Lease;
use crate::post::ClaimedPost;
use crate::schedule::{Clock, Term};
use crate::store::{Claim, Request, Store, StoreError};

/// How long a claim holds unless it is renewed: a little less than three minutes, so that the run that cron starts three
/// minutes after it finds it ended. The database's clock counts, for whoever holds it and for whoever takes it over.
pub const LEASE: Duration = Duration::from_secs(170);
/// From this difference on the operator hears of it.
const NOTABLE_SKEW: Duration = Duration::from_mins(1);
/// So often a claim that met with another session is tried, as long as this has not passed.
const TRIES: u32 = 6;
const PATIENCE: Duration = Duration::from_secs(25);
const FIRST_PAUSE: Duration = Duration::from_millis(100);

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
    pub term: Term,
}

/// Claims the due posts.
pub async fn due(store: &mut Store, request: &Request) -> Result<Claimed, Failed> {
    let (at, term, claim) = patiently(store, request).await?;
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
        term,
    })
}

/// Tries again what a lock, a deadlock or a conflict ended: nothing was claimed, and so nothing sent. A database that is
/// away is left to the next run. Also returns when the claim that went through was asked for, and its lease.
async fn patiently(store: &mut Store, request: &Request) -> Result<(Instant, Term, Claim), Failed> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut tries = 0;
    loop {
        let (at, term) = (Instant::now(), Term::of(request.lease));
        tries += 1;
        match store.claim(request).await {
            Err(StoreError::Contended(why)) if tries < TRIES && began.elapsed() < PATIENCE => {
                tracing::warn!(
                    "the posts can't be claimed yet: {why}; the next try is in {:.1} s",
                    pause.as_secs_f64()
                );
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(StoreError::Refused(why)) => {
                return Err(Failed::configuration(format!(
                    "the database refuses the claim ({why}); a constraint or a trigger of an application stands against \
                     it. Nothing was sent"
                )));
            }
            claim => return Ok((at, term, claim?)),
        }
    }
}

/// Holds on to what these claims brought: one statement. If it fails it is tried again soon, for as long as the lease
/// holds.
pub async fn renew(
    store: &mut Store,
    claims: &[Uuid],
    request: &Request,
    clock: Clock,
    lease: &Lease,
) {
    let term = Term::of(request.lease);
    let now = request.now.map(|_| clock.now());
    match store.renew(claims, request.lease, now).await {
        Ok(posts) => lease.renewed(term, posts),
        Err(why) => {
            tracing::warn!("the claim can't be renewed yet: {why}");
            lease.not_renewed();
        }
    }
}
