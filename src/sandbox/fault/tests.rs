//! Specs, rates and counters.

use super::*;

fn struck(spec: &str, requests: usize) -> Vec<usize> {
    let mut armed = Armed::new(spec.parse().unwrap());
    (1..=requests)
        .filter(|_| armed.on_request(Platform::Slack, Step::Publish).is_some())
        .collect()
}

#[test]
fn a_spec_reads_back_as_it_was_written() {
    for spec in [
        "facebook:500-after-accept:5%",
        "linkedin:429:retry-after=3",
        "*:hang",
        "youtube:hang:0.5s:12.5%",
        "slack:reset:0.05%",
        "instagram:reset-after-accept",
        "*:401:1%",
        "*:rejected",
        "*:500",
        "instagram:processing:2s",
        "facebook:processing",
        "*:expired-container:50%",
        "youtube:reset-at:60%",
        "*:reset-at:5%:50%",
        "slack/comment:reset-at:5%",
        "linkedin/upload:reset",
        "*/status:429:retry-after=3",
        "instagram/prepare:slow-body",
        "*/token:truncate",
        "facebook:huge-body",
        "*:bad-json:1%",
    ] {
        assert_eq!(spec.parse::<Fault>().unwrap().to_string(), spec);
    }
    assert_eq!(
        "*:hang:30".parse::<Fault>().unwrap().to_string(),
        "*:hang:30s"
    );
    for (spec, plain) in [
        ("*/publish:500", "*:500"),
        ("*/upload:reset-at:9%", "*:reset-at:9%"),
    ] {
        assert_eq!(spec.parse::<Fault>().unwrap().to_string(), plain);
    }
    assert_eq!("*:500:100%".parse::<Fault>().unwrap().to_string(), "*:500");
}

#[test]
fn a_rate_strikes_evenly_and_the_same_every_time() {
    assert_eq!(struck("*:500:5%", 60), [20, 40, 60]);
    assert_eq!(struck("slack:500:33.34%", 9), [3, 6, 9]);
    assert_eq!(struck("slack:500", 3), [1, 2, 3]);
    assert_eq!(struck("facebook:500", 3), [0_usize; 0]);
    assert_eq!(struck("*:processing", 3), [0_usize; 0]);
}

#[test]
fn platforms_are_counted_apart() {
    let mut armed = Armed::new("*:500:50%".parse().unwrap());
    assert_eq!(armed.on_request(Platform::Slack, Step::Publish), None);
    assert_eq!(armed.on_request(Platform::Facebook, Step::Publish), None);
    assert_eq!(
        armed.on_request(Platform::Slack, Step::Publish),
        Some(Kind::ServerError)
    );
}

#[test]
fn a_fault_strikes_its_own_step() {
    let mut armed = Armed::new("slack/upload:500".parse().unwrap());
    assert_eq!(armed.on_request(Platform::Slack, Step::Publish), None);
    assert_eq!(
        armed.on_request(Platform::Slack, Step::Upload),
        Some(Kind::ServerError)
    );
    let kind = "*:reset-at:60%".parse::<Fault>().unwrap().kind;
    assert_eq!((kind.cut_at(1000), kind.cut_at(1)), (Some(600), Some(0)));
    assert_eq!(Kind::Reset.cut_at(1000), None);
}

#[test]
fn containers_are_counted_apart_from_requests() {
    let mut armed = Armed::new("*:expired-container:50%".parse().unwrap());
    assert_eq!(armed.on_request(Platform::Instagram, Step::Publish), None);
    let expire: Vec<bool> = (0..4)
        .map(|_| armed.on_expiry(Platform::Instagram))
        .collect();
    assert_eq!(expire, [false, true, false, true]);
}

#[test]
fn a_bad_spec_says_what_where_and_how_to_mend_it() {
    for (spec, message) in [
        (
            "myspace:500",
            "there is no platform \"myspace\"; use one of facebook, instagram, linkedin, youtube, slack, or * for all",
        ),
        (
            "slack",
            "the kind is missing; write PLATFORM:KIND or PLATFORM/STEP:KIND, for example slack:429:retry-after=3:10%",
        ),
        (
            "slack:503",
            "there is no kind \"503\"; use 500, 500-after-accept, 429, hang, reset, reset-after-accept, reset-at:60%, 401, rejected, slow-body, truncate, huge-body, bad-json, processing or expired-container",
        ),
        (
            "slack:500:0%",
            "0% is no rate; use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%",
        ),
        (
            "slack:500:101%",
            "101% is no rate; use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%",
        ),
        (
            "slack:500:+5%",
            "+5% is no rate; use a number above 0 and up to 100, with two decimals at most, like 5% or 0.5%",
        ),
        (
            "slack:429:retry-after=soon",
            "retry-after=soon is no number of seconds; write whole seconds, like retry-after=3",
        ),
        (
            "slack:500:retry-after=3",
            "500 has no option \"retry-after\"; only 429 has one: retry-after=SECONDS",
        ),
        (
            "slack:hang:-1s",
            "\"-1s\" is no duration; write seconds, like 30s or 0.5s",
        ),
        (
            "slack:500:5",
            "500 does not know what \"5\" is; a rate ends with %, an option is key=value, and only hang and processing take a duration",
        ),
        (
            "slack:processing",
            "slack has nothing that could be processing; write processing for facebook, instagram, linkedin or *",
        ),
        (
            "facebook:expired-container",
            "facebook has no containers that could expire; write expired-container for instagram or *",
        ),
        (
            "*/status:processing",
            "processing is not about a request, so it has no step status; write processing for facebook, instagram, linkedin or *",
        ),
        (
            "slack/poll:500",
            "there is no step \"poll\"; use one of publish, prepare, upload, status, comment, token",
        ),
        (
            "youtube:reset-at",
            "reset-at has no position; write whole percents from 1% to 99%, then perhaps the rate, like reset-at:60%:5%",
        ),
        (
            "youtube:reset-at:100%",
            "\"100%\" is no position in an upload; write whole percents from 1% to 99%, then perhaps the rate, like reset-at:60%:5%",
        ),
    ] {
        let error = spec.parse::<Fault>().unwrap_err();
        assert_eq!(error.to_string(), format!("fault \"{spec}\": {message}"));
    }
}
