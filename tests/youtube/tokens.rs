//! Tokens that end, and what one opens.

use std::time::Duration;

use publisher::account::App;
use publisher::sandbox::Settings;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::World;
use super::support::stage::{Stage, verdict};

const SCOPES: &str = "https://www.googleapis.com/auth/";

/// With a refresh token and an application, as far as they are given.
async fn stage(refresh_token: &str, client: Option<(&str, &str)>) -> Stage {
    let mut stage = Stage::with("youtube", &[]).await;
    stage.credentials = json!({"access_token": "channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)"});
    if !refresh_token.is_empty() {
        stage.credentials["refresh_token"] = json!(refresh_token);
    }
    stage.app = App {
        client_id: client.map(|(id, _)| id.to_owned()),
        client_secret: client.map(|(_, secret)| secret.into()),
    };
    stage
}

#[tokio::test]
async fn a_new_token_opens_the_channel_and_the_old_refresh_token_stays() {
    let mut stage = stage(
        "refresh-channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)",
        Some(("id", "secret")),
    )
    .await;
    for _ in 0..2 {
        let renewed = stage.refresh().await.unwrap();
        assert!(renewed.refresh_token.is_none());
        assert_eq!(renewed.lives, Some(Duration::from_hours(1)));
        stage.credentials["access_token"] = json!(renewed.access_token.expose_secret());
        assert!(stage.check().await.unwrap().missing.is_empty());
    }
}

#[tokio::test]
async fn a_token_that_ended_is_refused_and_a_new_one_goes_on() {
    let settings = Settings {
        token_lifetime: Duration::ZERO,
        ..Settings::default()
    };
    let mut world = World::with(&[]).await;
    world.stage = Stage::set("youtube", settings).await;
    world.stage.app = App {
        client_id: Some("id".to_owned()),
        client_secret: Some("secret".into()),
    };
    world.stage.credentials = json!({"access_token": "expired-1", "refresh_token": "r"});
    assert_eq!(world.publish().await.verdict, "unauthorized [needs_login]");
    let renewed = world.stage.refresh().await.unwrap();
    world.stage.credentials["access_token"] = json!(renewed.access_token.expose_secret());
    assert_eq!(
        world.publish().await.verdict,
        "unauthorized [needs_login]",
        "it ended at once"
    );
    world.stage.credentials["access_token"] = json!("good");
    assert_eq!(world.publish().await.verdict, "done");
}

#[tokio::test]
async fn a_refresh_that_fails_says_who_can_help() {
    let known = Some(("id", "secret"));
    for (refresh_token, client, expected, words) in [
        ("revoked-1", known, "needs_login [needs_login]", "Testing"),
        ("expired-1", known, "needs_login [needs_login]", "7 days"),
        (
            "r",
            Some(("wrong-id", "secret")),
            "retry [app]",
            "client_id",
        ),
        (
            "r",
            Some(("id", "wrong-secret")),
            "retry [app]",
            "PUBLISHER_YOUTUBE_CLIENT_SECRET",
        ),
        (
            "r",
            Some(("foreign-id", "secret")),
            "retry [app]",
            "client_id",
        ),
        ("flaky-1", known, "retry [server_error]", "just now"),
        ("", known, "needs_login [needs_login]", "refresh token"),
        ("r", None, "needs_login [needs_login]", "client_id"),
    ] {
        let stage = stage(refresh_token, client).await;
        let failure = stage.refresh().await.unwrap_err();
        assert_eq!(verdict(&failure), expected, "{refresh_token}");
        let message = &failure.reason().message;
        assert!(message.contains(words), "{message}");
        let can = stage.api(async |api| stage.platform.can_refresh(api)).await;
        assert_eq!(can, !refresh_token.is_empty() && client.is_some());
    }
    for fault in [
        "500",
        "500-after-accept",
        "reset",
        "429",
        "truncate",
        "bad-json",
    ] {
        let stage = stage("r", known).await;
        stage.faults(&[&format!("youtube/token:{fault}")]).await;
        let failure = stage.refresh().await.unwrap_err();
        let expected = if fault == "429" {
            "rate_limited"
        } else {
            "retry"
        };
        assert!(
            verdict(&failure).starts_with(expected),
            "{fault}: {failure:?}"
        );
        stage.heal().await;
        stage.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn a_check_tells_whose_the_token_is_and_what_it_may_do() {
    let own = "refresh-channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)";
    let stage = stage(own, Some(("id", "secret"))).await;
    let standing = stage.check().await.unwrap();
    assert_eq!(
        standing.name.as_deref(),
        Some("Channel UC_x5XG1OV2P6uZZ5FSM9Ttw")
    );
    let scopes = standing.scopes.unwrap();
    assert!(scopes.contains(&"youtube.upload".to_owned()), "{scopes:?}");
    assert_eq!(
        (standing.missing.len(), standing.notes.len()),
        (0, 0),
        "{:?}",
        standing.notes
    );
}

#[tokio::test]
async fn a_check_says_what_is_wrong_with_a_token() {
    let check = async |token: &str| {
        let mut stage = stage("", None).await;
        stage.credentials = json!({"access_token": token});
        stage.check().await
    };
    for (token, expected, words) in [
        (
            "channel(UC0000000000000000000001)",
            "needs_login [needs_login]",
            "UC0000000000000000000001",
        ),
        (
            "nochannel-1",
            "needs_login [needs_login]",
            "no YouTube channel",
        ),
        ("expired-1", "unauthorized [needs_login]", "token"),
        ("revoked-1", "unauthorized [needs_login]", "token"),
    ] {
        let failure = check(token).await.unwrap_err();
        assert_eq!(verdict(&failure), expected, "{token}");
        let message = &failure.reason().message;
        assert!(message.contains(words), "{message}");
    }
    let unverified = check("unverified-channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)")
        .await
        .unwrap();
    assert!(
        unverified.notes[0].contains("15 minutes"),
        "{:?}",
        unverified.notes
    );
    assert!(
        unverified.notes[1].contains("refresh token"),
        "{:?}",
        unverified.notes
    );
    let blind = check(&format!("scopes({SCOPES}youtube.upload)"))
        .await
        .unwrap();
    assert_eq!(blind.name, None);
    assert!(
        blind.notes[0].contains("youtube.readonly"),
        "{:?}",
        blind.notes
    );
}

#[tokio::test]
async fn a_check_names_the_scope_that_an_upload_lacks() {
    let mut stage = stage("", Some(("id", "secret"))).await;
    let reader = format!("scopes({SCOPES}youtube.readonly)channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)");
    stage.credentials = json!({"access_token": reader, "refresh_token": reader});
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.missing, ["youtube.upload"]);
    assert_eq!(standing.scopes.unwrap(), ["youtube.readonly"]);
    stage.credentials["refresh_token"] = Value::from("revoked-1");
    let standing = stage.check().await.unwrap();
    assert!(
        standing.notes[0].contains("no longer accepts the refresh token"),
        "{:?}",
        standing.notes
    );
}
