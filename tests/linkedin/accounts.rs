//! Tokens: refused, renewed, checked.

use std::time::Duration;

use publisher::account::App;
use publisher::outcome::Failure;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::stage::{Stage, verdict};
use crate::{MEMBER, member, page, published, text};

fn app(secret: &str) -> App {
    App {
        client_id: Some("id".to_owned()),
        client_secret: Some(secret.to_owned().into()),
    }
}

fn with_token(mut stage: Stage, token: &str) -> Stage {
    stage.credentials["access_token"] = token.into();
    stage
}

#[tokio::test]
async fn a_refused_token_says_whether_a_new_one_helps() {
    for (token, expected) in [
        ("expired-1", "unauthorized [needs_login]"),
        ("revoked-1", "needs_login [needs_login]"),
        ("noscope-1", "needs_login [needs_login]"),
        ("scopes(w_member_social)", "needs_login [needs_login]"),
        ("organizations(41)", "needs_login [needs_login]"),
    ] {
        let stage = with_token(page(&[]).await, token);
        let ending = stage.publish(text("Hi")).await;
        assert_eq!(ending.verdict, expected, "{token}");
        assert!(!ending.message.contains(token), "{}", ending.message);
        let media = json!([{"url": stage.sample("800x800.png")}]);
        let ending = stage.publish(json!({"body": "Hi", "media": media})).await;
        assert_eq!(ending.verdict, expected, "{token}, with a picture");
    }
}

#[tokio::test]
async fn a_retired_version_stops_the_platform() {
    let mut stage = page(&[]).await;
    stage.settings.api_version = Some("202501".to_owned());
    let ending = stage.publish(text("Hi")).await;
    assert_eq!(ending.verdict, "rate_limited [version]");
    assert!(ending.message.contains("api_version"), "{}", ending.message);
    stage.settings.api_version = Some("202610".to_owned());
    published(stage.publish(text("Hi")).await);
}

#[tokio::test]
async fn a_new_token_comes_with_its_end_and_works() {
    let mut stage = page(&[]).await;
    stage.credentials["refresh_token"] = "scopes(w_organization_social)r".into();
    stage.app = app("secret");
    assert!(stage.api(async |api| stage.platform.can_refresh(api)).await);
    let renewed = stage.refresh().await.unwrap();
    assert_eq!(renewed.lives, Some(Duration::from_hours(1)));
    // LinkedIn's refresh tokens stay the same.
    let kept = renewed.refresh_token.unwrap();
    assert_eq!(kept.expose_secret(), "scopes(w_organization_social)r");
    let token = renewed.access_token.expose_secret().to_owned();
    let stage = with_token(stage, &token);
    published(stage.publish(text("Hi")).await);
}

#[tokio::test]
async fn a_token_that_is_not_renewed_says_who_can_help() {
    for (token, secret, expected) in [
        ("revoked-r", "secret", "needs_login [needs_login]"),
        ("expired-r", "secret", "needs_login [needs_login]"),
        ("good-r", "wrong-secret", "retry [app]"),
        ("flaky-r", "secret", "retry [server_error]"),
    ] {
        let mut stage = page(&[]).await;
        stage.credentials["refresh_token"] = token.into();
        stage.app = app(secret);
        let failure = stage.refresh().await.unwrap_err();
        assert_eq!(verdict(&failure), expected, "{token}");
        let message = &failure.reason().message;
        assert!(
            !message.contains(token) && !message.contains(secret),
            "{message}"
        );
    }
}

#[tokio::test]
async fn without_refresh_token_or_application_nothing_is_renewed() {
    let mut stage = page(&[]).await;
    stage.app = app("secret");
    assert!(!stage.api(async |api| stage.platform.can_refresh(api)).await);
    stage.app = App::default();
    stage.credentials["refresh_token"] = "r".into();
    assert!(!stage.api(async |api| stage.platform.can_refresh(api)).await);
}

#[tokio::test]
async fn every_fault_of_the_token_endpoint_can_pass() {
    for fault in ["500", "reset", "hang", "429", "bad-json", "truncate"] {
        let mut stage = page(&[&format!("linkedin/token:{fault}")]).await;
        stage.timeout = crate::support::stage::SHORT;
        stage.credentials["refresh_token"] = "r".into();
        stage.app = app("secret");
        let failure = stage.refresh().await.unwrap_err();
        assert!(
            matches!(failure, Failure::Retry { .. } | Failure::RateLimited { .. }),
            "{fault}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn a_check_names_the_member() {
    let stage = member(&[]).await;
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.name.as_deref(), Some("Sandy Box"));
    assert_eq!(standing.scopes, None);
    assert_eq!(standing.notes.len(), 1, "{:?}", standing.notes);
    assert!(
        standing.notes[0].contains("client_id"),
        "{:?}",
        standing.notes
    );

    let others = with_token(stage, "member(someone)");
    let failure = others.check().await.unwrap_err();
    assert_eq!(verdict(&failure), "needs_login [needs_login]");
    assert!(failure.reason().message.contains("urn:li:person:someone"));
}

#[tokio::test]
async fn a_check_with_the_application_tells_scopes_and_end() {
    let mut stage = member(&[]).await;
    stage.app = app("secret");
    let standing = stage.check().await.unwrap();
    let scopes = [
        "openid",
        "profile",
        "w_member_social",
        "w_member_social_feed",
    ]
    .map(str::to_owned);
    assert_eq!(standing.scopes.as_deref(), Some(&scopes[..]));
    assert_eq!(standing.missing, Vec::<String>::new());
    assert!(standing.expires_at.is_some());

    let stage = with_token(stage, "scopes(openid,profile)member(aB-1)");
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.missing, ["w_member_social"]);

    let mut stage = with_token(stage, MEMBER);
    stage.app = app("wrong-secret");
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.scopes, None);
    assert_eq!(standing.notes.len(), 1);
}

#[tokio::test]
async fn a_check_finds_the_role_on_the_page() {
    let stage = with_token(page(&[]).await, "organizations(41,42)");
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.name.as_deref(), Some("Page 42"));
    assert!(
        standing
            .notes
            .contains(&"role on the page: ADMINISTRATOR".to_owned())
    );

    let stage = with_token(stage, "organizations(41)");
    let failure = stage.check().await.unwrap_err();
    assert_eq!(verdict(&failure), "needs_login [needs_login]");

    let stage = with_token(stage, "scopes(w_organization_social)organizations(42)");
    let standing = stage.check().await.unwrap();
    assert!(
        standing
            .notes
            .iter()
            .any(|note| note.contains("rw_organization_admin"))
    );
}

/// All pages of the member's roles are read, and no list is asked for that one closed page would close.
#[tokio::test]
async fn a_role_is_found_among_many() {
    let many: Vec<String> = (100_001..100_250).map(|id: u32| id.to_string()).collect();
    let token = format!("organizations({},42)closed(100001)", many.join(","));
    let stage = with_token(page(&[]).await, &token);
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.name.as_deref(), Some("Page 42"));
    assert!(
        standing
            .notes
            .contains(&"role on the page: ADMINISTRATOR".to_owned())
    );
}

#[tokio::test]
async fn first_comments_need_a_scope_of_their_own() {
    for (mut stage, needed, scope) in [
        (
            page(&[]).await,
            "w_organization_social",
            "w_organization_social_feed",
        ),
        (member(&[]).await, "w_member_social", "w_member_social_feed"),
    ] {
        let note = format!("first comments need {scope}, too");
        let organizations = "organizations(42)member(aB-1)";
        stage.app = app("secret");
        for (scopes, expected) in [
            (
                format!("openid,profile,rw_organization_admin,{needed}"),
                true,
            ),
            (
                format!("openid,profile,rw_organization_admin,{needed},{scope}"),
                false,
            ),
        ] {
            let token = format!("scopes({scopes}){organizations}");
            stage.credentials["access_token"] = token.into();
            let standing = stage.check().await.unwrap();
            assert_eq!(
                standing.notes.contains(&note),
                expected,
                "{:?}",
                standing.notes
            );
            stage.reset().await;
            let content = json!({"body": "Hi", "options": {"first_comment": "More"}});
            let warnings = published_anyhow(&stage, content).await;
            assert_eq!(
                warnings.iter().any(|one| one.contains(scope)),
                expected,
                "{warnings:?}"
            );
        }
    }
}

/// The warnings of a post that went out.
async fn published_anyhow(stage: &Stage, content: serde_json::Value) -> Vec<String> {
    let ending = stage.publish(content).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    ending.published.unwrap().warnings
}

#[tokio::test]
async fn a_check_tells_a_token_that_has_ended() {
    for (token, expected) in [
        ("expired-1", "unauthorized [needs_login]"),
        ("revoked-1", "needs_login [needs_login]"),
    ] {
        for has_app in [true, false] {
            let mut stage = with_token(page(&[]).await, token);
            if has_app {
                stage.app = app("secret");
            }
            let failure = stage.check().await.unwrap_err();
            assert_eq!(verdict(&failure), expected, "{token} {has_app}");
        }
    }
}
