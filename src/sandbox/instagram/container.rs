//! Containers: what is made before a post, and what becomes of it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::super::media::{Intake, Received};
use super::super::post::{Kind, Medium};
use super::rules::{self, Role};

pub(super) const LIFE: Duration = Duration::from_hours(24);
/// So many containers an account may make in 24 hours.
const MADE_LIMIT: usize = 400;

/// Containers by id, and when each account made its last ones.
#[derive(Default)]
pub(in super::super) struct Containers {
    by_id: HashMap<String, Container>,
    made: HashMap<String, VecDeque<Instant>>,
}

impl Containers {
    pub(super) fn get(&self, id: &str) -> Option<&Container> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Container> {
        self.by_id.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: String, container: Container) {
        let made = self.made.entry(container.account.clone()).or_default();
        made.push_back(container.created);
        self.by_id.insert(id, container);
    }

    /// Whether the account may make another one.
    pub(super) fn has_room(&mut self, account: &str) -> bool {
        let Some(made) = self.made.get_mut(account) else {
            return true;
        };
        while made.front().is_some_and(|at| at.elapsed() >= LIFE) {
            made.pop_front();
        }
        made.len() < MADE_LIMIT
    }
}

/// A file that is sent rather than fetched.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) intake: Intake,
    /// How far the bytes came at best: there, no connection is cut a second time.
    pub(super) reached: u64,
}

pub(super) struct Container {
    pub(super) account: String,
    pub(super) role: Role,
    pub(super) caption: String,
    pub(super) details: Map<String, Value>,
    pub(super) media: Vec<Medium>,
    pub(super) created: Instant,
    /// Since when it is processed: it has all of its bytes.
    pub(super) whole: Instant,
    pub(super) processing: Duration,
    /// By a fault.
    pub(super) expired: bool,
    pub(super) published: bool,
    /// Why the media can't be used, which only processing finds out.
    pub(super) problem: Option<&'static str>,
    /// The bytes that it waits for.
    pub(super) pending: Option<Pending>,
    /// How many bytes were sent to it; none if it fetched them.
    pub(super) sent: Option<u64>,
}

impl Container {
    pub(super) fn status_code(&self) -> &'static str {
        if self.published {
            "PUBLISHED"
        } else if self.expired || self.created.elapsed() >= LIFE {
            "EXPIRED"
        } else if self.pending.is_some() || self.whole.elapsed() < self.processing {
            "IN_PROGRESS"
        } else if self.problem.is_some() {
            "ERROR"
        } else {
            "FINISHED"
        }
    }

    pub(super) fn status(&self) -> String {
        match self.status_code() {
            "IN_PROGRESS" => "In Progress: Media is still being processed.".to_owned(),
            "FINISHED" => {
                "Finished: Media has been uploaded and it is ready to be published.".to_owned()
            }
            "PUBLISHED" => "Published: Media has been successfully published.".to_owned(),
            "ERROR" => format!("Error: {}", self.problem.unwrap_or_default()),
            _ => "Expired: The container was not published within 24 hours.".to_owned(),
        }
    }

    /// The file that was sent is whole.
    pub(super) fn arrived(&mut self, video: &Received) {
        self.problem = rules::video_problem(video, self.role);
        self.sent = Some(video.bytes);
        self.media = vec![Medium::of(video)];
        self.whole = Instant::now();
    }

    pub(super) fn kind(&self) -> Kind {
        match self.role {
            Role::Reel => Kind::Reel,
            Role::Story => Kind::Story,
            Role::Picture | Role::Item | Role::Carousel => Kind::Post,
        }
    }
}
