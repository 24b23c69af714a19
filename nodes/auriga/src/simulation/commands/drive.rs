//! `auriga drive`.

use crate::{
    launch::{Machine, Surroundings},
    output::print,
    simulation::{
        live::{self, Progress, Session},
        progress::{progress_bar, show_fraction},
    },
    supervise::{LogFolder, Reason, Screen},
};
use anyhow::{Context, ensure};
use auriga_runtime::Nanos;
use auriga_sil::{
    drive,
    generator::{cache, script::Script},
    report,
};
use indicatif::ProgressBar;
use std::{
    io::IsTerminal,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// Play a drive through all nodes in real time, with a live page, and report on it.
///
/// Without a folder it is the shipped drive, which is generated first when it is not there yet. With files (--camera,
/// --can, --speech) those are played, in place of the folder's or without one. In DIR there will be drive.mcap (every
/// topic), report.html, and a log of each process.
#[derive(Debug, clap::Args)]
pub struct Drive {
    /// Folder of a drive (with a drive.yaml).
    folder: Option<PathBuf>,
    /// Video of the front camera.
    #[arg(long, value_name = "FILE")]
    camera: Option<PathBuf>,
    /// CAN log: candump or Vector ASC.
    #[arg(long, value_name = "FILE")]
    can: Option<PathBuf>,
    /// What the frames on the bus mean.
    #[arg(long, value_name = "FILE")]
    dbc: Option<PathBuf>,
    /// Which of the bus's signals are the vehicle's state (TOML).
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// What was said in the cabin.
    #[arg(long, value_name = "WAV")]
    speech: Option<PathBuf>,
    /// What is said in it (YAML); without --model nothing is recognised then.
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// Folder of a Vosk model that recognises speech, in place of the shipped one; "": none, the transcript is read.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// The vehicle's folder in calibration/.
    #[arg(long, value_name = "NAME")]
    vehicle: Option<String>,
    /// End after so much of the drive.
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Record what is said and understood too; a generated drive's is recorded anyway.
    #[arg(long)]
    consent: bool,
    /// Real-time priorities for the safety nodes, as the workload table has them (needs CAP_SYS_NICE, CAP_IPC_LOCK).
    #[arg(long)]
    realtime: bool,
    /// Where the recording, the report and the logs go.
    #[arg(long, default_value = "out/drive", value_name = "DIR")]
    out: PathBuf,
    /// Address of the live page; by default the first free one from 127.0.0.1:8080 on. "" for none.
    #[arg(long, value_name = "ADDR")]
    page: Option<String>,
    /// Do not open the live page in a browser.
    #[arg(long)]
    no_browser: bool,
    /// First of the ports on which the nodes find each other.
    #[arg(long, env = "AURIGA_BASE_PORT", default_value_t = 17440)]
    base_port: u16,
}

/// Ports tried for the page.
const PAGE_PORTS: std::ops::Range<u16> = 8080..8100;

impl Drive {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let files = [&self.camera, &self.can, &self.speech, &self.transcript, &self.dbc, &self.mapping];
        for file in files.into_iter().flatten() {
            ensure!(file.is_file(), "there is no file {}", file.display());
        }
        let drive = self.drive()?;
        let to_s = self.end(drive.as_ref())?;
        let page = self.page_address()?;
        let recording = self.out.join("drive.mcap");
        live::fresh(&recording)?;
        let generated = drive.as_ref().is_some_and(|drive| drive.manifest.truth.is_some());
        let mut arguments = self.arguments(drive.as_ref());
        let further = [
            ("record", recording.display().to_string()),
            // A generated drive has nobody's words in it.
            ("consent", (generated || self.consent).to_string()),
            ("page_bind", page.clone()),
            ("realtime", self.realtime.to_string()),
            ("seconds", format!("{to_s:?}")),
        ];
        arguments.extend(further.map(|(name, value)| (name.to_owned(), value)));

        let name = drive.as_ref().map_or("the given files", |drive| &drive.manifest.name);
        print(format_args!("{name}: {to_s:.0} s in real time"));
        if !page.is_empty() {
            print(format_args!("live page: http://{page}/"));
        }
        let bar = progress_bar("starting");
        let shown = bar.clone();
        let screen = Screen::new(false, move |line| match shown.is_hidden() {
            true => eprintln!("{line}"),
            false => shown.println(line),
        })
        .filtered(worth_showing);
        let session = Session {
            arguments,
            params: &[],
            kills: Vec::new(),
            from_s: 0.0,
            to_s,
            base_port: self.base_port,
            logs: LogFolder::at(&self.out.join("log"))?,
            screen: screen.clone(),
        };
        let mut browser = (!page.is_empty() && !self.no_browser).then_some(page.as_str());
        let outcome = live::run(session, &mut |now| {
            show(&bar, now, to_s);
            if now != Progress::Starting {
                browser.take().map(open_browser);
            }
        })?;
        screen.close();
        bar.finish_and_clear();
        if outcome.reason == Reason::Asked {
            print("stopped before the end");
        }
        self.report(&recording, drive.as_ref())?;
        print(format_args!("logs       {}", self.out.join("log").display()));
        if !outcome.failed.is_empty() {
            print(format_args!("failed     {}", outcome.failed.join(", ")));
        }
        Ok(ExitCode::from(outcome.code()))
    }

    /// The drive whose folder is played, if any: the one named, or the shipped one when nothing is named.
    fn drive(&self) -> anyhow::Result<Option<drive::Drive>> {
        if let Some(folder) = &self.folder {
            return Ok(Some(drive::Drive::open(folder)?));
        }
        if self.camera.is_some() || self.can.is_some() || self.speech.is_some() {
            return Ok(None);
        }
        shipped_drive().map(Some)
    }

    /// For `replay.launch.xml`: the drive's files, and over them those given one by one.
    fn arguments(&self, drive: Option<&drive::Drive>) -> Vec<(String, String)> {
        let none = ["camera", "can_log", "speech", "transcript"].map(|name| (name.to_owned(), String::new()));
        let mut arguments = drive.map_or(none.into(), live::arguments_of);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let given = [
            ("camera", path(&self.camera)),
            ("can_log", path(&self.can)),
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

    /// The second of the drive at which it ends.
    fn end(&self, drive: Option<&drive::Drive>) -> anyhow::Result<f64> {
        if let Some(seconds) = self.seconds {
            ensure!((0.1..=86_400.0).contains(&seconds), "--seconds {seconds}: expected 0.1 to 86400");
            return Ok(seconds);
        }
        if let Some(drive) = drive {
            return Ok(drive.manifest.duration_s);
        }
        let mut longest = 0.0_f64;
        if let Some(path) = &self.camera {
            longest = longest.max(video_length(path)?);
        }
        if let Some(path) = &self.can {
            for batch in auriga_can::log::frames(path, Nanos::ZERO)? {
                longest = longest.max(batch?.0.as_secs_f64());
            }
        }
        if let Some(path) = &self.speech {
            for chunk in auriga_speech::wav::audio_chunks(path, Nanos::ZERO)? {
                longest = longest.max(chunk?.0.as_secs_f64());
            }
        }
        ensure!(longest > 0.0, "the files do not tell how long they are; say it with --seconds");
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

    fn report(&self, recording: &Path, drive: Option<&drive::Drive>) -> anyhow::Result<()> {
        let logs = self.out.join("log");
        ensure!(recording.is_file(), "nothing was recorded; see {}", logs.join("recorder.log").display());
        let report = report::drive::from_recording(recording, drive)?;
        let page = self.out.join("report.html");
        report.write_html(&page)?;
        print(report.table());
        print(format_args!("recording  {}", recording.display()));
        print(format_args!("report     {}", page.display()));
        Ok(())
    }
}

/// The drive of sil-tests/drive.yaml, generated when it is not kept yet.
fn shipped_drive() -> anyhow::Result<drive::Drive> {
    let share = Machine::new().package_share("auriga").context("where is package auriga?")?;
    let script = Script::load(share.join("sil-tests/drive.yaml"))?;
    let vehicle = share.join("calibration").join(&script.vehicle);
    let bar = progress_bar("generating");
    let mut told = false;
    let drive = cache::drive(&script, &vehicle, Path::new("out/drives"), &mut |fraction| {
        if fraction < 1.0 && !std::mem::replace(&mut told, true) && bar.is_hidden() {
            eprintln!("generating the shipped drive, once");
        }
        show_fraction(&bar, fraction);
    });
    bar.finish_and_clear();
    drive
}

fn video_length(path: &Path) -> anyhow::Result<f64> {
    use opencv::videoio::{CAP_ANY, CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, VideoCapture, VideoCaptureTraitConst};
    let video = VideoCapture::from_file(path, CAP_ANY)?;
    let (frames, fps) = (video.get(CAP_PROP_FRAME_COUNT)?, video.get(CAP_PROP_FPS)?);
    Ok(if frames > 0.0 && fps > 0.0 { frames / fps } else { 0.0 })
}

fn show(bar: &ProgressBar, now: Progress, to_s: f64) {
    match now {
        Progress::Starting => bar.tick(),
        Progress::Driving { at_s, fraction } => {
            bar.set_prefix("driving");
            bar.set_message(format!("{:.0} of {to_s:.0} s", at_s.min(to_s)));
            show_fraction(bar, fraction);
        }
        Progress::Ending => bar.set_prefix("ending"),
    }
}

/// Warnings, errors, and what no logger wrote (a panic). The rest is in the logs. That topics fall silent is what the
/// end of every drive looks like; a node that dies is told by its supervisor.
fn worth_showing(line: &str) -> bool {
    if line.contains("code=\"topic-silent\"") {
        return false;
    }
    let level = line.split_whitespace().find(|word| ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(word));
    !matches!(level, Some("TRACE" | "DEBUG" | "INFO"))
}

/// Where there is a screen to open it on.
fn open_browser(page: &str) {
    let screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if screen && std::io::stdout().is_terminal() {
        let command =
            Command::new("xdg-open").arg(format!("http://{page}/")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        // The address has been printed; a desk without xdg-open can type it.
        let _ = command;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_warnings_errors_and_panics() {
        for line in ["2026-01-01T00:00:00Z  WARN can: slow", "2026 ERROR x", "thread 'main' panicked at src/x.rs"] {
            assert!(worth_showing(line), "{line}");
        }
        let silent = "2026 WARN nothing for 9 ms; is its publisher can running? code=\"topic-silent\" subject=\"x\"";
        for line in ["2026-01-01T00:00:00Z  INFO running node=\"can\"", "2026 DEBUG x", silent] {
            assert!(!worth_showing(line), "{line}");
        }
    }
}
