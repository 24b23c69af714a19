//! `auriga drive`.

use crate::{
    launch::{Host, LocalHost},
    output::print,
    simulation::{
        live::{self, LiveDrive, Played, Progress},
        out_folder::OutFolder,
        progress::{progress_bar, show_fraction},
        verdict::{EXIT_CODES, exit_code},
    },
    supervise::{LogFolder, Reason, Screen},
};
use anyhow::{Context, ensure};
use auriga_recorder::recording;
use auriga_sil::{
    analysis::{Inputs, Known, Verdict},
    drive,
    generator::{cache, script::Script},
    replay::media_duration_s,
    report,
};
use indicatif::ProgressBar;
use std::{
    io::IsTerminal,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// Play a drive through all nodes in real time, with a live page, and write a report.
///
/// Without a folder, the shipped drive is played; it is generated first if needed. Files given one by one (--camera,
/// --can, --speech) replace those of the folder, or are played without one. DIR gets drive.mcap (every topic),
/// report.html and a log of each process.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub struct Drive {
    /// Folder of a drive (contains drive.yaml).
    folder: Option<PathBuf>,
    /// Video of the front camera.
    #[arg(long, value_name = "FILE")]
    camera: Option<PathBuf>,
    /// CAN log: candump in any form, Vector ASC, PEAK TRC or CSV.
    #[arg(long, value_name = "FILE")]
    can: Option<PathBuf>,
    /// Bus of the CAN log to decode, such as can0; in ASC and TRC the channel. Default: all.
    #[arg(long, value_name = "NAME")]
    bus: Option<String>,
    /// CAN database (DBC).
    #[arg(long, value_name = "FILE")]
    dbc: Option<PathBuf>,
    /// Mapping of CAN signals to VSS signals (TOML).
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Sound of the cabin.
    #[arg(long, value_name = "WAV")]
    speech: Option<PathBuf>,
    /// Transcript of the sound (YAML), used in place of recognition unless --model is given.
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// Folder of a Vosk model to use in place of the shipped one; "": no recognition, the transcript is used.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder of the vehicle in calibration/.
    #[arg(long, value_name = "NAME")]
    vehicle: Option<String>,
    /// Stop after this many seconds of the drive.
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Also record speech and its transcript; always on for a generated drive.
    #[arg(long)]
    consent: bool,
    /// Give safety nodes the real-time priorities of the workload table (needs CAP_SYS_NICE and CAP_IPC_LOCK).
    #[arg(long)]
    realtime: bool,
    /// Folder for the recording, the report and the logs.
    #[arg(long, default_value = "out/drive", value_name = "DIR")]
    out: PathBuf,
    /// Address of the live page; default: the first free port of 127.0.0.1 from 8080; "": no page.
    #[arg(long, value_name = "ADDR")]
    page: Option<String>,
    /// Do not open the live page in a browser.
    #[arg(long)]
    no_browser: bool,
    /// Fail also where this machine cannot hold a safety budget, or the recording does not show it.
    #[arg(long)]
    strict: bool,
    /// First port of the nodes on this machine.
    #[arg(long, env = "AURIGA_BASE_PORT", default_value_t = 17440)]
    base_port: u16,
}

/// Ports tried for the page.
const PAGE_PORTS: std::ops::Range<u16> = 8080..8100;

impl Drive {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let files = [&self.camera, &self.can, &self.speech, &self.transcript, &self.dbc, &self.mapping];
        for file in files.into_iter().flatten() {
            ensure!(file.is_file(), "file {} does not exist", file.display());
        }
        let out = OutFolder::lock(&self.out)?;
        let drive = self.drive()?;
        let to_s = self.end(drive.as_ref())?;
        let page = self.page_address()?;
        // An earlier recording goes only when this drive can start.
        live::check_ports(self.base_port)?;
        let recording = out.remove_earlier("drive.mcap")?;
        let generated = drive.as_ref().is_some_and(|drive| drive.manifest.truth.is_some());
        let mut arguments = self.arguments(drive.as_ref());
        let further = [
            ("record", recording.display().to_string()),
            // A generated drive contains no personal data.
            ("consent", (generated || self.consent).to_string()),
            ("page_bind", page.clone()),
            ("realtime", self.realtime.to_string()),
            ("seconds", format!("{to_s:?}")),
        ];
        arguments.extend(further.map(|(name, value)| (name.to_owned(), value)));

        let name = drive.as_ref().map_or("the given files", |drive| &drive.manifest.name);
        print(format_args!("{name}: {to_s:.0} s in real time"));
        let bar = progress_bar("starting");
        let shown = bar.clone();
        let screen = Screen::new(false, move |line| match shown.is_hidden() {
            true => eprintln!("{line}"),
            false => shown.println(line),
        })
        .filtered(worth_showing);
        let drive_run = LiveDrive {
            arguments,
            params: &[],
            kills: Vec::new(),
            from_s: 0.0,
            to_s,
            base_port: self.base_port,
            page: page.parse().ok(),
            logs: LogFolder::at(&self.out.join("log"))?,
            screen: screen.clone(),
        };
        let Played { outcome, to_s, floor } = live::run(drive_run, &mut |now| match now {
            Progress::PageServed => {
                let address = format!("live page: http://{page}/");
                if bar.is_hidden() {
                    print(address)
                } else {
                    bar.println(address)
                }
                if !self.no_browser {
                    open_browser(&page);
                }
            }
            now => show(&bar, now, to_s),
        })?;
        screen.close();
        bar.finish_and_clear();
        if outcome.reason == Reason::Requested {
            print("stopped before the end");
        }
        if recording.parent().is_some_and(Path::is_dir) {
            floor.save(&recording)?;
        }
        let verdict = self.report(&recording, drive.as_ref(), to_s)?;
        print(format_args!("logs       {}", self.out.join("log").display()));
        if !outcome.failed.is_empty() {
            print(format_args!("failed     {}", outcome.failed.join(", ")));
        }
        Ok(exit_code(&verdict, self.strict, outcome.code()))
    }

    /// The drive that is played: that of the folder, or the shipped one when no files are given; `None`: files only.
    fn drive(&self) -> anyhow::Result<Option<drive::Drive>> {
        if let Some(folder) = &self.folder {
            return Ok(Some(drive::Drive::open(folder)?));
        }
        if self.camera.is_some() || self.can.is_some() || self.speech.is_some() {
            return Ok(None);
        }
        shipped_drive().map(Some)
    }

    /// Arguments of `replay.launch.xml`: the files of the drive, replaced by those given one by one.
    fn arguments(&self, drive: Option<&drive::Drive>) -> Vec<(String, String)> {
        let none = ["camera", "can_log", "speech", "transcript"].map(|name| (name.to_owned(), String::new()));
        let mut arguments = drive.map_or(none.into(), live::launch_arguments);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let given = [
            ("camera", path(&self.camera)),
            ("can_log", path(&self.can)),
            // One file of its own has its own clock.
            ("can_log_aligned", self.can.as_ref().map(|_| "false".to_owned())),
            ("can_bus", self.bus.clone()),
            ("dbc", path(&self.dbc)),
            ("mapping", path(&self.mapping)),
            ("speech", path(&self.speech)),
            ("transcript", path(&self.transcript)),
            ("model", path(&self.model).or_else(|| self.transcript.as_ref().map(|_| String::new()))),
            ("vehicle", self.vehicle.clone()),
        ];
        arguments.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        arguments
    }

    /// When to stop, in seconds of the drive.
    fn end(&self, drive: Option<&drive::Drive>) -> anyhow::Result<f64> {
        if let Some(seconds) = self.seconds {
            ensure!((0.1..=86_400.0).contains(&seconds), "--seconds {seconds}: expected 0.1 to 86400");
            return Ok(seconds);
        }
        if let Some(drive) = drive {
            return Ok(drive.manifest.duration_s);
        }
        let longest = media_duration_s(self.camera.as_deref(), self.can.as_deref(), self.speech.as_deref())?;
        ensure!(longest > 0.0, "the files have no known duration; give --seconds");
        Ok(longest)
    }

    fn page_address(&self) -> anyhow::Result<String> {
        if let Some(page) = &self.page {
            if !page.is_empty() {
                let address: SocketAddr =
                    page.parse().with_context(|| format!("--page {page}: expected ADDRESS:PORT"))?;
                TcpListener::bind(address).with_context(|| format!("--page {page}"))?;
            }
            return Ok(page.clone());
        }
        let free = PAGE_PORTS.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        Ok(free.map(|port| format!("127.0.0.1:{port}")).unwrap_or_default())
    }

    /// What is played into the nodes.
    fn inputs(&self, drive: Option<&drive::Drive>) -> Inputs {
        let of_drive = |file: fn(&drive::Drive) -> Option<PathBuf>| drive.and_then(file);
        let camera = self.camera.clone().or_else(|| of_drive(drive::Drive::camera));
        let can = self.can.clone().or_else(|| of_drive(drive::Drive::can));
        Inputs::of_files(camera.as_deref(), can.as_deref())
    }

    fn report(&self, recording: &Path, drive: Option<&drive::Drive>, to_s: f64) -> anyhow::Result<Verdict> {
        let files = recording::files(recording);
        let logs = self.out.join("log");
        ensure!(!files.is_empty(), "there is no recording; see {}", logs.join("recorder.log").display());
        let known = Known { played: Some((0.0, to_s)), inputs: self.inputs(drive), counts_from_s: None };
        let report = report::drive::from_files(&files, drive, known)?;
        let page = self.out.join("report.html");
        report.write_html(&page)?;
        print(report.table());
        files.iter().for_each(|file| print(format_args!("recording  {}", file.display())));
        print(format_args!("report     {}", page.display()));
        Ok(report.verdict)
    }
}

/// The drive of sil-tests/drive.yaml, generated if it is not cached.
fn shipped_drive() -> anyhow::Result<drive::Drive> {
    let share = LocalHost::new().package_share("auriga").context("package auriga was not found")?;
    let script = Script::load(share.join("sil-tests/drive.yaml"))?;
    let vehicle = share.join("calibration").join(&script.vehicle);
    let bar = progress_bar("generating");
    let mut announced = false;
    let drive = cache::load_or_generate(&script, &vehicle, Path::new("out/drives"), &mut |fraction| {
        if fraction < 1.0 && !std::mem::replace(&mut announced, true) && bar.is_hidden() {
            eprintln!("generating the shipped drive");
        }
        show_fraction(&bar, fraction);
    });
    bar.finish_and_clear();
    drive
}

fn show(bar: &ProgressBar, now: Progress, to_s: f64) {
    match now {
        Progress::Starting | Progress::PageServed => bar.tick(),
        Progress::Driving { at_s, fraction } => {
            bar.set_prefix("driving");
            bar.set_message(format!("{:.0} of {to_s:.0} s", at_s.min(to_s)));
            show_fraction(bar, fraction);
        }
        Progress::Ending => bar.set_prefix("ending"),
    }
}

/// Whether a line is a warning, an error or a panic. The rest is in the logs only. Silent topics are normal at the end of
/// a drive, and the supervisor reports nodes that die.
fn worth_showing(line: &str) -> bool {
    if line.contains("code=\"topic-silent\"") {
        return false;
    }
    let level = line.split_whitespace().find(|word| ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(word));
    !matches!(level, Some("TRACE" | "DEBUG" | "INFO"))
}

/// Opens the page where there is a graphical session.
fn open_browser(page: &str) {
    let screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if screen && std::io::stdout().is_terminal() {
        let command =
            Command::new("xdg-open").arg(format!("http://{page}/")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        // The address has been printed; without xdg-open it can be typed.
        let _ = command;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_errors_and_panics_are_shown() {
        for line in ["2026-01-01T00:00:00Z  WARN can: slow", "2026 ERROR x", "thread 'main' panicked at src/x.rs"] {
            assert!(worth_showing(line), "{line}");
        }
        let silent = "2026 WARN nothing for 9 ms; is its publisher can running? code=\"topic-silent\" subject=\"x\"";
        for line in ["2026-01-01T00:00:00Z  INFO running node=\"can\"", "2026 DEBUG x", silent] {
            assert!(!worth_showing(line), "{line}");
        }
    }
}
