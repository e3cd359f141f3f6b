//! A platform that answers as it likes: raw bytes over a real socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The longest that anything is sent without end.
const ENDLESS: Duration = Duration::from_secs(40);

/// A server whose answer to each request is made from the request's head.
pub struct Hostile {
    pub url: String,
    requests: Arc<AtomicUsize>,
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, and the connection's end.
    Bytes(Vec<u8>),
    /// These bytes, and then those others so often, with a pause before each, until the client hangs up.
    Endless {
        head: Vec<u8>,
        part: Vec<u8>,
        times: usize,
        pause: Duration,
    },
}

impl Hostile {
    /// Serves until the test's process ends.
    pub fn answers(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serve(move |stream, request| {
            stream.write_all(&answer(&request.head))?;
            Ok(())
        })
    }

    /// Stands before another server, and hands on to it what it does not answer itself.
    pub fn before(
        upstream: &str,
        answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap();
        let upstream = upstream.trim_end_matches('/').to_owned();
        Self::serve(move |stream, request| match answer(&request) {
            Some(answer) => answer.send(stream),
            None => request.hand_on(&upstream, stream),
        })
    }

    fn serve(
        answer: impl Fn(&mut &TcpStream, Request) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, counter) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                std::thread::spawn(move || {
                    if let Ok(request) = Request::read(&stream) {
                        counter.fetch_add(1, Ordering::Relaxed);
                        // A client that has heard enough hangs up.
                        answer(&mut &stream, request).ok();
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// How many requests it was sent.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A request as it came over the wire.
pub struct Request {
    /// Its first line and headers, with their ends.
    pub head: String,
    /// The rest, chunked if it came so.
    pub body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let header = |wanted: &str| {
            head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        let mut body = Vec::new();
        if header("transfer-encoding") == Some("chunked") {
            while !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
                if reader.read_until(b'\n', &mut body)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        } else {
            let length = header("content-length").and_then(|length| length.parse().ok());
            body.resize(length.unwrap_or(0), 0);
            reader.read_exact(&mut body)?;
        }
        Ok(Self { head, body })
    }

    /// Its method and target.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Whether it has the word in it anywhere.
    pub fn mentions(&self, word: &str) -> bool {
        self.head.contains(word) || String::from_utf8_lossy(&self.body).contains(word)
    }

    /// Lets another server answer, and ends the connection.
    fn hand_on(&self, upstream: &str, mut client: &TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(upstream)?;
        let head = self.head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        server.write_all(head.as_bytes())?;
        server.write_all(&self.body)?;
        io::copy(&mut server, &mut client)?;
        Ok(())
    }
}

impl Answer {
    fn send(&self, mut client: &TcpStream) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => client.write_all(bytes),
            Self::Endless {
                head,
                part,
                times,
                pause,
            } => {
                client.write_all(head)?;
                let began = Instant::now();
                for _ in 0..*times {
                    if began.elapsed() > ENDLESS {
                        break;
                    }
                    std::thread::sleep(*pause);
                    client.write_all(part)?;
                }
                Ok(())
            }
        }
    }
}

/// An answer with that status and body, after which the connection ends.
pub fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
