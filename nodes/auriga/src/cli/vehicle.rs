//! `auriga vehicle`.

use crate::{
    launch::{Host, LocalHost},
    output::print,
};
use anyhow::{Context, ensure};
use auriga_can::{
    dbc::Database,
    log,
    mapping::{Mapping, vss},
    vehicle::{Import, Survey, coverage, import, propose},
};
use auriga_runtime::Nanos;
use clap::{Args, Subcommand};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Files of a vehicle's folder.
const DATABASE: &str = "vehicle.dbc";
const MAPPING: &str = "vss.toml";

/// Set up a vehicle's CAN bus: propose a mapping, check it, show what a recording carries.
#[derive(Debug, Args)]
pub struct Vehicle {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(New),
    Check(Check),
    Seen(Seen),
    List(List),
}

/// Make a vehicle's folder from a database: the mapping is guessed by names, units and labels, each guess is marked.
#[derive(Debug, Args)]
struct New {
    /// The folder to make; an existing one must not have these files.
    folder: PathBuf,
    /// CAN database (DBC).
    #[arg(long, value_name = "FILE")]
    dbc: PathBuf,
    /// CAN log: only signals of messages that it has are proposed.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Take the mapping from that of Eclipse KUKSA (VSS as JSON, with dbc2vss), in place of guessing.
    #[arg(long, value_name = "FILE", conflicts_with = "log")]
    kuksa: Option<PathBuf>,
}

/// Check a vehicle's database and mapping: all that is wrong, and what is missing. The exit code is 1 when the mapping
/// cannot be used.
#[derive(Debug, Args)]
struct Check {
    /// The vehicle: a folder, or its name in calibration/. With --dbc and --mapping it is not needed.
    vehicle: Option<PathBuf>,
    /// CAN database (DBC) in place of the vehicle's.
    #[arg(long, value_name = "FILE")]
    dbc: Option<PathBuf>,
    /// Mapping in place of the vehicle's.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// CAN log to compare with: messages that do not come, other lengths, unknown identifiers.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Show which identifiers a CAN log has, how often and how long, and their messages in a database.
#[derive(Debug, Args)]
struct Seen {
    /// CAN log: candump in any form, Vector ASC, PEAK TRC or CSV.
    log: PathBuf,
    /// CAN database (DBC).
    #[arg(long, value_name = "FILE")]
    dbc: Option<PathBuf>,
}

/// List the targets that a mapping can have, with their units, and for a vehicle which of them it has.
#[derive(Debug, Args)]
struct List {
    /// The vehicle: a folder, or its name in calibration/.
    vehicle: Option<PathBuf>,
    /// CAN database (DBC) in place of the vehicle's.
    #[arg(long, value_name = "FILE")]
    dbc: Option<PathBuf>,
}

impl Vehicle {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::New(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Seen(command) => command.run(),
            Command::List(command) => command.run(),
        }
    }
}

impl New {
    fn run(self) -> anyhow::Result<ExitCode> {
        let database = Database::load(&self.dbc)?;
        let survey = self.log.as_deref().map(|log| survey(log, Some(&database))).transpose()?;
        for name in [DATABASE, MAPPING] {
            let file = self.folder.join(name);
            ensure!(!file.exists(), "{} exists; give another folder, or remove it", file.display());
        }
        let kuksa = self.kuksa.as_deref().map(|path| kuksa(path, &database)).transpose()?;
        let proposal = propose(&database, survey.as_ref());
        let text = kuksa.as_ref().map_or(&proposal.text, |import| &import.text);
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot create {}", self.folder.display()))?;
        let mapping = self.folder.join(MAPPING);
        fs::copy(&self.dbc, self.folder.join(DATABASE))
            .and_then(|_| fs::write(&mapping, text))
            .with_context(|| format!("cannot write to {}", self.folder.display()))?;
        database.warnings().iter().for_each(|warning| print(format_args!("left out   {warning}")));
        if let Some(import) = &kuksa {
            import.left_out.iter().for_each(|path| print(format_args!("left out   {path}")));
            print(format_args!("mapping    {}: {} rows", mapping.display(), import.rows));
        } else {
            print(format_args!("proposed   {}", proposal.found.join(", ")));
            print(format_args!("not found  {}", proposal.missing.join(", ")));
            print(format_args!("mapping    {}: confirm each guess in it", mapping.display()));
        }
        print(format_args!("next       auriga vehicle check {} --log FILE", self.folder.display()));
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(self) -> anyhow::Result<ExitCode> {
        let dbc = file(self.dbc.as_deref(), self.vehicle.as_deref(), DATABASE)?;
        let mapping = file(self.mapping.as_deref(), self.vehicle.as_deref(), MAPPING)?;
        let database = Database::load(&dbc)?;
        let survey = self.log.as_deref().map(|log| survey(log, Some(&database))).transpose()?;
        match Mapping::load(&mapping, &database) {
            Ok(mapping) => {
                print(coverage(&database, &mapping, survey.as_ref()).trim_end());
                Ok(ExitCode::SUCCESS)
            }
            Err(errors) => {
                database.warnings().iter().for_each(|warning| print(format_args!("left out  {warning}")));
                print(errors);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

impl Seen {
    fn run(self) -> anyhow::Result<ExitCode> {
        let database = self.dbc.as_ref().map(Database::load).transpose()?;
        let survey = survey(&self.log, database.as_ref())?;
        print(survey.table(database.as_ref()).trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mapped = match &self.vehicle {
            None => None,
            Some(_) => {
                let database = Database::load(file(self.dbc.as_deref(), self.vehicle.as_deref(), DATABASE)?)?;
                let mapping = Mapping::load(file(None, self.vehicle.as_deref(), MAPPING)?, &database)?;
                Some(mapping.sources(&database))
            }
        };
        let source = |name: &str| {
            let sources = mapped.as_ref()?.get(name);
            Some(sources.map_or("-".to_owned(), |sources| sources.join(", ")))
        };
        for (name, kind) in vss::targets() {
            match source(name) {
                Some(source) => print(format_args!("{name:<66} {kind:<12} {source}")),
                None => print(format_args!("{name:<66} {kind}")),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A file that is given, or that of the vehicle: a folder, or its name in calibration/.
fn file(given: Option<&Path>, vehicle: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let vehicle = vehicle.with_context(|| format!("give a vehicle, or its {name} as an option"))?;
    if vehicle.is_dir() {
        return Ok(vehicle.join(name));
    }
    let share = LocalHost::new().package_share("auriga").context("package auriga was not found")?;
    let folder = share.join("calibration").join(vehicle);
    ensure!(folder.is_dir(), "there is neither a folder {} nor {}", vehicle.display(), folder.display());
    Ok(folder.join(name))
}

/// A mapping of KUKSA's.
fn kuksa(path: &Path, database: &Database) -> anyhow::Result<Import> {
    let json = fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok(import(&json, &path.display().to_string(), database)?)
}

/// What a log carries. What it says of its lines is printed as warnings.
fn survey(path: &Path, database: Option<&Database>) -> anyhow::Result<Survey> {
    let options = database.map_or_else(log::Options::default, |d| log::Options::default().with_names(d));
    let mut frames = log::frames_with(path, Nanos::ZERO, &options)?;
    let mut survey = Survey::default();
    loop {
        let batch = frames.next();
        for notice in frames.take_notices() {
            tracing::warn!("{}: {}", notice.place, notice.text);
        }
        let Some(batch) = batch else { return Ok(survey) };
        batch?.1.frames.iter().for_each(|frame| survey.add(frame));
    }
}
