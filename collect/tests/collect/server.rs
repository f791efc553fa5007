//! A loopback service that behaves as badly as it is told to, and keeps count.
//!
//! Plain threads and sockets, so that it can break every rule of HTTP; the command line's tests
//! use it as well.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A call as the service sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// How many calls came before, of all bodies.
    pub(crate) index: usize,
    /// How many calls with the same body came before.
    pub(crate) nth: usize,
    pub(crate) body: String,
    pub(crate) head: String,
}

/// What the service does about it.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A whole reply, after a while.
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
        after: Duration,
    },
    /// Bytes as they are, then the end.
    Raw(Vec<u8>),
    /// Bytes now and then, for ever.
    Drip(Vec<u8>, Duration),
    /// Nothing for a while, then the end.
    Stall(Duration),
}

impl Act {
    /// An answer that costs 20 input and `output` output tokens.
    pub(crate) fn answer(text: &str, output: u64) -> Self {
        Self::json(&answer_body(text, output))
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::status(200, &[], body)
    }

    pub(crate) fn status(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        Self::Reply {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            body: body.to_owned(),
            after: Duration::ZERO,
        }
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        match self {
            Self::Reply {
                status,
                headers,
                body,
                ..
            } => Self::Reply {
                status,
                headers,
                body,
                after: wait,
            },
            other => other,
        }
    }
}

pub(crate) fn answer_body(text: &str, output: u64) -> String {
    format!(
        r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},
            "finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":20,"completion_tokens":{output},"total_tokens":{}}}}}"#,
        20 + output
    )
}

type Handler = dyn Fn(&Seen) -> Act + Send + Sync;

/// The service; it ends with this value.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Whole successful replies written, by body: what a service charges for.
    paid: Arc<Mutex<BTreeMap<String, u64>>>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self {
            port: listener.local_addr().expect("bound").port(),
            seen: Arc::default(),
            paid: Arc::default(),
            is_over: Arc::default(),
        };
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, paid, is_over) = (
            Arc::clone(&server.seen),
            Arc::clone(&server.paid),
            Arc::clone(&server.is_over),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (seen, paid, handler) =
                    (Arc::clone(&seen), Arc::clone(&paid), Arc::clone(&handler));
                // A client that goes away ends its connection's thread.
                thread::spawn(move || serve(stream, &seen, &paid, &*handler));
            }
        });
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("whole").clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().expect("whole").len()
    }

    /// Whole successful replies by body.
    pub(crate) fn paid(&self) -> BTreeMap<String, u64> {
        self.paid.lock().expect("whole").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener, so that its port is closed.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    paid: &Mutex<BTreeMap<String, u64>>,
    handler: &Handler,
) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (head, body) = read_request(&mut reader)?;
        let call = {
            let mut seen = seen.lock().expect("whole");
            let call = Seen {
                index: seen.len(),
                nth: seen.iter().filter(|earlier| earlier.body == body).count(),
                body: body.clone(),
                head,
            };
            seen.push(call.clone());
            call
        };
        match handler(&call) {
            Act::Reply {
                status,
                headers,
                body: reply,
                after,
            } => {
                thread::sleep(after);
                if (200..300).contains(&status) {
                    *paid.lock().expect("whole").entry(body).or_default() += 1;
                }
                let mut text =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", reply.len());
                for (name, value) in headers {
                    let _ = write!(text, "{name}: {value}\r\n");
                }
                text.push_str("\r\n");
                text.push_str(&reply);
                out.write_all(text.as_bytes()).ok()?;
            }
            Act::Raw(bytes) => {
                out.write_all(&bytes).ok()?;
                return None;
            }
            Act::Drip(bytes, pause) => loop {
                out.write_all(&bytes).ok()?;
                thread::sleep(pause);
            },
            Act::Stall(time) => {
                thread::sleep(time);
                return None;
            }
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
