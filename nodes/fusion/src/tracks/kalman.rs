//! Constant-velocity Kalman filter of one axis.
//!
//! Model: Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001): continuous
//! white-noise acceleration (section 6.2.2), Kalman update (5.2), gate on the normalised innovation squared (5.4).

/// Position and speed along one axis with their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// Position.
    pub p: f64,
    /// Speed.
    pub v: f64,
    /// Variance of the position.
    pub pp: f64,
    /// Covariance of position and speed.
    pub pv: f64,
    /// Variance of the speed.
    pub vv: f64,
}

impl Axis {
    /// The state `dt` seconds later, `q` being the power spectral density of the acceleration:
    /// x' = F x, P' = F P Fᵀ + Q with Q = q [dt³/3, dt²/2; dt²/2, dt].
    pub fn predicted(mut self, dt: f64, q: f64) -> Axis {
        self.p += self.v * dt;
        self.pp += dt * (2.0 * self.pv + dt * self.vv) + q * dt.powi(3) / 3.0;
        self.pv += dt * self.vv + q * dt * dt / 2.0;
        self.vv += q * dt;
        self
    }

    /// Normalised innovation squared of a position of variance `r`.
    pub fn distance_p(&self, z: f64, r: f64) -> f64 {
        (z - self.p).powi(2) / (self.pp + r)
    }

    /// The same of a speed.
    pub fn distance_v(&self, z: f64, r: f64) -> f64 {
        (z - self.v).powi(2) / (self.vv + r)
    }

    /// Takes in a position of variance `r`.
    pub fn update_p(&mut self, z: f64, r: f64) {
        let (kp, kv) = (self.pp / (self.pp + r), self.pv / (self.pp + r));
        let innovation = z - self.p;
        self.p += kp * innovation;
        self.v += kv * innovation;
        self.vv -= kv * self.pv;
        self.pv *= 1.0 - kp;
        self.pp *= 1.0 - kp;
    }

    /// Takes in a speed of variance `r`.
    pub fn update_v(&mut self, z: f64, r: f64) {
        let (kp, kv) = (self.pv / (self.vv + r), self.vv / (self.vv + r));
        let innovation = z - self.v;
        self.p += kp * innovation;
        self.v += kv * innovation;
        self.pp -= kp * self.pv;
        self.pv *= 1.0 - kv;
        self.vv *= 1.0 - kv;
    }
}
