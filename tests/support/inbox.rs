//! A sandbox and its inbox page in a browser, for stories of what a person sees there.

use std::net::SocketAddr;

use publisher::sandbox::{Sandbox, Settings};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::chromium::Tab;

/// A sandbox that somebody looks at.
pub struct Story {
    pub url: String,
    pub tab: Tab,
    pub client: Client,
    pub end: oneshot::Sender<()>,
    pub server: JoinHandle<()>,
}

/// Serves at this address until told to end.
pub async fn serve(addr: SocketAddr) -> (String, oneshot::Sender<()>, JoinHandle<()>) {
    let settings = Settings {
        addr,
        ..Settings::default()
    };
    let sandbox = Sandbox::bind(settings).await.unwrap();
    let url = sandbox.url().to_string();
    let (end, ended) = oneshot::channel();
    let stop = async {
        ended.await.ok();
    };
    let server = tokio::spawn(async { sandbox.serve(stop).await.unwrap() });
    (url, end, server)
}

impl Story {
    pub async fn new() -> Self {
        Self::at("").await
    }

    /// The page, opened at an address that ends in this fragment.
    pub async fn at(fragment: &str) -> Self {
        let (url, end, server) = serve(([127, 0, 0, 1], 0).into()).await;
        let mut tab = Tab::open().await;
        tab.visit(&format!("{url}{fragment}")).await;
        tab.until("document.querySelector('#status.live')").await;
        Self {
            url,
            tab,
            client: publisher::http::client_builder().build().unwrap(),
            end,
            server,
        }
    }

    pub fn request(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.client.post(url).bearer_auth("good")
    }

    pub async fn facebook(&self, page: &str, message: &str) {
        let path = format!("facebook/v25.0/{page}/feed");
        publish(self.request(&path).form(&[("message", message)])).await;
    }

    pub async fn slack(&self, channel: &str, text: &str) {
        let form = [("channel", channel), ("text", text)];
        publish(self.request("slack/api/chat.postMessage").form(&form)).await;
    }

    pub async fn linkedin(&self, body: &Value) {
        let request = self.request("linkedin/rest/posts").json(body);
        let request = request.header("LinkedIn-Version", "202609");
        publish(request.header("X-Restli-Protocol-Version", "2.0.0")).await;
    }

    pub async fn posts(&self) -> Vec<Value> {
        let url = format!("{}api/posts", self.url);
        let reply = self.client.get(url).send().await.unwrap();
        reply.json().await.unwrap()
    }

    /// Waits until the list shows posts with exactly these texts, newest first.
    pub async fn shows(&mut self, texts: &[&str]) {
        self.until(&listed(texts)).await;
    }

    pub async fn until(&mut self, expression: &str) {
        self.tab.until(expression).await;
    }

    /// Waits until the first element that matches is seen and says this.
    pub async fn says(&mut self, selector: &str, text: &str) {
        let node = format!("document.querySelector({})", json!(selector));
        let says = format!("{node}.innerText.includes({})", json!(text));
        self.until(&format!("{node}.checkVisibility() && {says}"))
            .await;
    }

    pub async fn opens(&mut self, dialog: &str) {
        self.until(&format!("document.querySelector('{dialog}').open"))
            .await;
    }

    pub async fn closes(&mut self, dialog: &str) {
        self.until(&format!("!document.querySelector('{dialog}').open"))
            .await;
    }

    pub async fn eval(&mut self, expression: &str) -> Value {
        self.tab.eval(expression).await
    }

    pub async fn click(&mut self, selector: &str) {
        self.tab.click(selector).await;
    }

    pub async fn types(&mut self, text: &str) {
        self.tab.type_text(text).await;
    }

    pub async fn escape(&mut self) {
        self.tab.key("Escape", 27).await;
    }

    pub async fn enter(&mut self) {
        self.tab.key("Enter", 13).await;
    }

    pub async fn reload(&mut self) {
        self.tab.reload().await;
        self.until("document.querySelector('#status.live')").await;
    }

    /// Ends the story; a page that complained fails it.
    pub async fn close(self) {
        self.tab.close().await;
        self.end.send(()).ok();
        self.server.await.unwrap();
    }
}

pub async fn publish(request: RequestBuilder) {
    let reply = request.send().await.unwrap();
    let (status, body) = (reply.status(), reply.text().await.unwrap());
    assert!(status.is_success(), "{status} {body}");
    assert!(!body.contains("\"ok\":false"), "{body}");
}

pub fn listed(texts: &[&str]) -> String {
    let shown = "[...document.querySelectorAll('#feed .text')].map((text) => text.textContent)";
    format!(
        "JSON.stringify({shown}) === JSON.stringify({})",
        json!(texts)
    )
}
