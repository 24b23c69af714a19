//! The training loop of fine-tuning, its log, and the state from which a run is resumed.

use crate::{
    decoder::weights::{self, Weights},
    training::{
        adamw::{self, Parameter, Settings},
        finetune::{
            data::Step,
            options::{Method, Options, device},
            task::Task,
        },
        log::TrainingLog,
        lora::{
            LAMBDA, P, Q,
            adalora::{self, RankBudget},
        },
    },
};
use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::{collections::BTreeMap, path::Path, time::Instant};
use tch::{Device, Kind, Tensor};

const LOG_INTERVAL: u64 = 20;
/// Parameters, optimizer state and progress in full precision.
const STATE: &str = "state.safetensors";
/// Tensor of step, epoch, step of the epoch, and the sums of the window.
const PROGRESS: &str = "progress";
const LOSS: &str = "loss";
const COLUMNS: &[&str] = &["epoch", "loss", "learning_rate", "gradient_norm", "examples_per_s", ACCURACY];
const ACCURACY: &str = "validation_accuracy";

/// Sums since the last row of the log.
struct Window {
    loss: f64,
    steps: u64,
    examples: usize,
    begin: Instant,
}

impl Window {
    fn new() -> Self {
        Self { loss: 0.0, steps: 0, examples: 0, begin: Instant::now() }
    }
}

/// How far a run has come.
struct Progress {
    /// Completed steps.
    step: u64,
    /// Completed epochs.
    epoch: u64,
    /// Completed steps of the epoch.
    epoch_step: u64,
    window: Window,
}

/// A run between two steps.
pub(crate) struct Trainer<T: Task> {
    options: Options,
    task: T,
    parameters: Vec<Parameter>,
    budget: Option<RankBudget>,
    progress: Progress,
    log: TrainingLog,
}

impl<T: Task> Trainer<T> {
    /// Begins a run, or resumes the one in the output folder.
    pub fn start(options: Options, task: T) -> anyhow::Result<Self> {
        let mut parameters = initial(&options, &task)?;
        let adapters = parameters.iter().filter(|p| p.name.ends_with(LAMBDA)).count();
        let mut budget =
            (options.method == Method::Adalora).then(|| RankBudget::new(&parameters, adapters * options.rank as usize));
        let device = device(&options)?;
        let state = options.out.join(STATE);
        let progress = if state.exists() {
            restore(&state, &mut parameters, &mut budget, device).with_context(|| {
                format!("{} is of a run with other options; choose another --out, or delete it", state.display())
            })?
        } else {
            Progress { step: 0, epoch: 0, epoch_step: 0, window: Window::new() }
        };
        let log = TrainingLog::begin(&options.out, COLUMNS, progress.step)?;
        Ok(Self { options, task, parameters, budget, progress, log })
    }

    /// Runs all epochs that are left, or up to `--stop-after`.
    pub fn run(mut self) -> anyhow::Result<()> {
        let count: usize = self.parameters.iter().map(|p| p.value.numel()).sum();
        println!("{count} trained parameters");
        let style = "{elapsed_precise} {wide_bar} {pos}/{len} steps, {eta} left; {msg}";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        if self.progress.epoch == self.options.epochs {
            println!("this run is complete; it is evaluated again");
            self.task.evaluate_and_save(&self.trained())?;
        }
        while self.progress.epoch < self.options.epochs {
            let batches = self.task.epoch(self.progress.epoch)?;
            let accumulate = self.options.accumulate;
            let steps = batches.len().div_ceil(accumulate) as u64;
            bar.set_length(
                self.progress.step + steps - self.progress.epoch_step
                    + (self.options.epochs - self.progress.epoch - 1) * steps,
            );
            for passes in batches.chunks(accumulate).skip(self.progress.epoch_step as usize) {
                let epochs = self.progress.epoch as f64 + self.progress.epoch_step as f64 / steps as f64;
                self.train_step(passes, epochs / self.options.epochs as f64, &bar)?;
                if self.options.stop_after.is_some_and(|n| self.progress.step >= n) {
                    return self.save_state();
                }
            }
            (self.progress.epoch, self.progress.epoch_step) = (self.progress.epoch + 1, 0);
            let accuracy = self.task.evaluate_and_save(&self.trained())?;
            bar.set_message(format!("epoch {}: {accuracy:.4}", self.progress.epoch));
            self.push_row(format!("{},{},,,,,{accuracy:.4}", self.progress.step, self.progress.epoch), true)?;
            self.save_state()?;
        }
        bar.finish();
        Ok(())
    }

    fn push_row(&mut self, row: String, print: bool) -> anyhow::Result<()> {
        if print {
            println!("{row}");
        }
        self.log.push(row)
    }

    fn settings(&self) -> Settings {
        // The learning rate depends on the progress of the run, in steps of 1 / RESOLUTION.
        let warmup_steps = (self.options.warmup.clamp(0.0, 1.0) * RESOLUTION).round() as u64;
        let (learning_rate, weight_decay) = (self.options.learning_rate, self.options.weight_decay);
        Settings { learning_rate, warmup_steps, steps: RESOLUTION as u64, weight_decay, clip: 1.0 }
    }

    fn train_step(&mut self, passes: &[Step<T::Item>], progress: f64, bar: &ProgressBar) -> anyhow::Result<()> {
        // Dropout and mixtures depend only on seed and step.
        tch::manual_seed((self.options.seed.wrapping_mul(1_000_003) ^ self.progress.step) as i64);
        let examples: usize = passes.iter().flatten().map(Vec::len).sum();
        let mut loss = 0.0;
        for pass in passes {
            let sum = self.task.loss(self.shared(), pass)? / examples as f64;
            loss += sum.double_value(&[]);
            let extra = self.budget.as_ref().and_then(|_| adalora::orthogonality(&self.parameters));
            match extra {
                Some(extra) => (sum + extra / passes.len() as f64).backward(),
                None => sum.backward(),
            }
        }
        ensure!(loss.is_finite(), "the loss is not a number after {} steps: lower --learning-rate", self.progress.step);
        if let Some(budget) = &mut self.budget {
            budget.observe(&self.parameters);
        }
        let settings = self.settings();
        let rate = settings.learning_rate_at((progress * RESOLUTION) as u64);
        let norm = adamw::step(&mut self.parameters, &settings, self.progress.step, rate);
        if let Some(budget) = &self.budget {
            budget.prune(&mut self.parameters, self.progress.step, progress);
        }
        self.progress.step += 1;
        self.progress.epoch_step += 1;
        self.progress.window.loss += loss;
        self.progress.window.steps += 1;
        self.progress.window.examples += examples;
        bar.inc(1);
        bar.set_position(self.progress.step);
        if self.progress.step.is_multiple_of(LOG_INTERVAL) {
            bar.set_message(format!("loss {:.3}", self.progress.window.loss / self.progress.window.steps as f64));
            self.push_row(self.row(rate, norm), bar.is_hidden())?;
            self.progress.window = Window::new();
        }
        Ok(())
    }

    fn row(&self, rate: f64, norm: f64) -> String {
        let Window { loss, steps, examples, begin } = &self.progress.window;
        let speed = *examples as f64 / begin.elapsed().as_secs_f64();
        format!(
            "{},{},{:.4},{rate:.6},{norm:.3},{speed:.0},",
            self.progress.step,
            self.progress.epoch,
            loss / *steps as f64
        )
    }

    /// The trained tensors by name, with gradients.
    fn shared(&self) -> BTreeMap<String, Tensor> {
        self.parameters.iter().map(|p| (p.name.clone(), p.value.shallow_clone())).collect()
    }

    /// The trained tensors to be saved, without the directions of adapters that were pruned.
    fn trained(&self) -> Vec<(String, Tensor)> {
        let values: BTreeMap<&str, Tensor> =
            self.parameters.iter().map(|p| (p.name.as_str(), p.value.detach().to_device(Device::Cpu))).collect();
        let mut kept = Vec::new();
        for (name, value) in &values {
            let (target, across) = match name {
                n if n.ends_with(P) => (n.trim_end_matches(P), 1),
                n if n.ends_with(Q) => (n.trim_end_matches(Q), 0),
                n if n.ends_with(LAMBDA) => (n.trim_end_matches(LAMBDA), 0),
                _ => {
                    kept.push(((*name).to_string(), value.shallow_clone()));
                    continue;
                }
            };
            let lambda = values.get(format!("{target}{LAMBDA}").as_str());
            let used = lambda.map(|l| l.nonzero().flatten(0, -1)).filter(|used| used.numel() > 0);
            // An adapter without any direction is left out.
            if let Some(used) = used {
                kept.push(((*name).to_string(), value.index_select(across, &used)));
            }
        }
        kept
    }

    fn save_state(&mut self) -> anyhow::Result<()> {
        let mut state: Vec<(String, Tensor)> = Vec::new();
        for p in &self.parameters {
            state.push((p.name.clone(), p.value.detach()));
            state.push((format!("first_moment.{}", p.name), p.first_moment.shallow_clone()));
            state.push((format!("second_moment.{}", p.name), p.second_moment.shallow_clone()));
        }
        state.extend(self.budget.iter().flat_map(RankBudget::state));
        // f32 is exact for integers up to 16 million.
        let Window { loss, steps, examples, .. } = self.progress.window;
        let progress = [self.progress.step, self.progress.epoch, self.progress.epoch_step, steps, examples as u64]
            .map(|v| v as f32);
        state.push((PROGRESS.into(), Tensor::from_slice(&progress)));
        // An f64 as the sum of two f32.
        let high = loss as f32;
        state.push((LOSS.into(), Tensor::from_slice(&[high, (loss - f64::from(high)) as f32])));
        weights::save(&state, Kind::Float, &self.options.out.join(STATE))?;
        self.log.plot(ACCURACY)
    }
}

/// Restores parameters and optimizer state from a file.
fn restore(
    state: &Path,
    parameters: &mut [Parameter],
    budget: &mut Option<RankBudget>,
    device: Device,
) -> anyhow::Result<Progress> {
    let mut saved = Weights::load_file(state)?;
    let mut restore = |name: &str, into: &mut Tensor| -> anyhow::Result<()> {
        let value = saved.take(name, &into.size())?.to_device(device);
        tch::no_grad(|| into.copy_(&value));
        Ok(())
    };
    for p in parameters {
        restore(&p.name, &mut p.value.detach())?;
        restore(&format!("first_moment.{}", p.name), &mut p.first_moment)?;
        restore(&format!("second_moment.{}", p.name), &mut p.second_moment)?;
    }
    for (name, tensor) in budget.iter_mut().flat_map(RankBudget::state_mut) {
        restore(&name, tensor)?;
    }
    let at = Vec::<f32>::try_from(saved.take(PROGRESS, &[5])?)?;
    let loss = saved.take(LOSS, &[2])?.sum(Kind::Double).double_value(&[]);
    saved.finish()?;
    println!("resumed after step {}", at[0]);
    let window = Window { loss, steps: at[3] as u64, examples: at[4] as usize, begin: Instant::now() };
    Ok(Progress { step: at[0] as u64, epoch: at[1] as u64, epoch_step: at[2] as u64, window })
}

/// Resolution of the learning-rate schedule over the whole run.
const RESOLUTION: f64 = 10_000.0;
/// The initial rank of AdaLoRA as a multiple of the mean final rank.
const INITIAL_RANK: f64 = 1.5;

/// The parameters before the first step.
fn initial<T: Task>(options: &Options, task: &T) -> anyhow::Result<Vec<Parameter>> {
    tch::manual_seed(options.seed as i64);
    let float = (Kind::Float, Device::Cpu);
    let device = device(options)?;
    let mut parameters = Vec::new();
    let mut add = |name: String, value: Tensor, lr_multiplier: f64| {
        let value = value.to_device(device).detach().copy();
        parameters.push(Parameter { lr_multiplier, ..Parameter::new(name, value) });
    };
    for name in task.matrices() {
        let base = task.base().get(&name).with_context(|| format!("the base has no `{name}`"))?;
        let (rows, columns) = match base.size()[..] {
            [rows, columns] if options.method != Method::Full => (rows, columns),
            _ if options.method == Method::Full => {
                add(name, base.shallow_clone(), 1.0);
                continue;
            }
            _ => continue,
        };
        let rank = options.rank.min(rows).min(columns);
        let random = |rows: i64, columns: i64, deviation: f64| Tensor::randn([rows, columns], float) * deviation;
        // The adapter is zero at first: P in LoRA, λ in AdaLoRA.
        if options.method == Method::Lora {
            add(format!("{name}{P}"), Tensor::zeros([rows, rank], float), 1.0);
            add(format!("{name}{LAMBDA}"), Tensor::ones([rank], float), 0.0);
            add(format!("{name}{Q}"), random(rank, columns, (1.0 / columns as f64).sqrt()), 1.0);
        } else {
            let rank = ((rank as f64 * INITIAL_RANK).round() as i64).min(rows).min(columns);
            add(format!("{name}{P}"), random(rows, rank, (1.0 / rows as f64).sqrt()), 1.0);
            add(format!("{name}{LAMBDA}"), Tensor::zeros([rank], float), 1.0);
            add(format!("{name}{Q}"), random(rank, columns, (1.0 / columns as f64).sqrt()), 1.0);
        }
    }
    for (name, value) in task.heads()? {
        add(name, value, options.head_lr_multiplier);
    }
    Ok(parameters)
}
