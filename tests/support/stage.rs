//! A stage for one platform's client: a sandbox in this process, one account, one post, and its steps taken by hand.

use std::time::Duration;

use publisher::account::{Account, App, Credentials, Renewed, Standing};
use publisher::config::PlatformSettings;
use publisher::http::{Api, Base, Http, Session, Timeouts, Trail, client_builder};
use publisher::journal::{Journal, Page};
use publisher::lease::Lease;
use publisher::limits::Limits;
use publisher::media::{self, Facts};
use publisher::outcome::{Failure, Published};
use publisher::platform::{self, Found, Platform, Step};
use publisher::post::ClaimedPost;
use publisher::review;
use publisher::sandbox::{Fault, Sandbox, Settings};
use publisher::schedule::{Clock, Term};
use reqwest::Client;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Long before the sandbox's clock, so that whatever it publishes comes later.
pub const NOW: &str = "2020-01-01T12:00:00Z";
/// Longer than any test, and never waited out.
pub const LONG: Duration = Duration::from_mins(1);
/// For requests that are meant to run into their timeout.
pub const SHORT: Duration = Duration::from_millis(500);
/// A step that waits no longer than this is taken again after it; a longer one ends the publishing.
const PATIENCE: Duration = Duration::ZERO;
/// More steps than any flow has.
const MOST_STEPS: usize = 200;

/// A sandbox, and one account of a platform there.
pub struct Stage {
    /// The sandbox's.
    pub url: String,
    /// Where the platform's requests go instead.
    pub platform_url: Option<String>,
    pub platform: &'static dyn Platform,
    pub external_id: String,
    pub account_settings: Map<String, Value>,
    /// As `accounts add` takes it: `access_token`, and perhaps `refresh_token`, `client_id`, `client_secret`.
    pub credentials: Value,
    pub app: App,
    /// What the configuration says of the platform.
    pub settings: PlatformSettings,
    pub timeout: Duration,
    pub lease: Duration,
    pub now: String,
    /// Since when the token is no younger.
    pub token_since: Option<String>,
    /// When what is in doubt was sent.
    pub sent: String,
}

/// What a post's steps came to.
pub struct Ending {
    /// `done`, `wait 5s`, `doubt`, or the decision and its class: `retry [connect]`.
    pub verdict: String,
    /// Why, if it failed.
    pub message: String,
    /// The platform's code, if it failed and there was one.
    pub code: Option<String>,
    /// What the next step would start from, as a database would give it back.
    pub checkpoint: Option<Value>,
    pub published: Option<Published>,
    /// Whether a publishing request may have left and not been answered.
    pub sent: bool,
}

impl Stage {
    /// With a token that is good, and these faults.
    pub async fn with(platform: &str, faults: &[&str]) -> Self {
        let faults = faults.iter().map(|spec| spec.parse::<Fault>().unwrap());
        Self::set(
            platform,
            Settings {
                faults: faults.collect(),
                ..Settings::default()
            },
        )
        .await
    }

    /// With these settings of the sandbox, which ends with the test's runtime.
    pub async fn set(platform: &str, settings: Settings) -> Self {
        let sandbox = Sandbox::bind(settings).await.unwrap();
        let url = sandbox.url().as_str().trim_end_matches('/').to_owned();
        tokio::spawn(sandbox.serve(std::future::pending()));
        let external_id = match platform {
            "facebook" | "instagram" => "1001",
            "linkedin" => "urn:li:organization:42",
            "youtube" => "UC_x5XG1OV2P6uZZ5FSM9Ttw",
            _ => "C024BE91L",
        };
        let token = match platform {
            // The sandbox's YouTube tells by its end whose token it is.
            "youtube" => format!("good-{external_id}"),
            _ => "good".to_owned(),
        };
        Self {
            url,
            platform_url: None,
            platform: platform::by_name(platform).unwrap(),
            external_id: external_id.to_owned(),
            account_settings: Map::new(),
            credentials: json!({"access_token": token}),
            app: App::default(),
            settings: PlatformSettings::default(),
            timeout: LONG,
            lease: LONG,
            now: NOW.to_owned(),
            sent: NOW.to_owned(),
            token_since: None,
        }
    }

    /// An address of the sandbox's own sample of that name (`1080x1080.jpg`, `reel-9s.mp4`, …).
    pub fn sample(&self, name: &str) -> String {
        format!("{}/samples/{name}", self.url)
    }

    pub fn http(&self) -> Http {
        let timeouts = Timeouts {
            request: self.timeout,
            upload: self.timeout,
        };
        let media = media::Policy {
            allow_private: true,
            directories: vec!["/".into()],
            ..media::Policy::default()
        };
        Http::new(timeouts, media)
    }

    fn account(&self) -> Account {
        serde_json::from_value(json!({
            "id": 1, "owner": "o", "platform": self.platform.name(), "external_id": self.external_id,
            "credentials": null, "token_expires_at": null, "settings": self.account_settings,
        }))
        .unwrap()
    }

    fn claimed(&self, content: &Value) -> ClaimedPost {
        let account = self.account();
        let mut post = json!({
            "id": 7, "action": "publish", "scheduled_at": self.now, "expires_at": self.now, "attempts": 1,
            "max_attempts": 5, "checkpoint": null,
            "account": {
                "id": account.id, "owner": account.owner, "platform": account.platform,
                "external_id": account.external_id, "settings": account.settings, "credentials": null,
                "token_expires_at": null,
            },
        });
        let fields = post.as_object_mut().unwrap();
        fields.extend(content.as_object().unwrap().clone());
        serde_json::from_value(post).unwrap()
    }

    /// Does it with the account's side of a session.
    pub async fn api<T>(&self, work: impl AsyncFnOnce(&Api<'_>) -> T) -> T {
        let (http, account) = (self.http(), self.account());
        let credentials: Credentials = serde_json::from_value(self.credentials.clone()).unwrap();
        let base = self.base();
        let api = Api {
            account: &account,
            credentials: &credentials,
            app: &self.app,
            http: &http,
            base: &base,
            version: self.settings.api_version.as_deref(),
            limits: self.limits(),
            now: self.now.parse().unwrap(),
            token_since: self.token_since.as_ref().map(|at| at.parse().unwrap()),
        };
        work(&api).await
    }

    pub async fn refresh(&self) -> Result<Renewed, Failure> {
        self.api(async |api| self.platform.refresh(api).await).await
    }

    pub async fn check(&self) -> Result<Standing, Failure> {
        self.api(async |api| self.platform.check(api).await).await
    }

    fn base(&self) -> Base {
        let own = || format!("{}/{}", self.url, self.platform.name());
        Base {
            url: self.platform_url.clone().unwrap_or_else(own),
            is_stand_in: true,
        }
    }

    pub fn limits(&self) -> Limits<'_> {
        Limits::corrected(self.platform.figures(), Some(&self.settings))
    }

    /// Everything that is wrong with a post, by what this machine can tell.
    pub fn problems(&self, content: &Value) -> Vec<String> {
        let post = self.claimed(content);
        let http = self.http();
        let known = media::examine(&post.content, &http.media);
        review::problems(self.platform, &post.content, known, self.limits())
    }

    /// Publishes from the beginning until there is nothing more to do at once.
    pub async fn publish(&self, content: Value) -> Ending {
        self.go_on(content, None).await
    }

    /// Publishes from a checkpoint, as a later run would.
    pub async fn go_on(&self, content: Value, checkpoint: Option<Value>) -> Ending {
        let post = self.claimed(&content);
        assert_eq!(
            self.platform.validate_account(&self.external_id),
            Ok(()),
            "the test's account"
        );
        assert_eq!(self.problems(&content), Vec::<String>::new());
        let http = self.http();
        let facts = match self.look(&post, &http, checkpoint.is_none()).await {
            Ok(facts) => facts,
            Err(failure) => return Ending::failed(&failure, checkpoint, false),
        };
        self.api(async |api| self.steps(api, &post, &facts, checkpoint).await)
            .await
    }

    /// Asks what became of a post that may be live, as a later run does.
    pub async fn look_up(
        &self,
        mut content: Value,
        checkpoint: Option<Value>,
    ) -> Result<Found, Failure> {
        content["action"] = json!("recover");
        let post = self.claimed(&content);
        let (facts, _) = media::examine(&post.content, &self.http().media);
        let (books, trail) = (self.books(&post), Trail::default());
        let found = self
            .api(async |api| {
                let session = session(api, &post, &facts, &trail, &books, checkpoint.as_ref());
                self.platform.look_up(&session, checkpoint.as_ref()).await
            })
            .await;
        assert!(trail.sent.get().is_none(), "a look-up only reads");
        found
    }

    /// Asks what became of a post that this run left in doubt, and goes on with what may be sent again.
    pub async fn look_again(&self, content: Value, checkpoint: Option<Value>) -> Ending {
        let post = self.claimed(&content);
        let (facts, _) = media::examine(&post.content, &self.http().media);
        let (books, trail) = (self.books(&post), Trail::default());
        trail.sent.set(Some(self.sent.parse().unwrap()));
        let look = async |api: &Api<'_>| {
            let session = session(api, &post, &facts, &trail, &books, checkpoint.as_ref());
            self.platform.look_up(&session, checkpoint.as_ref()).await
        };
        let ended = |verdict: &str, checkpoint: Option<Value>| Ending {
            sent: true,
            ..Ending::unfinished(verdict.to_owned(), &json!(checkpoint))
        };
        match self.api(look).await {
            Ok(Found::Live(published)) => Ending {
                published: Some(published),
                ..ended("done", None)
            },
            Ok(Found::Resend(from)) => self.go_on(content, from).await,
            Ok(Found::NotSeen(from)) => ended("not seen", from),
            Ok(Found::Unclear(why)) => Ending {
                message: why.to_owned(),
                ..ended("unclear", checkpoint)
            },
            Ok(Found::Unknown(why)) => Ending {
                message: why.to_owned(),
                ..ended("unknown", checkpoint)
            },
            Err(failure) => Ending::failed(&failure, checkpoint, true),
        }
    }

    /// No journal, and a claim that holds for as long as the stage says.
    fn books(&self, post: &ClaimedPost) -> (Journal, Lease) {
        let lease = Lease::new(self.lease, Term::of(self.lease));
        lease.claimed([post.id]);
        (Journal::new(Uuid::nil(), None), lease)
    }

    /// Publishes without a look at media that are elsewhere: what is wrong with them, the platform finds out.
    pub async fn go_on_unseen(&self, content: Value) -> Ending {
        let post = self.claimed(&content);
        let (facts, _) = media::examine(&post.content, &self.http().media);
        self.api(async |api| self.steps(api, &post, &facts, None).await)
            .await
    }

    /// What the media are: those elsewhere are looked at before the first step, as the publish stage does.
    async fn look(
        &self,
        post: &ClaimedPost,
        http: &Http,
        is_first: bool,
    ) -> Result<Vec<Facts>, Failure> {
        let (mut facts, _) = media::examine(&post.content, &http.media);
        if !is_first {
            return Ok(facts);
        }
        for (place, medium) in post.content.media().unwrap().iter().enumerate() {
            if medium.url.is_some() {
                facts[place] = media::look(place + 1, medium, http).await?;
            }
        }
        let known = (facts.clone(), Vec::new());
        let problems = review::problems(self.platform, &post.content, known, self.limits());
        if problems.is_empty() {
            Ok(facts)
        } else {
            Err(Failure::rejected(problems.join("; ")))
        }
    }

    async fn steps(
        &self,
        api: &Api<'_>,
        post: &ClaimedPost,
        facts: &[Facts],
        mut checkpoint: Option<Value>,
    ) -> Ending {
        let (books, trail) = (self.books(post), Trail::default());
        for _ in 0..MOST_STEPS {
            let session = session(api, post, facts, &trail, &books, checkpoint.as_ref());
            let ending = match self.platform.step(&session, checkpoint.as_ref()).await {
                Ok(Step::Wait {
                    checkpoint: next,
                    after,
                }) if after <= PATIENCE => {
                    checkpoint = Some(through_database(&next));
                    continue;
                }
                Ok(Step::Wait { checkpoint, after }) => {
                    Ending::unfinished(format!("wait {after:?}"), &checkpoint)
                }
                Ok(Step::Done(published)) => Ending {
                    published: Some(published),
                    ..Ending::unfinished("done".to_owned(), &Value::Null)
                },
                Err(failure) => {
                    let sent = trail.sent.get().is_some();
                    let is_in_doubt = matches!(failure, Failure::Unconfirmed { .. }) && sent;
                    let ending = Ending::failed(&failure, checkpoint, sent);
                    if is_in_doubt {
                        Ending {
                            verdict: "doubt".to_owned(),
                            ..ending
                        }
                    } else {
                        ending
                    }
                }
            };
            return ending;
        }
        panic!("{} goes round in circles", self.platform.name());
    }

    /// What people see.
    pub async fn posts(&self) -> Vec<Value> {
        let posts = self.get("api/posts").await;
        posts.as_array().unwrap().clone()
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = client().get(format!("{}/{path}", self.url));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Forgets what was published, and whatever the platform was in the middle of.
    pub async fn reset(&self) {
        let request = client().post(format!("{}/api/reset", self.url));
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Replaces the faults.
    pub async fn faults(&self, specs: &[&str]) {
        let request = client().post(format!("{}/api/faults", self.url));
        let reply = request.json(&json!(specs)).send().await.unwrap();
        assert!(
            reply.status().is_success(),
            "{}",
            reply.text().await.unwrap()
        );
    }

    /// Takes the faults away.
    pub async fn heal(&self) {
        self.faults(&[]).await;
    }
}

impl Ending {
    fn unfinished(verdict: String, checkpoint: &Value) -> Self {
        Self {
            verdict,
            message: String::new(),
            code: None,
            checkpoint: Some(through_database(checkpoint)).filter(|value| !value.is_null()),
            published: None,
            sent: false,
        }
    }

    fn failed(failure: &Failure, checkpoint: Option<Value>, sent: bool) -> Self {
        Self {
            message: failure.reason().message.clone(),
            code: failure.reason().code.as_ref().map(ToString::to_string),
            checkpoint,
            sent,
            ..Self::unfinished(verdict(failure), &Value::Null)
        }
    }
}

/// `live ID`, `resend`, `not seen`, `unclear: why` or `unknown: why`.
pub fn told(found: &Found) -> String {
    match found {
        Found::Live(published) => format!("live {}", published.id),
        Found::Resend(_) => "resend".to_owned(),
        Found::NotSeen(_) => "not seen".to_owned(),
        Found::Unclear(why) => format!("unclear: {why}"),
        Found::Unknown(why) => format!("unknown: {why}"),
    }
}

fn session<'a>(
    api: &Api<'a>,
    post: &'a ClaimedPost,
    facts: &'a [Facts],
    trail: &'a Trail,
    (journal, lease): &'a (Journal, Lease),
    checkpoint: Option<&'a Value>,
) -> Session<'a> {
    Session {
        api: Api {
            account: api.account,
            credentials: api.credentials,
            app: api.app,
            http: api.http,
            base: api.base,
            version: api.version,
            limits: api.limits,
            now: api.now,
            token_since: api.token_since,
        },
        page: Page {
            journal,
            clock: Clock::at(api.now),
            post,
            checkpoint,
        },
        post,
        facts,
        lease,
        trail,
    }
}

/// A checkpoint as a later run finds it.
fn through_database(checkpoint: &Value) -> Value {
    serde_json::from_str(&checkpoint.to_string()).unwrap()
}

/// The decision and its class.
pub fn verdict(failure: &Failure) -> String {
    let decision = match failure {
        Failure::Retry { .. } => "retry",
        Failure::RateLimited { .. } => "rate_limited",
        Failure::Unauthorized { .. } => "unauthorized",
        Failure::NeedsLogin { .. } => "needs_login",
        Failure::Rejected { .. } => "rejected",
        Failure::Unconfirmed { .. } => "unconfirmed",
    };
    format!("{decision} [{}]", failure.reason().class)
}

pub fn client() -> Client {
    client_builder().build().unwrap()
}
