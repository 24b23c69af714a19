//! Progress on the terminal.

/// A bar for work that reports the fraction done.
pub(super) fn progress_bar(label: &str) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{prefix:>12} [{bar:36}] {percent:>3} %  {elapsed} {msg}");
    let style = style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()).progress_chars("=> ");
    indicatif::ProgressBar::new(1000).with_style(style).with_prefix(label.to_owned())
}

/// Sets the bar to a fraction of 0 to 1.
pub(super) fn show_fraction(bar: &indicatif::ProgressBar, fraction: f64) {
    bar.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
}
