//! The engine in a web service: decisions with their reasons, feedback by id, nothing lost.
//!
//! ```sh
//! cargo run -p plimsoll-store --example axum
//! curl -s localhost:8080/route -H 'content-type: application/json' \
//!   -d '{"id": "r-1", "text": "Prove that 7 is prime.", "task": "math"}'
//! curl -s localhost:8080/feedback -H 'content-type: application/json' \
//!   -d '{"id": "r-1", "quality": 1, "cost_usd": "0.0004"}'
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router as Routes};
use plimsoll::{
    ArmId, ArmSpec, AverageFloor, Call, Context, CostPredictor, Event, Explanation, Exploration,
    ExplorationKind, FeatureMap, FeatureMapConfig, Live, OpenLimits, Predictor, PredictorConfig,
    PredictorKind, Propensity, Quality, RawContext, Report, Router, RouterParts, Rule, Seed,
    SharedRouter, TrainingRows, Usd, Workspace,
};
use plimsoll_store::{Store, StoreOptions};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is waiting is learned this often.
const LEARN_EVERY: Duration = Duration::from_millis(20);
/// A new snapshot after this many events, so that recovery is short.
const ROTATE_EVERY: u64 = 100_000;
const SEED: Seed = Seed(7);

/// What handlers and the learner share.
struct Service {
    shared: SharedRouter,
    store: Mutex<Store>,
    /// All events below this number are durable and learned.
    learned: watch::Sender<u64>,
}

#[derive(Deserialize)]
struct Asked {
    id: String,
    text: String,
    task: Option<String>,
    input_tokens: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Routed {
    arm: ArmId,
    propensity: Propensity,
    /// Why, in one sentence.
    why: String,
    explanation: Explanation,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    quality: Option<Quality>,
    cost_usd: Option<Usd>,
    output_tokens: Option<u64>,
}

type Refusal = (StatusCode, String);

fn bad(error: impl Error) -> Refusal {
    (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

fn busy(error: impl Error) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn route(
    State(service): State<Arc<Service>>,
    Json(asked): Json<Asked>,
) -> Result<Json<Routed>, Refusal> {
    let router = service.shared.router();
    let context = router.context(&RawContext {
        text: Some(&asked.text),
        task: asked.task.as_deref(),
        input_tokens: asked.input_tokens,
        embedding: None,
    });
    let context = context.map_err(bad)?;
    let now = now_ms();
    let call = Call {
        at_ms: i64::try_from(now).ok(),
        ..Call::new(&context, &asked.id, SEED)
    };
    // A service that needs no explanations keeps a workspace per thread and calls
    // `SharedRouter::decide`, which allocates nothing.
    let mut work = Workspace::default();
    let explanation = router.explain(&call, &mut work).map_err(bad)?;
    let choice = router.choose(&call, &mut work).map_err(bad)?;
    let decided = router.decided(&call, choice, now, &mut work);
    let sent = service.shared.send(Event::Decided(decided));
    sent.map_err(busy)?;
    Ok(Json(Routed {
        arm: explanation.chosen.clone(),
        propensity: explanation.propensity,
        why: explanation.to_string(),
        explanation,
    }))
}

/// Answers once the feedback is durable and learned.
async fn feedback(
    State(service): State<Arc<Service>>,
    Json(told): Json<Told>,
) -> Result<StatusCode, Refusal> {
    let report = Report {
        quality: told.quality,
        cost: told.cost_usd,
        output_tokens: told.output_tokens,
        ..Report::new(told.id, now_ms())
    };
    let number = service.shared.report(report).map_err(busy)?;
    let mut learned = service.learned.subscribe();
    let waited = learned.wait_for(|next| *next > number).await;
    waited.map_err(busy)?;
    Ok(StatusCode::NO_CONTENT)
}

fn app(service: Arc<Service>) -> Routes {
    Routes::new()
        .route("/route", post(route))
        .route("/feedback", post(feedback))
        .with_state(service)
}

impl Service {
    /// Opens the folder, or begins with a router fitted on recorded outcomes.
    fn open(folder: &Path) -> Result<Arc<Self>, Box<dyn Error>> {
        let options = StoreOptions::default();
        let (store, live) = if folder.join("lock").exists() {
            let opened = Store::open(folder, &options, &|_, _| None)?;
            eprintln!("{}", opened.report);
            (opened.store, opened.live)
        } else {
            let live = Live::new(build()?, OpenLimits::default());
            (Store::create(folder, &options, &live)?, live)
        };
        let (learned, _) = watch::channel(live.sequence());
        Ok(Arc::new(Self {
            shared: SharedRouter::new(live),
            store: Mutex::new(store),
            learned,
        }))
    }

    /// Makes durable what waits, then learns it. One caller at a time: the learner task.
    fn learn(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let log = |first, events: &[Event]| store.append(first, events).map(drop);
        let learned = self.shared.learn_logged(log)?;
        for (number, error) in &learned.refused {
            eprintln!("event {number} was refused: {error}");
        }
        if learned.events > 0
            && learned.sequence / ROTATE_EVERY > (learned.sequence - learned.events) / ROTATE_EVERY
        {
            self.shared.with_live(|live| store.rotate(live))??;
        }
        self.learned.send_replace(learned.sequence);
        Ok(())
    }
}

/// Learns every few milliseconds until writing fails, which ends the service: what cannot be made
/// durable must not be acknowledged.
async fn keep_learning(service: Arc<Service>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut every = tokio::time::interval(LEARN_EVERY);
    loop {
        every.tick().await;
        let service = Arc::clone(&service);
        // `fsync` blocks: not on a thread that answers requests.
        tokio::task::spawn_blocking(move || service.learn()).await??;
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The small arm answers chat well and fails on mathematics; the large one answers both.
fn build() -> Result<Router, Box<dyn Error>> {
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?),
        ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?),
    ];
    let recorded = [
        ("Say hello in French.", "chat", 1.0),
        ("Prove Fermat's theorem.", "math", 0.0),
    ];
    let raw = |(text, task, _): &(&'static str, &'static str, f64)| RawContext {
        text: Some(text),
        task: Some(task),
        input_tokens: Some(20),
        embedding: None,
    };
    let rows = || recorded.iter().cycle().take(60);
    let map = FeatureMap::fit(FeatureMapConfig::default(), rows().map(raw))?;
    let contexts = rows().map(|row| map.map(&raw(row)));
    let contexts: Vec<Context> = contexts.collect::<Result<_, _>>()?;
    let quality: Vec<_> = rows().flat_map(|row| [Some(row.2), Some(1.0)]).collect();
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 2,
        quality: &quality,
        weights: None,
    };
    Ok(Router::new(RouterParts {
        predictor: Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &rows)?,
        cost: CostPredictor::fit(&arms, [])?,
        arms,
        features: Some(map),
        calibration: vec![],
        rule: Rule::AverageFloor(AverageFloor {
            lambda_low: 3.0,
            lambda_high: 3.0,
            share_high: 0.0,
            cost_scale: 0.01,
        }),
        exploration: Exploration {
            kind: ExplorationKind::InverseGap { gamma: 100.0 },
            share_max: 0.02,
            quality_min: Some(0.5),
            cost_max_usd: None,
        },
        control: None,
    })?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or("router-state".to_owned());
    let service = Service::open(Path::new(&folder))?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, app(Arc::clone(&service))) => served?,
        stopped = keep_learning(Arc::clone(&service)) => stopped.map_err(|error| error.to_string())?,
        _ = tokio::signal::ctrl_c() => {}
    }
    // Whatever still waits is made durable before the process ends.
    tokio::task::spawn_blocking(move || service.learn())
        .await?
        .map_err(|error| error.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Status and body of one request.
    async fn send(to: SocketAddr, path: &str, body: &serde_json::Value) -> (u16, String) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(to).await.expect("listens");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        let status = answer[9..12].parse().expect("a status");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, body.to_owned())
    }

    fn ask(id: &str, text: &str, task: &str) -> serde_json::Value {
        serde_json::json!({ "id": id, "text": text, "task": task, "input_tokens": 20 })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_routes_explains_learns_and_survives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("router");
        let service = Service::open(&folder).expect("opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let to = listener.local_addr().expect("has an address");
        let serve = axum::serve(listener, app(Arc::clone(&service)));
        let server = tokio::spawn(serve.into_future());
        let learner = tokio::spawn(keep_learning(Arc::clone(&service)));

        let mut arms = Vec::new();
        for (id, text, task) in [
            ("r-1", "Say goodbye in French.", "chat"),
            ("r-2", "Prove Wilson's theorem.", "math"),
        ] {
            let (status, body) = send(to, "/route", &ask(id, text, task)).await;
            assert_eq!(status, 200, "{body}");
            let routed: Routed = serde_json::from_str(&body).expect("as promised");
            assert_eq!(routed.explanation.arms.len(), 2);
            assert!(
                routed.why.starts_with(routed.arm.as_str()),
                "{}",
                routed.why
            );
            assert!(!body.contains(text), "prompts stay where they are");
            arms.push(routed.arm.to_string());
        }
        assert_eq!(arms, ["small", "large"]);

        let told = serde_json::json!({ "id": "r-1", "quality": 1.0, "cost_usd": "0.0001" });
        assert_eq!(send(to, "/feedback", &told).await.0, 204);
        // Told twice, learned once; an id that nobody knows changes nothing.
        assert_eq!(send(to, "/feedback", &told).await.0, 204);
        let unknown = serde_json::json!({ "id": "r-9", "quality": 1.0 });
        assert_eq!(send(to, "/feedback", &unknown).await.0, 204);
        let absurd = serde_json::json!({ "id": "r-2", "quality": 7.0 });
        assert_eq!(send(to, "/feedback", &absurd).await.0, 422);
        let counts = service.shared.with_live(Live::counts).expect("learns");
        assert_eq!(
            (counts.learned, counts.duplicate, counts.unknown),
            (1, 1, 1)
        );

        // The process ends without any goodbye: what was acknowledged is there again.
        let before = service.shared.router().state_hash();
        learner.abort();
        server.abort();
        let _ = (learner.await, server.await);
        let mut service = service;
        while let Err(held) = Arc::try_unwrap(service).map(drop) {
            service = held;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let again = Service::open(&folder).expect("opens again");
        assert_eq!(again.shared.router().state_hash(), before);
        let open = again.shared.with_live(Live::open_decisions).expect("reads");
        assert_eq!(open, 1, "r-2 still waits for its label");
    }
}
