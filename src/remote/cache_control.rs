//! How long an answer is fresh (RFC 9111 section 5.2.2), within what the configuration allows.

use std::time::Duration;

use crate::limits::MIN_MAX_AGE;

/// What an answer says of how long it is fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// `max-age`, unless it is zero beside `no-cache`, `no-store` or `must-revalidate`. To keep nothing is no lifetime: frameworks say
    /// so of whatever they send (those behind the most common issuers among them), and who took it for one would ask them all the
    /// time.
    pub asked: Option<Duration>,
}

impl Freshness {
    /// Of an answer with that `Cache-Control`.
    pub fn read(cache_control: &str) -> Self {
        const NAMES: [&str; 4] = ["max-age", "no-cache", "no-store", "must-revalidate"];
        let (mut asked, mut is_kept) = (None, true);
        for directive in cache_control.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim_ascii();
            match NAMES.iter().position(|known| name.eq_ignore_ascii_case(known)) {
                Some(0) => {
                    let seconds = value.trim_ascii().trim_matches('"').parse().ok().map(Duration::from_secs);
                    asked = seconds.into_iter().chain(asked).min();
                }
                // With the names of headers, it speaks of those.
                Some(_) if value.is_empty() => is_kept = false,
                _ => {}
            }
        }
        Self { asked: asked.filter(|asked| is_kept || !asked.is_zero()) }
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
            ("max-age=0", 600, 10),
            ("public, max-age=0", 600, 10),
            ("max-age=0, private, must-revalidate", 600, 600),
            ("no-cache=\"Set-Cookie\", max-age=0", 600, 10),
            ("No-Store, max-age=0", 600, 600),
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
