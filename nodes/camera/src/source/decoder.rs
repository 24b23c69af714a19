//! Which frames of a stream the decoder could not decode whole.
//!
//! libav conceals what it cannot decode and hands the frame on; OpenCV does not say so. What libav logs says it, and for
//! H.264 and HEVC also which packet it is about: each packet's units (NAL) are logged as its decoding begins, and packets
//! begin in order, each on another of libav's threads than the one before. A frame that is handed out has been decoded
//! whole, so that the errors of packet i are known when frame i comes: the same in every replay.
//!
//! The log is the process's. While several sources are open, errors count for whichever is read next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

/// What is known of a frame's decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Decoded {
    /// Errors that were logged.
    pub errors: u32,
    /// It depends on no frame before.
    pub keyframe: bool,
}

/// Packets whose frames have not come; libav holds back a few dozen at most.
const MAX_PENDING: usize = 1024;

#[derive(Debug)]
struct Log {
    /// Sources that are open.
    open: usize,
    /// More than one has been open since there was none.
    shared: bool,
    /// One processor: one decoding thread, on which packets cannot be told apart; errors come before their frame.
    single: bool,
    /// Packets not yet handed out, the first being `first`.
    pending: VecDeque<Decoded>,
    first: u64,
    /// The packet that each decoding thread is at, by the address of its context.
    at: BTreeMap<usize, u64>,
    /// The context of the newest packet.
    newest: Option<usize>,
    /// Packets before the next one that could not even be taken apart.
    refused: u32,
    /// Errors of no known packet.
    loose: u32,
}

impl Log {
    const fn new() -> Self {
        Log {
            open: 0,
            shared: false,
            single: false,
            pending: VecDeque::new(),
            first: 0,
            at: BTreeMap::new(),
            newest: None,
            refused: 0,
            loose: 0,
        }
    }

    /// Forgets what was logged before the first frame, by the search for the stream's parameters.
    fn begin(&mut self, single: bool) {
        *self = Log { open: self.open + 1, shared: self.open > 0, single, ..Log::new() };
    }

    fn end(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// A unit of a packet on the thread `context`.
    fn unit(&mut self, context: usize, keyframe: bool) {
        if self.open == 0 || self.shared || self.single {
            return;
        }
        if self.newest != Some(context) {
            self.newest = Some(context);
            if self.pending.len() == MAX_PENDING {
                self.pending.pop_front();
                self.first += 1;
            }
            self.pending.push_back(Decoded { errors: std::mem::take(&mut self.refused), keyframe: false });
            self.at.insert(context, self.first + self.pending.len() as u64 - 1);
        }
        if let Some(packet) = self.pending.back_mut() {
            packet.keyframe |= keyframe;
        }
    }

    fn error(&mut self, context: usize) {
        let index = self.at.get(&context).and_then(|packet| packet.checked_sub(self.first));
        match index.and_then(|i| self.pending.get_mut(i as usize)) {
            Some(packet) => packet.errors += 1,
            None => self.loose = self.loose.saturating_add(1),
        }
    }

    /// A packet that cannot be taken apart has no frame; what comes next is wrong for want of it.
    fn refused(&mut self) {
        if self.shared || self.single || self.at.is_empty() {
            self.loose = self.loose.saturating_add(1);
        } else {
            self.refused = self.refused.saturating_add(1);
        }
    }

    /// What is known of the next frame.
    fn frame(&mut self) -> Decoded {
        let known = self.pending.pop_front();
        self.first += u64::from(known.is_some());
        let mut decoded = known.unwrap_or_default();
        decoded.errors = decoded.errors.saturating_add(std::mem::take(&mut self.loose));
        decoded
    }
}

static LOG: Mutex<Log> = Mutex::new(Log::new());

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The decoding of one source.
#[derive(Debug)]
pub(super) struct Decoder(());

impl Decoder {
    /// Takes over libav's log: before a source is opened, so that the search for its parameters prints nothing.
    pub fn listen() {
        libav::listen();
    }

    /// A source has been opened.
    pub fn begin() -> Self {
        // The first source that OpenCV opens may have set libav's log back.
        libav::listen();
        log().begin(available_parallelism().is_ok_and(|n| n.get() == 1));
        Decoder(())
    }

    /// To be called for each frame as it comes.
    pub fn frame(&self) -> Decoded {
        log().frame()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        log().end();
    }
}

/// A stream with errors is damaged until a keyframe decodes whole; where there are none to be seen, for a while.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Seconds of the last frame with errors.
    since_s: Option<f64>,
    keyframes: bool,
}

/// Frames after an error are wrong until a keyframe; without one in sight that long. x264's and most encoders' default
/// distance is 250 frames; cameras send one every second or two.
const LONGEST_S: f64 = 10.0;
/// Where keyframes are not known.
const UNKNOWN_S: f64 = 1.0;

impl Damage {
    /// Takes in a frame at its time; whether it is damaged.
    pub fn update(&mut self, decoded: Decoded, time_s: f64) -> bool {
        self.keyframes |= decoded.keyframe;
        if decoded.errors > 0 {
            self.since_s = Some(time_s);
        } else if decoded.keyframe {
            self.since_s = None;
        }
        let lasts = if self.keyframes { LONGEST_S } else { UNKNOWN_S };
        self.since_s.is_some_and(|since| time_s - since <= lasts)
    }
}

/// The C side: libav's log callback. libavutil is there because OpenCV's videoio is linked with it; it is looked up, not
/// linked, so that an OpenCV without libav works too.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod libav {
    use std::ffi::{CStr, c_char, c_int, c_void};

    /// `void (*)(void *context, int level, const char *format, va_list)`. On both architectures a `va_list` argument is
    /// passed as a pointer (an array on x86-64, a structure of 32 bytes by reference on AArch64).
    type Callback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, *mut c_void);

    unsafe extern "C" {
        fn vsnprintf(buffer: *mut c_char, size: usize, format: *const c_char, list: *mut c_void) -> c_int;
    }

    /// AV_LOG_ERROR of libavutil/log.h.
    const ERROR: c_int = 16;
    /// How `ff_h2645_packet_split` logs each unit: "nal_unit_type: 5(IDR), …".
    const UNIT: &[u8] = b"nal_unit_type: %d";
    /// How a packet is logged that cannot be taken apart, and the reason that is logged before.
    const REFUSED: &[u8] = b"Error splitting the input into NAL units";
    const SIZE: &[u8] = b"Invalid NAL unit size";

    pub fn listen() {
        // SAFETY: the name is a C string, and RTLD_DEFAULT searches the libraries that are already loaded.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"av_log_set_callback".as_ptr()) };
        if symbol.is_null() {
            return;
        }
        // SAFETY: this is the signature of av_log_set_callback in libavutil/log.h, and `on_line` may be called from any
        // thread for the life of the process.
        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Callback)>(symbol)(on_line) };
    }

    /// libav calls it with a format and the list that belongs to it.
    unsafe extern "C" fn on_line(context: *mut c_void, level: c_int, format: *const c_char, list: *mut c_void) {
        if format.is_null() {
            return;
        }
        // SAFETY: libav's formats are C strings.
        let text = unsafe { CStr::from_ptr(format) }.to_bytes();
        if text.starts_with(UNIT) {
            let mut line = [0u8; 64];
            // SAFETY: the buffer has the size that is stated, and format and list belong together.
            unsafe { vsnprintf(line.as_mut_ptr().cast(), line.len(), format, list) };
            super::log().unit(context as usize, is_keyframe(&line));
        } else if text.starts_with(REFUSED) {
            super::log().refused();
        } else if (0..=ERROR).contains(&level) && !text.starts_with(SIZE) {
            super::log().error(context as usize);
        }
    }

    /// H.264's IDR is type 5 (its reference index is logged, a layer is not); HEVC's pictures of random access are 16 to 21.
    fn is_keyframe(line: &[u8]) -> bool {
        let digits = line.get(UNIT.len() - 2..).unwrap_or_default();
        let number = digits.iter().take_while(|c| c.is_ascii_digit()).fold(0u32, |n, c| 10 * n + u32::from(c - b'0'));
        let hevc = line.windows(9).any(|w| w == b"nuh_layer");
        if hevc { (16..=21).contains(&number) } else { number == 5 }
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn keyframes_of_both_codecs_are_known_by_their_unit_type() {
            let key = |line: &str| super::is_keyframe(line.as_bytes());
            assert!(key("nal_unit_type: 5(IDR), nal_ref_idc: 3\n"));
            assert!(!key("nal_unit_type: 1(Coded slice of a non-IDR picture), nal_ref_idc: 2\n"));
            assert!(key("nal_unit_type: 19(IDR_W_RADL), nuh_layer_id: 0, temporal_id: 0\n"));
            assert!(!key("nal_unit_type: 5(RADL_R), nuh_layer_id: 0, temporal_id: 0\n"));
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod libav {
    pub fn listen() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_belong_to_the_packet_that_their_thread_is_at() {
        let mut log = Log::new();
        log.begin(false);
        // Packet 0 on thread 7, 1 on thread 9; the errors of 1 are logged before frame 0 comes.
        log.unit(7, false);
        log.unit(7, true);
        log.unit(9, false);
        log.error(9);
        assert_eq!(log.frame(), Decoded { errors: 0, keyframe: true });
        log.unit(7, false);
        log.error(7);
        log.error(7);
        assert_eq!(log.frame(), Decoded { errors: 1, keyframe: false });
        assert_eq!(log.frame(), Decoded { errors: 2, keyframe: false });
    }

    #[test]
    fn errors_of_no_known_packet_count_for_the_next_frame() {
        let mut log = Log::new();
        log.begin(false);
        log.error(3);
        assert_eq!((log.frame().errors, log.frame().errors), (1, 0));
        let mut single = Log::new();
        single.begin(true);
        single.unit(7, true);
        single.error(7);
        assert_eq!(single.frame(), Decoded { errors: 1, keyframe: false });
    }

    #[test]
    fn a_packet_that_is_refused_makes_the_next_one_wrong() {
        let mut log = Log::new();
        log.begin(false);
        log.unit(7, true);
        log.refused();
        log.unit(9, false);
        assert_eq!((log.frame().errors, log.frame().errors, log.frame().errors), (0, 1, 0));
    }

    #[test]
    fn packets_whose_frames_never_come_are_forgotten() {
        let mut log = Log::new();
        log.begin(false);
        for packet in 0..10_000 {
            log.unit(packet % 2, false);
            log.error(packet % 2);
        }
        assert_eq!(log.pending.len(), MAX_PENDING);
        assert_eq!(log.frame().errors, 1);
    }

    #[test]
    fn damage_lasts_until_a_whole_keyframe() {
        let mut damage = Damage::default();
        let (good, key) = (Decoded::default(), Decoded { errors: 0, keyframe: true });
        let bad = Decoded { errors: 3, keyframe: false };
        assert!(!damage.update(key, 0.0));
        assert!(damage.update(bad, 1.0) && damage.update(good, 5.0));
        assert!(!damage.update(key, 5.1) && !damage.update(good, 5.2));
        assert!(damage.update(Decoded { errors: 1, keyframe: true }, 6.0) && damage.update(good, 16.0));
        assert!(!damage.update(good, 16.1));
        // Without keyframes in sight.
        let mut unknown = Damage::default();
        assert!(unknown.update(bad, 1.0) && unknown.update(good, 2.0) && !unknown.update(good, 2.1));
    }
}
