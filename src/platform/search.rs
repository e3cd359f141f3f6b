//! Looking for a post among those that a platform lists: one search and one verdict for all platforms.
//!
//! Only a list that was read back to before the post's time, and has nothing that could be it, says that it is not
//! there. What resembles it is a doubt: platforms change texts.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::Found;
use super::likeness::Likeness;
use crate::http::Session;
use crate::outcome::{Failure, Published};
use crate::post::Action;

/// So many pages of a list are read.
const PAGES: usize = 5;
/// A post is not made earlier than so long before its time, however far the platform's clock and ours are apart.
const EARLIEST: TimeDelta = TimeDelta::minutes(5);

/// A part of a list, newest first.
pub(super) struct Page<T, C> {
    pub(super) listed: Vec<Listed<T>>,
    /// Where the next part begins, if there is one.
    pub(super) next: Option<C>,
}

/// What a list shows.
pub(super) struct Listed<T> {
    pub(super) what: T,
    /// When it was made, if the list tells.
    pub(super) made_at: Option<DateTime<Utc>>,
    /// Whether it is what is looked for.
    pub(super) likeness: Likeness,
}

/// What a list says of the post.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    /// It is this one.
    Is(T),
    /// Nothing since its time can be it.
    Nothing,
    /// The list does not tell, for this reason.
    Unclear(&'static str),
}

impl<T> Verdict<T> {
    /// What it means for the post, which can be sent again from there. `live` makes it of what the list shows.
    pub(super) async fn found(
        self,
        from: Option<Value>,
        live: impl AsyncFnOnce(T) -> Published,
    ) -> Found {
        match self {
            Self::Is(what) => Found::Live(live(what).await),
            Self::Nothing => Found::NotSeen(from),
            Self::Unclear(why) => Found::Unclear(why),
        }
    }
}

/// The time from which on something listed can be the post.
pub(super) fn earliest(session: &Session<'_>) -> DateTime<Utc> {
    session.post.scheduled_at - EARLIEST
}

/// Reads a list back to that time. `page` reads the part that begins there (`None`: the newest).
pub(super) async fn search<T, C>(
    since: DateTime<Utc>,
    mut page: impl AsyncFnMut(Option<C>) -> Result<Page<T, C>, Failure>,
) -> Result<Verdict<T>, Failure> {
    let mut sieve = Sieve {
        itself: None,
        same: Vec::new(),
        has_similar: false,
    };
    let mut place = None;
    for _ in 0..PAGES {
        let Page { listed, next } = page(place).await?;
        // The whole part is read: what was edited or hidden for a while can be out of its place.
        let is_older = |one: &Listed<T>| one.made_at.is_some_and(|at| at < since);
        let is_past = listed.last().is_some_and(is_older);
        for one in listed.into_iter().filter(|one| !is_older(one)) {
            sieve.take(one);
        }
        let is_end = is_past || next.is_none() || sieve.itself.is_some();
        if is_end {
            return Ok(sieve.verdict());
        }
        place = next;
    }
    Ok(Verdict::Unclear(
        "the account has too many newer posts to find it among them",
    ))
}

/// What is left of the lists.
struct Sieve<T> {
    itself: Option<Listed<T>>,
    same: Vec<Listed<T>>,
    has_similar: bool,
}

impl<T> Sieve<T> {
    fn take(&mut self, one: Listed<T>) {
        match one.likeness {
            // Should there be several with its mark, the first one that was made is the post.
            Likeness::Itself
                if self
                    .itself
                    .as_ref()
                    .is_none_or(|other| one.made_at < other.made_at) =>
            {
                self.itself = Some(one);
            }
            // Of a time that nobody knows it may be an old one.
            Likeness::Same if one.made_at.is_some() => self.same.push(one),
            Likeness::Same | Likeness::Similar => self.has_similar = true,
            Likeness::Itself | Likeness::Other => {}
        }
    }

    fn verdict(mut self) -> Verdict<T> {
        let one = match (self.itself, self.same.len()) {
            (Some(one), _) => one,
            (None, 1) => self.same.remove(0),
            (None, 0) if self.has_similar => {
                return Verdict::Unclear("the account has a post since then that resembles it");
            }
            (None, 0) => return Verdict::Nothing,
            (None, _) => {
                return Verdict::Unclear("the account has several posts since then like it");
            }
        };
        Verdict::Is(one.what)
    }
}

/// Whether what follows a post (a first comment, a thumbnail) is still to be sent to one that was found: only the run
/// that sent the post knows that nothing has followed yet.
pub(super) fn may_follow(session: &Session<'_>) -> bool {
    session.post.action == Action::Publish
}

/// A post that was found, with what was to follow it and did not, if that was wanted.
pub(super) fn without(mut published: Published, warning: &str, is_wanted: bool) -> Published {
    if is_wanted {
        published.warnings.push(warning.to_owned());
    }
    published
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const SINCE: i64 = 1_000_000;

    fn listed(id: &str, seconds: impl Into<Option<i64>>, likeness: Likeness) -> Listed<String> {
        let at = seconds.into().map(|seconds| SINCE + seconds);
        Listed {
            what: id.to_owned(),
            made_at: at.and_then(|at| DateTime::from_timestamp(at, 0)),
            likeness,
        }
    }

    /// Also how many pages were read.
    fn searched(pages: Vec<Vec<Listed<String>>>) -> (Result<Verdict<String>, Failure>, usize) {
        let mut read = 0;
        let since = DateTime::from_timestamp(SINCE, 0).unwrap();
        let count = pages.len();
        let mut pages = pages.into_iter();
        let page = async |place: Option<usize>| {
            read += 1;
            assert_eq!(place.unwrap_or(0), read - 1);
            Ok(Page {
                listed: pages.next().unwrap(),
                next: Some(read).filter(|read| *read < count),
            })
        };
        let verdict = search(since, page).now_or_never().unwrap();
        (verdict, read)
    }

    fn is(id: &str) -> Verdict<String> {
        Verdict::Is(id.to_owned())
    }

    #[test]
    fn what_resembles_is_a_doubt() {
        use Likeness::{Itself, Other, Same, Similar};
        for (kinds, expected) in [
            (vec![], Some(Verdict::Nothing)),
            (vec![Other, Other], Some(Verdict::Nothing)),
            (vec![Other, Similar], None),
            (vec![Similar, Same], Some(is("1"))),
            (vec![Same, Other, Same], None),
            (vec![Same, Same, Itself], Some(is("2"))),
        ] {
            let entries = kinds.iter().enumerate();
            let entries = entries.map(|(n, kind)| listed(&n.to_string(), 9, *kind));
            let (verdict, _) = searched(vec![entries.collect()]);
            match expected {
                Some(expected) => assert_eq!(verdict, Ok(expected), "{kinds:?}"),
                None => assert!(matches!(verdict, Ok(Verdict::Unclear(_))), "{kinds:?}"),
            }
        }
    }

    #[test]
    fn a_list_is_read_back_to_the_posts_time_and_no_further() {
        let page = |times: &[i64]| {
            let entries = times
                .iter()
                .map(|at| listed(&at.to_string(), *at, Likeness::Other));
            entries.collect::<Vec<_>>()
        };
        let (verdict, read) = searched(vec![page(&[9, 8]), page(&[7, -1]), page(&[-2])]);
        assert_eq!((verdict, read), (Ok(Verdict::Nothing), 2));

        let old = vec![listed("old", -1, Likeness::Same)];
        assert_eq!(searched(vec![old]).0, Ok(Verdict::Nothing));
        let dateless = vec![listed("x", None, Likeness::Same)];
        assert!(matches!(
            searched(vec![dateless]).0,
            Ok(Verdict::Unclear(_))
        ));
        let endless: Vec<_> = (0..9).map(|_| page(&[9])).collect();
        let (verdict, read) = searched(endless);
        assert!(matches!(verdict, Ok(Verdict::Unclear(_))));
        assert_eq!(read, PAGES);
    }

    #[test]
    fn a_mark_ends_the_search_and_the_first_one_counts() {
        let page = vec![
            listed("second", 9, Likeness::Itself),
            listed("first", 8, Likeness::Itself),
        ];
        let more = vec![listed("same", 7, Likeness::Same)];
        let (verdict, read) = searched(vec![page, more]);
        assert_eq!((verdict, read), (Ok(is("first")), 1));
    }
}
