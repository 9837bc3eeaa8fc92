//! How long an answer is fresh (RFC 9111 section 5.2.2), within what the configuration allows.

use std::time::Duration;

use crate::limits::MIN_MAX_AGE;

/// `max-age` shortens `lifetime`, down to [`MIN_MAX_AGE`], and never lengthens it; `no-store` and `no-cache` count as zero.
pub fn lifetime(cache_control: Option<&str>, lifetime: Duration) -> Duration {
    let asked = cache_control.unwrap_or_default().split(',').filter_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
            "no-store" | "no-cache" => Some(Duration::ZERO),
            _ => None,
        }
    });
    let shortest = MIN_MAX_AGE.min(lifetime);
    asked.min().map_or(lifetime, |asked| asked.clamp(shortest, lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_shortens_within_bounds_and_never_lengthens() {
        for (header, configured, expected) in [
            (None, 600, 600),
            (Some(""), 600, 600),
            (Some("max-age=60"), 600, 60),
            (Some("public, Max-Age = 60 "), 600, 60),
            (Some("max-age=\"60\""), 600, 60),
            (Some("max-age=86400"), 600, 600),
            (Some("max-age=0"), 600, 10),
            (Some("no-cache"), 600, 10),
            (Some("no-store, max-age=60"), 600, 10),
            (Some("max-age=0"), 5, 5),
            (Some("max-age=-1"), 600, 600),
            (Some("max-age=99999999999999999999999"), 600, 600),
            (Some("s-maxage=60"), 600, 600),
        ] {
            assert_eq!(lifetime(header, Duration::from_secs(configured)).as_secs(), expected, "{header:?}");
        }
    }
}
