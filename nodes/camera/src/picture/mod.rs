//! What a picture is worth: black, covered, frozen, blurred or damaged.

mod brightness;
mod sharpness;
mod watch;

pub use watch::{Finding, PictureWatch};
