//! A real browser: headless Chromium, driven over its debugging protocol. One per test binary; it ends with the process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::postgres::install;

/// How long anything in the browser may take; it is never waited out unless a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the packages put it.
const BINARIES: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/// A running browser.
struct Chromium {
    /// `ws://127.0.0.1:PORT/devtools/browser/ID`
    url: String,
    /// A shell that waits on its standard input, which closes when this process ends, however that ends. It then stops
    /// the browser by its process id and removes its profile.
    _watchdog: Child,
}

/// The browser of this test binary, started on first use.
fn chromium() -> &'static Chromium {
    static CHROMIUM: OnceLock<Chromium> = OnceLock::new();
    CHROMIUM.get_or_init(Chromium::start)
}

impl Chromium {
    fn start() -> Self {
        let binary = find().unwrap_or_else(|| {
            install(&["chromium"]);
            find().expect("chromium is not where Debian's package puts it")
        });
        let profile = tempfile::Builder::new()
            .prefix("publisher-chromium-")
            .tempdir()
            .unwrap()
            .keep();
        let mut watchdog = Command::new("sh")
            .arg("-c")
            .arg("\"$@\" & browser=$!; trap '' INT TERM; cat >/dev/null; kill $browser; wait $browser; rm -rf \"$DIR\"")
            .arg("watchdog")
            .arg(binary)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-backgrounding-occluded-windows",
                // Nothing but this machine can be reached, whatever a page asks for.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .env("DIR", &profile)
            .env("HOME", &profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(watchdog.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut said = Vec::new();
        let url = log.by_ref().find_map(|line| {
            let url = line.strip_prefix("DevTools listening on ");
            let url = url.map(str::to_owned);
            said.push(line);
            url
        });
        let url = url.unwrap_or_else(|| panic!("Chromium did not start: {said:#?}"));
        // The browser must never block on a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            url,
            _watchdog: watchdog,
        }
    }
}

fn find() -> Option<PathBuf> {
    let mut paths = BINARIES.iter().map(Path::new);
    paths.find(|path| path.exists()).map(Path::to_owned)
}

/// A connection to one end of the protocol: the browser itself, or one of its tabs.
struct Wire {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    calls: u64,
    /// What the other end told by itself, until somebody looks.
    events: Vec<Value>,
}

impl Wire {
    async fn open(url: &str) -> Self {
        let opening = timeout(PATIENCE, tokio_tungstenite::connect_async(url));
        let (socket, _) = opening.await.expect("the browser answers").unwrap();
        Self {
            socket,
            calls: 0,
            events: Vec::new(),
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = self.socket.next().await.expect("the browser is there");
            if let Message::Text(text) = message.unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Waits for an event, unless it has come already.
    async fn until_event(&mut self, name: &str) {
        let coming = async {
            while !self.events.iter().any(|event| event["method"] == name) {
                let event = self.next().await;
                self.events.push(event);
            }
        };
        let come = timeout(PATIENCE, coming).await;
        come.unwrap_or_else(|_| panic!("no {name} in time"));
    }

    /// Calls a method and waits for its result.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let call = json!({"id": id, "method": method, "params": params});
        self.socket
            .send(Message::text(call.to_string()))
            .await
            .unwrap();
        let answer = async {
            loop {
                let message = self.next().await;
                if message["id"] == id {
                    return message;
                }
                self.events.push(message);
            }
        };
        let answer = timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| panic!("{method} was not answered in time"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }
}

/// A tab in a window of its own, so that it is visible whatever other tests do.
pub struct Tab {
    wire: Wire,
    target: String,
}

impl Tab {
    /// Opens a tab that shows nothing yet.
    pub async fn open() -> Self {
        let browser = &chromium().url;
        let mut wire = Wire::open(browser).await;
        let created = wire
            .call(
                "Target.createTarget",
                json!({"url": "about:blank", "newWindow": true}),
            )
            .await;
        let target = created["targetId"].as_str().unwrap().to_owned();
        let (host, _) = browser.split_once("/devtools/").unwrap();
        let mut tab = Self {
            wire: Wire::open(&format!("{host}/devtools/page/{target}")).await,
            target,
        };
        for domain in ["Page", "Runtime", "Log"] {
            tab.wire.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab.size(1366, 900).await;
        tab
    }

    /// Loads an address.
    pub async fn visit(&mut self, url: &str) {
        self.wire.events.clear();
        let loaded = self.wire.call("Page.navigate", json!({"url": url})).await;
        assert!(loaded["errorText"].is_null(), "{url}: {loaded}");
        self.wire.until_event("Page.loadEventFired").await;
    }

    /// Loads the page again, as a person would.
    pub async fn reload(&mut self) {
        assert_eq!(self.complaints().await, [""; 0]);
        self.wire.call("Page.reload", json!({})).await;
        self.wire.until_event("Page.loadEventFired").await;
    }

    /// The size of the viewport in CSS pixels.
    pub async fn size(&mut self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.wire
            .call("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// The value of a JavaScript expression, its promise awaited.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.wire.call("Runtime.evaluate", ask).await;
        let problem = &answer["exceptionDetails"];
        assert!(problem.is_null(), "{expression}: {problem:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until this expression is true; looks after each change of the document, and now and then for what
    /// changes without it, such as the address.
    pub async fn until(&mut self, expression: &str) {
        let script = format!(
            "new Promise((done) => {{
                const holds = () => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }};
                const look = () => {{ if (holds()) end(true); }};
                const watch = new MutationObserver(look);
                const clock = setInterval(look, 50), alarm = setTimeout(() => end(false), 20000);
                const end = (held) => {{
                    watch.disconnect();
                    clearInterval(clock);
                    clearTimeout(alarm);
                    done(held);
                }};
                watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                look();
            }})"
        );
        if self.eval(&script).await != true {
            let page = self.eval("document.body.innerText").await;
            panic!("waited in vain for {expression}; the page says:\n{page:#}");
        }
    }

    /// Presses the mouse on the middle of an element.
    pub async fn click(&mut self, selector: &str) {
        let script = format!(
            "(async () => {{
                const node = document.querySelector({});
                node.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                // What moves would be missed: it must be where it was a frame ago.
                let box = {{}}, before;
                do {{
                    before = box;
                    await new Promise(requestAnimationFrame);
                    box = node.getBoundingClientRect();
                }} while (box.x !== before.x || box.y !== before.y);
                const at = {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
                const hit = document.elementFromPoint(at.x, at.y);
                return node.contains(hit) ? at : String(hit?.outerHTML).slice(0, 200);
            }})()",
            Value::from(selector)
        );
        let at = self.eval(&script).await;
        assert!(at["x"].is_number(), "{selector} is covered by {at}");
        for kind in ["mousePressed", "mouseReleased"] {
            let press = json!({"type": kind, "x": at["x"], "y": at["y"], "button": "left", "clickCount": 1});
            self.wire.call("Input.dispatchMouseEvent", press).await;
        }
    }

    /// Types where the focus is.
    pub async fn type_text(&mut self, text: &str) {
        self.wire
            .call("Input.insertText", json!({"text": text}))
            .await;
    }

    /// Presses a key that has a name, such as Escape (27) or Enter (13).
    pub async fn key(&mut self, name: &str, code: u32) {
        let text = if name == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let press = json!({
                "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text,
            });
            self.wire.call("Input.dispatchKeyEvent", press).await;
        }
    }

    /// What went wrong so far, and was not asked for before: exceptions, console errors, refusals of the
    /// Content-Security-Policy, requests that failed.
    pub async fn complaints(&mut self) -> Vec<String> {
        // Whatever the page said before this answer has arrived with it.
        self.eval("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            .await;
        let events = std::mem::take(&mut self.wire.events);
        events.iter().filter_map(complaint).collect()
    }

    /// Waits for the next complaint, for a test of complaints.
    pub async fn until_complaint(&mut self) -> String {
        let complaint = async {
            loop {
                if let Some(first) = self.complaints().await.first() {
                    return first.clone();
                }
            }
        };
        let complaint = timeout(PATIENCE, complaint).await;
        complaint.expect("the browser complains")
    }

    /// Role and name of everything that can be operated, as a screen reader has them.
    pub async fn controls(&mut self) -> Vec<(String, String)> {
        let tree = self
            .wire
            .call("Accessibility.getFullAXTree", json!({}))
            .await;
        let text =
            |node: &Value, what: &str| node[what]["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().unwrap().iter();
        nodes
            .filter(|node| node["ignored"] == false)
            .map(|node| (text(node, "role"), text(node, "name")))
            .filter(|(role, _)| {
                ["button", "link", "textbox", "searchbox", "combobox"].contains(&role.as_str())
            })
            .collect()
    }

    /// Closes the tab; a page that complained fails the test.
    pub async fn close(mut self) {
        assert_eq!(self.complaints().await, [""; 0]);
        let target = json!({"targetId": self.target});
        self.wire.call("Target.closeTarget", target).await;
    }
}

fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled" if params["type"] != "log" => Some(params["args"].to_string()),
        "Log.entryAdded" => {
            let entry = &params["entry"];
            Some(format!("{} {}", entry["text"], entry["url"]))
        }
        "Page.javascriptDialogOpening" => Some(format!("a dialog: {}", params["message"])),
        _ => None,
    }
}
