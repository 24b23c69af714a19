//! Lists the frames of a camera or video: `cargo run --release -p auriga-camera --example frames -- DEVICE [COUNT]`
//!
//! Prints for each frame its time, size and condition and, for a live device, how long before the arrival it was exposed
//! (0 when the driver gives no stamp of the monotonic clock). A frozen picture is told as of a moving vehicle.

use auriga_camera::{
    picture::PictureWatch,
    source::{Device, Settings, VideoSource},
};
use auriga_msgs::v1::PictureCondition;
use auriga_runtime::Nanos;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::parse(args.first().map_or("", String::as_str));
    let count = args.get(1).map_or(Ok(10), |n| n.parse())?;
    let file = matches!(device, Device::File(_));
    let settings = Settings { device, width: 640, height: 360, fps: 0.0, fourcc: "YUYV".into() };
    let mut last: Option<Nanos> = None;
    let mut watch = PictureWatch::default();
    for item in VideoSource::open(&settings)?.take(count) {
        let (time, image) = item?;
        let age_ms = if file { 0.0 } else { Nanos::monotonic().since(time).as_secs_f64() * 1e3 };
        let step_ms = last.map_or(0.0, |l| time.since(l).as_secs_f64() * 1e3);
        let damaged = image.picture() == PictureCondition::Damaged;
        let (condition, _) = watch.update(&image.data, image.width as usize, time, Some(20.0), damaged);
        let condition = condition.as_str_name().trim_start_matches("PICTURE_CONDITION_").to_lowercase();
        println!("{time:?} +{step_ms:.3} ms, {age_ms:.3} ms ago, {}x{} {condition}", image.width, image.height);
        last = Some(time);
    }
    Ok(())
}
