//! `auriga launch`.

use crate::{
    launch::{self, Argument, Host, LaunchDescription, LocalHost, Output, Respawn},
    output::print,
    supervise::{self, LogFolder, Policy, Screen, ServiceManager, Settings, Stop, WatchdogDevice},
};
use anyhow::{Context, ensure};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::sync::{mpsc, watch};

/// Start and supervise the processes of a launch file.
///
/// The file is ROS 2 launch XML; launch/launch.md lists what is supported. A node that hangs is killed and restarted. As a
/// service of systemd (launch/auriga.service) it says when all safety nodes are up and that they are alive. Ctrl-C stops all processes (SIGINT, after
/// 5 s SIGTERM, after 5 more SIGKILL); a second Ctrl-C kills them at once. The exit code is that of a failed process
/// with on_exit="shutdown", 1 when another process failed, and otherwise 0.
#[derive(Debug, clap::Args)]
pub struct Launch {
    /// A path, or the name of a file in share/auriga/launch, such as vehicle.launch.xml.
    file: PathBuf,
    /// Arguments of the file, as name:=value.
    #[arg(value_name = "NAME:=VALUE")]
    arguments: Vec<String>,
    /// Show the arguments of the file and exit.
    #[arg(long, short = 's')]
    show_args: bool,
    /// Show the command lines that would be run and exit.
    #[arg(long, short = 'p')]
    print: bool,
    /// Parent of the log folders; each launch creates one, with a log for each process.
    #[arg(long, default_value = "out/log", value_name = "DIR")]
    log_dir: PathBuf,
    /// Hardware watchdog to feed while every safety node is alive, such as /dev/watchdog: otherwise it resets the machine.
    #[arg(long, value_name = "DEVICE")]
    watchdog: Option<PathBuf>,
    /// Timeout that the hardware watchdog is set to, in seconds, where its driver allows it.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(2..=600))]
    watchdog_timeout: u32,
}

impl Launch {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let machine = LocalHost::new();
        let file = find(&self.file, &machine)?;
        if self.show_args {
            launch::arguments(&file, &machine)?.iter().for_each(show_argument);
            return Ok(ExitCode::SUCCESS);
        }
        let arguments = self.arguments.iter().map(|word| assignment(word)).collect::<anyhow::Result<Vec<_>>>()?;
        let description = launch::load(&file, &arguments, &machine)?;
        if self.print {
            show(&description);
            return Ok(ExitCode::SUCCESS);
        }
        let label = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let logs = LogFolder::new_in(&self.log_dir, label.trim_end_matches(".xml").trim_end_matches(".launch"))?;
        let device = self.watchdog.map(|path| WatchdogDevice::open(&path, self.watchdog_timeout)).transpose()?;
        run(description, logs, ServiceManager::from_environment()?, device)
    }
}

/// The file itself, or the installed file of that name.
fn find(file: &Path, machine: &LocalHost) -> anyhow::Result<PathBuf> {
    if file.exists() {
        return Ok(file.to_owned());
    }
    let installed = machine.package_share("auriga").map(|share| share.join("launch").join(file));
    let names = installed.as_ref().map_or(String::new(), |path| format!(", and no {}", path.display()));
    installed
        .filter(|path| path.is_file())
        .with_context(|| format!("there is no launch file {}{names}", file.display()))
}

/// `name:=value`.
fn assignment(word: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = word.split_once(":=").with_context(|| format!("expected name:=value, found {word:?}"))?;
    ensure!(!name.is_empty(), "expected name:=value, found {word:?}");
    Ok((name.to_owned(), value.to_owned()))
}

fn show_argument(argument: &Argument) {
    print(format_args!("{}", argument.name));
    let description = if argument.description.is_empty() { "no description" } else { &argument.description };
    print(format_args!("    {description}"));
    match argument.default.as_deref() {
        Some("") => print("    default: empty"),
        Some(default) => print(format_args!("    default: {default}")),
        None => print("    must be given"),
    }
}

/// Command lines as typed in a shell.
fn show(description: &LaunchDescription) {
    for process in &description.processes {
        let mut notes = Vec::new();
        match process.respawn {
            Respawn::Never => {}
            Respawn::Always { delay, max_retries } => {
                let most = max_retries.map_or(String::new(), |most| format!(", at most {most} times"));
                let after = if delay.is_zero() { String::new() } else { format!(" after {delay:?}") };
                notes.push(format!("restarted{after}{most}"));
            }
        }
        if !process.start_after.is_zero() {
            notes.push(format!("started after {:?}", process.start_after));
        }
        if let Some(folder) = &process.folder {
            notes.push(format!("in {}", folder.display()));
        }
        if process.shutdown_on_exit {
            notes.push("stops the launch when it ends".into());
        }
        if process.output == Output::Log {
            notes.push("only standard error is shown".into());
        }
        print(format_args!("# {}: {}", process.name, notes.join("; ")));
        let environment = process.environment.iter().map(|(name, value)| match value {
            Some(value) => quoted(&format!("{name}={value}")),
            None => format!("-u {name}"),
        });
        let mut words: Vec<String> = environment.collect();
        if !words.is_empty() {
            words.insert(0, "env".into());
        }
        words.push(quoted(&process.executable.display().to_string()));
        words.extend(process.command_line().iter().map(|word| quoted(word)));
        print(words.join(" "));
    }
}

/// Quoted for a shell where needed.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn run(
    description: LaunchDescription,
    logs: LogFolder,
    manager: Option<ServiceManager>,
    device: Option<WatchdogDevice>,
) -> anyhow::Result<ExitCode> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let screen = Screen::new(colour, |line| print(line));
    description.messages.iter().for_each(|message| screen.print(message));
    screen.print(&format!("[auriga] logs in {}", logs.path().display()));
    let (events, mut incoming) = mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(Stop::No);
    let policy = Policy::default();
    let settings = Settings { policy, logs, screen: screen.clone(), events, manager, device };
    // On this thread: the processes get SIGTERM when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let signals = supervise::stop_on_signals(stop).context("signals cannot be received")?;
        let show = async {
            while let Some(event) = incoming.recv().await {
                screen.print(&format!("[auriga] {event}"));
            }
        };
        let run = async { tokio::join!(supervise::run(description.processes, settings, stopping), show).0 };
        tokio::select! { outcome = run => anyhow::Ok(outcome), never = signals => match never {} }
    })?;
    screen.close();
    if !outcome.failed.is_empty() {
        print(format_args!("[auriga] failed: {}", outcome.failed.join(", ")));
    }
    Ok(ExitCode::from(outcome.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_at_the_first_assignment_sign() {
        assert_eq!(assignment("a:=b:=c").unwrap(), ("a".into(), "b:=c".into()));
        assert_eq!(assignment("a:=").unwrap(), ("a".into(), String::new()));
        for word in ["a", ":=b", "a=b"] {
            assert!(assignment(word).unwrap_err().to_string().contains(word));
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, shown) in
            [("-p", "-p"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("x:=/a.b", "x:=/a.b")]
        {
            assert_eq!(quoted(word), shown);
        }
    }
}
