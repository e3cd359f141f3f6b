//! Asking a platform about an account, apart from any post.

use url::Url;

use crate::account::{Account, App, Credentials};
use crate::config::{Config, PlatformSettings};
use crate::http::{Api, Http, Timeouts};
use crate::limits::Limits;
use crate::platform::Platform;
use crate::publish;
use crate::schedule::Clock;
use crate::secret;

/// What asking takes.
pub(super) struct Asker<'a> {
    config: &'a Config,
    sandbox: Option<&'a Url>,
    http: Http,
}

impl<'a> Asker<'a> {
    /// Asks the platforms, or the sandbox that stands in for them.
    pub(super) fn new(config: &'a Config, sandbox: Option<&'a Url>) -> Self {
        let defaults = Timeouts::default();
        let request = config.file.request_timeout.map(|span| span.0);
        let timeouts = Timeouts {
            request: request.unwrap_or(defaults.request),
            ..defaults
        };
        Self {
            config,
            sandbox,
            http: Http::new(timeouts, config.media.clone()),
        }
    }

    /// The application that the configuration names.
    fn app(&self, platform: &dyn Platform) -> App {
        let settings = self.config.file.platforms.get(platform.name());
        settings.map(PlatformSettings::app).unwrap_or_default()
    }

    /// What the platform says, without the secrets that it may quote.
    pub(super) fn redacted(
        &self,
        text: &str,
        platform: &dyn Platform,
        credentials: &Credentials,
    ) -> String {
        secret::redacted(text, credentials, &self.app(platform))
    }

    /// Does it with the account's side of the platform's API.
    pub(super) async fn with<T>(
        &self,
        platform: &dyn Platform,
        account: &Account,
        credentials: &Credentials,
        work: impl AsyncFnOnce(&Api<'_>) -> T,
    ) -> T {
        let settings = self.config.file.platforms.get(platform.name());
        let base = publish::base(account, platform, settings, self.sandbox);
        let app = self.app(platform);
        let api = Api {
            account,
            credentials,
            app: &app,
            http: &self.http,
            base: &base,
            version: settings.and_then(|settings| settings.api_version.as_deref()),
            limits: Limits::corrected(platform.figures(), settings),
            now: Clock::host().now(),
            token_since: account.updated_at,
        };
        work(&api).await
    }
}
