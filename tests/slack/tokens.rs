//! Tokens: refreshed where the app rotates them, refused, checked.

use std::time::Duration;

use publisher::account::{App, Renewed};
use publisher::sandbox::Settings;
use secrecy::ExposeSecret;
use serde_json::json;

use super::support::stage::{Stage, verdict};

async fn rotating(refresh_token: &str, app: (&str, &str)) -> Stage {
    let mut stage = Stage::with("slack", &[]).await;
    stage.credentials = json!({"access_token": "expired-1", "refresh_token": refresh_token});
    stage.app = App {
        client_id: Some(app.0.to_owned()),
        client_secret: Some(app.1.to_owned().into()),
    };
    stage
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_each_refresh_token_works_once() {
    let mut stage = rotating("xoxe-1-first", ("1.2", "secret")).await;
    let content = json!({"body": "Hi"});
    let ending = stage.publish(content.clone()).await;
    assert_eq!(ending.verdict, "unauthorized [needs_login]");
    assert!(stage.api(async |api| stage.platform.can_refresh(api)).await);

    let Renewed {
        access_token,
        refresh_token,
        lives,
    } = stage.refresh().await.unwrap();
    assert_eq!(lives, Some(Duration::from_hours(1)));
    let spent = stage.refresh().await.unwrap_err();
    assert_eq!(verdict(&spent), "needs_login [needs_login]");
    let next = refresh_token.unwrap();
    stage.credentials = json!({"access_token": access_token.expose_secret(), "refresh_token": next.expose_secret()});
    assert_eq!(stage.publish(content).await.verdict, "done");
    stage.refresh().await.unwrap();
}

#[tokio::test]
async fn a_refresh_that_fails_says_who_can_help() {
    for (token, app, expected, words) in [
        (
            "revoked-1",
            ("1.2", "s"),
            "needs_login [needs_login]",
            "install the app again",
        ),
        (
            "xoxe-1",
            ("unknown-1", "s"),
            "retry [app]",
            "[platforms.slack] client_id",
        ),
        (
            "xoxe-1",
            ("1.2", "wrong-s"),
            "retry [app]",
            "PUBLISHER_SLACK_CLIENT_SECRET",
        ),
        ("flaky-1", ("1.2", "s"), "retry [server_error]", "503"),
    ] {
        let stage = rotating(token, app).await;
        let failure = stage.refresh().await.unwrap_err();
        assert_eq!(verdict(&failure), expected, "{token} {app:?}");
        assert!(failure.reason().message.contains(words), "{failure:?}");
    }
    for kind in [
        "500", "reset", "truncate", "bad-json", "429", "401", "rejected",
    ] {
        let stage = rotating("xoxe-1", ("1.2", "s")).await;
        stage.faults(&[&format!("slack/token:{kind}")]).await;
        let failure = stage.refresh().await.unwrap_err();
        // An account is not given up for a slip of the server's.
        let verdict = verdict(&failure);
        assert!(
            verdict.starts_with("retry") || verdict.starts_with("rate_limited"),
            "{kind}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn without_app_or_refresh_token_nothing_can_be_refreshed() {
    let mut stage = rotating("xoxe-1", ("1.2", "s")).await;
    stage.app = App::default();
    assert!(!stage.api(async |api| stage.platform.can_refresh(api)).await);
    assert_eq!(
        verdict(&stage.refresh().await.unwrap_err()),
        "needs_login [needs_login]"
    );
    let mut stage = rotating("xoxe-1", ("1.2", "s")).await;
    stage.credentials = json!({"access_token": "x"});
    assert!(!stage.api(async |api| stage.platform.can_refresh(api)).await);
}

#[tokio::test]
async fn a_token_that_was_given_out_ends() {
    let settings = Settings {
        token_lifetime: Duration::ZERO,
        ..Settings::default()
    };
    let mut stage = Stage::set("slack", settings).await;
    stage.credentials = json!({
        "access_token": "x", "refresh_token": "xoxe-1", "client_id": "1.2", "client_secret": "s",
    });
    let renewed = stage.refresh().await.unwrap();
    stage.credentials = json!({"access_token": renewed.access_token.expose_secret()});
    assert_eq!(
        stage.publish(json!({"body": "Hi"})).await.verdict,
        "unauthorized [needs_login]"
    );
}

#[tokio::test]
async fn a_token_that_was_taken_back_or_lacks_a_scope_needs_a_person() {
    for (token, words) in [
        ("revoked-1", "token_revoked"),
        ("noscope-1", "chat:write"),
        ("scopes(chat:write)1", "chat:write.customize"),
    ] {
        let mut stage = Stage::with("slack", &[]).await;
        stage.credentials = json!({ "access_token": token });
        let ending = stage
            .publish(json!({"body": "Hi", "options": {"username": "Herald"}}))
            .await;
        assert_eq!(ending.verdict, "needs_login [needs_login]", "{token}");
        assert!(ending.message.contains(words), "{}", ending.message);
    }
}

#[tokio::test]
async fn a_check_tells_whose_token_it_is_and_what_it_lacks() {
    let mut stage = Stage::with("slack", &[]).await;
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.name.as_deref(), Some("Sandbox: publisher"));
    assert!(standing.scopes.unwrap().contains(&"chat:write".to_owned()));
    assert_eq!((standing.missing.len(), standing.notes.len()), (0, 0));

    stage.credentials = json!({"access_token": "scopes(channels:history, files:write)xoxp-1"});
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.missing, ["chat:write"]);
    assert_eq!(standing.notes.len(), 2, "{:?}", standing.notes);
    assert!(standing.notes[0].contains("files:read"));
    assert!(standing.notes[1].contains("person's token"));

    for (token, expected) in [
        ("expired-1", "unauthorized [needs_login]"),
        ("revoked-1", "needs_login [needs_login]"),
    ] {
        stage.credentials = json!({ "access_token": token });
        assert_eq!(verdict(&stage.check().await.unwrap_err()), expected);
    }
}
