//! What the VMs of one process share about a source: a small record that is compared and swapped, and the body beside it.

use crate::time::UnixTime;

/// The shared state of one source. All zero before the first fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Counts the contents; 0 means that there was none yet.
    pub version: u64,
    /// When the source last confirmed the content.
    pub fetched_at: UnixTime,
    /// When the next fetch is due.
    pub next_attempt: UnixTime,
    /// Failed fetches since the last good one.
    pub failures: u64,
    /// When an unknown key last asked for a fetch.
    pub forced_at: UnixTime,
    /// Until when a fetch is someone's; over before `now` if none is under way.
    pub lease_until: UnixTime,
    /// Whose it is.
    pub lease_holder: u64,
}

/// Changes with the layout, so that two versions of the module in one process ignore each other's records.
const MAGIC: u64 = u64::from_le_bytes(*b"jwtgate1");

impl Record {
    /// The record as shared bytes.
    pub fn encode(&self) -> Vec<u8> {
        [
            MAGIC,
            self.version,
            self.fetched_at.as_millis(),
            self.next_attempt.as_millis(),
            self.failures,
            self.forced_at.as_millis(),
            self.lease_until.as_millis(),
            self.lease_holder,
        ]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
    }

    /// Reads shared bytes; `None` if they are no record of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fields: Vec<u64> =
            bytes.chunks(8).map(|field| Some(u64::from_le_bytes(field.try_into().ok()?))).collect::<Option<_>>()?;
        match *fields.as_slice() {
            [MAGIC, version, fetched_at, next_attempt, failures, forced_at, lease_until, lease_holder] => Some(Self {
                version,
                fetched_at: UnixTime::from_millis(fetched_at),
                next_attempt: UnixTime::from_millis(next_attempt),
                failures,
                forced_at: UnixTime::from_millis(forced_at),
                lease_until: UnixTime::from_millis(lease_until),
                lease_holder,
            }),
            _ => None,
        }
    }
}

/// A body as shared: with the version that it belongs to and the `ETag` that the next fetch sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The [`Record::version`] of the body.
    pub version: u64,
    /// `ETag`, empty if there was none.
    pub etag: &'a str,
    /// As the source sent it.
    pub body: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry as shared bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.etag.len() + self.body.len());
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(self.etag.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.etag.as_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// Reads shared bytes.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (etag, body) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        Some(Self { version: u64::from_le_bytes(*version), etag: std::str::from_utf8(etag).ok()?, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_reads_back_and_anything_else_is_ignored() {
        let record =
            Record { version: 7, lease_holder: u64::MAX, fetched_at: UnixTime::from_secs(5), ..Record::default() };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None);
        }
        assert_eq!(Record::decode(&[0; 64]), None);

        let entry = Entry { version: 7, etag: "\"x\"", body: b"{}" };
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes), Some(entry));
        for length in 0..19 {
            assert_eq!(Entry::decode(&bytes[..length]), None);
        }
        assert_eq!(Entry::decode(&[0xff; 64]), None);
    }
}
