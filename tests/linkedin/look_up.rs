//! What became of a post of a run that died.

use std::time::{Duration, Instant};

use publisher::http::{Api, Session, Trail};
use publisher::journal::{Journal, Page};
use publisher::platform::Found;
use publisher::post::ClaimedPost;
use publisher::schedule::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::stage::{Stage, verdict};
use crate::{member, page, published, text};

/// `live ID`, `absent`, `unknown`, or the decision.
async fn found(stage: &Stage, content: Value, checkpoint: Option<&Value>) -> String {
    let mut post = json!({
        "id": 7, "action": "recover", "scheduled_at": stage.now, "expires_at": stage.now, "attempts": 1,
        "max_attempts": 5, "checkpoint": null,
        "account": {
            "id": 1, "owner": "o", "platform": "linkedin", "external_id": stage.external_id, "credentials": null,
            "token_expires_at": null,
        },
    });
    let fields = post.as_object_mut().unwrap();
    fields.extend(content.as_object().unwrap().clone());
    let post: ClaimedPost = serde_json::from_value(post).unwrap();
    let (journal, trail) = (Journal::new(Uuid::nil(), None), Trail::default());
    let look = async |api: &Api<'_>| {
        let session = Session {
            api: Api { ..*api },
            page: Page {
                journal: &journal,
                clock: Clock::at(api.now),
                post: &post,
                checkpoint,
            },
            post: &post,
            facts: &[],
            lease_ends: Instant::now() + Duration::from_mins(1),
            trail: &trail,
        };
        stage.platform.look_up(&session, checkpoint).await
    };
    match stage.api(look).await {
        Ok(Found::Live(published)) => format!("live {}", published.id),
        Ok(Found::Absent) => "absent".to_owned(),
        Ok(Found::Unknown(_)) => "unknown".to_owned(),
        Err(failure) => verdict(&failure),
    }
}

#[tokio::test]
async fn a_pages_post_is_found_or_surely_absent() {
    let mut stage = page(&["linkedin:500"]).await;
    let lost = stage.publish(text("Hi")).await;
    assert_eq!(
        found(&stage, text("Hi"), lost.checkpoint.as_ref()).await,
        "absent"
    );
    stage.heal().await;
    let other = published(stage.publish(text("Ho")).await);
    // There is a post since, and who knows how LinkedIn shows the other.
    assert_eq!(
        found(&stage, text("Hi"), lost.checkpoint.as_ref()).await,
        "unknown"
    );
    let live = format!("live {}", other.id);
    assert_eq!(found(&stage, text("Ho"), None).await, live);
    assert_eq!(stage.posts().await.len(), 1);
    // A post of long before is not this one.
    stage.now = "2999-01-01T00:00:00Z".to_owned();
    assert_eq!(found(&stage, text("Ho"), None).await, "absent");
}

#[tokio::test]
async fn what_may_not_be_read_is_unknown() {
    let stage = member(&[]).await;
    assert_eq!(found(&stage, text("Hi"), None).await, "unknown");
    let mut stage = page(&[]).await;
    stage.credentials = json!({"access_token": "scopes(w_organization_social)"});
    assert_eq!(found(&stage, text("Hi"), None).await, "unknown");
    stage.credentials = json!({"access_token": "expired-1"});
    assert_eq!(
        found(&stage, text("Hi"), None).await,
        "unauthorized [needs_login]"
    );
    let stage = page(&["linkedin/status:500"]).await;
    assert_eq!(
        found(&stage, text("Hi"), None).await,
        "retry [server_error]"
    );
}
