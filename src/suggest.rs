//! "Did you mean": the nearest of the names that would have been right.

/// Names less alike than this are no help (1 is the same, 0 has nothing in common).
const ALIKE: f64 = 0.6;

/// The candidate most like the word, if any is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let likeness =
        |candidate: &str| strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        // Of equals the first, so that the answer does not depend on the order of a hash table's neighbours.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// The end of a message: `; did you mean X?`, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates)
        .map(|candidate| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let names = ["body", "link", "scheduled_at"];
        assert_eq!(nearest("bdoy", names), Some("body"));
        assert_eq!(nearest("Scheduled At", names), Some("scheduled_at"));
        assert_eq!(nearest("zzzz", names), None);
        assert_eq!(did_you_mean("lnk", names), "; did you mean `link`?");
        assert_eq!(did_you_mean("qqq", names), "");
    }
}
