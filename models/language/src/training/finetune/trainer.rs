//! The loop over epochs and steps, its log, and the state from which a run goes on.

use crate::{
    decoder::weights::{self, Weights},
    training::{
        adamw::{self, Parameter, Settings},
        finetune::{
            data::Step,
            options::{Method, Options, device},
            task::Task,
        },
        lora::{
            LAMBDA, P, Q,
            adalora::{self, Budget},
        },
        plots,
    },
};
use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::{collections::BTreeMap, fs, path::Path, time::Instant};
use tch::{Device, Kind, Tensor};

const LOG_EVERY: u64 = 20;
/// Parameters, moments and where the run is, in full precision.
const STATE: &str = "state.safetensors";
const LOG: &str = "training.csv";
const COLUMNS: &str = "step,epoch,loss,learning_rate,gradient,examples_per_s,judged";

/// A run, between two steps.
pub(crate) struct Trainer<T: Task> {
    options: Options,
    device: Device,
    task: T,
    parameters: Vec<Parameter>,
    budget: Option<Budget>,
    step: u64,
    epoch: u64,
    /// Steps done of the epoch.
    within: u64,
    log: Vec<String>,
    /// Of the lines since the last one.
    since: (f64, u64, usize, Instant),
}

impl<T: Task> Trainer<T> {
    pub fn start(options: Options, task: T) -> anyhow::Result<Self> {
        let parameters = initial(&options, &task)?;
        let corrections = parameters.iter().filter(|p| p.name.ends_with(LAMBDA)).count();
        let budget =
            (options.method == Method::Adalora).then(|| Budget::new(&parameters, corrections * options.rank as usize));
        let since = (0.0, 0, 0, Instant::now());
        let device = device(&options)?;
        let mut trainer =
            Self { options, device, task, parameters, budget, step: 0, epoch: 0, within: 0, log: Vec::new(), since };
        let state = trainer.options.out.join(STATE);
        if state.exists() {
            trainer.resume(&state).with_context(|| {
                format!("{} is of a run with other options; give it another --out, or delete it", state.display())
            })?;
        }
        Ok(trainer)
    }

    pub fn run(mut self) -> anyhow::Result<()> {
        let count: usize = self.parameters.iter().map(|p| p.value.numel()).sum();
        println!("{count} numbers are trained");
        let style = "{elapsed_precise} {wide_bar} {pos}/{len} steps, {eta} left; {msg}";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        if self.epoch == self.options.epochs {
            println!("this run is finished; it is judged again");
            self.task.test_and_save(&self.trained())?;
        }
        while self.epoch < self.options.epochs {
            let steps = self.task.epoch(self.epoch)?;
            let passes = self.options.accumulate;
            let all = steps.len().div_ceil(passes) as u64;
            bar.set_length(self.step + all - self.within + (self.options.epochs - self.epoch - 1) * all);
            for passes in steps.chunks(passes).skip(self.within as usize) {
                self.train_step(
                    passes,
                    (self.epoch as f64 + self.within as f64 / all as f64) / self.options.epochs as f64,
                    &bar,
                )?;
                if self.options.stop_after.is_some_and(|n| self.step >= n) {
                    return self.save_state();
                }
            }
            (self.epoch, self.within) = (self.epoch + 1, 0);
            let judged = self.task.test_and_save(&self.trained())?;
            self.write_line(Some(judged), &bar)?;
            self.save_state()?;
        }
        bar.finish();
        Ok(())
    }

    fn settings(&self) -> Settings {
        // The learning rate follows the share of the run: in thousandths.
        let warmup_steps = (self.options.warmup.clamp(0.0, 1.0) * SHARES).round() as u64;
        let (learning_rate, weight_decay) = (self.options.learning_rate, self.options.weight_decay);
        Settings { learning_rate, warmup_steps, steps: SHARES as u64, weight_decay, clip: 1.0 }
    }

    fn train_step(&mut self, passes: &[Step<T::Item>], progress: f64, bar: &ProgressBar) -> anyhow::Result<()> {
        // Dropout and mixtures: of this step, whatever went before.
        tch::manual_seed((self.options.seed.wrapping_mul(1_000_003) ^ self.step) as i64);
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
        ensure!(loss.is_finite(), "the loss is not a number after {} steps: lower --learning-rate", self.step);
        if let Some(budget) = &mut self.budget {
            budget.observe(&self.parameters);
        }
        let settings = self.settings();
        let rate = settings.rate((progress * SHARES) as u64);
        let norm = adamw::step(&mut self.parameters, &settings, self.step, rate);
        if let Some(budget) = &self.budget {
            budget.prune(&mut self.parameters, self.step, progress);
        }
        self.step += 1;
        self.within += 1;
        self.since = (self.since.0 + loss, self.since.1 + 1, self.since.2 + examples, self.since.3);
        bar.inc(1);
        bar.set_position(self.step);
        if self.step.is_multiple_of(LOG_EVERY) {
            self.log.push(self.line(rate, norm));
            bar.set_message(format!("loss {:.3}", self.since.0 / self.since.1 as f64));
            if bar.is_hidden() {
                println!("{}", self.log.last().map_or("", String::as_str));
            }
            self.since = (0.0, 0, 0, Instant::now());
        }
        Ok(())
    }

    fn line(&self, rate: f64, norm: f64) -> String {
        let (loss, steps, examples, since) = self.since;
        let speed = examples as f64 / since.elapsed().as_secs_f64();
        format!("{},{},{:.4},{rate:.6},{norm:.3},{speed:.0},", self.step, self.epoch, loss / steps as f64)
    }

    /// The line of a finished epoch, and the log and its picture as files.
    fn write_line(&mut self, judged: Option<f64>, bar: &ProgressBar) -> anyhow::Result<()> {
        if let Some(judged) = judged {
            let line = format!("{},{},,,,,{judged:.4}", self.step, self.epoch);
            bar.set_message(format!("epoch {}: {judged:.4}", self.epoch));
            println!("{line}");
            self.log.push(line);
        }
        let path = self.options.out.join(LOG);
        fs::write(&path, format!("{COLUMNS}\n{}\n", self.log.join("\n")))
            .with_context(|| format!("cannot write {}", path.display()))?;
        plots::log(self.log.iter().map(String::as_str), 2, 6, &self.options.out.join("training.svg"))
    }

    /// All that is trained, for a pass with gradients.
    fn shared(&self) -> BTreeMap<String, Tensor> {
        self.parameters.iter().map(|p| (p.name.clone(), p.value.shallow_clone())).collect()
    }

    /// What is trained, as it is kept. Directions of corrections that were given up are left out.
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
            // A correction that has nothing left is left out whole.
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
            state.push((format!("first.{}", p.name), p.first.shallow_clone()));
            state.push((format!("second.{}", p.name), p.second.shallow_clone()));
        }
        state.extend(self.budget.iter().flat_map(Budget::state));
        // f32 counts exactly to 16 million.
        let at = [self.step, self.epoch, self.within, self.since.1, self.since.2 as u64].map(|v| v as f32);
        state.push(("at".into(), Tensor::from_slice(&at)));
        // An f64 as what an f32 holds of it, and the rest.
        let whole = self.since.0 as f32;
        state.push(("loss".into(), Tensor::from_slice(&[whole, (self.since.0 - f64::from(whole)) as f32])));
        weights::save(&state, Kind::Float, &self.options.out.join(STATE))?;
        let bar = ProgressBar::hidden();
        self.write_line(None, &bar)
    }

    fn resume(&mut self, state: &Path) -> anyhow::Result<()> {
        let mut saved = Weights::load_file(state)?;
        let device = self.device;
        let mut restore = |name: &str, into: &mut Tensor| -> anyhow::Result<()> {
            let value = saved.take(name, &into.size())?.to_device(device);
            tch::no_grad(|| into.copy_(&value));
            Ok(())
        };
        for p in &mut self.parameters {
            restore(&p.name, &mut p.value.detach())?;
            restore(&format!("first.{}", p.name), &mut p.first)?;
            restore(&format!("second.{}", p.name), &mut p.second)?;
        }
        for (name, tensor) in self.budget.iter_mut().flat_map(Budget::state_mut) {
            restore(&name, tensor)?;
        }
        let at = Vec::<f32>::try_from(saved.take("at", &[5])?)?;
        let loss = saved.take("loss", &[2])?.sum(Kind::Double).double_value(&[]);
        saved.finish()?;
        (self.step, self.epoch, self.within) = (at[0] as u64, at[1] as u64, at[2] as u64);
        self.since = (loss, at[3] as u64, at[4] as usize, Instant::now());
        let log = fs::read_to_string(self.options.out.join(LOG)).unwrap_or_default();
        // Lines of steps after the state was saved will be written again.
        let before = |l: &&str| l.split(',').next().and_then(|s| s.parse::<u64>().ok()).is_some_and(|s| s <= self.step);
        self.log = log.lines().filter(before).map(String::from).collect();
        println!("going on after step {}", self.step);
        Ok(())
    }
}

/// The learning rate is set in this many parts of the run.
const SHARES: f64 = 10_000.0;
/// AdaLoRA begins with this many times the rank that may stay.
const GENEROUS: f64 = 1.5;

/// What is trained, as it is before the first step.
fn initial<T: Task>(options: &Options, task: &T) -> anyhow::Result<Vec<Parameter>> {
    tch::manual_seed(options.seed as i64);
    let float = (Kind::Float, Device::Cpu);
    let device = device(options)?;
    let mut parameters = Vec::new();
    let mut add = |name: String, value: Tensor, pace: f64| {
        let value = value.to_device(device).detach().copy();
        parameters.push(Parameter { pace, ..Parameter::new(name, value) });
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
        // The correction is nothing at first: in LoRA because P is, in AdaLoRA because λ is.
        if options.method == Method::Lora {
            add(format!("{name}{P}"), Tensor::zeros([rows, rank], float), 1.0);
            add(format!("{name}{LAMBDA}"), Tensor::ones([rank], float), 0.0);
            add(format!("{name}{Q}"), random(rank, columns, (1.0 / columns as f64).sqrt()), 1.0);
        } else {
            let rank = ((rank as f64 * GENEROUS).round() as i64).min(rows).min(columns);
            add(format!("{name}{P}"), random(rows, rank, (1.0 / rows as f64).sqrt()), 1.0);
            add(format!("{name}{LAMBDA}"), Tensor::zeros([rank], float), 1.0);
            add(format!("{name}{Q}"), random(rank, columns, (1.0 / columns as f64).sqrt()), 1.0);
        }
    }
    for (name, value) in task.heads()? {
        add(name, value, options.head_pace);
    }
    Ok(parameters)
}
