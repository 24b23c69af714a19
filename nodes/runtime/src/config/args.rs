//! The command line of a node.

use anyhow::{Context, bail};

/// What the command line of a node holds besides its name.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Args {
    /// `--config FILE`: TOML, the same fields as the defaults.
    pub config: Option<String>,
    /// `-p key=value`, also after `--ros-args`, with `key:=value` accepted; later ones win.
    pub params: Vec<(String, String)>,
    /// ROS 2 parameter files (`--params-file`), YAML.
    pub params_files: Vec<String>,
    /// `--print-config`: print the effective configuration and stop.
    pub print_config: bool,
    /// `--help`.
    pub help: bool,
    /// `--version`.
    pub version: bool,
}

impl Args {
    /// Reads the words after the program's name. Accepts what `ros2 launch` appends (`--ros-args -r … --params-file …`).
    ///
    /// # Errors
    /// An unknown argument, or one without its value.
    pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Args> {
        let mut args = Args::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = |what: &str| words.next().with_context(|| format!("{word} needs {what} after it"));
            match word.as_str() {
                "-h" | "--help" => args.help = true,
                "-V" | "--version" => args.version = true,
                "--print-config" => args.print_config = true,
                "-c" | "--config" => args.config = Some(value("a file")?),
                "-p" | "--param" => {
                    let pair = value("key=value")?;
                    args.params.push(split_pair(&pair)?);
                }
                "--params-file" => args.params_files.push(value("a file")?),
                // A launch file may rename a node or remap a topic; names here are fixed by the table.
                "-r" | "--remap" | "-e" | "--enclave" | "--log-level" | "--log-config-file" => drop(value("a value")?),
                "--ros-args"
                | "--"
                | "--disable-rosout-logs"
                | "--disable-stdout-logs"
                | "--disable-external-lib-logs"
                | "--enable-rosout-logs"
                | "--enable-stdout-logs"
                | "--enable-external-lib-logs" => {}
                other => bail!("unknown argument {other:?}; --help lists what there is"),
            }
        }
        Ok(args)
    }
}

fn split_pair(pair: &str) -> anyhow::Result<(String, String)> {
    let (key, value) = pair
        .split_once(":=")
        .or_else(|| pair.split_once('='))
        .with_context(|| format!("expected key=value, found {pair:?}"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
