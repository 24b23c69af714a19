//! Films as the world makes them: turned, of variable rate, with oblong pixels, damaged.

use crate::common::{H264, HEIGHT, MPEG4, WIDTH, bricks, damage, film, one_film_at_a_time, slow_down, stretch, turn};
use auriga_camera::source::{Device, Settings, VideoSource};
use auriga_msgs::v1::{self, PictureCondition};
use auriga_runtime::Nanos;
use auriga_testing::{shared_data, skip};
use std::path::Path;

fn frames(path: &Path) -> Vec<(Nanos, v1::Image)> {
    VideoSource::file(path).unwrap().map(Result::unwrap).collect()
}

/// Dark, with a light patch in the upper left corner, and a half-light one in the lower left.
fn corners() -> Vec<u8> {
    let grey = |u: usize, v: usize| match (u < WIDTH / 2, v < HEIGHT / 2) {
        (true, true) => 220,
        (true, false) => 120,
        _ => 30,
    };
    (0..HEIGHT).flat_map(|v| (0..WIDTH).flat_map(move |u| [grey(u, v); 3])).collect()
}

/// Brightness of the four corners: upper left, upper right, lower left, lower right.
fn seen(image: &v1::Image) -> [u8; 4] {
    let (w, h) = (image.width as usize, image.height as usize);
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
        let grey = image.data[3 * (w * (h * y / 4) + w * x / 4)];
        [30u8, 120, 220].into_iter().min_by_key(|g| g.abs_diff(grey)).unwrap()
    })
}

#[test]
fn a_turned_or_mirrored_film_is_shown_upright() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ([1, 0, 0, 1], [220, 30, 120, 30]),
        // A quarter turn clockwise: the lower left corner comes to the upper left.
        ([0, 1, -1, 0], [120, 220, 30, 30]),
        ([-1, 0, 0, -1], [30, 120, 30, 220]),
        ([0, -1, 1, 0], [30, 30, 220, 120]),
        ([-1, 0, 0, 1], [30, 220, 30, 120]),
        ([1, 0, 0, -1], [120, 30, 220, 30]),
    ];
    for (i, (matrix, expected)) in cases.into_iter().enumerate() {
        let path = dir.path().join(format!("{i}.mp4"));
        film(&path, MPEG4, std::iter::repeat_n(corners(), 3)).expect("OpenCV writes MPEG-4");
        turn(&path, matrix);
        let frames = frames(&path);
        assert_eq!(frames.len(), 3, "{matrix:?}");
        let image = &frames[0].1;
        let size = if matrix[0] == 0 { (HEIGHT, WIDTH) } else { (WIDTH, HEIGHT) };
        assert_eq!(
            (image.width as usize, image.height as usize, seen(image)),
            (size.0, size.1, expected),
            "{matrix:?}"
        );
    }
}

#[test]
fn frames_of_a_variable_rate_have_the_containers_times() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vfr.mp4");
    film(&path, MPEG4, (0..40).map(|i| bricks(1, 2 * i))).expect("OpenCV writes MPEG-4");
    slow_down(&path, 20, 5);
    let times: Vec<u64> = frames(&path).iter().map(|(time, _)| time.0 / 1_000_000).collect();
    let expected: Vec<u64> = (0..20).map(|i| 40 * i).chain((0..20).map(|i| 800 + 200 * i)).collect();
    assert_eq!(times, expected);
    // A rate in the configuration still replaces them.
    let fixed = Settings { fps: 10.0, ..Settings::file(&path) };
    assert_eq!(VideoSource::open(&fixed).unwrap().nth(30).unwrap().unwrap().0, Nanos::from_millis(3000));
}

#[test]
fn oblong_pixels_become_square_and_then_the_film_is_turned() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    for (across, down, width) in [(16, 11, 465), (1, 2, 160), (1, 1, 320)] {
        let path = dir.path().join(format!("{across}-{down}.mp4"));
        film(&path, MPEG4, std::iter::repeat_n(corners(), 2)).expect("OpenCV writes MPEG-4");
        stretch(&path, MPEG4, across, down);
        let image = &frames(&path)[0].1;
        assert_eq!((image.width, image.height, image.step), (width, HEIGHT as u32, 3 * width), "{across}:{down}");
        assert_eq!(image.data.len(), (3 * width * image.height) as usize);
        turn(&path, [0, 1, -1, 0]);
        let image = &frames(&path)[0].1;
        assert_eq!((image.width, image.height), (HEIGHT as u32, width), "{across}:{down} turned");
    }
}

/// H.264: eighty frames with noise, another scene from the forty-fifth on, for which the encoder begins anew.
fn scenes(path: &Path) -> Option<()> {
    let noisy = |i: usize| {
        let mut random = 88_172_645_463_325_252u64 ^ (i as u64) << 32;
        let mut pixels = bricks(1 + u32::from(i >= 45), 3 * i);
        for pixel in pixels.chunks_exact_mut(3) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            pixel.iter_mut().for_each(|b| *b += (random >> 60) as u8);
        }
        pixels
    };
    film(path, H264, (0..80).map(noisy)).map(drop)
}

fn damaged(path: &Path) -> Vec<bool> {
    frames(path).iter().map(|(_, image)| image.picture() == PictureCondition::Damaged).collect()
}

#[test]
fn a_damaged_stream_is_marked_from_the_damage_to_the_next_keyframe() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film.mp4");
    if scenes(&path).is_none() {
        return skip("OpenCV here writes no H.264");
    }
    assert_eq!(damaged(&path), [false; 80], "an intact film");
    damage(&path, 0.3..0.42, 1500);
    let marked = damaged(&path);
    let first = marked.iter().position(|m| *m).expect("damage is seen");
    let last = marked.iter().rposition(|m| *m).unwrap();
    assert!(first > 5 && last < 70, "{marked:?}");
    assert!(marked[first..=last].iter().all(|m| *m), "the frames between refer to damaged ones: {marked:?}");
    for _ in 0..5 {
        assert_eq!(damaged(&path), marked, "the same in every replay");
    }
}

#[test]
fn frames_that_cannot_be_decoded_at_all_do_not_end_the_film() {
    let _alone = one_film_at_a_time();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film.mp4");
    if scenes(&path).is_none() {
        return skip("OpenCV here writes no H.264");
    }
    damage(&path, 0.2..0.5, 40);
    let items: Vec<_> = VideoSource::file(&path).unwrap().collect();
    let frames: Vec<_> = items.into_iter().map(Result::unwrap).collect();
    assert!((60..=80).contains(&frames.len()), "{}", frames.len());
    // What is missing leaves a gap in the times.
    let last = frames.last().unwrap();
    assert!(last.0 >= Nanos::from_millis(3000) && last.1.picture() != PictureCondition::Damaged, "{:?}", last.0);
    assert!(frames.iter().any(|(_, image)| image.picture() == PictureCondition::Damaged));
}

#[test]
fn a_stream_that_never_answers_is_an_error_and_no_hang() {
    let _alone = one_film_at_a_time();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://user:secret@{}/film.mp4", server.local_addr().unwrap());
    let started = std::time::Instant::now();
    let error = VideoSource::open(&Settings { device: Device::parse(&address), ..Settings::file("") }).err().unwrap();
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn the_shared_films_are_read_as_their_readme_says() {
    let Some(folder) = shared_data("cases/vision/video") else { return };
    let _alone = one_film_at_a_time();
    let vfr = frames(&folder.join("vfr.mp4"));
    assert_eq!(
        (vfr[49].0, vfr[50].0, vfr[51].0),
        (Nanos::from_millis(1960), Nanos::from_millis(2000), Nanos::from_millis(2200))
    );
    // Sky above, road below.
    let upright = &frames(&folder.join("phone_rot.mp4"))[0].1;
    let mean = |image: &v1::Image, rows: std::ops::Range<usize>| {
        let part = &image.data[rows.start * image.step as usize..rows.end * image.step as usize];
        part.iter().map(|b| u64::from(*b)).sum::<u64>() / part.len() as u64
    };
    assert_eq!((upright.width, upright.height), (960, 540));
    assert!(mean(upright, 0..100) > mean(upright, 440..540) + 40);
    assert_eq!(damaged(&folder.join("ok.mp4")), [false; 100]);
    let corrupt = damaged(&folder.join("corrupt.mp4"));
    assert!(corrupt[24..49].iter().all(|d| *d) && !corrupt[..22].contains(&true) && !corrupt[51..].contains(&true));
}
