//! Driving load: how much of the driver's attention the driving takes.

use auriga_msgs::v1::Severity;

/// Inputs of the load at one instant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Situation {
    /// Speed; its sign does not matter.
    pub speed_mps: f64,
    /// Curvature of the road or the path.
    pub curvature_per_m: f64,
    /// Distance to the lead; `None` without one.
    pub lead_distance_m: Option<f64>,
    /// Worst severity of the active hazards.
    pub worst_hazard: Severity,
}

/// Driving load from 0 (standing) to 1 (full attention).
///
/// Each term takes its share of what the others leave: load = 1 − (1 − 0.35 s)(1 − 0.4 c)(1 − 0.6 h)(1 − z), with
/// * s = v / 36 m/s (130 km/h), at most 1;
/// * c = v² |κ| / 3 m/s²: lateral acceleration against 3 m/s², about the limit of comfort;
/// * h = (2 s − headway) / 1.5 s: from the recommended two seconds down to half a second; zero below 3 m/s, where queues
///   are dense;
/// * z = 0.5 with a hazard of severity warning, 1 with a critical one.
///
/// The weights are this project's: a free motorway is 0.35, a city bend at the limit of comfort about 0.5.
pub fn driving_load(s: &Situation) -> f64 {
    let speed = (s.speed_mps.abs() / 36.0).min(1.0);
    let curve = (s.speed_mps.powi(2) * s.curvature_per_m.abs() / 3.0).min(1.0);
    let headway = match s.lead_distance_m {
        Some(d) if s.speed_mps > 3.0 => ((2.0 - d / s.speed_mps) / 1.5).clamp(0.0, 1.0),
        _ => 0.0,
    };
    let hazard = match s.worst_hazard {
        Severity::Critical => 1.0,
        Severity::Warning => 0.5,
        Severity::Info | Severity::Unspecified => 0.0,
    };
    let load = 1.0 - (1.0 - 0.35 * speed) * (1.0 - 0.4 * curve) * (1.0 - 0.6 * headway) * (1.0 - hazard);
    load.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_load_is_zero_standing_and_one_in_a_critical_hazard() {
        assert_eq!(driving_load(&Situation::default()), 0.0);
        let s = Situation { worst_hazard: Severity::Critical, ..Default::default() };
        assert_eq!(driving_load(&s), 1.0);
        let motorway = Situation { speed_mps: 36.0, ..Default::default() };
        assert!((driving_load(&motorway) - 0.35).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_load_stays_in_its_range_and_grows_with_every_term(
            v in 0.0..100.0f64, k in -0.2..0.2f64, d in 0.0..200.0f64,
        ) {
            let base = Situation { speed_mps: v, curvature_per_m: k, lead_distance_m: Some(d), ..Default::default() };
            let load = driving_load(&base);
            prop_assert!((0.0..=1.0).contains(&load));
            let worse = [
                Situation { curvature_per_m: k * 2.0, ..base },
                Situation { lead_distance_m: Some(d / 2.0), ..base },
                Situation { worst_hazard: Severity::Warning, ..base },
            ];
            for s in worse {
                prop_assert!(driving_load(&s) >= load, "{:?}", s);
            }
        }
    }
}
