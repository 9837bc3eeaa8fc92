//! How long an answer is fresh (RFC 9111 section 5.2.2), within what the configuration allows.

use std::time::Duration;

use crate::limits::MIN_MAX_AGE;

/// What an answer says of how long it is fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// `max-age`, unless it is zero. That, `no-cache` and `no-store` are no lifetime: frameworks say so of whatever they send (Spring
    /// and Rails, Keycloak, and Express of its files), and who took it for one would ask them all the time.
    pub asked: Option<Duration>,
}

impl Freshness {
    /// Of an answer with that `Cache-Control`.
    pub fn read(cache_control: &str) -> Self {
        let asked = cache_control.split(',').filter_map(|directive| {
            let (name, value) = directive.split_once('=')?;
            let seconds = value.trim().trim_matches('"').parse().ok().filter(|&seconds| seconds > 0);
            name.trim().eq_ignore_ascii_case("max-age").then_some(Duration::from_secs(seconds?))
        });
        Self { asked: asked.min() }
    }

    /// The lifetime where the configuration says `longest`: shortened, down to [`MIN_MAX_AGE`], and never lengthened.
    pub fn within(self, longest: Duration) -> Duration {
        let shortest = MIN_MAX_AGE.min(longest);
        self.asked.map_or(longest, |asked| asked.clamp(shortest, longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_shortens_within_bounds_and_never_lengthens() {
        for (header, configured, expected) in [
            ("", 600, 600),
            ("max-age=60", 600, 60),
            ("public, Max-Age = 60 ", 600, 60),
            ("max-age=\"60\"", 600, 60),
            ("max-age=86400", 600, 600),
            ("max-age=1", 600, 10),
            ("max-age=1", 5, 5),
            ("max-age=300, max-age=60", 600, 60),
            ("no-store, max-age=60", 600, 60),
            ("no-cache=\"Set-Cookie\", max-age=60", 600, 60),
            ("max-age=0", 600, 600),
            ("public, max-age=0", 600, 600),
            ("max-age=60, no-store, max-age=0", 600, 60),
            ("no-cache", 600, 600),
            ("no-cache, no-store, max-age=0, must-revalidate", 600, 600),
            ("max-age=-1", 600, 600),
            ("max-age=99999999999999999999999", 600, 600),
            ("s-maxage=60", 600, 600),
        ] {
            let lifetime = Freshness::read(header).within(Duration::from_secs(configured));
            assert_eq!(lifetime.as_secs(), expected, "{header:?}");
        }
    }
}
