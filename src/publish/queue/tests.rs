use std::num::NonZeroUsize;
use std::time::Duration;

use futures::task::noop_waker;

use super::*;
use crate::config::{ClassPace, PaceSettings, Span};
use crate::publish::Pace;

fn entry(place: Place, account: AccountId) -> Entry {
    let lateness = Lateness::OnTime;
    Entry {
        place,
        account,
        lateness,
    }
}

fn queue(entries: &[Entry]) -> Queue {
    filled(Pace::Smart.classes(), entries.iter().copied())
}

/// One that gets no more than these.
fn filled(classes: Classes, entries: impl Iterator<Item = Entry>) -> Queue {
    let mut queue = Queue::new(classes, Duration::ZERO);
    for entry in entries {
        assert!(queue.push(entry));
    }
    queue.close();
    queue
}

/// What the queue hands out now: places until it says wait (`None`) or end.
fn taken(queue: &mut Queue) -> (Vec<Place>, Poll<()>) {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut places = Vec::new();
    loop {
        match queue.poll_next(&mut context) {
            Poll::Ready(Some(place)) => places.push(place),
            Poll::Ready(None) => return (places, Poll::Ready(())),
            Poll::Pending => return (places, Poll::Pending),
        }
    }
}

#[test]
fn an_account_has_one_post_out_and_the_next_follows_when_it_is_settled() {
    let mut queue = queue(&[entry(0, 7), entry(1, 8), entry(2, 7), entry(3, 7)]);
    assert_eq!(taken(&mut queue), (vec![0, 1], Poll::Pending));
    queue.finish(1, Next::Done);
    assert_eq!(taken(&mut queue), (vec![], Poll::Pending));
    queue.finish(0, Next::Done);
    assert_eq!(taken(&mut queue), (vec![2], Poll::Pending));
    queue.finish(2, Next::StopAccount);
    assert_eq!(taken(&mut queue), (vec![], Poll::Ready(())));
    assert_eq!(queue.max_in_flight(), 2);
}

#[test]
fn a_platform_that_stops_hands_out_nothing_more() {
    let mut queue = queue(&[entry(0, 7), entry(1, 8), entry(2, 7)]);
    assert_eq!(taken(&mut queue).0, [0, 1]);
    queue.finish(0, Next::StopPlatform);
    assert_eq!(taken(&mut queue), (vec![], Poll::Ready(())));
}

#[tokio::test(start_paused = true)]
async fn what_waits_keeps_its_account_and_no_slot() {
    let mut queue = queue(&[entry(0, 7), entry(1, 7), entry(2, 8)]);
    assert_eq!(taken(&mut queue).0, [0, 2]);
    queue.finish(0, Next::Again(Instant::now() + Duration::from_mins(1)));
    queue.finish(2, Next::Done);
    // Nothing is in flight, yet it is not over; and the account's next post does not overtake.
    assert_eq!(taken(&mut queue), (vec![], Poll::Pending));
    queue.waiting = queue
        .waiting
        .iter()
        .map(|(_, place)| (Instant::now(), *place))
        .collect();
    assert_eq!(taken(&mut queue), (vec![0], Poll::Pending));
    queue.finish(0, Next::Done);
    assert_eq!(taken(&mut queue), (vec![1], Poll::Pending));
}

#[tokio::test(start_paused = true)]
async fn a_class_has_its_own_room_and_distance() {
    let class = |at_once, between_starts| {
        let at_once = NonZeroUsize::new(at_once).unwrap();
        let between_starts = Span(Duration::from_secs(between_starts));
        Some(ClassPace {
            at_once,
            between_starts,
        })
    };
    let pace = Pace::Custom(PaceSettings {
        on_time: class(2, 0),
        recent: class(9, 60),
        ..PaceSettings::default()
    });
    let on_time = (0..4).map(|n| entry(n, AccountId::try_from(n).unwrap()));
    let recent = (4..6).map(|n| Entry {
        lateness: Lateness::Recent,
        ..entry(n, AccountId::try_from(n).unwrap())
    });
    let mut queue = filled(pace.classes(), on_time.chain(recent));
    // Two that are on time; of the recent ones the first, as the second must keep its distance.
    assert_eq!(taken(&mut queue), (vec![0, 1, 4], Poll::Pending));
    queue.finish(1, Next::Done);
    assert_eq!(taken(&mut queue), (vec![2], Poll::Pending));
    // To go on is not to start: no distance.
    queue.finish(4, Next::Again(Instant::now()));
    assert_eq!(taken(&mut queue), (vec![4], Poll::Pending));
}
