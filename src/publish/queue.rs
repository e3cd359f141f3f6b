//! One platform's queue: which post may take its next step, and when.
//!
//! The queue hands out a post only if its account is free, its lateness class has room and its time has come. What
//! waits for any of these holds no slot of the lane.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::pace::{CLASSES, Classes};
use crate::account::AccountId;
use crate::schedule::Lateness;

/// Where a post stands in the claim's order; identifies it within the run.
pub(super) type Place = usize;

/// What the queue knows of a post.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) account: AccountId,
    pub(super) lateness: Lateness,
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The post goes on at that instant, before any other of its account.
    Again(Instant),
    /// The post is settled; the account's next one may start.
    Done,
    /// The post is settled, and the account's others stay untouched in this run.
    StopAccount,
    /// The post is settled, and nothing more of this platform starts in this run.
    StopPlatform,
}

pub(super) struct Queue {
    entries: HashMap<Place, Entry>,
    /// Each account's posts in order; the head is the one that may be in flight.
    accounts: HashMap<AccountId, VecDeque<Place>>,
    /// Heads that may start, per lateness class.
    ready: [BTreeSet<Place>; CLASSES],
    /// Heads that wait for an instant.
    waiting: BTreeSet<(Instant, Place)>,
    started: BTreeSet<Place>,
    classes: Classes,
    class_in_flight: [usize; CLASSES],
    class_opens: [Option<Instant>; CLASSES],
    /// How far apart two posts of one account start.
    spacing: Duration,
    /// When the account's next post may start; empty without a spacing.
    account_opens: HashMap<AccountId, Instant>,
    /// In flight.
    out: BTreeSet<Place>,
    max_in_flight: usize,
    stopped: bool,
    /// No more entries come.
    closed: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whoever waits for more to do.
    waker: Option<Waker>,
}

impl Queue {
    pub(super) fn new(classes: Classes, spacing: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            accounts: HashMap::new(),
            ready: Default::default(),
            waiting: BTreeSet::new(),
            started: BTreeSet::new(),
            classes,
            class_in_flight: [0; CLASSES],
            class_opens: [None; CLASSES],
            spacing,
            account_opens: HashMap::new(),
            out: BTreeSet::new(),
            max_in_flight: 0,
            stopped: false,
            closed: false,
            timer: None,
            waker: None,
        }
    }

    /// Lets a post in behind all that are there; `false` if nothing new starts any more.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        if self.stopped {
            return false;
        }
        self.entries.insert(entry.place, entry);
        let account = self.accounts.entry(entry.account).or_default();
        account.push_back(entry.place);
        if account.len() == 1 {
            self.offer(entry.account, entry.place);
        }
        self.wake_up();
        true
    }

    /// No more posts come: it is over once those that are there have ended.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake_up();
    }

    fn wake_up(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Nothing new starts from now on. Returns what ended with that: all that is not in flight.
    pub(super) fn stop(&mut self) -> Vec<Place> {
        if self.stopped {
            return Vec::new();
        }
        self.stopped = true;
        self.accounts.clear();
        self.waiting.clear();
        self.ready = Default::default();
        let out = &self.out;
        let ended = self.entries.extract_if(|place, _| !out.contains(place));
        ended.map(|(place, _)| place).collect()
    }

    /// The next post that may take a step; `None` once there will be no more.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Place>> {
        loop {
            if self.stopped {
                return Poll::Ready(None);
            }
            let now = Instant::now();
            self.wake(now);
            if let Some(place) = self.take(now) {
                return Poll::Ready(Some(place));
            }
            self.waker = Some(context.waker().clone());
            let Some(next) = self.next_instant() else {
                // What is in flight may free an account; the lane asks again after each step.
                let finished = self.closed && self.entries.is_empty();
                return if finished {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                };
            };
            let timer = self.timer.insert(Box::pin(sleep_until(next.into())));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes note of how a step ended. Returns the posts that ended with it: those that take no further step.
    pub(super) fn finish(&mut self, place: Place, next: Next) -> Vec<Place> {
        let Some(entry) = self.entries.get(&place).copied() else {
            return Vec::new();
        };
        self.out.remove(&place);
        self.class_in_flight[entry.lateness as usize] -= 1;
        let ended = match next {
            _ if self.stopped => vec![place],
            Next::Again(at) => {
                self.waiting.insert((at, place));
                Vec::new()
            }
            Next::Done => {
                self.started.remove(&place);
                self.advance(entry.account);
                vec![place]
            }
            Next::StopAccount => self
                .accounts
                .remove(&entry.account)
                .unwrap_or_default()
                .into(),
            Next::StopPlatform => self.stop(),
        };
        for place in &ended {
            self.entries.remove(place);
        }
        ended
    }

    fn advance(&mut self, account: AccountId) {
        let Some(posts) = self.accounts.get_mut(&account) else {
            return;
        };
        posts.pop_front();
        match posts.front() {
            Some(&head) => self.offer(account, head),
            None => drop(self.accounts.remove(&account)),
        }
    }

    /// An account's first post may start, or wait for its distance to the one before.
    fn offer(&mut self, account: AccountId, head: Place) {
        match self.account_opens.get(&account) {
            Some(&opens) => drop(self.waiting.insert((opens, head))),
            None => drop(self.ready[self.entries[&head].lateness as usize].insert(head)),
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some(&(at, place)) = self.waiting.first()
            && at <= now
        {
            self.waiting.pop_first();
            self.ready[self.entries[&place].lateness as usize].insert(place);
        }
    }

    /// The first post in the claim's order whose class has room.
    fn take(&mut self, now: Instant) -> Option<Place> {
        let first = |class: usize| Some((*self.ready[class].first()?, class));
        let (place, class) = (0..CLASSES)
            .filter(|&class| self.has_room(class, now))
            .filter_map(first)
            .min()?;
        self.ready[class].remove(&place);
        if self.started.insert(place) {
            self.class_opens[class] = Some(now + self.classes[class].between_starts);
            if !self.spacing.is_zero() {
                let account = self.entries[&place].account;
                self.account_opens.insert(account, now + self.spacing);
            }
        }
        self.out.insert(place);
        self.max_in_flight = self.max_in_flight.max(self.out.len());
        self.class_in_flight[class] += 1;
        Some(place)
    }

    fn has_room(&self, class: usize, now: Instant) -> bool {
        self.class_in_flight[class] < self.classes[class].at_once
            && (self.class_opens[class].is_none_or(|opens| opens <= now) || self.goes_on(class))
    }

    /// Whether the class's first post has started already: going on is not a start, so it keeps no distance.
    fn goes_on(&self, class: usize) -> bool {
        self.ready[class]
            .first()
            .is_some_and(|place| self.started.contains(place))
    }

    /// When to look again, if it is time and not a step's end that is waited for.
    fn next_instant(&self) -> Option<Instant> {
        let opening = |class: usize| {
            let room = self.class_in_flight[class] < self.classes[class].at_once;
            self.class_opens[class].filter(|_| room && !self.ready[class].is_empty())
        };
        (0..CLASSES)
            .filter_map(opening)
            .chain(self.waiting.first().map(|(at, _)| *at))
            .min()
    }
}

#[cfg(test)]
mod tests;
