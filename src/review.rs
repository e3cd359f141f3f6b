//! The review of a post before anything is sent: at its import, in a dry run, and when it is due.
//!
//! Every problem is noted, not the first alone, in words that the post's author understands.

use serde::de::DeserializeOwned;

use crate::http::web_address;
use crate::limits::Limits;
use crate::media::{self, Facts, Family};
use crate::platform::{self, Platform};
use crate::post::{Content, Media};
use crate::suggest;

/// A post that is looked at, and what was found.
pub struct Review<'a> {
    /// What it says.
    pub content: &'a Content,
    /// Its media and what is known of each; empty if the list can't be read, which is noted already.
    pub media: Vec<(Media, Facts)>,
    /// What the platform takes.
    pub limits: Limits<'a>,
    /// The platform's name for people.
    platform: &'static str,
    problems: Vec<String>,
}

/// Everything that keeps a post from being published, as far as can be known without asking anybody: the platform's
/// rules, and the media's `facts` (in their order; see [`media::examine`]) with what was wrong with them.
pub fn problems(
    platform: &dyn Platform,
    content: &Content,
    (facts, wrong): (Vec<Facts>, Vec<String>),
    limits: Limits<'_>,
) -> Vec<String> {
    let media = content.media().unwrap_or_default();
    let mut review = Review {
        content,
        media: media.into_iter().zip(facts).collect(),
        limits,
        platform: platform.title(),
        problems: Vec::new(),
    };
    review.check_options(platform);
    if let Some(link) = &content.link
        && let Err(problem) = web_address(link)
    {
        review.problem(format!("link: {problem}"));
    }
    platform.validate(&mut review);
    let mut problems = review.problems;
    problems.extend(wrong);
    problems
}

impl Review<'_> {
    /// Notes a problem.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Notes it if there are more than the figure allows: `the body has 3001 characters; LinkedIn takes 3000`.
    pub fn at_most(&mut self, what: &str, count: usize, unit: &str, figure: &str) {
        let limit = self.limits.of(figure);
        if count as f64 > limit {
            let name = self.platform;
            self.problem(format!("{what} has {count} {unit}; {name} takes {limit}"));
        }
    }

    /// A text's characters against a figure.
    pub fn characters(&mut self, what: &str, text: &str, figure: &str) {
        self.at_most(what, text.chars().count(), "characters", figure);
    }

    /// An option of the post; one of the wrong shape is noted.
    pub fn option<T: DeserializeOwned>(&mut self, name: &str, shape: &str) -> Option<T> {
        let value = self.content.options.get(name)?;
        // An empty cell of a file, or a null of an application: not given.
        if value.is_null() {
            return None;
        }
        let read = serde_json::from_value(value.clone());
        if read.is_err() {
            self.problem(format!("option `{name}` must be {shape}"));
        }
        read.ok()
    }

    /// Notes what a medium's family is if it is none of these, as far as that is known.
    pub fn families(&mut self, taken: &[Family], in_words: &str) {
        let wrong: Vec<String> = self
            .numbered()
            .filter(|(_, _, facts)| facts.family.is_some_and(|own| !taken.contains(&own)))
            .map(|(place, medium, facts)| {
                let own = facts.mime.as_deref().unwrap_or("something else");
                format!(
                    "{} is {own}; {} takes {in_words}",
                    named(place, medium),
                    self.platform
                )
            })
            .collect();
        self.problems.extend(wrong);
    }

    /// Notes what a medium's type is if it is none of these, as far as that is known.
    pub fn types(&mut self, family: Family, taken: &[&str], in_words: &str) {
        let wrong: Vec<String> = self
            .numbered()
            .filter(|(_, _, facts)| facts.family == Some(family))
            .filter_map(|(place, medium, facts)| {
                let own = facts.mime.as_deref()?;
                (!taken.contains(&own)).then(|| {
                    format!(
                        "{} is {own}; {} takes {in_words}",
                        named(place, medium),
                        self.platform
                    )
                })
            })
            .collect();
        self.problems.extend(wrong);
    }

    /// Notes every medium of that family whose measure is known and not between the figures (`None`: no such bound).
    pub fn measure(
        &mut self,
        family: Family,
        (what, unit): (&str, &str),
        measure: impl Fn(&Facts) -> Option<f64>,
        (least, most): (Option<&str>, Option<&str>),
    ) {
        let least = least.map(|figure| self.limits.of(figure));
        let most = most.map(|figure| self.limits.of(figure));
        let wrong: Vec<String> = self
            .numbered()
            .filter(|(_, _, facts)| facts.family == Some(family))
            .filter_map(|(place, medium, facts)| {
                let own = measure(facts)?;
                let too_little = least.filter(|least| own < *least);
                let too_much = most.filter(|most| own > *most);
                let (bound, word) = too_little
                    .map(|least| (least, "at least"))
                    .or(too_much.map(|most| (most, "at most")))?;
                Some(format!(
                    "{}: {what} is {}{unit}; {} takes {word} {}{unit}",
                    named(place, medium),
                    shown(own),
                    self.platform,
                    shown(bound)
                ))
            })
            .collect();
        self.problems.extend(wrong);
    }

    /// The media with their numbers, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Media, &Facts)> {
        let media = self.media.iter().enumerate();
        media.map(|(place, (medium, facts))| (place + 1, medium, facts))
    }

    /// How many media of that family there are, those of an unknown one apart.
    pub fn count(&self, family: Family) -> usize {
        let of_family = |(_, facts): &&(Media, Facts)| facts.family == Some(family);
        self.media.iter().filter(of_family).count()
    }

    /// An option that no platform knows is a slip of the pen. One that another platform knows is not: the same post
    /// may go to several.
    fn check_options(&mut self, platform: &dyn Platform) {
        let known = |name: &str| platform::all().any(|any| knows(any, name));
        let unknown: Vec<String> = self
            .content
            .options
            .keys()
            .filter(|name| !known(name))
            .map(|name| {
                let own = platform.options().iter().map(|(name, _)| *name);
                format!(
                    "there is no option `{name}`{}",
                    suggest::did_you_mean(name, own)
                )
            })
            .collect();
        self.problems.extend(unknown);
    }
}

fn knows(platform: &dyn Platform, option: &str) -> bool {
    platform.options().iter().any(|(name, _)| *name == option)
}

/// How messages name a medium: its number, and where it is.
pub fn named(number: usize, medium: &Media) -> String {
    format!("media {number} ({})", media::shown(medium))
}

/// A measure without decimals that say nothing.
fn shown(measure: f64) -> String {
    let text = format!("{measure:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What the platforms' tests share.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Content, Limits, Platform};
    use crate::media::{Policy, examine};

    /// Everything that is wrong with content, by the documented figures.
    pub(crate) fn problems(platform: &dyn Platform, content: &Content) -> Vec<String> {
        let known = examine(content, &Policy::default());
        super::problems(
            platform,
            content,
            known,
            Limits::documented(platform.figures()),
        )
    }
}
