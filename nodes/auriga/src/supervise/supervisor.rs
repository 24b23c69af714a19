//! Starts, watches, restarts and stops processes.

use super::{
    child::{self, Child},
    event::{Event, Exit, Outcome, Reason},
    log::LogFolder,
    policy::{Policy, Restarts},
    screen::Screen,
};
use crate::launch::{Process, Respawn};
use std::{convert::Infallible, future::Future};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::{JoinSet, LocalSet},
    time::Instant,
};

/// What [`run`] needs besides the processes.
pub struct Settings {
    /// Waits.
    pub policy: Policy,
    /// Where output is logged.
    pub logs: LogFolder,
    /// Where output is shown.
    pub screen: Screen,
    /// Receives all events.
    pub events: UnboundedSender<Event>,
}

/// How urgently all processes have to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    No,
    /// SIGINT, then SIGTERM, then SIGKILL.
    Gracefully,
    /// SIGKILL at once.
    Now,
}

/// Runs `processes` until `stop` says so, one with `on_exit="shutdown"` ends, or none is left.
///
/// Call it on a thread that outlives the call: when that thread ends, the kernel sends SIGTERM to the processes.
pub async fn run(processes: Vec<Process>, settings: Settings, mut stop: watch::Receiver<Stop>) -> Outcome {
    let order: Vec<String> = processes.iter().map(|process| process.name.clone()).collect();
    let (stop_all, stopping) = watch::channel(*stop.borrow_and_update());
    let local = LocalSet::new();
    let mut supervised = JoinSet::new();
    let work = async {
        for process in processes {
            let mut process = Supervised::new(process, &settings, stopping.clone());
            // Not in its task: processes start in the order of the file.
            let child = process.start();
            supervised.spawn_local(async move { process.supervise(child).await });
        }
        let mut reason = None;
        let mut ends = Vec::new();
        loop {
            tokio::select! {
                end = supervised.join_next() => match end {
                    Some(Ok(end)) => {
                        if let (Some(exit), None) = (&end.shuts_down, &reason) {
                            let why = Reason::Ended { name: end.name.clone(), exit: exit.clone() };
                            begin_stop(&settings, &stop_all, &mut reason, why, Stop::Gracefully);
                        }
                        ends.push(end);
                    }
                    // It panicked; its child is killed when dropped.
                    Some(Err(error)) => tracing::error!("a supervising task failed: {error}"),
                    None => break,
                },
                Ok(()) = stop.changed() => {
                    let urgency = *stop.borrow_and_update();
                    begin_stop(&settings, &stop_all, &mut reason, Reason::Requested, urgency);
                }
            }
        }
        let reason = reason.unwrap_or(Reason::AllEnded);
        (reason, ends)
    };
    let (reason, mut ends) = local.run_until(work).await;
    if reason == Reason::AllEnded {
        let _ = settings.events.send(Event::Stopping { why: reason.clone() });
    }
    ends.sort_by_key(|end| order.iter().position(|name| *name == end.name));
    Outcome {
        reason,
        failed: ends.iter().filter(|end| end.failed).map(|end| end.name.clone()).collect(),
        exits: ends.into_iter().map(|end| (end.name, end.exit)).collect(),
    }
}

fn begin_stop(
    settings: &Settings,
    stop_all: &watch::Sender<Stop>,
    reason: &mut Option<Reason>,
    why: Reason,
    urgency: Stop,
) {
    if reason.is_none() {
        let _ = settings.events.send(Event::Stopping { why: why.clone() });
        *reason = Some(why);
    }
    stop_all.send_if_modified(|now| {
        let more_urgent = urgency > *now;
        *now = urgency.max(*now);
        more_urgent
    });
}

/// Resolves when a stop of at least this urgency is requested; never, when the sender is gone.
async fn stop_requested(stopping: &mut watch::Receiver<Stop>, least: Stop) {
    if stopping.wait_for(|now| *now >= least).await.is_err() {
        std::future::pending().await
    }
}

/// How the supervision of a process ended.
struct End {
    name: String,
    exit: Exit,
    failed: bool,
    /// Set when its end stops the launch.
    shuts_down: Option<Exit>,
}

/// Supervises one process over all its restarts.
struct Supervised {
    process: Process,
    policy: Policy,
    stopping: watch::Receiver<Stop>,
    events: UnboundedSender<Event>,
    outputs: child::Outputs,
}

impl Supervised {
    fn new(process: Process, settings: &Settings, stopping: watch::Receiver<Stop>) -> Supervised {
        let outputs = child::Outputs::new(&process, settings.logs.file(&process.name), settings.screen.clone());
        Supervised { process, policy: settings.policy.clone(), stopping, events: settings.events.clone(), outputs }
    }

    fn emit(&self, event: Event) {
        self.outputs.note(&event.to_string());
        // The receiver may be gone.
        let _ = self.events.send(event);
    }

    fn name(&self) -> String {
        self.process.name.clone()
    }

    fn start(&mut self) -> Result<Child, Exit> {
        let child = Child::start(&self.process, &self.outputs)
            .map_err(|error| Exit::NotStarted(format!("{}: {error}", self.process.executable.display())))?;
        self.emit(Event::Started { name: self.name(), pid: child.pid() });
        Ok(child)
    }

    async fn supervise(mut self, mut child: Result<Child, Exit>) -> End {
        let (mut count, mut restarts) = (0, None);
        loop {
            let started = Instant::now();
            let (exit, killed) = match child {
                Ok(child) => self.watch(child).await,
                Err(exit) => (exit, false),
            };
            let ran = started.elapsed();
            self.emit(Event::Exited { name: self.name(), exit: exit.clone(), ran });
            if *self.stopping.borrow() > Stop::No {
                let as_requested =
                    matches!(exit, Exit::Signal(signal) if signal == child::INT || signal == child::TERM);
                let failed = killed || !(exit.success() || as_requested);
                return End { name: self.name(), exit, failed, shuts_down: None };
            }
            let ended = |exit: Exit, shuts_down| End {
                name: self.process.name.clone(),
                failed: !exit.success(),
                exit,
                shuts_down,
            };
            if self.process.shutdown_on_exit {
                return ended(exit.clone(), Some(exit));
            }
            let Respawn::Always { delay, max_retries } = self.process.respawn else { return ended(exit, None) };
            if max_retries.is_some_and(|most| count >= most) {
                self.emit(Event::GivenUp { name: self.name(), retries: count });
                return ended(exit, None);
            }
            count += 1;
            let restarts = restarts.get_or_insert_with(|| Restarts::new(&self.policy, delay));
            let after = restarts.delay_after(ran);
            if let Some(exits) = restarts.crash_loop() {
                let last_lines = self.outputs.last_lines();
                self.emit(Event::CrashLoop { name: self.name(), exits, last_lines });
            }
            self.emit(Event::Restarting { name: self.name(), after, retry: count });
            tokio::select! {
                () = tokio::time::sleep(after) => {}
                () = stop_requested(&mut self.stopping, Stop::Gracefully) => return ended(exit, None),
            }
            child = self.start();
        }
    }

    /// Waits for the end of `child`, and stops it on request. The second value: whether SIGKILL was needed.
    async fn watch(&mut self, mut child: Child) -> (Exit, bool) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            exit = child.wait() => return (exit, false),
            () = stop_requested(&mut stopping, Stop::Gracefully) => {}
        }
        for (signal, name, timeout) in
            [(child::INT, "SIGINT", self.policy.after_interrupt), (child::TERM, "SIGTERM", self.policy.after_terminate)]
        {
            if *stopping.borrow() < Stop::Now {
                if signal == child::TERM {
                    self.emit(Event::Escalated { name: self.name(), signal: name });
                }
                child.signal(signal);
                tokio::select! {
                    exit = child.wait() => return (exit, false),
                    () = tokio::time::sleep(timeout) => {}
                    () = stop_requested(&mut stopping, Stop::Now) => {}
                }
            }
        }
        self.emit(Event::Escalated { name: self.name(), signal: "SIGKILL" });
        child.kill_group();
        (child.wait().await, true)
    }
}

/// Sends [`Stop::Gracefully`] at the first SIGINT, SIGTERM or SIGHUP, [`Stop::Now`] at the second.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn stop_on_signals(stop: watch::Sender<Stop>) -> std::io::Result<impl Future<Output = Infallible>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        for urgency in [Stop::Gracefully, Stop::Now] {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
            stop.send_replace(urgency);
        }
        std::future::pending().await
    })
}
