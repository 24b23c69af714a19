//! Starts, watches, restarts and stops processes: carries out what the state machine of [`super::core`] decides, and hands
//! it what happens, with the time.

use super::{
    child::{Child, Outputs},
    core::{Action, Core, Input, Spec, Todo},
    event::{Event, Exit, Outcome, Reason, Stop},
    log::LogFolder,
    policy::Policy,
    procfs,
    screen::Screen,
    watchdog::{ServiceManager, WatchdogDevice, Watchdogs},
};
use crate::launch::Process;
use auriga_runtime::{
    Nanos,
    processes::{self, ProcessList},
};
use std::{collections::VecDeque, convert::Infallible, future::Future};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    task::LocalSet,
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
    /// The service manager that started this program, if it is to be notified.
    pub manager: Option<ServiceManager>,
    /// The hardware watchdog, if there is one to feed.
    pub device: Option<WatchdogDevice>,
}

/// Runs `processes` until `stop` says so, one with `on_exit="shutdown"` ends, or none is left.
///
/// Call it on a thread that outlives the call: when that thread ends, the kernel sends SIGTERM to the processes.
pub async fn run(mut processes: Vec<Process>, settings: Settings, mut stop: watch::Receiver<Stop>) -> Outcome {
    let Settings { policy, logs, screen, events, manager, device } = settings;
    let list = list_of(&mut processes);
    let core = Core::new(processes.iter().map(Spec::from).collect(), policy.clone());
    let outputs = processes.iter().map(|process| Outputs::new(process, logs.file(&process.name), screen.clone()));
    let (exit, mut exits) = unbounded_channel();
    let mut shell = Shell {
        core,
        outputs: outputs.collect(),
        children: processes.iter().map(|_| None).collect(),
        processes,
        list,
        exit,
        events,
        watchdogs: Watchdogs::new(manager, device),
        safety_lost: false,
        stopping: false,
    };
    let work = async {
        shell.start();
        let urgency = *stop.borrow_and_update();
        shell.request_stop(urgency);
        loop {
            if let Some(outcome) = shell.core.outcome() {
                return outcome;
            }
            shell.wait(&policy, &mut exits, &mut stop).await;
            shell.tick();
        }
    };
    LocalSet::new().run_until(work).await
}

/// An empty list of what runs, for those that may act on processes; its path is in the environment of each.
fn list_of(processes: &mut [Process]) -> Option<ProcessList> {
    let list = ProcessList::create().inspect_err(|error| {
        tracing::warn!("no list of processes: {error}; the arbiter acts on none of those that are started");
    });
    let list = list.ok();
    // Without one, that of a launcher of this launcher must not stand.
    let path = list.as_ref().map_or_else(|| "/nonexistent".into(), |list| list.path().display().to_string());
    for process in processes {
        process.environment.push((processes::VARIABLE.into(), Some(path.clone())));
    }
    list
}

/// The processes of a launch.
struct Shell {
    core: Core,
    processes: Vec<Process>,
    outputs: Vec<Outputs>,
    children: Vec<Option<Child>>,
    list: Option<ProcessList>,
    /// Receives the ends of the processes, by index.
    exit: UnboundedSender<(usize, Exit)>,
    events: UnboundedSender<Event>,
    watchdogs: Watchdogs,
    safety_lost: bool,
    stopping: bool,
}

impl Shell {
    fn start(&mut self) {
        let todo = self.core.start(Nanos::monotonic());
        self.perform(todo);
    }

    fn request_stop(&mut self, urgency: Stop) {
        let todo = self.core.request_stop(urgency, Nanos::monotonic());
        self.perform(todo);
    }

    /// Until something happens, or it is time to look.
    async fn wait(
        &mut self,
        policy: &Policy,
        exits: &mut UnboundedReceiver<(usize, Exit)>,
        stop: &mut watch::Receiver<Stop>,
    ) {
        let now = Nanos::monotonic();
        let left = self.core.due().map_or(policy.check_every, |due| due.since(now).min(policy.check_every));
        tokio::select! {
            Some((index, exit)) = exits.recv() => {
                if let Some(child) = self.children[index].take() {
                    self.change_list(|list| list.remove(raw(&child)));
                }
                let todo = self.core.on(index, Input::Exited(exit), Nanos::monotonic());
                self.perform(todo);
            }
            Ok(()) = stop.changed() => {
                let urgency = *stop.borrow_and_update();
                self.request_stop(urgency);
            }
            () = tokio::time::sleep(left) => {}
        }
    }

    /// Hands on what the processes have said, and the time.
    fn tick(&mut self) {
        for index in 0..self.children.len() {
            let said = self.children[index].as_mut().map(Child::said).unwrap_or_default();
            for message in said {
                let todo = self.core.on(index, Input::Said(message), Nanos::monotonic());
                self.perform(todo);
            }
        }
        let now = Nanos::monotonic();
        let todo = self.core.tick(now);
        self.perform(todo);
        self.feed(now);
    }

    fn feed(&mut self, now: Nanos) {
        let lost = self.core.lost_safety(now).map(str::to_owned);
        if lost.is_some() != self.safety_lost && !self.stopping {
            self.safety_lost = lost.is_some();
            self.report(None, lost.clone().map_or(Event::SafetyBack, |name| Event::SafetyLost { name }));
        }
        self.watchdogs.feed(lost.is_none(), now);
        self.watchdogs.state(self.core.up());
    }

    fn perform(&mut self, todo: Vec<Todo>) {
        let mut todo = VecDeque::from(todo);
        while let Some(one) = todo.pop_front() {
            match one {
                Todo::Report(index, event) => self.report(index, event),
                Todo::Process(index, action) => {
                    if let Some(input) = self.act(index, action) {
                        // What follows from it comes before what is still to be done, so that events are in their order.
                        let next = self.core.on(index, input, Nanos::monotonic());
                        next.into_iter().rev().for_each(|one| todo.push_front(one));
                    }
                }
            }
        }
    }

    fn act(&mut self, index: usize, action: Action) -> Option<Input> {
        match (action, &self.children[index]) {
            (Action::Start { restarts, reason }, _) => Some(self.start_process(index, restarts, &reason)),
            (Action::Look, Some(child)) => Some(Input::Seen(procfs::activity(child.pid()))),
            (Action::Signal(signal), Some(child)) => {
                child.signal(signal);
                None
            }
            (Action::Kill, Some(child)) => {
                child.kill();
                None
            }
            // It has just ended.
            (Action::Look | Action::Signal(_) | Action::Kill, None) => None,
        }
    }

    fn start_process(&mut self, index: usize, restarts: u32, reason: &str) -> Input {
        let process = &self.processes[index];
        match Child::start(process, &self.outputs[index], restarts, reason) {
            Ok((child, waiter)) => {
                let pid = raw(&child);
                self.children[index] = Some(child);
                self.change_list(|list| list.add(pid));
                let exit = self.exit.clone();
                tokio::task::spawn_local(async move {
                    // The receiver is gone when the launch is over.
                    let _ = exit.send((index, waiter.wait().await));
                });
                Input::Started { pid }
            }
            Err(error) => Input::Exited(Exit::NotStarted(format!("{}: {error}", process.executable.display()))),
        }
    }

    fn change_list(&mut self, change: impl FnOnce(&mut ProcessList) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.list.as_mut().map(change) {
            tracing::warn!("the list of processes: {error}");
        }
    }

    fn report(&mut self, index: Option<usize>, mut event: Event) {
        if let (Some(index), Event::CrashLoop { last_lines, .. }) = (index, &mut event) {
            *last_lines = self.outputs[index].last_lines();
        }
        if let Event::Stopping { why } = &event {
            self.stopping = true;
            self.watchdogs.stopping(*why == Reason::Requested);
        }
        if let Some(index) = index {
            self.outputs[index].note(&event.to_string());
        }
        // The receiver may be gone.
        let _ = self.events.send(event);
    }
}

fn raw(child: &Child) -> u32 {
    child.pid().as_raw_nonzero().get() as u32
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
