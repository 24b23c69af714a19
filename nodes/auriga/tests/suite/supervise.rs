//! The supervisor with real processes: small shell scripts.

use auriga::{
    launch::{Output, Process, Respawn},
    supervise::{self, Event, Exit, LogFolder, Outcome, Policy, Reason, Screen, Settings, Stop},
};
use std::{fs, path::Path, time::Duration};
use tokio::sync::{
    mpsc::{UnboundedReceiver, unbounded_channel},
    watch,
};

pub fn shell(name: &str, script: &str) -> Process {
    Process {
        name: name.into(),
        executable: "/bin/sh".into(),
        table_node: None,
        arguments: vec!["-c".into(), script.into()],
        output: Output::Screen,
        ..Process::default()
    }
}

pub fn respawned(name: &str, script: &str, max_retries: Option<u32>) -> Process {
    Process { respawn: Respawn::Always { delay: Duration::ZERO, max_retries }, ..shell(name, script) }
}

/// Short waits; no run counts as stable.
fn policy() -> Policy {
    Policy {
        after_interrupt: Duration::from_millis(300),
        after_terminate: Duration::from_millis(300),
        stable_after: Duration::from_secs(3600),
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(4),
        crash_loop_exits: 3,
        ..Policy::default()
    }
}

/// Runs `processes`; `meanwhile` gets the events as they come and can request a stop.
pub fn run_with<F: Future<Output = Vec<Event>>>(
    processes: Vec<Process>,
    logs: &Path,
    policy: Policy,
    meanwhile: impl FnOnce(UnboundedReceiver<Event>, watch::Sender<Stop>) -> F,
) -> (Outcome, Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (events, incoming) = unbounded_channel();
    let (stop, stopping) = watch::channel(Stop::No);
    let logs = LogFolder::at(logs).unwrap();
    let settings = Settings { policy, logs, screen: Screen::none(), events, manager: None, device: None };
    let both = async { tokio::join!(supervise::run(processes, settings, stopping), meanwhile(incoming, stop)) };
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), both).await }).expect("it ends by itself")
}

pub async fn rest(mut incoming: UnboundedReceiver<Event>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = incoming.recv().await {
        events.push(event);
    }
    events
}

fn run(processes: Vec<Process>, logs: &Path) -> (Outcome, Vec<Event>) {
    run_with(processes, logs, policy(), |incoming, stop| async move {
        let events = rest(incoming).await;
        drop(stop);
        events
    })
}

/// Requests a stop once each process has created its ready file.
async fn stop_when_ready(files: Vec<std::path::PathBuf>, stop: watch::Sender<Stop>, urgency: Stop) {
    for file in files {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.send(urgency).unwrap();
}

#[test]
fn processes_that_succeed_give_exit_code_0_and_their_output_is_logged() {
    let logs = tempfile::tempdir().unwrap();
    let (outcome, events) = run(vec![shell("a", "echo one; echo two >&2"), shell("b", "printf three")], logs.path());
    assert_eq!((outcome.code(), &outcome.reason), (0, &Reason::AllEnded));
    assert!(matches!(&events[0], Event::Started { name, .. } if name == "a"), "{events:?}");
    assert!(matches!(&events[1], Event::Started { name, .. } if name == "b"), "{events:?}");
    let log = fs::read_to_string(logs.path().join("a.log")).unwrap();
    assert!(log.contains("\none\n") && log.contains("\ntwo\n") && log.contains("exit code 0"), "{log}");
    assert!(fs::read_to_string(logs.path().join("b.log")).unwrap().contains("\nthree\n"));
}

#[test]
fn a_failed_process_gives_exit_code_1_and_does_not_stop_the_others() {
    let logs = tempfile::tempdir().unwrap();
    let (outcome, _) = run(vec![shell("bad", "exit 3"), shell("good", "echo fine")], logs.path());
    assert_eq!(outcome.code(), 1);
    assert_eq!(outcome.failed, ["bad"]);
    assert_eq!(outcome.exits, [("bad".into(), Exit::Code(3)), ("good".into(), Exit::Code(0))]);
}

#[test]
fn an_executable_that_does_not_exist_is_named() {
    let logs = tempfile::tempdir().unwrap();
    let process = Process { executable: "/no/such/program".into(), ..shell("gone", "") };
    let (outcome, events) = run(vec![process], logs.path());
    assert_eq!(outcome.code(), 1);
    assert!(events.iter().any(|e| e.to_string().contains("/no/such/program")), "{events:?}");
}

#[test]
fn restart_delays_grow_and_a_crash_loop_is_reported_with_the_last_output() {
    let logs = tempfile::tempdir().unwrap();
    let (outcome, events) = run(vec![respawned("flaky", "echo no device >&2; exit 7", Some(5))], logs.path());
    assert_eq!(outcome.exits, [("flaky".into(), Exit::Code(7))]);
    assert_eq!(outcome.code(), 1);
    let started = events.iter().filter(|e| matches!(e, Event::Started { .. })).count();
    assert_eq!(started, 6, "{events:?}");
    let delays: Vec<u128> = events
        .iter()
        .filter_map(|e| if let Event::Restarting { after, .. } = e { Some(after.as_millis()) } else { None })
        .collect();
    assert_eq!(delays, [0, 1, 2, 4, 4]);
    let loops: Vec<_> = events.iter().filter(|e| matches!(e, Event::CrashLoop { .. })).collect();
    assert_eq!(loops.len(), 1, "{events:?}");
    assert!(loops[0].to_string().contains("no device"), "{}", loops[0]);
    assert!(events.contains(&Event::GivenUp { name: "flaky".into(), retries: 5 }));
}

#[test]
fn after_a_stable_run_the_restart_delay_is_reset() {
    let logs = tempfile::tempdir().unwrap();
    let policy = Policy { stable_after: Duration::ZERO, ..policy() };
    let (_, events) =
        run_with(vec![respawned("fine", "exit 0", Some(4))], logs.path(), policy, |incoming, stop| async {
            let events = rest(incoming).await;
            drop(stop);
            events
        });
    let delays = events.iter().filter(|e| matches!(e, Event::Restarting { after, .. } if after.is_zero())).count();
    assert_eq!(delays, 4, "{events:?}");
    assert!(!events.iter().any(|e| matches!(e, Event::CrashLoop { .. })));
}

#[test]
fn on_exit_shutdown_stops_the_others_and_gives_its_exit_code() {
    let logs = tempfile::tempdir().unwrap();
    let ready = logs.path().join("ready");
    let other = format!("trap 'echo stopped; exit 0' INT; touch {}; while :; do sleep 0.05; done", ready.display());
    let wait = format!("while [ ! -e {} ]; do sleep 0.01; done; exit 4", ready.display());
    // Also when it is respawned.
    let monitor = Process { shutdown_on_exit: true, ..respawned("monitor", &wait, None) };
    let (outcome, events) = run(vec![shell("other", &other), monitor], logs.path());
    assert_eq!(outcome.code(), 4);
    assert_eq!(outcome.reason, Reason::Ended { name: "monitor".into(), exit: Exit::Code(4) });
    assert_eq!(outcome.exits[0], ("other".into(), Exit::Code(0)));
    assert!(fs::read_to_string(logs.path().join("other.log")).unwrap().contains("stopped"));
    assert!(!events.iter().any(|e| matches!(e, Event::Restarting { .. })), "{events:?}");
}

#[test]
fn stopping_escalates_from_sigint_to_sigterm_to_sigkill() {
    let logs = tempfile::tempdir().unwrap();
    let ready = |name: &str| logs.path().join(format!("{name}.ready"));
    let script = |name: &str, trap: &str| {
        let ready = ready(name).display().to_string();
        shell(name, &format!("{trap}; touch {ready}; while :; do sleep 0.05; done"))
    };
    let processes = vec![
        script("cooperative", "trap 'exit 0' INT"),
        script("plain", ":"),
        script("slow", "trap '' INT; trap 'exit 0' TERM"),
        script("stubborn", "trap '' INT TERM"),
    ];
    let files = ["cooperative", "plain", "slow", "stubborn"].map(ready).to_vec();
    let (outcome, events) = run_with(processes, logs.path(), policy(), |incoming, stop| async move {
        let ((), events) = tokio::join!(stop_when_ready(files, stop, Stop::Gracefully), rest(incoming));
        events
    });
    assert_eq!(outcome.reason, Reason::Requested);
    let exits: Vec<Exit> = outcome.exits.iter().map(|(_, exit)| exit.clone()).collect();
    assert_eq!(exits, [Exit::Code(0), Exit::Signal(2), Exit::Code(0), Exit::Signal(9)]);
    // A process that ends by the signal it was sent has not failed; one that had to be killed has.
    assert_eq!((outcome.failed.as_slice(), outcome.code()), (["stubborn".to_owned()].as_slice(), 1));
    let escalated = |name: &str, signal| events.contains(&Event::Escalated { name: name.into(), signal });
    assert!(
        escalated("slow", "SIGTERM") && escalated("stubborn", "SIGTERM") && escalated("stubborn", "SIGKILL"),
        "{events:?}"
    );
    assert!(!escalated("cooperative", "SIGTERM") && !escalated("plain", "SIGTERM"), "{events:?}");
}

#[test]
fn a_second_stop_request_kills_the_process_group_at_once() {
    let logs = tempfile::tempdir().unwrap();
    let (ready, below) = (logs.path().join("ready"), logs.path().join("below"));
    let script = format!(
        "trap '' INT TERM; (trap '' INT TERM; while :; do sleep 0.05; done) & echo $! > {}; touch {}; wait; wait",
        below.display(),
        ready.display()
    );
    let policy = Policy { after_interrupt: Duration::from_secs(3600), ..policy() };
    let (outcome, _) = run_with(vec![shell("stubborn", &script)], logs.path(), policy, |incoming, stop| async move {
        let again = stop.clone();
        let ((), events) = tokio::join!(
            async {
                stop_when_ready(vec![ready], stop, Stop::Gracefully).await;
                again.send(Stop::Now).unwrap();
            },
            rest(incoming)
        );
        events
    });
    assert_eq!(outcome.exits, [("stubborn".into(), Exit::Signal(9))]);
    let below: i32 = fs::read_to_string(below).unwrap().trim().parse().unwrap();
    // Killed with its parent; it may remain a zombie until it is reaped.
    let state = fs::read_to_string(format!("/proc/{below}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

/// Whether the process still runs. It may remain a zombie until it is reaped.
fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn what_a_process_has_started_ends_with_it_wherever_it_has_gone() {
    let logs = tempfile::tempdir().unwrap();
    let folder = logs.path().display().to_string();
    // Each writes the pid of its grandchild: plain, deaf to signals, in a session of its own, and twice forked.
    let starts = [
        ("plain", "sleep 1000 & echo $! >"),
        ("deaf", "(trap '' HUP INT TERM; exec sleep 1000) & echo $! >"),
        ("session", "setsid sh -c 'echo $$ > FILE; exec sleep 1000' & while [ ! -s FILE ]; do sleep 0.01; done; :"),
        (
            "forked",
            "setsid sh -c 'sh -c \"echo \\$\\$ > FILE; exec sleep 1000\" &' ; while [ ! -s FILE ]; do sleep 0.01; done; :",
        ),
    ];
    let ends = [
        ("ends", "exit 0"),
        ("fails", "exit 3"),
        ("killed", "kill -9 $$"),
        ("stopped", "while :; do sleep 0.05; done"),
    ];
    let mut processes = Vec::new();
    for (start, script) in starts {
        for (end, last) in ends {
            let file = format!("{folder}/{start}-{end}");
            let script =
                if script.contains("FILE") { script.replace("FILE", &file) } else { format!("{script} {file}") };
            processes.push(shell(&format!("{start}-{end}"), &format!("{script}; {last}")));
        }
    }
    let names: Vec<String> = processes.iter().map(|process| process.name.clone()).collect();
    let files = names.iter().map(|name| logs.path().join(name)).collect();
    let (_, events) = run_with(processes, logs.path(), policy(), |incoming, stop| async move {
        let ((), events) = tokio::join!(stop_when_ready(files, stop, Stop::Gracefully), rest(incoming));
        events
    });
    for name in names {
        let pid = fs::read_to_string(logs.path().join(&name)).unwrap().trim().parse().unwrap();
        assert!(!runs(pid), "{name}: {pid} still runs: {events:?}");
    }
}

#[test]
fn what_runs_is_listed_for_the_processes_and_only_while_it_runs() {
    let logs = tempfile::tempdir().unwrap();
    let list = logs.path().join("list");
    let script = format!("cat $AURIGA_PROCESS_LIST > {0}.part; echo $$ >> {0}.part; mv {0}.part {0}", list.display());
    // Until it is the only one on the list: it may run before it is on it, and before the other one has ended.
    let alone =
        "until grep -q \"^$$ \" $AURIGA_PROCESS_LIST && [ $(wc -l < $AURIGA_PROCESS_LIST) = 1 ]; do sleep 0.02; done";
    run(vec![shell("ended", "exit 0"), shell("lists", &format!("{alone}; {script}"))], logs.path());
    let text = fs::read_to_string(&list).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Its own row, number and start time, and then the number that it wrote itself: the other one has ended.
    assert!(matches!(lines[..], [row, pid] if row.starts_with(&format!("{pid} "))), "{text}");
}

#[test]
fn a_process_that_leaves_its_output_open_to_others_is_restarted_without_a_wait() {
    let logs = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let (_, events) = run(vec![respawned("leaves", "setsid sleep 1000 & exit 1", Some(5))], logs.path());
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Started { .. })).count(), 6);
    println!("six runs: {:?}", started.elapsed());
    // Before, the output was waited for half a second each time.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn any_program_that_says_it_is_alive_is_restarted_when_it_no_longer_does() {
    let logs = tempfile::tempdir().unwrap();
    let script = "fd=/proc/self/fd/${AURIGA_SUPERVISOR%%:*}; echo READY=1 > $fd; echo WATCHDOG=1 > $fd; echo run $AURIGA_RESTARTS: \
                  $AURIGA_RESTART_REASON; while :; do sleep 0.05; done";
    let (_, events) = run(vec![respawned("tool", script, Some(1))], logs.path());
    let hung = events.iter().filter(|e| matches!(e, Event::Hung { .. })).count();
    assert_eq!(hung, 2, "{events:?}");
    let log = fs::read_to_string(logs.path().join("tool.log")).unwrap();
    assert!(log.contains("\nrun 0:\n") && log.contains("\nrun 1: hung: no heartbeat for"), "{log}");
}

#[test]
fn processes_end_when_the_supervisor_is_killed() {
    // The test starts itself as the supervisor and kills it.
    const ROLE: &str = "AURIGA_TEST_SUPERVISOR";
    if let Ok(folder) = std::env::var(ROLE) {
        let script =
            format!("echo $$ > {folder}/pid.part; mv {folder}/pid.part {folder}/pid; while :; do sleep 0.05; done");
        run(vec![shell("orphan", &script)], Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["supervise::processes_end_when_the_supervisor_is_killed", "--exact", "--test-threads=1"])
        .env(ROLE, folder.path())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let wait_for = |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(std::time::Instant::now() < deadline, "timed out");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let pid_file = folder.path().join("pid");
    wait_for(&|| pid_file.exists());
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let alive = || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    wait_for(&|| !alive());
}

#[test]
fn a_timer_starts_its_process_later_and_a_folder_is_where_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("place");
    fs::create_dir(&place).unwrap();
    let order = folder.path().join("order");
    let note = |name: &str| format!("echo {name} $(pwd) >> {}", order.display());
    let later = Process {
        start_after: Duration::from_millis(300),
        folder: Some(place.clone()),
        ..shell("later", &note("later"))
    };
    let first = shell("first", &note("first"));
    let started = std::time::Instant::now();
    let (outcome, _) = run_with(vec![later, first], folder.path(), policy(), |incoming, _stop| rest(incoming));
    assert_eq!(outcome.failed, Vec::<String>::new());
    assert!(started.elapsed() >= Duration::from_millis(300));
    let text = fs::read_to_string(&order).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("first "), "{text}");
    assert_eq!(lines[1], format!("later {}", place.canonicalize().unwrap().display()));
}

#[test]
fn a_stop_before_its_time_ends_a_timer() {
    let folder = tempfile::tempdir().unwrap();
    let later = Process { start_after: Duration::from_secs(1000), ..shell("later", "exit 7") };
    let (outcome, events) = run_with(vec![later], folder.path(), policy(), |incoming, stop| async move {
        stop.send_replace(Stop::Gracefully);
        rest(incoming).await
    });
    assert_eq!((outcome.code(), outcome.failed.len()), (0, 0));
    assert!(!events.iter().any(|event| matches!(event, Event::Started { .. })));
}
