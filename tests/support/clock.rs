//! Another clock for one process: that of a host whose clock is wrong, of a process that was suspended, or of a machine
//! that slept. The real binary is started with `clock.c` loaded before its libc.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use chrono::TimeDelta;

/// The clocks of the processes that are started with it.
pub struct ShiftedClock {
    path: PathBuf,
    shifts: File,
}

impl ShiftedClock {
    /// The true time, until something else is said. The file is mapped into the processes, and stays as long as they do.
    pub fn new(path: PathBuf) -> Self {
        let shifts = File::create(&path).unwrap();
        let clock = Self { path, shifts };
        clock.shift(TimeDelta::zero(), TimeDelta::zero());
        clock
    }

    /// From now on the clocks say so much more than the true ones. The monotonic one must never go back, and stands
    /// still while a machine sleeps.
    pub fn shift(&self, wall: TimeDelta, monotonic: TimeDelta) {
        let number = |shift: TimeDelta| shift.num_milliseconds().to_ne_bytes();
        let numbers = [number(wall), number(monotonic)].concat();
        // In one piece, and never truncated: the processes look at it all the time.
        self.shifts.write_all_at(&numbers, 0).unwrap();
    }

    /// The command's clocks are these.
    pub fn on(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", shim())
            .env("SHIFTED_CLOCK", &self.path);
    }
}

/// What is loaded before libc: compiled by the C compiler that also links Rust.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let shim = directory.join("clock.so");
        // Other test binaries may do the same at this moment, or use what is there.
        let draft = directory.join(format!("clock.{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        let status = cc.arg(&draft).arg(source).status().unwrap();
        assert!(status.success(), "tests/support/clock.c can't be compiled");
        std::fs::rename(draft, &shim).unwrap();
        shim
    })
}
