//! Starts, watches, restarts and stops processes.

use super::{
    child::{self, Child},
    event::{Event, Exit, Outcome, Reason},
    log::LogFolder,
    policy::Policy,
    screen::Screen,
};
use crate::launch::{Process, Respawn};
use std::{convert::Infallible, future::Future};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::{JoinSet, LocalSet},
    time::Instant,
};

/// What [`run`] works with besides the processes.
pub struct Settings {
    pub policy: Policy,
    pub logs: LogFolder,
    pub screen: Screen,
    pub events: UnboundedSender<Event>,
}

/// How urgently everything is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    No,
    /// Ask, wait, insist.
    Gracefully,
    /// SIGKILL at once.
    Now,
}

/// Runs `processes` until `stop` says so, one with `on_exit="shutdown"` ends, or none is left.
///
/// To be called on a thread that outlives the call: the kernel takes its end for the end of the processes' parent.
pub async fn run(processes: Vec<Process>, settings: Settings, mut stop: watch::Receiver<Stop>) -> Outcome {
    let order: Vec<String> = processes.iter().map(|process| process.name.clone()).collect();
    let (stop_all, stopping) = watch::channel(*stop.borrow_and_update());
    let local = LocalSet::new();
    let mut keepers = JoinSet::new();
    let work = async {
        for process in processes {
            let mut keeper = Keeper::new(process, &settings, stopping.clone());
            // Here and not in its task, so that the order of starting is the order of the file.
            let child = keeper.start();
            keepers.spawn_local(async move { keeper.keep(child).await });
        }
        let mut reason = None;
        let mut ends = Vec::new();
        loop {
            tokio::select! {
                end = keepers.join_next() => match end {
                    Some(Ok(end)) => {
                        if let (Some(exit), None) = (&end.shuts_down, &reason) {
                            let why = Reason::Ended { name: end.name.clone(), exit: exit.clone() };
                            begin_stop(&settings, &stop_all, &mut reason, why, Stop::Gracefully);
                        }
                        ends.push(end);
                    }
                    // A keeper that panicked: its child is killed as it is dropped.
                    Some(Err(error)) => tracing::error!("a supervising task failed: {error}"),
                    None => break,
                },
                Ok(()) = stop.changed() => {
                    let urgency = *stop.borrow_and_update();
                    begin_stop(&settings, &stop_all, &mut reason, Reason::Asked, urgency);
                }
            }
        }
        let reason = reason.unwrap_or(Reason::NothingLeft);
        (reason, ends)
    };
    let (reason, mut ends) = local.run_until(work).await;
    if reason == Reason::NothingLeft {
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
        let harder = urgency > *now;
        *now = urgency.max(*now);
        harder
    });
}

/// Resolves when everything is to stop at least as urgently as `least`; never, when the sender is gone.
async fn until(stopping: &mut watch::Receiver<Stop>, least: Stop) {
    if stopping.wait_for(|now| *now >= least).await.is_err() {
        std::future::pending().await
    }
}

/// The last words on a process.
struct End {
    name: String,
    exit: Exit,
    failed: bool,
    /// Set when its end is to end everything.
    shuts_down: Option<Exit>,
}

/// Looks after one process through all its restarts.
struct Keeper {
    process: Process,
    policy: Policy,
    stopping: watch::Receiver<Stop>,
    events: UnboundedSender<Event>,
    outputs: child::Outputs,
}

impl Keeper {
    fn new(process: Process, settings: &Settings, stopping: watch::Receiver<Stop>) -> Keeper {
        let outputs = child::Outputs::new(&process, settings.logs.file(&process.name), settings.screen.clone());
        Keeper { process, policy: settings.policy.clone(), stopping, events: settings.events.clone(), outputs }
    }

    fn tell(&self, event: Event) {
        self.outputs.remark(&event.to_string());
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    fn name(&self) -> String {
        self.process.name.clone()
    }

    fn start(&mut self) -> Result<Child, Exit> {
        let child = Child::start(&self.process, &self.outputs)
            .map_err(|error| Exit::NotStarted(format!("{}: {error}", self.process.executable.display())))?;
        self.tell(Event::Started { name: self.name(), pid: child.pid() });
        Ok(child)
    }

    async fn keep(mut self, mut child: Result<Child, Exit>) -> End {
        let (mut restarts, mut quick) = (0, 0);
        loop {
            let started = Instant::now();
            let (exit, killed) = match child {
                Ok(child) => self.watch(child).await,
                Err(exit) => (exit, false),
            };
            let ran = started.elapsed();
            self.tell(Event::Exited { name: self.name(), exit: exit.clone(), ran });
            if *self.stopping.borrow() > Stop::No {
                let asked = matches!(exit, Exit::Signal(signal) if signal == child::INT || signal == child::TERM);
                let failed = killed || !(exit.success() || asked);
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
            if max_retries.is_some_and(|most| restarts >= most) {
                self.tell(Event::GivenUp { name: self.name(), retries: restarts });
                return ended(exit, None);
            }
            restarts += 1;
            quick = if ran < self.policy.well_after { quick + 1 } else { 1 };
            if self.policy.is_crash_loop(quick) {
                let last_lines = self.outputs.last_lines();
                self.tell(Event::CrashLoop { name: self.name(), exits: quick, last_lines });
            }
            let after = self.policy.delay(delay, quick);
            self.tell(Event::Restarting { name: self.name(), after, retry: restarts });
            tokio::select! {
                () = tokio::time::sleep(after) => {}
                () = until(&mut self.stopping, Stop::Gracefully) => return ended(exit, None),
            }
            child = self.start();
        }
    }

    /// Waits for the end of `child`, and brings it about when everything stops. The second value tells whether
    /// SIGKILL was needed.
    async fn watch(&mut self, mut child: Child) -> (Exit, bool) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            exit = child.wait() => return (exit, false),
            () = until(&mut stopping, Stop::Gracefully) => {}
        }
        for (signal, name, patience) in
            [(child::INT, "SIGINT", self.policy.after_interrupt), (child::TERM, "SIGTERM", self.policy.after_terminate)]
        {
            if *stopping.borrow() < Stop::Now {
                if signal == child::TERM {
                    self.tell(Event::Escalated { name: self.name(), signal: name });
                }
                child.signal(signal);
                tokio::select! {
                    exit = child.wait() => return (exit, false),
                    () = tokio::time::sleep(patience) => {}
                    () = until(&mut stopping, Stop::Now) => {}
                }
            }
        }
        self.tell(Event::Escalated { name: self.name(), signal: "SIGKILL" });
        child.kill_group();
        (child.wait().await, true)
    }
}

/// [`Stop::Gracefully`] at the first SIGINT, SIGTERM or SIGHUP, [`Stop::Now`] at the second.
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
