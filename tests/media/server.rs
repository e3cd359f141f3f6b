//! A web server for the tests of media: raw answers over real sockets, and what it was asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request's head.
pub(crate) struct Request(String);

impl Request {
    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.0.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.lines().filter_map(|line| line.split_once(": "));
        let field = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value)
    }

    /// `bytes=3-9` is 3 and 10.
    pub(crate) fn range(&self) -> Option<(usize, Option<usize>)> {
        let (start, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let end = last.parse::<usize>().ok().map(|last| last + 1);
        Some((start.parse().unwrap(), end))
    }
}

/// What is sent, and whether the connection then stays open in silence.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    holds: bool,
}

impl Answer {
    pub(crate) fn status(status: &str, headers: &str) -> Self {
        Self::with_body(status, headers, b"")
    }

    /// With a true Content-Length.
    pub(crate) fn with_body(status: &str, headers: &str, body: &[u8]) -> Self {
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        Self::raw(status, &headers, body)
    }

    pub(crate) fn raw(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
        Self {
            bytes: [head.as_bytes(), body].concat(),
            holds: false,
        }
    }

    /// As an honest server that knows ranges answers.
    pub(crate) fn file(request: &Request, file: &[u8], etag: &str) -> Self {
        let tag = format!("ETag: {etag}\r\n");
        let same = request.header("if-range").is_none_or(|known| known == etag);
        match request.range() {
            Some((start, _)) if start >= file.len() && same => {
                let range = format!("Content-Range: bytes */{}\r\n", file.len());
                Self::status("416 Range Not Satisfiable", &range)
            }
            Some((start, end)) if same => {
                let end = end.unwrap_or(file.len()).min(file.len());
                let (last, total) = (end - 1, file.len());
                let headers = format!("{tag}Content-Range: bytes {start}-{last}/{total}\r\n");
                Self::with_body("206 Partial Content", &headers, &file[start..end])
            }
            _ => Self::with_body("200 OK", &tag, file),
        }
    }

    /// The same, without what follows so many bytes of its body.
    pub(crate) fn cut(mut self, body: usize) -> Self {
        let head = self.bytes.windows(4).position(|end| end == b"\r\n\r\n");
        self.bytes.truncate(head.unwrap() + 4 + body);
        self
    }

    pub(crate) fn holding(mut self) -> Self {
        self.holds = true;
        self
    }
}

/// A server that makes its answer from a request and its number, from 0.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves until the test's process ends.
    pub(crate) fn answers(
        answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let answer = {
                        let mut kept = kept.lock().unwrap();
                        let answer = answer(kept.len(), &request);
                        kept.push(request);
                        answer
                    };
                    send(&stream, &answer);
                });
            }
        });
        Self { url, requests }
    }

    /// What each request said in a header, `-` if nothing.
    pub(crate) fn asked(&self, header: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let asked = requests.iter().map(|it| it.header(header).unwrap_or("-"));
        asked.map(str::to_owned).collect()
    }

    pub(crate) fn targets(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|it| it.target().to_owned()).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(Request(head))
}

fn send(mut stream: &TcpStream, answer: &Answer) {
    // A client that has heard enough hangs up.
    if stream.write_all(&answer.bytes).is_err() || !answer.holds {
        return;
    }
    let bound = Some(Duration::from_mins(1));
    stream.set_read_timeout(bound).unwrap();
    // Silence, until the client has had enough of it.
    stream.read_exact(&mut [0]).ok();
}
