//! The clocks of the host.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tower_forge_core::port::{Now, Timestamp};

/// The clocks of the host, and how fast AWS's time passes.
#[derive(Clone, Copy, Debug)]
pub struct HostClock {
    started: Instant,
    scale: f64,
}

impl HostClock {
    /// Starts now; `scale` is real seconds per second of AWS's time.
    pub fn start(scale: f64) -> Self {
        Self { started: Instant::now(), scale }
    }

    /// The time of both clocks.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: self.started.elapsed().div_f64(self.scale),
            wall: Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
            scale: self.scale,
        }
    }

    /// Waits, in AWS's time.
    pub async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(self.real(pause)).await;
    }

    /// A duration of AWS's time in real time.
    pub fn real(&self, duration: Duration) -> Duration {
        duration.mul_f64(self.scale)
    }

    /// A real duration in AWS's time.
    pub fn aws(&self, real: Duration) -> Duration {
        real.div_f64(self.scale)
    }
}

/// 64 random bits: the standard library seeds its hashers from the system.
pub fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}
