//! A proxy on the wire between the real binary and its database or platforms. A hook sees everything that passes and
//! says what becomes of it, so that a story can break the wire, or kill the process, at an exact place.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long a story or its process may keep the wire waiting.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Out,
    /// Back to the client.
    Back,
}

/// Some bytes that have come, before they go on.
#[derive(Debug)]
pub struct Passing<'a> {
    /// Which connection, counted from 0.
    pub connection: usize,
    pub way: Way,
    /// The bytes; none when the connection opens.
    pub chunk: &'a [u8],
    /// All that the client has sent on this connection, this chunk included.
    pub out: &'a [u8],
    /// All that the server has sent on it, this chunk included.
    pub back: &'a [u8],
}

/// Whether a connection has just been made, and nothing was sent on it.
pub fn opens(wire: &Passing<'_>) -> bool {
    wire.chunk.is_empty()
}

/// Something to be done at a boundary. The whole wire stands still meanwhile.
pub type Then = Box<dyn FnOnce() + Send>;

/// What becomes of the bytes.
pub enum Act {
    /// They go on.
    Pass,
    /// They go on, and this is done before anything else moves.
    PassThen(Then),
    /// So many go on and this is done; the rest is lost, and so is the connection.
    Cut(usize, Then),
    /// They are lost, and both ends see a reset.
    Reset,
    /// From here on nothing arrives anywhere, and nobody is told.
    BlackHole,
    /// From here on one byte passes in so much time.
    Trickle(Duration),
    /// They are lost, and their receiver sees a clean end; what it sends still arrives.
    HalfClose,
    /// They are lost; the rest goes on.
    Swallow,
}

type Hook = Box<dyn FnMut(&Passing<'_>) -> Act + Send>;

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    hook: Arc<Mutex<Hook>>,
    server: Arc<Mutex<String>>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    /// A sound wire to a server at `HOST:PORT`.
    pub fn to(server: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hook: Arc<Mutex<Hook>> = Arc::new(Mutex::new(Box::new(|_| Act::Pass)));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let server = Arc::new(Mutex::new(server.to_owned()));
        let (shared, server_now) = (Arc::clone(&hook), Arc::clone(&server));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, server_now, shared) => {}
                    _ = ended => {}
                }
            });
        });
        Self {
            address,
            hook,
            server,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// From now on this hook decides.
    pub fn decide(&self, hook: impl FnMut(&Passing<'_>) -> Act + Send + 'static) {
        *self.hook.lock().unwrap() = Box::new(hook);
    }

    /// From now on new connections lead to this server.
    pub fn lead_to(&self, server: &str) {
        server.clone_into(&mut self.server.lock().unwrap());
    }

    /// The wire stands still at that place, the first time that it is reached, before the bytes go on.
    pub fn hold(&self, is_here: impl Fn(&Passing<'_>) -> bool + Send + 'static) -> Gate {
        let (gate, then) = gate();
        let mut then = Some(then);
        self.decide(move |wire| {
            if is_here(wire)
                && let Some(then) = then.take()
            {
                then();
            }
            Act::Pass
        });
        gate
    }

    /// From now on the wire is sound; what was broken stays so.
    pub fn heal(&self) {
        self.decide(|_| Act::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The two sides of a boundary: the wire does the second and stands still until the story opens the first.
pub fn gate() -> (Gate, Then) {
    let (reach, reached) = mpsc::channel();
    let (open, opened) = mpsc::channel::<()>();
    let then = move || {
        // A story that has ended waits for nothing.
        if reach.send(()).is_ok() {
            opened.recv_timeout(PATIENCE).ok();
        }
    };
    (Gate { reached, open }, Box::new(then))
}

/// Where a story waits for the wire.
pub struct Gate {
    reached: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    /// Waits until the boundary is reached; false if it is not in good time.
    pub fn is_reached(&self) -> bool {
        self.is_reached_within(Duration::from_secs(20))
    }

    /// The same with the story's own patience.
    pub fn is_reached_within(&self, time: Duration) -> bool {
        self.reached.recv_timeout(time).is_ok()
    }

    /// Lets the wire go on.
    pub fn open(self) {
        self.open.send(()).ok();
    }
}

async fn accept(listener: TcpListener, server: Arc<Mutex<String>>, hook: Arc<Mutex<Hook>>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    while let Ok((client, _)) = listener.accept().await {
        let wire = Wire {
            number,
            hook: Arc::clone(&hook),
            out: Vec::new(),
            back: Vec::new(),
            pause: None,
        };
        let server = server.lock().unwrap().clone();
        connections.spawn(wire.carry(client, server));
        number += 1;
    }
}

/// One connection.
struct Wire {
    number: usize,
    hook: Arc<Mutex<Hook>>,
    out: Vec<u8>,
    back: Vec<u8>,
    /// Between two bytes, once it trickles.
    pause: Option<Duration>,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Fate {
    Lives,
    Ends,
}

impl Wire {
    async fn carry(mut self, mut client: TcpStream, server: String) {
        client.set_nodelay(true).unwrap();
        match self.ask(Way::Out, &[]) {
            Act::Reset => return reset(&client),
            Act::BlackHole => return silence(&mut client, None).await,
            Act::Cut(_, then) => return then(),
            Act::PassThen(then) => then(),
            Act::Trickle(pause) => self.pause = Some(pause),
            Act::HalfClose => drop(client.shutdown().await),
            Act::Pass | Act::Swallow => {}
        }
        let Ok(mut server) = TcpStream::connect(server).await else {
            return reset(&client);
        };
        server.set_nodelay(true).unwrap();
        let (mut sent, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        let (mut sends, mut answers) = (true, true);
        while sends || answers {
            // An error is a peer that is gone, and the other one hears of it.
            let fate = tokio::select! {
                read = client.read(&mut sent), if sends => {
                    let Ok(length) = read else { return };
                    sends = length > 0;
                    self.pass(Way::Out, &sent[..length], &mut client, &mut server).await
                }
                read = server.read(&mut answered), if answers => {
                    let Ok(length) = read else { return };
                    answers = length > 0;
                    self.pass(Way::Back, &answered[..length], &mut client, &mut server).await
                }
            };
            if fate == Fate::Ends {
                return;
            }
        }
    }

    fn ask(&mut self, way: Way, chunk: &[u8]) -> Act {
        match way {
            Way::Out => self.out.extend(chunk),
            Way::Back => self.back.extend(chunk),
        }
        let passing = Passing {
            connection: self.number,
            way,
            chunk,
            out: &self.out,
            back: &self.back,
        };
        (self.hook.lock().unwrap())(&passing)
    }

    async fn pass(
        &mut self,
        way: Way,
        chunk: &[u8],
        client: &mut TcpStream,
        server: &mut TcpStream,
    ) -> Fate {
        let act = match chunk {
            [] => Act::HalfClose,
            chunk => self.ask(way, chunk),
        };
        let (sender, receiver) = match way {
            Way::Out => (&*client, &mut *server),
            Way::Back => (&*server, &mut *client),
        };
        match act {
            Act::Pass => self.forward(chunk, sender, receiver).await,
            Act::PassThen(then) => {
                let fate = self.forward(chunk, sender, receiver).await;
                then();
                fate
            }
            Act::Cut(length, then) => {
                self.forward(&chunk[..length], sender, receiver).await;
                then();
                Fate::Ends
            }
            Act::Reset => {
                reset(client);
                reset(server);
                Fate::Ends
            }
            Act::BlackHole => {
                silence(client, Some(server)).await;
                Fate::Ends
            }
            Act::Trickle(pause) => {
                self.pause = Some(pause);
                self.forward(chunk, sender, receiver).await
            }
            Act::HalfClose => {
                // Where it is gone already it needs no telling.
                receiver.shutdown().await.ok();
                Fate::Lives
            }
            Act::Swallow => Fate::Lives,
        }
    }

    async fn forward(&self, chunk: &[u8], sender: &TcpStream, receiver: &mut TcpStream) -> Fate {
        let sent = match self.pause {
            None => receiver.write_all(chunk).await,
            Some(pause) => tokio::select! {
                sent = drip(chunk, receiver, pause) => sent,
                // The bytes that are still here are lost: what nobody waits for any more must not arrive after all.
                () = gone(sender) => return Fate::Ends,
            },
        };
        sent.map_or(Fate::Ends, |()| Fate::Lives)
    }
}

async fn drip(chunk: &[u8], receiver: &mut TcpStream, pause: Duration) -> std::io::Result<()> {
    for byte in chunk {
        receiver.write_all(&[*byte]).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Ends when that end has closed the connection and nothing of it is left to be read.
async fn gone(end: &TcpStream) {
    if let Ok(1..) = end.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

/// Takes what comes and gives nothing, until the client gives up. The server is held, too.
async fn silence(client: &mut TcpStream, _server: Option<&mut TcpStream>) {
    let mut lost = vec![0; 65_536];
    while matches!(client.read(&mut lost).await, Ok(1..)) {}
}

/// With zero linger the close, which is about to come, is a reset.
fn reset(stream: &TcpStream) {
    // A peer that has reset it first leaves nothing to set.
    stream.set_zero_linger().ok();
}
