//! What a person at a terminal sees: a bar per platform while it runs, then a table.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::outcome::Outcome;
use crate::platform;
use crate::post::ClaimedPost;
use crate::summary::Summary;

/// Bars on stderr, or nothing.
#[derive(Debug, Default)]
pub struct Progress {
    all: Option<MultiProgress>,
    bars: RefCell<BTreeMap<String, ProgressBar>>,
}

impl Progress {
    /// Shows nothing.
    pub fn hidden() -> Self {
        Self::default()
    }

    /// A bar for each platform that has something due, once it has.
    pub fn bars() -> Self {
        Self {
            all: Some(MultiProgress::new()),
            bars: RefCell::default(),
        }
    }

    /// These are to be settled, too.
    pub fn expect(&self, posts: &[ClaimedPost]) {
        let Some(all) = &self.all else { return };
        let mut bars = self.bars.borrow_mut();
        for post in posts {
            let name = &post.account.platform;
            if platform::by_name(name).is_none() {
                continue;
            }
            let bar = bars.entry(name.clone()).or_insert_with(|| {
                let style = ProgressStyle::with_template(
                    "{prefix:>10} {bar:32} {pos:>5}/{len:<5} {wide_msg}",
                )
                .expect("the template is fixed and valid");
                let bar = ProgressBar::new(0)
                    .with_style(style)
                    .with_prefix(name.clone());
                all.add(bar)
            });
            bar.inc_length(1);
        }
    }

    /// A post of that platform takes its first step.
    pub fn started(&self, platform: &str) {
        if let Some(bar) = self.bars.borrow().get(platform) {
            bar.tick();
        }
    }

    /// A post of that platform is settled.
    pub fn settled(&self, platform: &str, outcome: &Outcome) {
        if let Some(bar) = self.bars.borrow().get(platform) {
            if let Some(reason) = outcome.reason() {
                bar.set_message(format!("{}: {}", outcome.name(), reason.message));
            }
            bar.inc(1);
        }
    }

    /// Takes the bars away, so that the table stands alone.
    pub fn clear(&self) {
        for bar in self.bars.borrow().values() {
            bar.finish_and_clear();
        }
    }
}

/// The table that follows the bars, with a line below that says it all.
pub fn table(summary: &Summary) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "platform",
        "published",
        "retry",
        "failed",
        "expired",
        "unconfirmed",
        "released",
        "in flight",
        "time",
    ]);
    for (name, platform) in &summary.platforms {
        let counts = [
            platform.published,
            platform.retry,
            platform.failed,
            platform.expired,
            platform.unconfirmed,
            platform.released,
        ];
        let mut row = vec![Cell::new(name)];
        row.extend(counts.map(|count| {
            number(if count == 0 {
                "·".to_owned()
            } else {
                count.to_string()
            })
        }));
        row.push(number(format!(
            "{} of {}",
            platform.max_in_flight, platform.cap
        )));
        row.push(number(format!(
            "{:.1} s",
            platform.duration_ms as f64 / 1000.0
        )));
        table.add_row(row);
    }
    let mut text = format!(
        "{table}\n{} of {} due posts published",
        summary.published, summary.due
    );
    write!(text, " in {:.1} s", summary.duration_ms as f64 / 1000.0)
        .expect("writing to a string cannot fail");
    if summary.published > 0 {
        write!(text, " ({:.0} a minute)", summary.posts_per_minute)
            .expect("writing to a string cannot fail");
    }
    text.push('\n');
    text
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}
